"""Turns of a conversation as LLaVA, ShareGPT and chat templates write them: who speaks, and what is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ASKS = frozenset({"human", "user"})
ANSWERS = frozenset({"gpt", "assistant", "bot", "model", "chatgpt"})
_IMAGE_MARK = "<image>"


def said(turn: object) -> tuple[str, str] | None:
    """Return speaker and text of a turn; None where it has not both. A part that is a picture is an image mark."""
    if not isinstance(turn, Mapping):
        return None
    speaker, text = turn.get("from", turn.get("role")), _text(turn.get("value", turn.get("content")))
    return (speaker.lower(), text) if isinstance(speaker, str) and text is not None else None


def unsaid(turn: object) -> str:
    """Return why a turn says nothing that is read, where `said` is None."""
    if not isinstance(turn, Mapping):
        return "a turn is an object"
    content = turn.get("value", turn.get("content"))
    kinds = (
        [str(part.get("type")) for part in content if isinstance(part, Mapping)] if isinstance(content, list) else []
    )
    other = next((kind for kind in kinds if kind != "text" and not kind.startswith("image")), None)
    if other is not None:
        return f"a part of type {other!r}; only texts and images are read"
    if turn.get("tool_calls") or turn.get("function_call"):
        return "it calls a tool and says nothing; a conversation with tools is no question with its answer"
    if "value" in turn or "content" in turn:
        return f"its text is {'null' if content is None else 'neither a text nor parts of text and images'}"
    return "a turn needs `from` and `value`, or `role` and `content`"


def pictures(turn: Mapping[str, Any]) -> list[str]:
    """Return where the pictures of a turn are, as its parts name them: `image`, or `image_url` with its `url`."""
    content = turn.get("value", turn.get("content"))
    parts = [part for part in content if isinstance(part, Mapping)] if isinstance(content, list) else []
    named = [part.get("image") or part.get("image_url") for part in parts if _is_image(part)]
    places = [place.get("url") if isinstance(place, Mapping) else place for place in named]
    return [place for place in places if isinstance(place, str)]


def _text(content: Any) -> str | None:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [_IMAGE_MARK if _is_image(part) else part.get("text") for part in content if isinstance(part, dict)]
    texts = [part for part in parts if isinstance(part, str)]
    return "\n".join(texts) if len(texts) == len(content) else None


def _is_image(part: Mapping[str, Any]) -> bool:
    return str(part.get("type", "")).startswith("image")
