"""Answers of the OpenAI chat-completions protocol, as we read them; servers differ in how they write each part."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ValidationError

from pipeline.errors import GivenUpError, UsageError
from pipeline.models.chat import ChatRequest, ChatResponse
from pipeline.models.client import UnusableError
from pipeline.models.providers.conversations import sound
from pipeline.models.refusals import QUOTED, Complaint, TooLongError
from pipeline.models.texts import Cut, ToolCall, closed_by_tag, cut_at_stop, join_action

Finish = Literal["stop", "length", "refused"]

FINISHES: Mapping[str, Finish] = {
    **dict.fromkeys(("stop", "tool_calls", "function_call"), "stop"),
    # vLLM stops a loop, LMDeploy a call that it cannot read: the message is not the model's to the end.
    **dict.fromkeys(("length", "repetition", "parse_error"), "length"),
    **dict.fromkeys(("content_filter", "sensitive"), "refused"),
}
"""Reasons for which a message ends. For any other, null included, it is half of one (vLLM and SGLang: `abort`,
OpenRouter: `error`, DeepSeek: `insufficient_system_resource`, Z.ai: `network_error`)."""
OVERFLOW = "model_context_window_exceeded"
"""Z.ai: the context was full before the message was complete."""


class _Function(BaseModel):
    name: Any = None
    arguments: Any = None


class _Call(BaseModel):
    function: _Function | None = None


class _Said(BaseModel):
    content: Any = None
    refusal: str | None = None
    reasoning: Any = None
    """vLLM's name of the thought that a reasoning parser took out of the text."""
    reasoning_content: Any = None
    """DeepSeek's name of it, and that of older vLLM."""
    tool_calls: tuple[_Call, ...] | None = None
    function_call: _Function | None = None
    """What one call was before there were several."""


class _Token(BaseModel):
    token: str
    logprob: float


class _Logprobs(BaseModel):
    content: tuple[_Token, ...] | None = None


class _Choice(BaseModel):
    message: _Said
    finish_reason: str | None = None
    stop_reason: str | int | None = None
    """vLLM only: the stop string or token that ended the text; None at its natural end."""
    logprobs: _Logprobs | None = None
    error: Any = None
    """OpenRouter: what its provider said."""


class _PromptDetails(BaseModel):
    cached_tokens: int | None = None


class _CompletionDetails(BaseModel):
    reasoning_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None


class _Completion(BaseModel):
    """The fields of a chat completion that are read; servers add many more."""

    choices: tuple[_Choice]
    usage: _Usage | None = None
    model: str = ""
    system_fingerprint: str | None = None
    """Of the server's configuration, where it tells one from another."""


def read_answer(body: bytes, request: ChatRequest, *, with_fingerprint: bool) -> ChatResponse:
    """Return the one message of a completion, sent whole or as a stream of chunks.

    Raises:
        UnusableError: it is no completion, not one message, or one that did not end.
        GivenUpError: its message is written in a way that is not known.
        TooLongError: the context was full before the message was complete.
        UsageError: the server gives no log-probabilities where they were asked for.
    """
    completion = _completion(body)
    (choice,) = completion.choices
    message, reason = choice.message, choice.finish_reason or "null"
    if reason != OVERFLOW and reason not in FINISHES:
        words = f": {Complaint.read(choice.error).message}" if choice.error else ""
        raise UnusableError(f"model server ended a message with finish_reason {reason}{words}")
    said = _parts(message.content)
    refused = FINISHES.get(reason) == "refused" or bool(message.refusal or said.refusal)
    cut = cut_at_stop(_closed(said.text, choice, request.stop), request.stop)
    if reason == OVERFLOW and not cut.complete:
        raise TooLongError(f"finish_reason {OVERFLOW}")
    calls = [*(call.function for call in message.tool_calls or () if call.function), message.function_call]
    asked = [_call(call) for call in calls if call is not None]
    acts = [] if cut.complete else asked[:1]
    thought = _parts(message.reasoning_content).all or _parts(message.reasoning).all or said.thought
    usage = completion.usage or _Usage()
    return ChatResponse(
        text=join_action(_opened(cut.text, thought), thought, acts[0] if acts else None)
        or (message.refusal or said.refusal if refused else ""),
        # A message that was complete before the server ran into the limit is complete; a call that it cut is not.
        finish="refused" if refused else "stop" if cut.complete else FINISHES[reason],
        prompt_tokens=usage.prompt_tokens or 0,
        completion_tokens=usage.completion_tokens or 0,
        cached_tokens=(usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens) or 0,
        reasoning_tokens=(usage.completion_tokens_details and usage.completion_tokens_details.reasoning_tokens) or 0,
        logprobs=_logprobs(choice, cut) if request.logprobs and not refused else (),
        cut_characters=cut.discarded + sum(len(call.arguments) for call in asked[len(acts) :]),
        model_version=_version(completion) if with_fingerprint else completion.model,
    )


