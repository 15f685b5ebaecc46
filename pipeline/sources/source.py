"""A source that was opened: where its files are, what they have to be, and how their rows are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from pipeline.errors import UsageError
from pipeline.identity import parse_json
from pipeline.records import Metric, Terms
from pipeline.sources.manifest import SourceKind, SourceLane, Turns
from pipeline.sources.values.columns import Columns
from pipeline.store.hashes import FileHashes

ROWS = "rows.jsonl"
DESCRIPTION = "source.json"


class HubData(NamedTuple):
    """Which rows of which data set."""

    name: str
    """`owner/name` on the Hub, or a directory."""
    revision: str
    """Commit on the Hub; empty for a directory."""
    config: str | None
    split: str
    files: tuple[str, ...] = ()
    """Patterns of the files to read; empty: those that the data set's own list gives to the split."""
    listings: Path | None = None
    """Where is kept which files a split on the Hub has; None: nowhere."""

    def __str__(self) -> str:
        return f"{self.name} ({', '.join((self.config or 'default', self.split, *self.files))})"


class Source(NamedTuple):
    """A source that was opened: its bytes are on disk and checked."""

    key: str
    revision: str
    directory: Path
    licence: str
    """For rows that name none."""
    licence_images: str = ""
    source_url: str = ""
    attribution: str = ""
    """Whom the licences ask to name."""
    redistributable: bool | None = None
    """Whether images may be passed on; None: nobody has said."""
    teacher_terms: str = ""
    """Whose model made questions or answers."""
    metric: Metric | None = None
    """The benchmark's own way to grade its answers."""
    lane: SourceLane | None = None
    """`long_cot`: rows bring their own reasoning."""
    image_root: Path | None = None
    """Where images may lie beside `directory`, as links in it lead there."""
    kind: SourceKind = "jsonl"
    files: tuple[Path, ...] = ()
    """That hold the rows, in their order; empty for `rows.jsonl` in `directory`."""
    columns: Columns | None = None
    """Which columns are the fields of a row; None: rows have our names."""
    turns: Turns = "first"
    """Of conversations: which of their questions are asked."""
    needs_pictures: bool = False
    """Whether a row without a picture has lost it."""
    hub: HubData | None = None
    """Of kind `hf`: what the library `datasets` is to read."""
    blobs: Path | None = None
    """Where pictures that stand in the rows themselves are put."""

    @property
    def others(self) -> tuple[Path, ...]:
        """Return where images may lie beside `directory`."""
        return tuple(place for place in (self.image_root, self.blobs) if place is not None)

    @property
    def terms(self) -> Terms:
        """Return from where it is, and under which terms."""
        return Terms(**{name: getattr(self, name) for name in Terms.model_fields})


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


def check_files(directory: Path, expected: Mapping[str, str], named_by: Path, fix: str, hashes: FileHashes) -> None:
    """Check that every file of `expected`, named by the file `named_by`, is there with its sha256.

    `fix` says what to do if not. A file that is as it was when it was last hashed is not read.

    Raises:
        UsageError: a file is missing, damaged or outside of `directory`.
    """
    for name in expected:
        path = directory / name
        if not path.resolve().is_relative_to(directory.resolve()):
            raise UsageError(f"{named_by}: {name} is outside of {directory}; name files inside the source")
        if not path.is_file():
            raise UsageError(f"{named_by}: {path} is missing; {fix}")
    found = hashes.of(directory / name for name in expected)
    for name, sha256 in expected.items():
        path = directory / name
        if found.get(path) != sha256:
            raise UsageError(
                f"{path} is not the file that {named_by} describes: its sha256 is {found.get(path, 'not known')}, not "
                f"{sha256}; {fix}"
            )
