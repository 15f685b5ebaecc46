"""What the hosted providers share: how a model thinks, what a request may hold, how history is laid out.

Hosted models are spoken to in each provider's own HTTP protocol (`pipeline.models.providers.anthropic`,
`pipeline.models.providers.gemini`): the compatible endpoints lose signed thought, and an SDK costs many times the
CPU of a request. Facts of the wire come from the providers' published references and SDK types, 2026-11.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pipeline.dialects.defuse import defuse
from pipeline.errors import UsageError
from pipeline.identity import canonical_json, parse_json
from pipeline.models.chat import ChatRequest, Image, Message, Sampling, Text, View
from pipeline.models.refusals import RejectedError
from pipeline.models.texts import ToolCall, split_action

Thinking = Literal["off", "minimal", "native"]
"""`off`: the provider adds no thought, the model writes `<think>` itself as the prompt says. `minimal`: the least
thought the provider allows, kept hidden, for models that cannot do without. `native`: the provider's own
thought; where it shows a summary, that becomes the `<think>` text."""

Encode = Callable[[View], str]
"""Returns the PNG of a view in base64."""


@dataclass(frozen=True)
class Profile:
    """What a provider takes. A recipe may override each field for a newer or older model."""

    max_images: int
    """Per request."""
    max_image_bytes: int
    """Of one image in base64."""
    max_side: int | None
    """Pixels of an image's longer side; None: no limit."""
    many_images: int
    """With more images than this `many_max_side` holds."""
    many_max_side: int | None
    max_request_bytes: int
    max_stops: int
    """Stop strings per request; those beyond it are not sent, the text is cut at them when it arrives."""
    takes_sampling: bool
    """Whether temperature and top_p may be other than 1."""
    thinking: Literal["level", "budget"]
    """How thought is asked for: by a level of effort (current models), or by a number of tokens (older ones)."""
    least_thinking_tokens: int
    """The smallest budget that older models take where thought cannot be switched off."""
    native_thinking_tokens: int
    """Room for native thought. It is added to a message's limit, for providers count thought against it."""


class Exchange(NamedTuple):
    """One past message, ready to be written in a provider's terms."""

    role: Literal["user", "assistant"]
    parts: tuple[Text | Image, ...]
    """Of an assistant message: its text without the call, and without the thought that `signed` holds."""
    call: ToolCall | None = None
    """Of an assistant message: what it called. Of a user message: the call that it is the result of."""
    signed: tuple[dict[str, Any], ...] = ()
    """Blocks of an assistant message as the provider gave them; those without content are places to be filled."""
    number: int = 0
    """Of the message that called; names calls whose provider gave no id."""


def history(request: ChatRequest, thought: Callable[[Sequence[dict[str, Any]]], str]) -> tuple[str, list[Exchange]]:
    """Return a request's system text and its turns.

    `thought` returns the visible thought within signed blocks: what they hold is not sent a second time as text.
    A message in which a model said nothing is left out, since no provider takes an empty one.
    """
    system = "".join(plain_text(message) for message in request.messages if message.role == "system")
    turns: list[Exchange] = []
    call: ToolCall | None = None
    for number, message in enumerate(request.messages):
        if message.role == "system":
            continue
        if message.role == "user":
            turns.append(Exchange("user", message.parts, call, number=number - 1))
            call = None
            continue
        signed = tuple(parse_json(message.signed)) if message.signed else ()
        text = plain_text(message)
        text, call = split_action(text) if request.tools else (text, None)
        if shown := thought(signed):
            # A message that was no valid turn stands in the history as it was, defused.
            written = f"<think>{shown}</think>"
            text = text.removeprefix(written).removeprefix(defuse(written)).removeprefix("\n")
        parts = (Text(text=text),) if text.strip() else ()
        if parts or call or signed:
            turns.append(Exchange("assistant", parts, call, signed, number))
    return system, turns


def plain_text(message: Message) -> str:
    """Return the text parts of a message, joined."""
    return "".join(part.text for part in message.parts if isinstance(part, Text))


def filled(turn: Exchange, is_place: Callable[[dict[str, Any]], str], blocks: dict[str, list[Any]]) -> Iterator[Any]:
    """Yield an assistant turn's blocks in the order its provider gave them, signed ones untouched.

    `is_place` names the place that a signed block only keeps (`text` or `call`), or returns an empty string;
    `blocks` holds what belongs there now: the text may have been cut at its action or defused since.
    """
    left = dict(blocks)
    for block in turn.signed:
        place = is_place(block)
        if not place:
            yield block
            continue
        if place == "call":  # text never follows the call it introduces
            yield from left.pop("text", [])
        yield from left.pop(place, [])
    yield from left.pop("text", [])
    yield from left.pop("call", [])


def check_images(request: ChatRequest, profile: Profile, encode: Encode) -> None:
    """Refuse what the provider would refuse, before anything is sent.

    Raises:
        RejectedError: too many images, or one that is too large.
    """
    views = [part.view for message in request.messages for part in message.parts if isinstance(part, Image)]
    if len(views) > profile.max_images:
        raise RejectedError(f"{len(views)} images; the provider takes {profile.max_images}")
    limit = profile.many_max_side if len(views) > profile.many_images else profile.max_side
    for view in views:
        if limit is not None and max(view.width, view.height) > limit:
            raise RejectedError(
                f"an image of {view.width}x{view.height} among {len(views)}; the provider takes {limit} a side",
            )
        if len(encode(view)) > profile.max_image_bytes:
            raise RejectedError(
                f"an image of {len(encode(view))} bytes in base64; the provider takes {profile.max_image_bytes}",
            )


def check_bytes(payload: bytes, profile: Profile) -> None:
    """Refuse a body that the provider would refuse.

    Raises:
        RejectedError: it is too large.
    """
    if len(payload) > profile.max_request_bytes:
        raise RejectedError(f"{len(payload)} bytes; the provider takes {profile.max_request_bytes} in a request")


def check_sampling(sampling: Sampling, profile: Profile, model: str) -> None:
    """Refuse a sampling that the model does not have, rather than sample otherwise in silence.

    Raises:
        UsageError: temperature or top_p is not 1 where the model takes neither.
    """
    if not profile.takes_sampling and (sampling.temperature, sampling.top_p) != (1.0, 1.0):
        raise UsageError(
            f"{model} takes no temperature and no top_p; remove them from `sampling` of this model in the recipe, "
            "or set `profile: {takes_sampling: true}` for an older model that does"
        )


def thinking_room(thinking: Thinking, profile: Profile) -> int:
    """Return how many tokens of thought a message's limit must leave room for."""
    match thinking:
        case "off":
            return 0
        case "minimal":
            return profile.least_thinking_tokens
        case "native":
            return profile.native_thinking_tokens


def sound(value: Any) -> Any:
    """Return JSON without halves of surrogate pairs, which JSON can spell and no file can hold."""
    match value:
        case str():
            return value.encode("utf-8", "replace").decode()
        case list():
            return [sound(item) for item in value]
        case dict():
            return {sound(key): sound(item) for key, item in value.items()}
        case _:
            return value


def signed_json(blocks: Sequence[dict[str, Any]]) -> str:
    """Return blocks to be kept beside a message, as canonical JSON; empty if there are none."""
    return canonical_json(list(blocks)) if blocks else ""


def tool_functions(request: ChatRequest) -> list[dict[str, Any]]:
    """Return name, description and JSON schema (`parameters`) of each tool of a request."""
    return [tool["function"] for tool in parse_json(request.tools)] if request.tools else []
