"""Answers of the OpenAI chat-completions protocol, as we read them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import BaseModel, ValidationError

from pipeline.errors import InfrastructureError, UsageError
from pipeline.models.chat import ChatRequest, ChatResponse
from pipeline.models.providers.conversations import sound
from pipeline.models.texts import Cut, ToolCall, closed_by_tag, cut_at_stop, join_action

_ENDED = frozenset({"stop", "length", "tool_calls"})
"""Reasons for which a model itself ended its message."""


class _Function(BaseModel):
    name: str
    arguments: str | None = None


class _Call(BaseModel):
    function: _Function


class _Said(BaseModel):
    content: str | None = None
    refusal: str | None = None
    reasoning: str | None = None
    """vLLM's name of the thought that a reasoning parser took out of the text."""
    reasoning_content: str | None = None
    """DeepSeek's name of it, and that of older vLLM."""
    tool_calls: tuple[_Call, ...] | None = None


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


class _PromptDetails(BaseModel):
    cached_tokens: int | None = None


class _CompletionDetails(BaseModel):
    reasoning_tokens: int | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
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
    """Return the one message of a completion.

    Raises:
        InfrastructureError: it is no completion, not one message, or one that the model did not end.
        UsageError: the server gives no log-probabilities where they were asked for.
    """
    completion = _completion(body)
    (choice,) = completion.choices
    said, finish = choice.message, choice.finish_reason
    refused = finish == "content_filter" or bool(said.refusal)
    # A reasoning parser leaves no content where the limit, or the model, ended the text within the thought.
    if said.content is None and not refused and finish not in _ENDED:
        raise InfrastructureError(f"model server sent an answer without content ({finish})")
    cut = cut_at_stop(_closed(said.content or "", choice, request.stop), request.stop)
    calls = () if cut.complete else said.tool_calls or ()
    dropped = (said.tool_calls or ())[len(calls[:1]) :]
    usage = completion.usage or _Usage()
    return ChatResponse(
        text=join_action(cut.text, said.reasoning_content or said.reasoning or "", _call(calls)),
        # A message that was complete before the server ran into the limit is complete; a call that it cut is not.
        finish="refused" if refused else "length" if finish == "length" and not cut.complete else "stop",
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens or 0,
        cached_tokens=(usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens) or 0,
        reasoning_tokens=(usage.completion_tokens_details and usage.completion_tokens_details.reasoning_tokens) or 0,
        logprobs=_logprobs(choice, cut) if request.logprobs and not refused else (),
        cut_characters=cut.discarded + sum(len(call.function.arguments or "") for call in dropped),
        model_version=_version(completion) if with_fingerprint else completion.model,
    )


def _completion(body: bytes) -> _Completion:
    try:
        return _Completion.model_validate_json(body)
    except ValidationError:
        pass  # told apart below: no JSON, JSON of another shape, or halves of surrogate pairs, which JSON can spell
    try:
        return _Completion.model_validate(sound(json.loads(body)))
    except ValidationError as error:
        raise InfrastructureError(f"model server sent an answer that is no chat completion: {error}") from error
    except (ValueError, RecursionError) as error:
        raise InfrastructureError(
            f"model server sent what is not JSON ({error}); is `base_url` in the recipe that of an OpenAI server?"
        ) from error


def _version(completion: _Completion) -> str:
    return f"{completion.model} {completion.system_fingerprint or ''}".strip()


def _closed(text: str, choice: _Choice, stop: Sequence[str]) -> str:
    """Return `text` with the stop string that ended it, for servers that leave it out."""
    if choice.finish_reason != "stop" or not text or any(mark in text for mark in stop):
        return text
    if "stop_reason" not in choice.model_fields_set:
        return closed_by_tag(text, stop)
    return text + choice.stop_reason if isinstance(choice.stop_reason, str) and choice.stop_reason in stop else text


def _call(calls: Sequence[_Call]) -> ToolCall | None:
    return ToolCall(calls[0].function.name, calls[0].function.arguments or "") if calls else None


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
