"""Assistant messages are found again in what trainers decode, whatever stands in the observations between them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dialects import DEEPEYESV2, TOOL_CALL, Dialect
from pipeline.dialects.decoded import assistant_messages, decoded_response
from pipeline.dialects.observations import WebResult, cell_observation, error_observation, text_search_observation
from pipeline.identity import canonical_json
from pipeline.records import Action

HOSTILE = st.sampled_from(
    ["\nuser\n", "\nassistant\n", "<think>", "</answer>", "<|im_end|>", "<|im_start|>assistant\n", "Error: ", "x", "\n"]
)
TEXT = st.lists(HOSTILE, max_size=6).map("".join)


def shown(text: str, kind: int) -> str:
    if kind == 0:
        return cell_observation(status="ok", stdout=text, stderr=text, value=text, error=None, images=0, ended=False)
    if kind == 1:
        return text_search_observation("q", [WebResult(text, text, None, text)])
    return error_observation(text)


@pytest.mark.parametrize("dialect", [DEEPEYESV2, TOOL_CALL], ids=lambda dialect: dialect.name)
@pytest.mark.parametrize("bare", [False, True])
@given(data=st.data())
def test_messages_are_told_from_observations(dialect: Dialect, bare: bool, data: st.DataObject) -> None:
    observations = data.draw(st.lists(st.builds(shown, TEXT, st.integers(0, 2)), max_size=4))
    calls: list[tuple[Action, dict[str, str]]] = [("python", {"code": "user\n\nassistant"}), ("search", {"query": "a"})]
    messages = [
        dialect.render_turn("user\nassistant", *_written(data.draw(st.sampled_from(calls)))) for _ in observations
    ]
    messages.append(dialect.render_turn("b", "answer", canonical_json({"answer": "4"})))
    decoded = decoded_response(messages, [dialect.frame(text) for text in observations], bare=bare)
    assert assistant_messages(decoded) == messages
    # What the prompt has opened is no part of the response.
    assert assistant_messages(decoded.removeprefix("<think>")) == messages


def _written(call: tuple[Action, dict[str, str]]) -> tuple[Action, str]:
    return call[0], canonical_json(call[1])


@pytest.mark.parametrize("tail", ["", "<|im_end|>", "<|im_end|>\n", "<|endoftext|>"])
def test_the_end_of_a_response_is_no_part_of_its_last_message(tail: str) -> None:
    assert assistant_messages(f"<think>a</think>\n<answer>4</answer>{tail}") == ["<think>a</think>\n<answer>4</answer>"]
