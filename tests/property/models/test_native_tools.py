from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dialects import TOOL_CALL
from pipeline.dialects.bad_calls import BadCall
from pipeline.dialects.messages import Parsed
from pipeline.identity import canonical_json, parse_json
from pipeline.models.chat import Image, Text, View
from pipeline.models.texts import ToolCall, join_action, split_action, split_result
from pipeline.records import Action

PIECES = [
    *("\n", "\r\n", " ", "```", "{", "}", '"', "\\", "\\n", "\\u003c", "<", ">"),
    *("é", "🦊", "\u2028", "\x00", "x = 1"),
]
TAGS = ["<think>", "</think>", "<tool_call>", "</tool_call>", "<answer>", "</answer>", "<tool_response>\n"]
nice = st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=12).map("".join)
hostile = st.lists(st.sampled_from(PIECES + TAGS) | st.text(max_size=6), max_size=12).map("".join)
actions: st.SearchStrategy[tuple[Action, str | None]] = st.sampled_from(
    [("python", "code"), ("search", "query"), ("answer", "answer"), ("image_search", None)]
)


@st.composite
def turns(draw: st.DrawFn) -> Parsed:
    action, name = draw(actions)
    arguments = {} if name is None else {name: "x" + draw(nice)}
    return Parsed("t" + draw(nice), action, canonical_json(arguments))


valid = turns().filter(lambda turn: TOOL_CALL.parse(TOOL_CALL.render_turn(*turn), "tools") == turn)
VIEW = View(blob="0" * 64, pixels="1" * 64, width=28, height=28, source_width=28, source_height=28)


@given(valid)
def test_a_turn_comes_back_from_the_transport_byte_for_byte(turn: Parsed) -> None:
    text = TOOL_CALL.render_turn(*turn)
    content, call = split_action(text)
    assert join_action(content, "", call) == text
    if turn.action == "answer":
        assert (content, call) == (text, None)
    else:
        assert (content, call) == (f"<think>{turn.think}</think>", ToolCall(turn.action, turn.arguments))


@given(valid, st.sampled_from([None, 1]))
def test_visible_reasoning_and_a_native_call_make_the_turn_they_mean(turn: Parsed, indent: int | None) -> None:
    # As a provider returns them: the thought apart, the arguments in whatever layout its model wrote.
    if turn.action == "answer":
        text = join_action(f"<answer>{parse_json(turn.arguments)['answer']}</answer>", turn.think, None)
    else:
        arguments = json.dumps(json.loads(turn.arguments), indent=indent)
        text = join_action("", turn.think, ToolCall(turn.action, arguments))
    assert TOOL_CALL.parse(text, "tools") == turn


@given(hostile, valid, st.sampled_from(["", "\n", " and so on"]), st.sampled_from(["python", "zoom", "\\ud800"]))
def test_whatever_is_split_is_joined_to_what_is_read_alike(before: str, turn: Parsed, after: str, name: str) -> None:
    text = before + TOOL_CALL.render_turn(*turn).replace('"python"', f'"{name}"') + after
    content, call = split_action(text)
    whole, joined = TOOL_CALL.parse(text, "tools"), TOOL_CALL.parse(join_action(content, "", call), "tools")
    if isinstance(whole, BadCall) and isinstance(joined, BadCall):
        assert joined.reason == whole.reason
    else:
        assert joined == whole


@given(hostile, hostile, hostile)
def test_no_response_of_a_provider_is_joined_to_two_actions(content: str, thinking: str, arguments: str) -> None:
    parsed = TOOL_CALL.parse(join_action(content, thinking, ToolCall("python", arguments)), "tools")
    if isinstance(parsed, Parsed):
        assert parsed.action == "python"
        assert parse_json(parsed.arguments) == parse_json(arguments)


def test_a_thought_that_the_text_opens_with_is_not_written_twice() -> None:
    call = ToolCall("image_search", "")
    text = '<think>a</think>\n<tool_call>\n{"name": "image_search", "arguments": {}}\n</tool_call>'
    assert join_action("<think>a</think>", "a, summarised", call) == text
    assert join_action("", "a", call) == text


@pytest.mark.parametrize("arguments", ['{"code": "x', "[1]", '{"code": 1}', '{"code": "</tool_call>"}', "NaN"])
def test_arguments_that_fit_no_tool_are_refused_as_in_text(arguments: str) -> None:
    text = join_action("", "a", ToolCall("python", arguments))
    assert isinstance(TOOL_CALL.parse(text, "tools"), BadCall)


@pytest.mark.parametrize(
    "text",
    [
        '<think>a</think>\n<\u200btool_call>\n{"name": "search", "arguments": {"query": "q"}}\n</\u200btool_call>',
        '<tool_call>{"name": "search", "arguments": {"query": "q"}}',
        '<tool_call>{"name": "search", "arguments": {"query": "q"}}</tool_call> and so on',
        '<tool_call>{"name": "search", "arguments": {"query": "\\ud800"}}</tool_call>',
        '<tool_call>{"name": "search"}</tool_call>',
        "<answer>4</answer>",
    ],
)
def test_what_is_not_one_call_at_the_end_stays_text(text: str) -> None:
    assert split_action(text) == (text, None)


@given(nice, st.integers(0, 2))
def test_a_result_loses_its_frame_and_nothing_else(text: str, count: int) -> None:
    images = [Image(view=VIEW)] * count
    opening, closing = Text(text=f"<tool_response>\n{text}Images:"), Text(text="\n</tool_response>")
    bare: list[Text | Image] = [Text(text=f"{text}Images:"), *images]
    framed: list[Text | Image] = [opening, *images, closing]
    assert split_result(framed) == tuple(bare)
    assert split_result([Text(text=TOOL_CALL.frame(f"{text}Images:"))]) == (bare[0],)


def test_a_message_without_a_frame_is_left_as_it_is() -> None:
    parts: tuple[Text | Image, ...] = (Text(text="Error: no."), Image(view=VIEW))
    assert split_result(parts) == parts
