"""Texts as providers take and return them: cut at the first action, and calls split off or joined on.

Our history is text in the grammar of `pipeline.dialects.tool_call`. A backend whose provider takes calls as
structure splits them off the text before a request (`split_action`, `split_result`) and joins them to the
text of a response (`join_action`), so that nothing above the backends knows how a call travelled.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from pipeline.dialects.tool_call import CLOSING, OPENING, RESULT_CLOSING, RESULT_OPENING, write_call
from pipeline.identity import IdentityError, canonical_json, parse_json
from pipeline.models.chat import Image, Text

_THINK = "<think>"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What OpenAI and Anthropic accept as the name of a tool; a call by another name stays text."""


_OBSERVATION = RESULT_OPENING.strip()
"""What comes back from a tool begins with it. A model that writes it has begun to make up what it was told."""


class ToolCall(NamedTuple):
    """One call as the APIs carry it."""

    name: str
    arguments: str
    """Canonical JSON of an object; of a response, whatever text the provider returned."""


def split_action(text: str) -> tuple[str, ToolCall | None]:
    """Return the text before a message's call, and the call; all of the text and None where there is none.

    Only a message that ends in one well-formed call is split: any other is text to a provider, too.
    """
    content, opened, rest = text.partition(OPENING)
    body, closed, after = rest.partition(CLOSING)
    call = _read_call(body) if opened and closed and not after.strip() else None
    return (text, None) if call is None else (content.rstrip(), call)


def join_action(content: str, thinking: str, call: ToolCall | None) -> str:
    """Return a provider's message as the dialect's text: its visible thought, its text, its call.

    A thought that the text itself opens with is not written twice. Arguments that are no JSON stay as they
    are, for the dialect to refuse as it does in text.
    """
    parts = [content] if content else []
    if thinking and not content.lstrip().startswith(_THINK):
        parts.insert(0, f"<think>{thinking}</think>")
    if call:
        # An API may leave the arguments of a tool that takes none empty.
        parts.append(write_call(call.name, call.arguments or "{}"))
    return "\n".join(parts)


def split_result(parts: Sequence[Text | Image]) -> tuple[Text | Image, ...]:
    """Return the parts of a tool's result without the frame that stands for the role of the message in text."""
    framed = list(parts)
    match framed:
        case [Text(text=first), *_] if first.startswith(RESULT_OPENING):
            framed[0] = Text(text=first.removeprefix(RESULT_OPENING))
    match framed:
        case [*_, Text(text=last)] if last.endswith(RESULT_CLOSING):
            framed[-1] = Text(text=last.removesuffix(RESULT_CLOSING))
    return tuple(part for part in framed if isinstance(part, Image) or part.text)


def _read_call(body: str) -> ToolCall | None:
    try:
        match parse_json(body):
            case {"name": str(name), "arguments": {**arguments}, **others} if not others and _NAME.fullmatch(name):
                return ToolCall(name, canonical_json(arguments))
            case _:
                return None
    except (ValueError, RecursionError, IdentityError):
        return None


class Cut(NamedTuple):
    """A text that ends with its first action."""

    text: str
    complete: bool
    """Whether it ends with a stop string."""
    discarded: int
    """Characters after it."""


def cut_at_stop(text: str, stop: Sequence[str]) -> Cut:
    """Cut `text` after its first stop string and before what the model made up of a tool's result.

    Providers run on, or were not told of a stop string.
    """
    ends = [text.index(mark) + len(mark) for mark in stop if mark in text]
    end = min(ends, default=len(text))
    made_up = text.find(_OBSERVATION, 0, end)
    if made_up >= 0:
        return Cut(text[:made_up], complete=False, discarded=len(text) - made_up)
    return Cut(text[:end], bool(ends), len(text) - end)


def closed_by_tag(text: str, stop: Sequence[str]) -> str:
    """Return `text` with the stop string that ended it, for providers that do not say which one did.

    Stop strings are closing tags: it was that of the one tag that is open.
    """
    said = text.rpartition("</think>")[2]
    if any(mark in text for mark in stop):
        return text
    open_tags = [mark for mark in stop if mark.replace("</", "<", 1) in said]
    return text + open_tags[0] if len(open_tags) == 1 else text
