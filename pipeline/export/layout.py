"""What every export directory holds, and how it comes to be: whole, or not at all.

    manifest.json   written last: shard, format, prompts, student, mix, every file with sha256, bytes and rows
    rows.jsonl      one line per row: index, data file, record, question and cluster id, lane, labels, sha256 of the row
    README.md       card
    …               the data files of the format

A directory is built beside its target and renamed over it. If it would hold what is there already,
nothing is touched.
"""

from __future__ import annotations

import filecmp
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from pydantic import BaseModel, ConfigDict, Field, field_serializer

from pipeline.export.parquet import DATA
from pipeline.export.rows import Labels, Refused
from pipeline.export.told import ExportPrompt
from pipeline.identity import canonical_json, digest
from pipeline.records import Category, Lane, PersonalKind, Terms
from pipeline.students.family import Student

MANIFEST = "manifest.json"
ROWS = "rows.jsonl"
CARD = "README.md"
SCHEMA = 3
"""Version of manifest and row index."""

Shard = Literal["sft", "rl"]
Format = Literal["llamafactory", "huggingface", "deepeyesv2", "verl"]


class ExportFile(BaseModel):
    """One file of an export."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str
    """Relative to the export, with forward slashes."""
    sha256: str
    nbytes: int
    rows: int | None
    """Rows of a data file; None for any other. Data files in order of their paths hold the rows in order."""


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

    @field_serializer("student")
    def _without_places(self, student: Student) -> dict[str, Any]:
        return student.identity()

    sources: dict[str, Terms]
    """Source → from where, under which terms; of each that a row or a picture may come from."""
    corpus: str | None = None
    """Source whose pictures searches found."""
    benchmarks: dict[str, str] = {}
    """Benchmark that no row is of → how that was checked."""
    refused: tuple[Refused, ...]
    files: tuple[ExportFile, ...]


class RowKey(BaseModel):
    """One line of `rows.jsonl`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    index: int
    file: str
    record_id: str
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
    sources: Mapping[str, Terms]
    corpus: str | None
    benchmarks: Mapping[str, str]
    refused: tuple[Refused, ...]


class Published(NamedTuple):
    """An export on disk."""

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


def _light(value: Any) -> Any:
    match value:
        case bytes():
            return {"$sha256": hashlib.sha256(value).hexdigest()}
        case Mapping():
            return {name: _light(part) for name, part in value.items()}
        case list():
            return [_light(part) for part in value]
        case _:
            return value


def content_hash(keys: Iterable[RowKey]) -> str:
    """Return the identity of an export's rows, whatever the files that hold them."""
    return digest([key.sha256 for key in keys])


def mix_of(keys: Iterable[RowKey]) -> tuple[MixPart, ...]:
    """Return rows and loss tokens by lane and category, in the order of the lanes."""
    counts: dict[tuple[int, Category], MixPart] = {}
    for key in keys:
        if key.lane is not None:
            place = (get_args(Lane).index(key.lane), key.category)
            before = counts.get(place, MixPart(lane=key.lane, category=key.category, rows=0, loss_tokens=0))
            update = {"rows": before.rows + 1, "loss_tokens": before.loss_tokens + key.loss_tokens}
            counts[place] = before.model_copy(update=update)
    return tuple(counts[place] for place in sorted(counts))


def write_export(
    target: Path,
    facts: Facts,
    write_data: Callable[[Path], Iterable[RowKey]],
    card: Callable[[str, tuple[MixPart, ...]], str],
) -> Published:
    """Build an export and put it at `target`.

    `write_data` writes the data files and yields a key per row; `card` returns the README for a content hash
    and a mix.

    Raises:
        InfrastructureError: an image is missing from the store or damaged; `target` is unchanged.
    """
    with _staging(target) as directory:
        keys = list(write_data(directory))
        content = content_hash(keys)
        write_file(directory / ROWS, "".join(canonical_json(key) + "\n" for key in keys).encode())
        write_file(directory / CARD, card(content, mix_of(keys)).encode())
        manifest = _manifest(directory, facts, keys, content)
        write_file(directory / MANIFEST, _indented(manifest))
        nbytes = sum(file.nbytes for file in manifest.files)
        if not _same_tree(directory, target):
            _sync(directory)
            _swap(directory, target)
    return Published(facts.shard, facts.format, len(keys), nbytes, target, facts.refused)