class _Parts(NamedTuple):
    """A content, taken apart."""

    text: str = ""
    thought: str = ""
    refusal: str = ""

    @property
    def all(self) -> str:
        """Return text and thought: what stands in a field for thought is thought, however it is marked."""
        return self.thought + self.text


def _parts(content: Any) -> _Parts:
    """Read a content, which may be a text, nothing, or a list of parts with types (Mistral, DeepSeek gateways).

    Raises:
        GivenUpError: it is something else, or a part is.
    """
    match content:
        case None:
            return _Parts()
        case str():
            return _Parts(content)
        case list():
            read = [_part(part) for part in content]
            return _Parts(*("".join(column) for column in zip(*read, strict=True))) if read else _Parts()
        case {"type": str()} | {"text": str()}:
            return _part(content)
        case _:
            raise _unknown(content)


def _part(part: Any) -> _Parts:
    match part:
        case str():
            return _Parts(part)
        case {"type": "thinking" | "reasoning" as kind, **fields}:
            inner = next((fields[name] for name in (kind, "text", "content", "summary") if fields.get(name)), None)
            return _Parts(thought=_parts(inner).all)
        case {"type": "refusal", "refusal": str(words)}:
            return _Parts(refusal=words)
        case {"type": "text" | "output_text" | "summary_text" | "reasoning_text", "text": str(text)}:
            return _Parts(text)
        case {"text": str(text), **others} if "type" not in others:
            return _Parts(text)
        case _:
            raise _unknown(part)


def _unknown(content: Any) -> GivenUpError:
    return GivenUpError(
        "model server sent a message whose content is of several parts or of a kind that is not known: "
        f"{json.dumps(content, ensure_ascii=False)[:QUOTED]}"
    )


def _opened(text: str, thought: str) -> str:
    """Return `text` with the tag that opens its thought, where the chat template has written that already."""
    before, closed, _ = text.partition("</think>")
    return f"<think>{text}" if closed and not thought and "<think>" not in before else text


def _completion(body: bytes) -> _Completion:
    try:
        return _Completion.model_validate_json(body)
    except ValidationError:
        pass  # told apart below: no JSON, JSON of another shape, or halves of surrogate pairs, which JSON can spell
    try:
        content = _joined(body) if body.lstrip().startswith((b"data:", b"event:", b": ")) else json.loads(body)
        return _Completion.model_validate(sound(_as_message(content)))
    except ValidationError as error:
        raise UnusableError(
            f"model server sent an answer that is no chat completion: {body[:QUOTED].decode(errors='replace')}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise UnusableError(
            f"model server sent what is not JSON ({error}): {body[:QUOTED].decode(errors='replace')}; is `base_url` in "
            "the recipe that of an OpenAI server?"
        ) from error


def _as_message(content: Any) -> Any:
    """Return a completion whose only choice is written as a chunk is, in `delta`, as one of a message."""
    match content:
        case {"choices": [{"delta": {**delta}, **choice}], **others} if "message" not in choice:
            return {**others, "choices": [{**choice, "message": delta}]}
        case _:
            return content


def _joined(body: bytes) -> dict[str, Any]:
    """Return the completion that a stream of chunks adds up to (server-sent events), for servers that only stream."""
    joined: dict[str, Any] = {}
    choice: dict[str, Any] = {"message": {}}
    for chunk in _chunks(body):
        joined |= {name: value for name, value in chunk.items() if name != "choices" and value is not None}
        for part in chunk.get("choices") or ():
            delta = part.get("delta") or part.get("message") or {}
            choice |= {name: value for name, value in part.items() if name not in {"delta", "message"} and value}
            _add(choice["message"], delta)
    if choice["message"]:
        joined["choices"] = [choice]
    return joined


