"""Parquet for TRL: the columns of the plain data sets, with contents as parts, so that every picture is in its turn.

In a content that is text TRL shows `<image>` as it stands and puts all pictures of a row before its first question.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.export.formats import huggingface
from pipeline.export.formats.huggingface import Bytes
from pipeline.export.parquet import PART_MESSAGES, hf_schema
from pipeline.export.rows import Message, RlRow, Sample, SftRow
from pipeline.records import IMAGE_MARK

SFT_SCHEMA = hf_schema({**huggingface.SFT_COLUMNS, "messages": PART_MESSAGES})
RL_SCHEMA = hf_schema({**huggingface.RL_COLUMNS, "prompt": PART_MESSAGES})


def sft_row(sample: Sample[SftRow], images: Sequence[Bytes]) -> dict[str, Any]:
    """Return one row of `SFT_SCHEMA`."""
    return {**huggingface.sft_row(sample, images), "messages": _messages(sample.messages)}


def rl_row(sample: Sample[RlRow], images: Sequence[Bytes]) -> dict[str, Any]:
    """Return one row of `RL_SCHEMA`."""
    return {**huggingface.rl_row(sample, images), "prompt": _messages(sample.messages)}


def parts_of(text: str) -> list[dict[str, str | None]]:
    """Return a content as parts: an image for each mark, and the texts between them that say something."""
    parts: list[dict[str, str | None]] = []
    for number, piece in enumerate(text.split(IMAGE_MARK)):
        if number:
            parts.append({"type": "image", "text": None})
        if piece:
            parts.append({"type": "text", "text": piece})
    return parts or [{"type": "text", "text": ""}]


def text_of(parts: Sequence[dict[str, str | None]]) -> str:
    """Return what `parts_of` was given.

    Raises:
        ValueError: a part is neither a text nor an image.
    """
    return "".join(map(_text, parts))


def _text(part: dict[str, str | None]) -> str:
    match part:
        case {"type": "image", "text": None}:
            return IMAGE_MARK
        case {"type": "text", "text": str(text)}:
            return text
        case _:
            raise ValueError(f"a content has the part {part!r}; parts are texts or images")


def _messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    return [{"role": message.role, "content": parts_of(message.content)} for message in messages]
