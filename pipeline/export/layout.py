"""What every export directory holds, and what its files are called.

    manifest.json   written last: shard, format, prompts, student, mix, every file with sha256, bytes and rows
    rows.jsonl      one line per row: index, split, record, question and cluster id, lane, labels, sha256 of the row
    README.md       card
    …               the data files of the format, named by the content of all of them

Data files in the order of their paths hold the rows in order.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, field_serializer

from pipeline.export.rows import Labels, Refused, Split
from pipeline.export.summary import Summary
from pipeline.export.told import ExportPrompt
from pipeline.identity import digest
from pipeline.records import Category, Lane, Mode, PersonalKind, Terms
from pipeline.students.family import Student

MANIFEST = "manifest.json"
ROWS = "rows.jsonl"
CARD = "README.md"
SCHEMA = 5
"""Version of manifest and row index."""

Shard = Literal["sft", "rl"]
SftFormat = Literal["llamafactory", "ms_swift", "trl", "verl", "huggingface"]
RlFormat = Literal["trl", "verl", "deepeyesv2", "huggingface"]
Format = Literal["llamafactory", "ms_swift", "trl", "verl", "deepeyesv2", "huggingface"]


class ExportFile(BaseModel):
    """One file of an export."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """Relative to the export, with forward slashes."""
    sha256: str
    nbytes: int
    rows: int | None
    """Rows of a data file; None for any other."""


class MixPart(BaseModel):
    """How much of an SFT shard teaches one thing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lane: Lane
    category: Category
    rows: int
    loss_tokens: int
    """Of assistant messages, counted as the manifest's `tokens` says: what a mix by rows hides where rows differ."""


class Manifest(BaseModel):
    """`manifest.json`: what the export is and what it must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_: int = Field(alias="schema")
    name: str
    shard: Shard
    format: Format
    rows: int
    content: str
    """sha256 over the row hashes in order: equal for equal rows whatever library wrote the files."""
    dialect: str
    prompts: dict[str, str]
    """Role → sha256 of every prompt text of the run."""
    told: tuple[ExportPrompt, ...]
    """The texts that rows are told, whole: with tools, and without where a lane has none."""
    mix: tuple[MixPart, ...]
    """By lane and category; empty for questions to train on by reinforcement."""
    tokens: str
    """What counted tokens: the sha256 of a tokenizer's file, or an estimate."""
    student: Student
    image_max_pixels: int
    """The student's budget per image: the trainer must resize to it, the files hold originals."""
    validation: float
    """Share of the clusters whose rows are to validate with."""

    @field_serializer("student")
    def _without_places(self, student: Student) -> dict[str, Any]:
        return student.identity()

    sources: dict[str, Terms]
    """Source → from where, under which terms; of each that a row or a picture may come from."""
    summary: Summary
    """What a kit is made of, with the facts above."""
    corpus: str | None = None
    """Source whose pictures searches found."""
    benchmarks: dict[str, str] = {}
    """Benchmark that no row is of → how that was checked."""
    refused: tuple[Refused, ...]
    files: tuple[ExportFile, ...]

    @property
    def data(self) -> list[ExportFile]:
        """Return the files that hold rows, in the order of the rows."""
        return sorted((file for file in self.files if file.rows is not None), key=lambda file: file.path)

    @property
    def facts(self) -> Facts:
        """Return what it says besides its files and rows."""
        return Facts(**{name: getattr(self, name) for name in Facts._fields})

    def file_of(self, index: int) -> str:
        """Return the path of the file with a row; that of the index for a row that is in none."""
        for file in self.data:
            index -= file.rows or 0
            if index < 0:
                return file.path
        return ROWS


class RowKey(BaseModel):
    """One line of `rows.jsonl`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: int
    split: Split
    record_id: str
    """Leads back to the run: `coldforge show RUN ID`."""
    question_id: str
    cluster_id: str
    source: str
    source_row: str
    files: tuple[str, ...]
    """sha256 of the source's files that its pictures were made of, where those are other bytes than what ships."""
    category: Category
    lane: Lane | None
    """None for a question to train on by reinforcement."""
    loss_tokens: int
    labels: Labels
    personal_data: dict[PersonalKind, int]
    """How often each kind was found in the texts of the row."""
    sha256: str
    """Of the canonical row (`row_hash`)."""


OF_FORMAT = frozenset({"index", "sha256"})
"""Fields of a `RowKey` that each format has for itself: its place there, and how it is written. All others are of the
record, and alike in every format that holds it."""
OF_QUESTION = ("cluster_id", "source", "source_row", "category", "labels")
"""Fields of a `RowKey` that are alike for every record of one question."""


class Facts(NamedTuple):
    """What a manifest says besides its files and rows."""

    name: str
    shard: Shard
    format: Format
    dialect: str
    prompts: Mapping[str, str]
    told: tuple[ExportPrompt, ...]
    tokens: str
    student: Student
    validation: float
    sources: Mapping[str, Terms]
    corpus: str | None
    benchmarks: Mapping[str, str]
    refused: tuple[Refused, ...] = ()


def facts_digest(facts: Facts) -> str:
    """Return the sha256 of facts as a manifest has them. The README bears it, so that neither changes alone."""
    told = Manifest.model_construct(**facts._asdict())
    return digest(told.model_dump(mode="json", include=set(Facts._fields)))