def _chunks(body: bytes) -> Iterator[dict[str, Any]]:
    for line in body.splitlines():
        data = line.removeprefix(b"data:").strip()
        if line.startswith(b"data:") and data != b"[DONE]":
            chunk = json.loads(data)
            if isinstance(chunk, dict):
                yield chunk


def _add(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Append what a chunk adds to a message: texts grow, calls are found by their index."""
    for name, value in delta.items():
        if name == "tool_calls":
            calls = message.setdefault(name, [])
            for call in value or ():
                number = call.get("index", len(calls))
                calls += [{"function": {}} for _ in range(len(calls), min(number, 64) + 1)]
                _add(calls[min(number, 64)]["function"], call.get("function") or {})
        elif isinstance(value, str) and isinstance(message.get(name), str) and name != "role":
            message[name] += value
        elif value is not None:
            message[name] = value


def error_within(body: bytes) -> tuple[int, Complaint] | None:
    """Return the error that a body holds in place of a message, with the status it should have had; None if none.

    OpenRouter and others send errors under the status 200. The status 0 stands for an error that says nothing of what
    it is.
    """
    # Every answer comes by here, and nearly none has the word.
    if b'"error"' not in body:
        return None
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    error = content.get("error") if isinstance(content, dict) else None
    if not error:
        return None
    complaint = Complaint.read(error)
    return _status(complaint), complaint


_STATUSES: Sequence[tuple[int, tuple[str, ...]]] = (
    (402, ("insufficient_quota", "insufficient_credits", "insufficient_balance", "billing", "payment")),
    (401, ("authentication", "invalid_api_key", "unauthorized")),
    (429, ("rate_limit", "ratelimit", "too_many_requests", "resource_exhausted")),
    (503, ("overloaded", "unavailable", "server_error", "internal", "timeout", "timed_out", "bad_gateway")),
    (400, ("invalid", "bad_request", "badrequest", "unsupported", "context_length", "content_filter")),
)
"""What codes and types of errors say, for those that have no number."""


def _status(complaint: Complaint) -> int:
    if complaint.code.isdecimal() and 400 <= int(complaint.code) < 600:  # noqa: PLR2004 - HTTP
        return int(complaint.code)
    names = f"{complaint.code} {complaint.kind}".lower().replace(" ", "_").replace("-", "_")
    found = [status for status, words in _STATUSES if any(word in names for word in words)]
    if not found and (complaint.overflows or complaint.filtered):
        return 400
    return found[0] if found else 0


def _version(completion: _Completion) -> str:
    return f"{completion.model} {completion.system_fingerprint or ''}".strip()


def _closed(text: str, choice: _Choice, stop: Sequence[str]) -> str:
    """Return `text` with the stop string that ended it, for servers that leave it out."""
    if choice.finish_reason != "stop" or not text or any(mark in text for mark in stop):
        return text
    if "stop_reason" not in choice.model_fields_set:
        return closed_by_tag(text, stop)
    return text + choice.stop_reason if isinstance(choice.stop_reason, str) and choice.stop_reason in stop else text


def _call(function: _Function) -> ToolCall:
    """Return a call as it was made; a name or arguments that are none are the dialect's to complain of."""
    arguments = function.arguments
    written = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    name = function.name if isinstance(function.name, str) else ""
    return ToolCall(name, "" if arguments is None else written)


def _logprobs(choice: _Choice, cut: Cut) -> tuple[float, ...]:
    tokens = choice.logprobs.content if choice.logprobs else None
    if tokens is None:
        raise UsageError("the model server returns no log-probabilities; ask one that does for this role")
    if not cut.discarded:
        return tuple(token.logprob for token in tokens)
    kept, length = list[float](), 0
    for token in tokens:
        if length >= len(cut.text):
            break
        kept.append(token.logprob)
        length += len(token.token)
    return tuple(kept)
