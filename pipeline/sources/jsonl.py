"""The layout of a source on disk, and reading its rows.

A directory with
- `rows.jsonl`: one object per line with the fields `row` (a key that stays with the row), `category`, `text`,
  `images` (paths in the directory), `choices`, `answers`, `answer_type`, `tolerance`, `licence`, `derivation`, and
  `solution` where the source's lane is `long_cot`;
- the images;
- optionally `source.json`: `{"key", "revision", "files": {path: sha256}}`, as generated sources have it.

A file that is not what it should be is refused here, before any work; what is wrong with the content of a
row is found row by row (`pipeline.sources.questions`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from pipeline.errors import UsageError
from pipeline.identity import IdentityError, canonical_json, parse_json
from pipeline.records import Metric, SourceRow, root_id
from pipeline.sources.manifest import SourceLane

ROWS = "rows.jsonl"
DESCRIPTION = "source.json"


class Source(NamedTuple):
    """A source that was opened: its bytes are on disk and checked."""

    key: str
    revision: str
    directory: Path
    licence: str
    """For rows that name none."""
    licence_images: str = ""
    source_url: str = ""
    redistributable: bool = False
    """Whether images may be passed on."""
    metric: Metric | None = None
    """The benchmark's own way to grade its answers."""
    lane: SourceLane | None = None
    """`long_cot`: rows bring their own reasoning."""

    @property
    def terms(self) -> str:
        """Return a sentence for the card of an export: from where, under which terms."""
        parts = [self.source_url, f"licence {self.licence}"]
        parts.append(f"images: {self.licence_images}" if self.licence_images else "")
        # The lane is text alone.
        unfree = not self.redistributable and self.lane != "long_cot"
        parts.append(f"images of source {self.key} may not be redistributed" if unfree else "")
        return "; ".join(part for part in parts if part)


class Description(BaseModel):
    """What `source.json` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    revision: str
    files: dict[str, str]
    """Path in the source → sha256."""


def read_description(directory: Path) -> Description:
    """Return what `source.json` says.

    Raises:
        UsageError: it is missing or damaged.
    """
    path = directory / DESCRIPTION
    try:
        return Description.model_validate(parse_json(path.read_text("utf-8")))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path} cannot be used: {error}; delete {directory} to have a generated source made again, "
            "or get the source again"
        ) from error


def check_files(directory: Path, hashes: Mapping[str, str], named_by: Path, fix: str) -> None:
    """Check that every file of `hashes`, named by the file `named_by`, is there with its sha256.

    `fix` says what to do if not.

    Raises:
        UsageError: a file is missing, damaged or outside of `directory`.
    """
    for name, sha256 in hashes.items():
        path = directory / name
        if not path.resolve().is_relative_to(directory.resolve()):
            raise UsageError(f"{named_by}: {name} is outside of {directory}; name files inside the source")
        if not path.is_file():
            raise UsageError(f"{named_by}: {path} is missing; {fix}")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise UsageError(
                f"{path} is not the file that {named_by} describes: its sha256 is {found}, not {sha256}; {fix}"
            )


def read_source(source: Source) -> Iterator[SourceRow]:
    """Yield the rows of a source in file order.

    Raises:
        UsageError: the file cannot be read, a line is no JSON object or names a lane, or a row key is missing or used
            twice.
    """
    path = source.directory / ROWS
    seen: dict[str, int] = {}
    for number, row in read_objects(path):
        key = row.get("row")
        if not isinstance(key, str) or not key:
            raise UsageError(f"{path}, line {number}: the field `row` is {key!r}; give each row a key, as text")
        if key in seen:
            raise UsageError(
                f"{path}, line {number}: row {key!r} is also in line {seen[key]}; give each a key of its own"
            )
        seen[key] = number
        if "lane" in row:
            raise UsageError(
                f"{path}, line {number}: the field `lane` is not a row's; remove it, and write `lane` in the manifest "
                "of the source"
            )
        payload = _payload(path, number, {**_of_source(source), **row})
        yield SourceRow(
            id=root_id(source.key, source.revision, key),
            source=source.key,
            source_revision=source.revision,
            source_row=key,
            category=str(row.get("category", "")),
            payload=payload,
        )


def _of_source(source: Source) -> dict[str, str]:
    """Return what a row has from its source; a field without a value is left out, so that old rows keep their hash."""
    told = {"licence": source.licence, "metric": source.metric, "lane": source.lane}
    return {name: value for name, value in told.items() if value is not None}


def _payload(path: Path, number: int, row: dict[str, Any]) -> str:
    try:
        return canonical_json(row)
    except IdentityError as error:
        raise UsageError(f"{path}, line {number}: {error}") from error


def read_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield line number and object of every line that is not blank.

    Raises:
        UsageError: the file cannot be read, or a line is no JSON object.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield number, _object(path, number, line)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); a source needs this file") from error


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = parse_json(line.decode())
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}, line {number}: not JSON ({error}); write one object per line, in UTF-8") from error
    if not isinstance(value, dict):
        raise UsageError(f"{path}, line {number}: a {type(value).__name__}; write one JSON object per line")
    return value
