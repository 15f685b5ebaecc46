"""What Gemini answers, in our terms: candidates, blocked prompts and errors."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from pipeline.errors import UsageError
from pipeline.models.chat import ChatResponse
from pipeline.models.client import UnusableError
from pipeline.models.providers.conversations import signed_json, sound
from pipeline.models.refusals import Complaint, RejectedError, TooLongError
from pipeline.models.texts import ToolCall, closed_by_tag, cut_at_stop, join_action

SIGNATURE = "thoughtSignature"

_REFUSED = frozenset(
    {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE", "OTHER", "ESCALATION"}
    | {"MODEL_ARMOR", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER", "NO_IMAGE"}
)
"""The provider withholds the answer, for good."""
_MALFORMED = frozenset({"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MALFORMED_RESPONSE"})
"""The model wrote what its provider cannot read: a bad message of that model, and no failure of a server."""


class _Camel(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)


class _Content(_Camel):
    parts: list[dict[str, Any]] = []


class _Token(_Camel):
    log_probability: float


class _Logprobs(_Camel):
    chosen_candidates: tuple[_Token, ...] = ()


class _Candidate(_Camel):
    content: _Content = _Content()
    finish_reason: str = ""
    finish_message: str = ""
    logprobs_result: _Logprobs = _Logprobs()


class _Feedback(_Camel):
    block_reason: str = ""


class _Usage(_Camel):
    prompt_token_count: int = 0
    cached_content_token_count: int = 0
    """Part of the prompt's."""
    candidates_token_count: int = 0
    """Without thought."""
    thoughts_token_count: int = 0


class _Generated(_Camel):
    """The fields of an answer that are read."""

    candidates: tuple[_Candidate, ...] = ()
    prompt_feedback: _Feedback = _Feedback()
    usage_metadata: _Usage = _Usage()
    """Not sent where nothing was counted, such as for a prompt that was blocked."""
    model_version: str = ""


def from_body(body: Any, stop: Sequence[str]) -> ChatResponse:
    """Read an answer; `stop` are the request's stop strings.

    Raises:
        UnusableError: it is none, or one that the provider did not finish.
        UsageError: the provider has closed the account.
    """
    try:
        generated = _Generated.model_validate(sound(body))
    except ValidationError as error:
        raise UnusableError(f"the Gemini API sent what is no answer: {error}") from error
    usage = generated.usage_metadata
    facts = {
        "prompt_tokens": usage.prompt_token_count,
        "completion_tokens": usage.candidates_token_count + usage.thoughts_token_count,
        "cached_tokens": usage.cached_content_token_count,
        "reasoning_tokens": usage.thoughts_token_count,
        "model_version": generated.model_version,
    }
    if not generated.candidates:
        if generated.prompt_feedback.block_reason:
            return ChatResponse(text="", finish="refused", **facts)
        raise UnusableError("the Gemini API sent neither an answer nor a reason")
    return _read(generated.candidates[0], stop).model_copy(update=facts)


def _read(candidate: _Candidate, stop: Sequence[str]) -> ChatResponse:
    finish = _finish(candidate)
    parts = candidate.content.parts
    said = "".join(str(part["text"]) for part in parts if "text" in part and not part.get("thought"))
    if candidate.finish_reason == "STOP":
        said = closed_by_tag(said, stop) if said else said
    elif candidate.finish_reason in _MALFORMED:
        said = said or candidate.finish_message
    calls = [_read_call(part["functionCall"]) for part in parts if "functionCall" in part]
    cut = cut_at_stop(said, stop)
    acts = [] if cut.complete else calls[:1]
    return ChatResponse(
        text=join_action(cut.text, visible_thought(parts), acts[0] if acts else None),
        finish="stop" if finish == "length" and cut.complete else finish,
        prompt_tokens=0,
        completion_tokens=0,
        signed=signed_json(_kept(parts)),
        logprobs=tuple(token.log_probability for token in candidate.logprobs_result.chosen_candidates),
        cut_characters=cut.discarded + sum(len(call.arguments) for call in calls[len(acts) :]),
    )


def _finish(candidate: _Candidate) -> Literal["stop", "length", "refused"]:
    match candidate.finish_reason:
        case "STOP":
            return "stop"
        case "MAX_TOKENS":
            return "length"
        case reason if reason in _REFUSED:
            return "refused"
        case reason if reason in _MALFORMED:
            return "stop"
        case "PUP_LIMITED_DISABLED":
            raise UsageError("the Gemini API has limited this account for its prohibited-use policy; ask Google")
        case reason:
            raise UnusableError(f"the Gemini API did not finish its answer ({reason or 'no reason given'})")


def visible_thought(parts: Sequence[dict[str, Any]]) -> str:
    """Return what the provider shows of its thought: a summary, or nothing."""
    return "".join(str(part.get("text", "")) for part in parts if part.get("thought"))


def place_of(part: dict[str, Any]) -> str:
    """Return what a kept part only keeps the place of: `text`, `call`, or nothing."""
    return str(part.get("place", ""))


def _kept(parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the parts that must be sent back if any of them is signed, else none.

    Of the first text and the first call only signature and place are kept, since they are sent as the
    conversation has them; a later text is kept for its signature. Thought is sent back as it came.
    """
    if not any(SIGNATURE in part or "id" in part.get("functionCall", {}) for part in parts):
        return []
    kept: list[dict[str, Any]] = []
    for part in parts:
        signature = {SIGNATURE: part[SIGNATURE]} if SIGNATURE in part else {}
        places = [place_of(known) for known in kept]
        if part.get("thought"):
            kept.append(part)
        elif "functionCall" in part and "call" not in places:
            call_id = {"id": part["functionCall"]["id"]} if "id" in part["functionCall"] else {}
            kept.append({"place": "call", **call_id, **signature})
        elif "text" in part and "text" not in places:
            kept.append({"place": "text", **signature})
        elif "text" in part and signature:
            kept.append({"text": "", **signature})
    return kept


def _read_call(call: dict[str, Any]) -> ToolCall:
    return ToolCall(str(call.get("name", "")), json.dumps(call.get("args", {}), ensure_ascii=False))


def refusal(status: int, error: dict[str, Any]) -> Exception | None:
    """Return what a client error (4xx) means, None if asking again may help.

    The API answers 400 to bad keys, bad settings and bad rows alike.
    """
    said = str(error.get("message", ""))[:500]
    reasons = {str(detail.get("reason", "")) for detail in error.get("details", []) if isinstance(detail, dict)}
    if "API_KEY_INVALID" in reasons:
        return UsageError("the Gemini API refuses the key; put a valid one into the variable of `api_key_env`")
    if Complaint(said).overflows:
        return TooLongError(said)
    if status == 413:  # noqa: PLR2004 - HTTP Content Too Large
        return RejectedError(said)
    if status != 400:  # noqa: PLR2004 - HTTP Bad Request
        return None
    settings = ("thinking", "budget", "location is not supported", "unknown name", "generation_config", "logprobs")
    if error.get("status") == "FAILED_PRECONDITION" or any(word in said.lower() for word in settings):
        return UsageError(f"the Gemini API refuses this model's settings: {said}; correct them in the recipe")
    return RejectedError(said)


def unsupported(info: dict[str, Any]) -> str:
    """Return what a model cannot do, by the API's own account (`GET /models/…`), or nothing."""
    methods = info.get("supportedGenerationMethods", ["generateContent"])
    return "" if "generateContent" in methods else f"it takes {', '.join(methods)}, not generateContent; choose another"