class Published(NamedTuple):
    """An export on disk, or one that has no row and so is not written."""

    shard: Shard
    format: Format
    n_rows: int
    nbytes: int
    directory: Path
    refused: tuple[Refused, ...]
    """Rows that this format cannot hold; they are in the manifest and in the card."""


def row_hash(row: Mapping[str, Any]) -> str:
    """Return the sha256 of a row as a reader gets it, every image replaced by the sha256 of its bytes."""
    return digest(_light(row))


def hashed(sha256: str) -> dict[str, str]:
    """Return what stands for the bytes of an image in a row that is hashed."""
    return {"$sha256": sha256}


def _light(value: Any) -> Any:
    match value:
        case bytes():
            return hashed(hashlib.sha256(value).hexdigest())
        case Mapping():
            return {name: _light(part) for name, part in value.items()}
        case list():
            return [_light(part) for part in value]
        case _:
            return value


class ContentHash:
    """The identity of an export's rows, whatever the files that hold them."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, sha256: str) -> None:
        """Count the next row in, by its hash."""
        self._hash.update(bytes.fromhex(sha256))

    def hexdigest(self) -> str:
        """Return it."""
        return self._hash.hexdigest()


class Mix:
    """Rows and loss tokens by lane and category."""

    def __init__(self) -> None:
        self._counts: dict[tuple[int, Category], tuple[int, int]] = {}

    def add(self, lane: Lane | None, category: Category, loss_tokens: int) -> None:
        """Count a row; one of no lane teaches nothing by itself."""
        if lane is not None:
            place = (get_args(Lane).index(lane), category)
            rows, tokens = self._counts.get(place, (0, 0))
            self._counts[place] = (rows + 1, tokens + loss_tokens)

    def parts(self) -> tuple[MixPart, ...]:
        """Return them, in the order of the lanes."""
        lanes: tuple[Lane, ...] = get_args(Lane)
        return tuple(
            MixPart(lane=lanes[lane], category=category, rows=rows, loss_tokens=tokens)
            for (lane, category), (rows, tokens) in sorted(self._counts.items())
        )


def file_hash(path: Path) -> str:
    """Return the sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


IMAGES = "images"
"""Folder of an export that holds pictures, each named by its sha256."""
DATA = "data"
"""Folder of an export that holds its Parquet files, or a folder of them for each licence."""
_JSON: Mapping[Format, str] = {"llamafactory": "json", "ms_swift": "jsonl"}
"""Formats whose rows are text beside a folder of pictures, and how their files end."""


def rl_mode(kind: Format) -> Mode:
    """Return what a question of RL is told in a format: no tools where an episode is one message, as with TRL."""
    return "plain" if kind == "trl" else "tools"


def is_json(kind: Format) -> bool:
    """Return whether a format's rows are text beside a folder of pictures; those of others are Parquet."""
    return kind in _JSON


def stem(kind: Format, split: Split, content: str, folder: str = DATA) -> str:
    """Return how the paths of a split's files begin, within their export.

    The name holds the content, so that nobody who keeps files by name reads those of an earlier release.
    """
    name = f"{split}-{content[:12]}"
    return name if is_json(kind) else f"{folder}/{name}"


def file_name(kind: Format, begin: str, number: int, files: int) -> str:
    """Return the path of a data file, of so many whose paths begin alike (`stem`)."""
    return f"{begin}-{number:05d}.{_JSON[kind]}" if is_json(kind) else f"{begin}-{number:05d}-of-{files:05d}.parquet"


def data_files(kind: Format, begin: str) -> str:
    """Return the pattern that matches the files of a split and no others."""
    return f"{begin}-*.{_JSON.get(kind, 'parquet')}"


def named_as(path: str) -> tuple[Split, str] | None:
    """Return the split and the beginning of the content hash that a data file is named by; None for another name."""
    found = _NAME.match(path)
    return None if found is None else ("validation" if found[1] == "validation" else "train", found[2])


_NAME = re.compile(r"(?:.*/)?(train|validation)-([0-9a-f]{12})-")


def by_split(paths: Iterable[str]) -> dict[Split, tuple[str, ...]]:
    """Return data files by the split that their names begin with, in order; others are none."""
    found: dict[Split, tuple[str, ...]] = {}
    for path in sorted(paths):
        named = named_as(path)
        if named is not None:
            found[named[0]] = (*found.get(named[0], ()), path)
    return found


def is_data_file(kind: Format, path: str) -> bool:
    """Return whether a file of an export in this format holds rows."""
    if is_json(kind):
        return path.startswith(tuple(f"{split}-" for split in get_args(Split))) and path.endswith(f".{_JSON[kind]}")
    return path.startswith(f"{DATA}/") and path.endswith(".parquet")


def licence_folder(licence: str) -> str:
    """Return the folder of the rows under a licence, named like it in letters that every file system takes."""
    name = re.sub(r"[^a-z0-9.+-]+", "-", licence.lower()).strip("-.") or "unnamed"
    whole = len(name) <= _LONGEST_NAME
    return f"{DATA}/{name if whole else f'{name[:_LONGEST_NAME]}-{digest(licence)[:8]}'}"


_LONGEST_NAME = 60
