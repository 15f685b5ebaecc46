"""Gemini by `generateContent`: our requests in its terms; its answers are read in `gemini_answers`.

The API samples by a seed as far as its backend allows ("best effort"); the call cache keeps each sample.
It caches prompts by itself, and says how much of one it found.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.errors import UsageError
from pipeline.identity import parse_json
from pipeline.models.chat import ChatRequest, Image, Text
from pipeline.models.providers.conversations import (
    Encode,
    Exchange,
    Profile,
    Thinking,
    check_images,
    check_sampling,
    filled,
    history,
    thinking_room,
    tool_functions,
)
from pipeline.models.providers.gemini_answers import SIGNATURE, place_of, visible_thought
from pipeline.models.texts import split_result

BASE_URL = "https://generativelanguage.googleapis.com/v1beta"

PROFILE = Profile(
    max_images=3_000,
    max_image_bytes=7_000_000,
    max_side=None,
    many_images=3_000,
    many_max_side=None,
    max_request_bytes=20_000_000,
    max_stops=5,
    takes_sampling=True,
    thinking="level",  # Gemini 3 and later; 2.5 takes budgets
    least_thinking_tokens=128,  # of 2.5 Pro, which always thinks
    native_thinking_tokens=8_192,
)

_SEEDS = 2**31
"""A seed is a signed 32-bit number."""


def to_body(
    request: ChatRequest, sample: int, *, model: str, thinking: Thinking, profile: Profile, encode: Encode
) -> dict[str, Any]:
    """Return the body of `POST /models/…:generateContent` for one sample.

    Raises:
        RowError: the request is larger than the provider takes.
        UsageError: the recipe asks for what the API does not have.
    """
    check_sampling(request.sampling, profile, model)
    check_images(request, profile, encode)
    system, turns = history(request, visible_thought)
    body: dict[str, Any] = {
        # Gemini 3, which is asked for thought by a level, reads pictures within a result; 2.5 refuses them there.
        "contents": _contents(turns, encode, within_result=profile.thinking == "level"),
        "generationConfig": {
            "maxOutputTokens": request.sampling.max_tokens + thinking_room(thinking, profile),
            "seed": (request.seed + sample) % _SEEDS,
            "stopSequences": list(request.stop[: profile.max_stops]),
            "thinkingConfig": _thinking(thinking, profile, model),
            **_sampling(request),
        },
    }
    if system:
        body["systemInstruction"] = {"parts": [{"text": system}]}
    if request.tools:
        body["tools"] = [{"functionDeclarations": [_tool(function) for function in tool_functions(request)]}]
    return body


def _sampling(request: ChatRequest) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if request.sampling.temperature != 1.0:
        config["temperature"] = request.sampling.temperature
    if request.sampling.top_p != 1.0:
        config["topP"] = request.sampling.top_p
    if request.logprobs:
        config["responseLogprobs"] = True
    if request.answer_schema:
        config["responseMimeType"] = "application/json"
        config["responseJsonSchema"] = parse_json(request.answer_schema)
    return config


def _thinking(thinking: Thinking, profile: Profile, model: str) -> dict[str, Any]:
    if profile.thinking == "budget":
        # -1 lets the model choose.
        budget = {"off": 0, "minimal": profile.least_thinking_tokens, "native": -1}[thinking]
        return {"thinkingBudget": budget, "includeThoughts": thinking == "native"}
    match thinking:
        case "native":
            return {"includeThoughts": True}
        case "minimal":
            return {"thinkingLevel": "minimal", "includeThoughts": False}
        case "off":
            raise UsageError(
                f"{model} cannot be kept from thinking; set `thinking: minimal` for this model in the recipe, "
                "or `profile: {thinking: budget}` for a Gemini 2.5 that can"
            )


def _tool(function: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": function["name"],
        "description": function.get("description", ""),
        "parametersJsonSchema": function["parameters"],
    }


def _contents(turns: Sequence[Exchange], encode: Encode, *, within_result: bool) -> list[dict[str, Any]]:
    contents: list[dict[str, Any]] = []
    for turn in turns:
        role = "model" if turn.role == "assistant" else "user"
        parts = _model(turn) if turn.role == "assistant" else _user(turn, turns, encode, within_result)
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
    return contents


def _user(turn: Exchange, turns: Sequence[Exchange], encode: Encode, within_result: bool) -> list[dict[str, Any]]:
    if turn.call is None:
        return [_image(part, encode) if isinstance(part, Image) else {"text": part.text} for part in turn.parts]
    asked = next(past for past in turns if past.role == "assistant" and past.number == turn.number)
    said = "".join(part.text for part in split_result(turn.parts) if isinstance(part, Text))
    answer: dict[str, Any] = {"name": turn.call.name, "response": {"output": said}, **_call_id(asked)}
    images = [_image(part, encode) for part in turn.parts if isinstance(part, Image)]
    if images and within_result:
        return [{"functionResponse": {**answer, "parts": images}}]
    return [{"functionResponse": answer}, *images]


def _image(part: Image, encode: Encode) -> dict[str, Any]:
    return {"inlineData": {"mimeType": "image/png", "data": encode(part.view)}}


def _model(turn: Exchange) -> list[dict[str, Any]]:
    signatures = {place_of(part): {SIGNATURE: part[SIGNATURE]} for part in turn.signed if SIGNATURE in part}
    text = [{"text": part.text, **signatures.get("text", {})} for part in turn.parts if isinstance(part, Text)]
    call = []
    if turn.call is not None:
        given = {"name": turn.call.name, "args": parse_json(turn.call.arguments), **_call_id(turn)}
        call = [{"functionCall": given, **signatures.get("call", {})}]
    return list(filled(turn, place_of, {"text": text, "call": call}))


def _call_id(turn: Exchange) -> dict[str, str]:
    given = [part["id"] for part in turn.signed if "id" in part]
    return {"id": given[0]} if given else {}
