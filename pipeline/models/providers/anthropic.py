"""Claude by the Anthropic Messages API: our requests in its terms, its messages in ours.

The API takes no seed, so the samples of a request are independent draws; the call cache keeps each. Current
models take neither temperature nor top_p and choose their own depth of thought; which of that a model takes
is its `Profile`, and `unsupported` compares it with what the API itself says of the model.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from pipeline.errors import GivenUpError, UsageError
from pipeline.identity import parse_json
from pipeline.models.chat import ChatRequest, ChatResponse, Image, Text
from pipeline.models.client import UnusableError
from pipeline.models.providers.conversations import (
    Encode,
    Exchange,
    Profile,
    Thinking,
    check_images,
    check_sampling,
    filled,
    history,
    signed_json,
    sound,
    thinking_room,
    tool_functions,
)
from pipeline.models.refusals import Complaint, RejectedError, TooLongError
from pipeline.models.texts import ToolCall, cut_at_stop, join_action, split_result

BASE_URL = "https://api.anthropic.com/v1"
HEADERS = {"anthropic-version": "2023-06-01"}

PROFILE = Profile(
    max_images=100,  # of models with a context of 200,000 tokens; 600 for the others
    max_image_bytes=5 * 1024**2,
    max_side=8_000,
    many_images=20,
    many_max_side=2_000,
    max_request_bytes=32_000_000,
    max_stops=64,  # no limit is documented; a dialect has three
    takes_sampling=False,  # refused from Claude 4.7 on
    thinking="level",  # budgets are refused from Claude 4.7 on, and the only way up to 4.5
    least_thinking_tokens=1_024,
    native_thinking_tokens=8_192,
)

_CACHE = {"type": "ephemeral"}
"""Marks the end of a prefix that the provider keeps for the next request (at most four per request; we set two)."""
_THOUGHT = frozenset({"thinking", "redacted_thinking"})

_RECIPE_FIELDS = frozenset(
    {"cache_control", "max_tokens", "model", "output_config", "stop_sequences", "system", "temperature", "thinking"}
    | {"tool_choice", "tools", "top_p"}
)
"""Fields of a body that come from the recipe: a complaint about one would be repeated for every row."""


def to_body(
    request: ChatRequest, *, model: str, thinking: Thinking, profile: Profile, encode: Encode
) -> dict[str, Any]:
    """Return the body of `POST /messages` for any sample of `request`.

    Raises:
        RejectedError: the request is larger than the provider takes.
        UsageError: the recipe asks for what the API does not have.
    """
    if request.logprobs:
        raise UsageError(f"{model}: the Anthropic API returns no log-probabilities; ask an OpenAI-compatible model")
    check_sampling(request.sampling, profile, model)
    check_images(request, profile, encode)
    system, turns = history(request, visible_thought)
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": request.sampling.max_tokens + thinking_room(thinking, profile),
        "messages": _messages(turns, encode),
        "stop_sequences": list(request.stop[: profile.max_stops]),
        **_thinking(thinking, profile),
    }
    if system:
        body["system"] = [{"type": "text", "text": system, "cache_control": _CACHE}]
    if request.sampling.temperature != 1.0:
        body["temperature"] = request.sampling.temperature
    if request.sampling.top_p != 1.0:
        body["top_p"] = request.sampling.top_p
    if request.answer_schema:
        answer = {"type": "json_schema", "schema": parse_json(request.answer_schema)}
        body["output_config"] = {**body.get("output_config", {}), "format": answer}
    if request.tools:
        body["tools"] = [_tool(function) for function in tool_functions(request)]
        body["tool_choice"] = {"type": "auto", "disable_parallel_tool_use": True}
    return body


def _thinking(thinking: Thinking, profile: Profile) -> dict[str, Any]:
    if thinking == "off":
        return {"thinking": {"type": "disabled"}}
    shown = "summarized" if thinking == "native" else "omitted"
    if profile.thinking == "budget":
        return {"thinking": {"type": "enabled", "budget_tokens": thinking_room(thinking, profile), "display": shown}}
    effort = {"output_config": {"effort": "low"}} if thinking == "minimal" else {}
    return {"thinking": {"type": "adaptive", "display": shown}, **effort}


def _tool(function: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": function["name"],
        "description": function.get("description", ""),
        "input_schema": function["parameters"],
    }


def _messages(turns: Sequence[Exchange], encode: Encode) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for turn in turns:
        blocks = _assistant(turn) if turn.role == "assistant" else _user(turn, turns, encode)
        if messages and messages[-1]["role"] == turn.role:
            messages[-1]["content"] += blocks
        elif blocks:
            messages.append({"role": turn.role, "content": blocks})
    if messages:
        # The next turn, and the next sample, begins with everything up to here.
        messages[-1]["content"][-1] = {**messages[-1]["content"][-1], "cache_control": _CACHE}
    return messages


def _user(turn: Exchange, turns: Sequence[Exchange], encode: Encode) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    for part in split_result(turn.parts) if turn.call else turn.parts:
        if isinstance(part, Image):
            source = {"type": "base64", "media_type": "image/png", "data": encode(part.view)}
            blocks.append({"type": "image", "source": source})
        elif part.text.strip():  # the API refuses a block of white space
            blocks.append({"type": "text", "text": part.text})
    if turn.call is None:
        return blocks
    asked = next(past for past in turns if past.role == "assistant" and past.number == turn.number)
    return [{"type": "tool_result", "tool_use_id": _call_id(asked), "content": blocks}]


def _assistant(turn: Exchange) -> list[dict[str, Any]]:
    text = [{"type": "text", "text": part.text} for part in turn.parts if isinstance(part, Text)]
    call = []
    if turn.call is not None:
        given = {"name": turn.call.name, "input": parse_json(turn.call.arguments)}
        call = [{"type": "tool_use", "id": _call_id(turn), **given}]
    return list(filled(turn, _place, {"text": text, "call": call}))


def _place(block: dict[str, Any]) -> str:
    return {"text": "text", "tool_use": "call"}.get(block["type"], "")


def _call_id(turn: Exchange) -> str:
    given = [block["id"] for block in turn.signed if block["type"] == "tool_use"]
    return str(given[0]) if given else f"toolu_{turn.number}"


class _Details(BaseModel):
    thinking_tokens: int = 0


class _Usage(BaseModel):
    input_tokens: int = 0
    """Without what was read from or written to the cache."""
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int = 0
    output_tokens_details: _Details | None = None


class _Message(BaseModel):
    """The fields of a message that are read."""

    type: Literal["message"]
    content: list[dict[str, Any]]
    stop_reason: str
    stop_sequence: str | None = None
    usage: _Usage
    model: str


def from_body(body: Any, stop: Sequence[str]) -> ChatResponse:
    """Read a message; `stop` are the request's stop strings.

    Raises:
        UnusableError: it is no message, or one that its provider did not finish.
    """
    try:
        message = _Message.model_validate(sound(body))
        texts = [str(block["text"]) for block in message.content if block["type"] == "text"]
        calls = [_read_call(block) for block in message.content if block["type"] == "tool_use"]
        thought = visible_thought(message.content)
        signed = [_kept(block) for block in message.content]
    except (ValidationError, KeyError) as error:
        raise UnusableError(f"the Anthropic API sent what is no message: {error}") from error
    finish = _finish(message.stop_reason)
    ended_by = (message.stop_sequence or "") if message.stop_reason == "stop_sequence" else ""
    cut = cut_at_stop("".join(texts) + ended_by, stop)
    acts = [] if cut.complete else calls[:1]
    dropped = sum(len(call.arguments) for call in calls[len(acts) :])
    usage = message.usage
    cached = usage.cache_read_input_tokens or 0
    return ChatResponse(
        text=join_action(cut.text, thought, acts[0] if acts else None),
        # A message that was complete before the provider ran into the limit is complete.
        finish="stop" if finish == "length" and cut.complete else finish,
        prompt_tokens=usage.input_tokens + (usage.cache_creation_input_tokens or 0) + cached,
        completion_tokens=usage.output_tokens,
        cached_tokens=cached,
        reasoning_tokens=usage.output_tokens_details.thinking_tokens if usage.output_tokens_details else 0,
        signed=signed_json(signed) if any(block["type"] != "text" for block in signed) else "",
        cut_characters=cut.discarded + dropped,
        model_version=message.model,
    )


def _finish(stop_reason: str) -> Literal["stop", "length", "refused"]:
    match stop_reason:
        case "end_turn" | "stop_sequence" | "tool_use":
            return "stop"
        case "max_tokens" | "model_context_window_exceeded":
            return "length"
        case "refusal":
            return "refused"
        case _:
            # `pause_turn` belongs to tools that the provider runs; we ask for none.
            raise UnusableError(f"the Anthropic API stopped in the middle of a message ({stop_reason})")


def visible_thought(blocks: Sequence[dict[str, Any]]) -> str:
    """Return what the provider shows of its thought: a summary, or nothing."""
    return "\n\n".join(block["thinking"] for block in blocks if block["type"] == "thinking" and block["thinking"])


def _kept(block: dict[str, Any]) -> dict[str, Any]:
    """Return a block as it must be sent back: thought to the byte, of the rest the place alone."""
    if block["type"] in _THOUGHT:
        return block
    return {key: block[key] for key in ("type", "id") if key in block}


def _read_call(block: dict[str, Any]) -> ToolCall:
    return ToolCall(str(block["name"]), json.dumps(block["input"], ensure_ascii=False))


def refusal(status: int, error: dict[str, Any]) -> Exception | None:
    """Return what a client error (4xx) means, None if asking again may help.

    The API answers 400 to rows and recipes alike; what the message starts with tells them apart.
    """
    said = str(error.get("message", ""))[:500]
    if Complaint(said).overflows:
        return TooLongError(said)
    if status == 413:  # noqa: PLR2004 - HTTP Content Too Large
        return RejectedError(said)
    if "credit balance" in said or status == 402:  # noqa: PLR2004 - HTTP Payment Required
        return GivenUpError(f"the Anthropic API asks for payment: {said}; pay, then run again")
    if status == 400:  # noqa: PLR2004 - HTTP Bad Request
        field = said.lstrip("`\"'").replace("`", ".").replace(":", ".").replace('"', ".").partition(".")[0].strip()
        if field in _RECIPE_FIELDS:
            return UsageError(f"the Anthropic API refuses this model's settings: {said}; correct them in the recipe")
        return RejectedError(said)
    return None


def unsupported(info: dict[str, Any], thinking: Thinking, profile: Profile) -> str:
    """Return what a model cannot do of what a recipe asks, by the API's own account (`GET /models/…`), or nothing."""
    capabilities = info.get("capabilities") or {}
    wanted = {"off": "disabled", "minimal": "adaptive", "native": "adaptive"}[thinking]
    if wanted == "adaptive" and profile.thinking == "budget":
        wanted = "enabled"
    types = capabilities.get("thinking", {}).get("types", {})
    takes = sorted(name for name, support in types.items() if support.get("supported"))
    if types and wanted not in takes:
        hint = "`thinking: minimal`" if thinking == "off" else "`profile: {thinking: budget}` or `level`"
        return f"it takes thinking {', '.join(takes)}, not {wanted}; set {hint}"
    if not capabilities.get("image_input", {"supported": True})["supported"]:
        return "it takes no images; choose another"
    return ""
