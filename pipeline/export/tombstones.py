"""Tombstones: rows and pictures that no export may hold, by id and hash alone.

A file of them is a YAML list whose entries name one thing each, in one of three ways:

    - {source: textvqa, row: "34602"}    a row of a source, whatever its revision, and further questions made of it
    - {question: <64 hex digits>}        a question, as ledger and exports call it
    - {image: <64 hex digits>}           a picture: the sha256 of the source's file, of the bytes that ship, or of its
                                         pixels (`pipeline.images.pixel_hash`)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from pipeline.errors import UsageError
from pipeline.manifests import explain, manifests_dir, parse_yaml

TOMBSTONES = "tombstones.yaml"
_SHA256 = r"^[0-9a-f]{64}$"
_FURTHER = re.compile(r"#\d+$")
"""Behind the key of a row: which of its questions it is (`pipeline.sources.rows`)."""


class Tombstone(BaseModel):
    """One thing that was taken down. There is no field for words: a list of names would publish what it takes down."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str | None = None
    row: str | None = None
    question: str | None = Field(default=None, pattern=_SHA256)
    image: str | None = Field(default=None, pattern=_SHA256)

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        named = [name for name in ("source", "row", "question", "image") if getattr(self, name) is not None]
        if named not in (["source", "row"], ["question"], ["image"]):
            raise ValueError(f"names {' and '.join(named) or 'nothing'}; write source and row, or question, or image")
        return self


@dataclass(frozen=True)
class Tombstones:
    """What was taken down, to be looked up."""

    rows: frozenset[tuple[str, str]] = frozenset()
    """(source, key)."""
    questions: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()

    @classmethod
    def of(cls, entries: Iterable[Tombstone]) -> Self:
        """Return the entries by what they name."""
        listed = tuple(entries)
        return cls(
            rows=frozenset((e.source, e.row) for e in listed if e.source is not None and e.row is not None),
            questions=frozenset(e.question for e in listed if e.question is not None),
            images=frozenset(e.image for e in listed if e.image is not None),
        )

    def found(self, question_id: str, source: str, row: str, images: Iterable[str]) -> str | None:
        """Return by what a row of an export was taken down: `row`, `question` or `image`; None if it was not."""
        if (source, row) in self.rows or (source, _FURTHER.sub("", row)) in self.rows:
            return "row"
        if question_id in self.questions:
            return "question"
        return "image" if self.images and not self.images.isdisjoint(images) else None


_ENTRIES = TypeAdapter(tuple[Tombstone, ...])


def load_tombstones(own: Path | None = None) -> tuple[Tombstone, ...]:
    """Return what `manifests/tombstones.yaml` lists, and a list of one's own, each entry once and in one order.

    Raises:
        UsageError: a list cannot be read, or an entry is wrong; the message names file, entry and fix.
    """
    shipped = manifests_dir() / TOMBSTONES
    files: Sequence[Path] = [*([shipped] if shipped.exists() else []), *([own] if own is not None else [])]
    entries = {entry for file in files for entry in _read(file)}
    return tuple(sorted(entries, key=lambda entry: entry.model_dump_json()))


def _read(file: Path) -> tuple[Tombstone, ...]:
    try:
        content = parse_yaml(file.read_text("utf-8"))
        return _ENTRIES.validate_python([] if content is None else content)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"tombstones {file} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise UsageError(f"tombstones {file} is not YAML: {error}") from error
    except ValidationError as error:
        raise UsageError(f"tombstones {file}, a list of entries counted from 0:\n{explain(error)}") from error