def write_file(path: Path, content: bytes) -> None:
    """Write a file of a directory that nobody reads yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def file_hash(path: Path) -> str:
    """Return the sha256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _manifest(directory: Path, facts: Facts, keys: list[RowKey], content: str) -> Manifest:
    rows_of: dict[str, int] = {}
    for key in keys:
        rows_of[key.file] = rows_of.get(key.file, 0) + 1
    files = []
    for path in sorted(p for p in directory.rglob("*") if p.is_file()):
        name = path.relative_to(directory).as_posix()
        rows = rows_of.get(name, 0) if is_data_file(facts.format, name) else None
        files.append(ExportFile(path=name, sha256=file_hash(path), nbytes=path.stat().st_size, rows=rows))
    return Manifest(
        schema_=SCHEMA,
        name=facts.name,
        shard=facts.shard,
        format=facts.format,
        rows=len(keys),
        content=content,
        dialect=facts.dialect,
        prompts=dict(facts.prompts),
        told=facts.told,
        mix=mix_of(keys),
        tokens=facts.tokens,
        student=facts.student,
        image_max_pixels=facts.student.max_pixels,
        sources=dict(facts.sources),
        corpus=facts.corpus,
        benchmarks=dict(facts.benchmarks),
        refused=facts.refused,
        files=tuple(files),
    )


def licence_folder(licence: str) -> str:
    """Return the folder of the rows under a licence, named like it in letters that every file system takes."""
    name = re.sub(r"[^a-z0-9.+-]+", "-", licence.lower()).strip("-.") or "unnamed"
    whole = len(name) <= _LONGEST_NAME
    return f"{DATA}/{name if whole else f'{name[:_LONGEST_NAME]}-{digest(licence)[:8]}'}"


_LONGEST_NAME = 60


def is_data_file(kind: Format, path: str) -> bool:
    """Return whether a file of an export in this format holds rows."""
    if kind == "llamafactory":
        return path.startswith("sft-") and path.endswith(".json")
    return path.startswith("data/") and path.endswith(".parquet")


def _indented(manifest: Manifest) -> bytes:
    # For people as well; two spaces, keys in the order of the model.
    return (manifest.model_dump_json(by_alias=True, indent=2) + "\n").encode()


@contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """Yield an empty directory beside `target`; it is gone afterwards, as are those of killed runs."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob(f".{target.name}.*"):
        shutil.rmtree(stale)
    directory = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}."))
    # mkdtemp makes it private; an export is shared like any other directory.
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def is_staging(path: Path) -> bool:
    """Return whether `path` is named like a directory in which an export is being made; see `_staging`."""
    return path.parent.name in get_args(Shard) and path.name.startswith(tuple(f".{kind}." for kind in get_args(Format)))


def _sync(directory: Path) -> None:
    """Bring every file and directory entry to the disk, so that the rename never precedes what it names."""
    for path in (directory, *directory.rglob("*")):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _swap(directory: Path, target: Path) -> None:
    """Rename `directory` to `target`; what was there survives until the new one is in place."""
    if target.exists():
        old = directory.with_name(directory.name + ".old")
        target.rename(old)
        directory.rename(target)
        shutil.rmtree(old)
    else:
        directory.rename(target)


def _same_tree(left: Path, right: Path) -> bool:
    names = [sorted(p.relative_to(root).as_posix() for p in root.rglob("*")) for root in (left, right)]
    if names[0] != names[1]:
        return False
    files = [name for name in names[0] if (left / name).is_file()]
    return not any(filecmp.cmpfiles(left, right, files, shallow=False)[1:])
