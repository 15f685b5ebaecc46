"""Files of marks, as pages save them: read, held to the sample, and stored as one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from flows.recipe.exclusions import Said, ViewerMarks
from flows.review.sample import Sample, samples
from pipeline.errors import UsageError
from pipeline.identity import parse_json
from pipeline.records import Mark
from pipeline.store.shards import read_records, write_records

MARKS = "marks.parquet"


class SampleMark(Said):
    """A mark in a file."""

    item: str


class MarksFile(BaseModel):
    """A file of marks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal[1] = Field(alias="schema")
    sample: str
    annotator: int = Field(ge=1)
    marks: tuple[SampleMark, ...]


def read_marks_file(path: Path) -> MarksFile:
    """Return what a file of marks says.

    Raises:
        UsageError: it cannot be read, is no such file or one of the viewer, or marks an item twice.
    """
    try:
        content = path.read_bytes()
        _refuse_of_viewer(path, content)
        found = MarksFile.model_validate_json(content, strict=True)
        parse_json(content.decode())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise UsageError(
            f"{path} is no file of marks: {where}: {first['msg']}; give the file that the page saved"
        ) from error
    except ValueError as error:
        raise UsageError(f"{path} is no file of marks: {error}; give the file that the page saved") from error
    items = [mark.item for mark in found.marks]
    twice = sorted({item for item in items if items.count(item) > 1})
    if twice:
        raise UsageError(f"{path}: item {twice[0]} is marked twice; keep one of its marks")
    return found


def _refuse_of_viewer(path: Path, content: bytes) -> None:
    try:
        ViewerMarks.model_validate_json(content)
    except ValidationError:
        return
    raise UsageError(
        f"{path} was saved by the viewer: whoever marked it saw the verdicts and chose what he looked at, so it "
        "measures nothing; name it in `select.exclude`, and draw what is to be measured by `coldforge review sample`"
    )


def gather_marks(run: Path, files: Sequence[Path]) -> tuple[Path, Sample, list[Mark]]:
    """Return the directory of the sample that files mark, the sample, and its marks, those of before among them.

    Marks of an annotator replace those that he has given before.

    Raises:
        UsageError: as `read_marks_file`; files mark several samples, or one that is not of this run; an annotator or an
            item is not of the sample, or two files are of one annotator.
    """
    read = {path: read_marks_file(path) for path in files}
    directory, sample = _sample_of(run, read)
    items = {row.item: row for row in sample.rows}
    by: dict[int, Path] = {}
    marks: list[Mark] = []
    for path, found in read.items():
        other = by.setdefault(found.annotator, path)
        if other != path:
            raise UsageError(f"{path} and {other} are both of annotator {found.annotator}; give one of them")
        if found.annotator > sample.annotators:
            raise UsageError(f"{path}: annotator {found.annotator} of {sample.annotators}; it is not of this sample")
        strange = [mark.item for mark in found.marks if mark.item not in items]
        if strange:
            raise UsageError(f"{path}: item {strange[0][:64]!r} is not in the sample {directory.name}")
        for said in found.marks:
            row = items[said.item]
            marks.append(
                Mark(
                    record_id=row.record_id,
                    question_id=row.question_id,
                    sample=sample.id,
                    annotator=found.annotator,
                    mark=said.mark,
                    defect=said.defect,
                    comment=said.comment,
                )
            )
    marks += [mark for mark in read_marks(directory) if mark.annotator not in by and mark.sample == sample.id]
    return directory, sample, sorted(marks, key=attrgetter(*Mark.KEY))


def _sample_of(run: Path, read: Mapping[Path, MarksFile]) -> tuple[Path, Sample]:
    named = {found.sample for found in read.values()}
    known = {sample.id: (directory, sample) for directory, sample in samples(run).items()}
    for path, found in read.items():
        if found.sample not in known:
            raise UsageError(
                f"{path} marks the sample {found.sample[:12]!r}, which is not of {run}; samples there: "
                f"{', '.join(directory.name for directory, _ in known.values()) or 'none'}"
            )
    if len(named) > 1:
        raise UsageError(f"the files mark {len(named)} samples; import those of one sample at a time")
    return known[named.pop()]


def write_marks(directory: Path, marks: Iterable[Mark]) -> None:
    """Write the marks of a sample beside it."""
    write_records(directory / MARKS, Mark, marks)


def read_marks(directory: Path) -> list[Mark]:
    """Return the marks of a sample; none where none were imported."""
    path = directory / MARKS
    return list(read_records(path, Mark)) if path.exists() else []
