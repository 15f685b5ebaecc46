"""Tables of what servers say: how a message ends and is written, what an error means, which words tell what."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import ColdforgeError, GivenUpError, InfrastructureError, RowError, UsageError
from pipeline.models.client import UNUSABLE_TRIES, UnusableError
from pipeline.models.providers.openai import fitting, refusal
from pipeline.models.providers.openai_answers import FINISHES, read_answer
from pipeline.models.refusals import (
    FilteredError,
    RejectedError,
    RejectionsError,
    Room,
    Takes,
    TooLongError,
    room_left,
)
from tests.support.openai_asking import ANSWER, REQUEST, ask, talk
from tests.support.servers.openai_server import HANGING, OpenAIServer, Reply, completion

HALF = "<think>The crop"


def whole(text: str | None, reason: str | None) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
    return json.dumps({"model": "m", "choices": [choice]}).encode()


def one_chunk(text: str | None, reason: str | None) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": reason}
    return json.dumps({"model": "m", "object": "chat.completion.chunk", "choices": [choice]}).encode()


def stream(text: str | None, reason: str | None) -> bytes:
    pieces: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    pieces += [{"content": letter} for letter in text or ""]
    choices: list[dict[str, Any]] = [{"index": 0, "delta": piece, "finish_reason": None} for piece in pieces]
    choices.append({"index": 0, "delta": {}, "finish_reason": reason})
    lines = [f"data: {json.dumps({'model': 'm', 'choices': [choice]})}\n\n" for choice in choices]
    usage: dict[str, Any] = {"model": "m", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    return "".join([": ping\n\n", *lines, f"data: {json.dumps(usage)}\n\n", "data: [DONE]\n\n"]).encode()


SHAPES: tuple[Callable[[str | None, str | None], bytes], ...] = (whole, one_chunk, stream)
HALVES = ("abort", "error", "network_error", "insufficient_system_resource", "cancelled", "something new", "", None)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("text", [HALF, ANSWER, "", None])
@pytest.mark.parametrize("reason", HALVES)
def test_half_a_message_is_none_in_whatever_shape_and_with_whatever_text(
    reason: str | None, text: str | None, shape: Callable[..., bytes]
) -> None:
    with pytest.raises(UnusableError, match=f"finish_reason {reason or 'null'}|no chat completion"):
        read_answer(shape(text, reason), REQUEST, with_fingerprint=True)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("text", [HALF, ANSWER, ""])
@pytest.mark.parametrize("reason", FINISHES)
def test_a_message_that_ended_is_read_in_whatever_shape(reason: str, text: str, shape: Callable[..., bytes]) -> None:
    response = read_answer(shape(text, reason), REQUEST, with_fingerprint=True)
    # What was complete before a limit struck is complete.
    finish = "stop" if FINISHES[reason] == "length" and text == ANSWER else FINISHES[reason]
    assert (response.text, response.finish) == (text, finish)


def test_a_stream_of_calls_is_put_together() -> None:
    calls = [{"index": 0, "id": "x", "function": {"name": "search", "arguments": ""}}]
    more = [{"index": 0, "function": {"arguments": part}} for part in ('{"que', 'ry": "é"}')]
    deltas: list[dict[str, Any]] = [{"reasoning_content": "Look "}, {"reasoning_content": "it up."}]
    deltas += [{"tool_calls": part} for part in (calls, more[:1], more[1:])]
    choices: list[dict[str, Any]] = [{"delta": delta, "finish_reason": None} for delta in deltas] + [
        {"delta": {}, "finish_reason": "tool_calls"}
    ]
    body = "".join(f"data: {json.dumps({'choices': [choice]})}\n\n" for choice in choices).encode()
    text = read_answer(body, REQUEST, with_fingerprint=True).text
    assert (
        text == '<think>Look it up.</think>\n<tool_call>\n{"name": "search", "arguments": {"query": "é"}}\n</tool_call>'
    )


def message(**fields: Any) -> bytes:
    return json.dumps({"model": "m", "choices": [{"message": fields, "finish_reason": "stop"}]}).encode()


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": ANSWER}],
        [{"type": "text", "text": ANSWER[:9]}, {"type": "text", "text": ANSWER[9:]}],
        [
            {"type": "thinking", "thinking": [{"type": "text", "text": "t"}]},
            {"type": "text", "text": "<answer>4</answer>"},
        ],
        [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "<answer>4</answer>"}],
        [{"type": "reasoning", "text": "t"}, {"type": "output_text", "text": "<answer>4</answer>"}],
        [{"type": "reasoning", "summary": [{"type": "summary_text", "text": "t"}]}, "<answer>4</answer>"],
        [ANSWER],
        [{"text": ANSWER}],
        {"type": "text", "text": ANSWER},
        "t</think>\n<answer>4</answer>",  # the template opened the thought
    ],
)
def test_a_content_is_read_however_it_is_written(content: Any) -> None:
    assert read_answer(message(content=content), REQUEST, with_fingerprint=True).text == ANSWER


@pytest.mark.parametrize("content", [{"a": 1}, 7, [{"type": "image_url", "image_url": "x"}], [[1]], [None], True])
def test_a_content_that_is_not_known_is_given_up_at_once_and_quoted(content: Any, tmp_path: Path) -> None:
    fake = OpenAIServer(script=lambda _: Reply(body=message(content=content).decode()))
    with pytest.raises(GivenUpError, match="content"):
        ask(fake, tmp_path)
    assert len(fake.requests) == 1


def test_a_thought_is_opened_only_where_it_was_closed() -> None:
    for text in ("no tags at all", "<think>a</think>b</think><answer>4</answer>"):
        assert read_answer(message(content=text), REQUEST, with_fingerprint=True).text.startswith(text[:7])


def test_a_server_that_only_sends_halves_is_asked_a_few_times(tmp_path: Path) -> None:
    fake = OpenAIServer(script=lambda _: completion(HALF, "abort"))
    with pytest.raises(GivenUpError, match="finish_reason abort"):
        ask(fake, tmp_path)
    assert len(fake.requests) == UNUSABLE_TRIES


TOO_LONG = (
    "This model's maximum context length is 4096 tokens. However, your request has 5000 input tokens.",
    "The decoder prompt (length 9000) is longer than the maximum model length of 8192.",
    "The prompt (total length 9000) is too long to fit into the model (context length 8192).",
    "The multimodal inputs exceed: item 0 exceeds the pre-allocated encoder cache size",
    "The input (50000 tokens) is longer than the model's context length (40960 tokens).",
    "Input length (9000 tokens) exceeds the maximum allowed length (8192 tokens).",
    "The prompt length exceeds the session length",
    "input exceeds the model context length of 8192",
    "the request exceeds the available context size, try increasing it",
    "Your input exceeds the context window of this model. Please adjust your input and try again.",
    "prompt is too long: 201500 tokens > 200000 maximum",
    "The input token count (1100000) exceeds the maximum number of tokens allowed (1048575).",
    "Input validation error: `inputs` must have less than 8192 tokens. Given: 9000",
    "the input length exceeds the context length",
    "The number of tokens to keep from the initial prompt is greater than the context length",
    "Input is too long for requested model.",
    "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
    "Please reduce the length of the messages or completion.",
    "Invalid request: Your request exceeded model token limit: 262144",
    "Range of input length should be [1, 30720]",
)
NOT_TOO_LONG = (
    "At most 4 image(s) may be provided in one request.",
    "The image length and width do not meet the model restrictions.",
    "string too long. Expected a string with maximum length 1048576",
    "Too many images in request",
    "Unsupported parameter: 'top_k'.",
    "This request would exceed the rate limit of 40,000 input tokens per minute",
    "Extra data: the length of `stop` must be at most 4",
)


@pytest.mark.parametrize("status", [400, 413, 422, 500])
@pytest.mark.parametrize("said", TOO_LONG)
def test_every_wording_of_a_full_context_is_one(said: str, status: int) -> None:
    for body in ({"error": {"message": said}}, {"message": said, "object": "error"}, {"error": said}, {"detail": said}):
        found = refusal(status, json.dumps(body).encode())
        assert isinstance(found, TooLongError)
        assert found.detail == said


@pytest.mark.parametrize("said", NOT_TOO_LONG)
def test_what_only_sounds_like_it_is_none(said: str) -> None:
    found = refusal(400, json.dumps({"error": {"message": said, "code": "string_above_max_length"}}).encode())
    assert isinstance(found, RejectedError)
    assert refusal(503, json.dumps({"error": {"message": said}}).encode()) is None


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"message": "x", "code": "content_filter"}, FilteredError),
        (400, {"message": "x", "type": "content_policy_violation"}, FilteredError),
        (403, {"message": "x", "code": 403, "metadata": {"reasons": ["violence"]}}, FilteredError),
        (400, {"message": "<400> InternalError.Algo.DataInspectionFailed: no"}, FilteredError),
        (429, {"message": "x", "code": "insufficient_quota"}, GivenUpError),
        (400, {"message": "x", "code": None}, RejectedError),
        (422, {"detail": [{"loc": ["body"], "msg": "no"}]}, RejectedError),
        (500, {"message": "x"}, None),
        (401, {"message": "x"}, None),
    ],
)
def test_an_error_object_has_a_kind(status: int, error: dict[str, Any], kind: type[ColdforgeError] | None) -> None:
    found = refusal(status, json.dumps({"error": error}).encode())
    assert found is None if kind is None else isinstance(found, kind)


@pytest.mark.parametrize(
    ("error", "kind", "requests"),
    [
        ({"message": "no money", "code": 402}, GivenUpError, 1),
        ({"message": "no money", "code": "402"}, GivenUpError, 1),
        ({"message": "no key", "code": 401}, UsageError, 1),
        ({"message": "one picture", "code": 400}, RowError, 1),
        ({"message": "one picture", "type": "invalid_request_error"}, RowError, 1),
        ({"message": "maximum context length is 9", "code": None}, TooLongError, 1),
        ({"message": "no such model", "code": 404}, UsageError, 1),
        ({"message": "who knows"}, GivenUpError, UNUSABLE_TRIES),
        ("who knows", GivenUpError, UNUSABLE_TRIES),
    ],
)
def test_an_error_within_a_success_is_what_its_status_would_be(
    error: Any, kind: type[Exception], requests: int, tmp_path: Path
) -> None:
    fake = OpenAIServer(script=lambda _: Reply(body=json.dumps({"id": None, "choices": None, "error": error})))
    with pytest.raises(kind, match=error if isinstance(error, str) else error["message"]):
        ask(fake, tmp_path)
    assert len(fake.requests) == requests


@pytest.mark.parametrize("code", [429, "429", 500, 503, "rate_limit_exceeded", "server_error", "overloaded_error"])
def test_an_error_within_a_success_that_passes_is_asked_again(code: Any, tmp_path: Path) -> None:
    fault = Reply(body=json.dumps({"error": {"message": "later", "code": code}}))
    fake = OpenAIServer(faults=[fault] * 2)
    (response,) = ask(fake, tmp_path)
    assert (response.text, len(fake.requests)) == (ANSWER, 3)


CONTEXT = "This model's maximum context length is 8192 tokens. However,"


@pytest.mark.parametrize(
    ("said", "room"),
    [
        (f"{CONTEXT} you requested 8903 tokens (6855 in the messages, 2048 in the completion).", Room(1337)),
        (f"{CONTEXT} your prompt contains at least 6145 input tokens, and 2048 output tokens are wanted", Room(2047)),
        (
            f"{CONTEXT} a total of 9000 tokens: 7000 tokens from the input messages, 2000 for the completion.",
            Room(1192),
        ),
        (f"{CONTEXT} your request has 6000 input tokens; max_tokens is too large: 4096", Room(2192)),
        ("`inputs` tokens + `max_new_tokens` must be <= 8192. Given: 7000 `inputs` tokens and 2048", Room(1192)),
        ("input length and `max_tokens` exceed context limit: 198000 + 8192 > 200000", Room(2000)),
        ("maximum context length is 4096 tokens. However, your messages resulted in 5000 tokens.", None),
        ("max_tokens must be at least 1, got -42.", None),
        ("reduce max_tokens: prompt and completion do not fit the context window", Room(None)),
    ],
)
def test_the_room_for_a_message_is_read_from_a_refusal(said: str, room: Room | None) -> None:
    assert room_left(said) == room


def test_a_limit_shrinks_until_there_is_no_room() -> None:
    static, limits = "maximum context length is 8192 tokens (6855 in the messages, 2048 in the completion)", [2048]
    while (less := fitting(static, limits[-1])) is not None:
        limits.append(less)
    assert limits == [2048, 1337, 668, 334, 167, 83, 41]


def test_a_message_that_the_context_cut_is_too_long_and_not_stored_as_cut(tmp_path: Path) -> None:
    overflow = Reply(
        400, json.dumps({"error": {"message": TOO_LONG[0] + " (4000 in the messages, 64 in the completion)"}})
    )

    def script(body: dict[str, Any]) -> Reply:
        return overflow if body["max_tokens"] == REQUEST.sampling.max_tokens else completion(HALF, "length")

    with pytest.raises(TooLongError):
        ask(OpenAIServer(script=script), tmp_path)


@pytest.mark.parametrize("field", ["seed", "parallel_tool_calls", "include_stop_str_in_output", "stop"])
def test_a_field_that_we_can_do_without_is_left_out_from_then_on(field: str, tmp_path: Path) -> None:
    said = Reply(400, json.dumps({"error": {"message": f"Unrecognized request argument supplied: {field}"}}))
    fake = OpenAIServer(script=lambda body: said if field in body else completion(ANSWER))
    request = REQUEST.model_copy(update={"tools": "[]"})

    async def twice(client: Any) -> None:
        for sample in (0, 1):
            await client.generate(request, [sample])

    talk(fake, tmp_path, twice)
    assert [field in body for body in fake.requests] == [True, False, False]


@pytest.mark.parametrize("field", ["temperature", "top_p"])
def test_a_setting_that_a_server_does_not_take_is_the_recipes(field: str, tmp_path: Path) -> None:
    error = {"message": f"Unsupported value: '{field}' does not support 0.7 with this model.", "param": field}
    fake = OpenAIServer(script=lambda _: Reply(400, json.dumps({"error": error})))
    with pytest.raises(UsageError, match=f"does not take `{field}`"):
        ask(fake, tmp_path)
    assert len(fake.requests) == 1


def test_a_share_of_rejections_stops_once_it_means_something() -> None:
    takes = Takes("models.base", 0.02, 50)
    takes.asked = 49
    takes.reject(RejectedError("one picture"))
    with pytest.raises(RejectionsError, match=r"models.base: the server rejects 1 of 49 .* one picture"):
        takes.require_few()  # the stage ends here
    takes.asked = 200
    for _ in range(3):
        takes.reject(RejectedError("one picture"))
    takes.require_few()
    with pytest.raises(RejectionsError):
        takes.reject(RejectedError("one picture"))


@pytest.mark.parametrize("error", [TooLongError("a"), FilteredError("b"), RejectedError("c", "stop")])
def test_a_refusal_survives_a_process_boundary(error: RowError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(again), again.reason, again.detail) == (type(error), error.reason, error.detail)


def test_a_role_that_is_silent_is_given_up_though_no_call_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.models.patience.LEAST_SILENCE_SECONDS", 0.1)
    with pytest.raises(InfrastructureError, match="none of 3 open calls was answered"):
        ask(OpenAIServer(script=lambda _: HANGING), tmp_path, samples=range(3), patience_seconds=0.5)
