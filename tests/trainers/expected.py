"""What a trainer has to make of a row: the whole text of its template, what of it is learnt, and each picture's tokens.

Taken from the export's files through the reader of `verify`, and from nothing that a trainer did.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from tokenizers import Tokenizer

from pipeline.export.layout import MANIFEST, Format, Manifest, Shard
from pipeline.export.verify.format_checks import view_row
from pipeline.export.verify.reading_rows import read_rows
from pipeline.records import IMAGE_MARK
from pipeline.students.family import FAMILIES, Size
from tests.trainers.student import END, IMAGE, OWN_PIXELS, SPEAKER, START, VISION_END, VISION_START

QWEN = FAMILIES["qwen2_5_vl"]
UNLEARNT = -100
Resize = Callable[[Size, int], Size]


def at_once(size: Size, budget: int) -> Size:
    """As the student's processor does."""
    return QWEN.resize(size, budget)


def fetched(size: Size, budget: int) -> Size:
    """As qwen-vl-utils does before the processor: onto the grid first, under its own default of 16,384 tokens."""
    return QWEN.resize(QWEN.resize(size, 16_384 * QWEN.patch**2), budget)


def in_tokens(size: Size, budget: int) -> Size:
    """As qwen-vl-utils does under MAX_PIXELS: by the whole tokens of the budget."""
    return QWEN.resize(size, budget // QWEN.patch**2 * QWEN.patch**2)


def scaled(size: Size, budget: int) -> Size:
    """As LLaMA-Factory does: to the budget, on no grid, and the processor then rounds up or down under its own."""
    scale = min(1.0, math.sqrt(budget / (size.width * size.height)))
    return QWEN.resize(Size(*(int(side * scale) for side in size)), OWN_PIXELS)


class Expected(NamedTuple):
    """One row."""

    record_id: str
    roles: tuple[str, ...]
    contents: tuple[str, ...]
    learnt: tuple[bool, ...]
    """Of each message."""
    sizes: tuple[Size, ...]
    """Of its pictures, in order."""

    def text(self) -> str:
        """Return the row under the template; each picture's tokens are written as one."""
        return "".join(
            f"{START}{role}\n{_shown(content)}{END}\n" for role, content in zip(self.roles, self.contents, strict=True)
        )

    def prompt(self) -> str:
        """Return the row as what a student goes on from."""
        return self.text() + SPEAKER

    def spans(self) -> list[str]:
        """Return what is learnt, each message with what ends it in the template."""
        return [f"{content}{END}\n" for content, learnt in zip(self.contents, self.learnt, strict=True) if learnt]

    def image_tokens(self, budget: int, resize: Resize = at_once) -> list[int]:
        """Return the tokens of each picture."""
        return [QWEN.tokens(resize(size, budget)) for size in self.sizes]


def _shown(content: str) -> str:
    return content.replace(IMAGE_MARK, VISION_START + IMAGE + VISION_END)


def expected_rows(directory: Path, shard: Shard, kind: Format) -> Iterator[Expected]:
    """Yield the rows of an export in order."""
    manifest = Manifest.model_validate_json((directory / MANIFEST).read_text())
    for file in manifest.data:
        for row in read_rows(directory / file.path, shard, kind):
            assert isinstance(row, dict), row
            view = view_row(row, kind, directory)
            roles = tuple(message["role"] for message in view.messages)
            sizes = []
            for content in view.images:
                with Image.open(io.BytesIO(content)) as image:
                    sizes.append(Size(*image.size))
            yield Expected(
                record_id=view.record_id,
                roles=roles,
                contents=tuple(message["content"] for message in view.messages),
                learnt=tuple(role == "assistant" and at not in view.unlearnt for at, role in enumerate(roles)),
                sizes=tuple(sizes),
            )


class Loaded(NamedTuple):
    """One row as a trainer has it."""

    text: str
    """Each picture's tokens written as one."""
    image_tokens: list[int]
    spans: list[str]
    """What is learnt, in runs."""


def loaded(row: dict[str, Any], tokenizer: Tokenizer) -> Loaded:
    """Read token ids and labels back."""
    image = tokenizer.token_to_id(IMAGE)
    runs = [(token, len(list(run))) for token, run in groupby(row["input_ids"])]
    ids = [token for token, times in runs for _ in range(1 if token == image else times)]
    labels = row.get("labels", [])
    assert all(label in {UNLEARNT, token} for label, token in zip(labels, row["input_ids"], strict=bool(labels)))
    return Loaded(
        text=_decode(tokenizer, ids),
        image_tokens=[times for token, times in runs if token == image],
        spans=[
            _decode(tokenizer, list(run)) for learnt, run in groupby(labels, lambda label: label != UNLEARNT) if learnt
        ],
    )


def _decode(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    return str(tokenizer.decode(list(ids), skip_special_tokens=False))
