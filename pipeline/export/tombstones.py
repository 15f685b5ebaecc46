"""Tombstones: rows and pictures that no export may hold, by id and hash alone.

A file of them is a YAML list whose entries name one thing each, in one of three ways:

    - {source: textvqa, row: "34602"}    a row of a source, whatever its revision, and further questions made of it
    - {question: <64 hex digits>}        a question, as ledger and exports call it
    - {image: <64 hex digits>}           a picture: the sha256 of the source's file, of the bytes that ship, or of its
                                         pixels (`pipeline.images.pixel_hash`)
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from pipeline.errors import RowError, UsageError
from pipeline.identity import digest
from pipeline.manifests import SHA256, explain, manifests_dir, parse_yaml

TOMBSTONES = "tombstones.yaml"
_FURTHER = re.compile(r"#\d+$")
"""Behind the key of a row: which of its questions it is (`pipeline.sources.rows`)."""


class Tombstone(BaseModel):
    """One thing that was taken down. There is no field for words: a list of names would publish what it takes down."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str | None = None
    row: str | None = None
    question: str | None = Field(default=None, pattern=SHA256)
    image: str | None = Field(default=None, pattern=SHA256)

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        named = [name for name in ("source", "row", "question", "image") if getattr(self, name) is not None]
        if named not in (["source", "row"], ["question"], ["image"]):
            raise ValueError(f"names {' and '.join(named) or 'nothing'}; write source and row, or question, or image")
        return self

    @property
    def way(self) -> Literal["row", "question", "image"]:
        """Return what it names."""
        return "row" if self.row is not None else "question" if self.question is not None else "image"

    @property
    def mark(self) -> str:
        """Return what manifests call it: 12 digits of its hash, for whom has the list to know it again."""
        return digest(self.model_dump())[:12]

    def __str__(self) -> str:
        """Return it as it may stand in a list."""
        return "{" + ", ".join(f"{name}: {said}" for name, said in self.model_dump(exclude_none=True).items()) + "}"


class TakenDownError(RowError):
    """A row was taken down; the detail says by what, and no text of the row."""

    def __init__(self, entries: tuple[Tombstone, ...]) -> None:
        super().__init__("tombstone", f"taken down by its {entries[0].way}")
        self.entries = entries

    def __reduce__(self) -> tuple[type[TakenDownError], tuple[tuple[Tombstone, ...]]]:  # type: ignore[override]
        """Rebuild from the entries."""
        return type(self), (self.entries,)


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

    def found(self, question_id: str, source: str, row: str, images: Iterable[str]) -> tuple[Tombstone, ...]:
        """Return every entry by which a row of an export was taken down: by its row, question, images; or none."""
        named = {(source, row), (source, _FURTHER.sub("", row))} & self.rows
        return (
            *(Tombstone(source=source, row=key) for source, key in sorted(named)),
            *(Tombstone(question=question_id) for _ in range(question_id in self.questions)),
            *(Tombstone(image=image) for image in sorted(self.images.intersection(images))),
        )


_NAMED = 5
"""Entries in a message."""


def matches(entries: Iterable[Tombstone], marks: Collection[str]) -> str | None:
    """Return how many entries took something down, and which did not, as a line; None where there are no entries.

    `marks` are those of the entries that did (`Tombstone.mark`). One that did not may be mistyped, or name what would
    not ship anyway.
    """
    listed = tuple(dict.fromkeys(entries))
    idle = [entry for entry in listed if entry.mark not in marks]
    if not listed:
        return None
    more = f" and {len(idle) - _NAMED} more" if len(idle) > _NAMED else ""
    named = f"; not: {', '.join(map(str, idle[:_NAMED]))}{more}" if idle else ""
    return f"tombstones: {len(listed) - len(idle)} of {len(listed)} entries matched a row of these exports{named}"


_ENTRIES = TypeAdapter(tuple[Tombstone, ...])


def load_tombstones(*own: Path | None) -> tuple[Tombstone, ...]:
    """Return what `manifests/tombstones.yaml` lists, and lists of one's own, each entry once and in one order.

    No list takes the place of another: what one has taken down, none can bring back.

    Raises:
        UsageError: a list cannot be read, or an entry is wrong; the message names file, entry and fix.
    """
    shipped = manifests_dir() / TOMBSTONES
    files: Sequence[Path] = [*([shipped] if shipped.exists() else []), *(file for file in own if file is not None)]
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
