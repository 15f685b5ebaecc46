"""What a recipe keeps out of its shards by name: ids, and what people marked as defective."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pipeline.errors import InfrastructureError, UsageError
from pipeline.identity import parse_json
from pipeline.manifests import SHA256
from pipeline.records import Defect, Mark, MarkWord, excluded_by
from pipeline.store.shards import read_records

LONGEST_COMMENT = 10_000
"""Characters; a file of marks is written by a page of ours, or by somebody who edits it."""
_ID = re.compile(r"[0-9a-f]{64}")
_Id = Annotated[str, Field(pattern=SHA256)]


class Said(BaseModel):
    """What a person said of one row, as a page saves it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mark: MarkWord
    defect: Defect | None
    comment: str = Field(default="", max_length=LONGEST_COMMENT)

    @model_validator(mode="after")
    def _defect_is_told(self) -> Said:
        if (self.mark == "defective") != (self.defect is not None):
            raise ValueError("`defect` is told of what is defective, and null of all else")
        return self


class ViewerMark(Said):
    """A mark of the viewer: whoever gave it saw what the run made of the trajectory, and chose to look at it."""

    trajectory: _Id
    question: _Id


class ViewerMarks(BaseModel):
    """A file of marks that the viewer saved. They are no sample, and measure nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal[1] = Field(alias="schema")
    run: str
    marks: tuple[ViewerMark, ...]


def is_id(entry: str) -> bool:
    """Return whether an entry of `select.exclude` is an id; any other is the path of a file of marks."""
    return _ID.fullmatch(entry) is not None


def load_excluded(entries: Iterable[str]) -> tuple[str, ...]:
    """Return all ids that `select.exclude` names, each once, sorted.

    Of marks, what any annotator calls defective is left out (`Mark.excludes`): one who sees a defect suffices.

    Raises:
        UsageError: a file cannot be read as marks.
    """
    found: set[str] = set()
    for entry in entries:
        found.update([entry] if is_id(entry) else _marked(Path(entry)))
    return tuple(sorted(found))


def _marked(path: Path) -> Iterable[str]:
    if path.suffix == ".json":
        return [
            name
            for one in read_viewer_marks(path).marks
            for name in excluded_by(one.defect, one.trajectory, one.question)
        ]
    try:
        return [name for mark in read_records(path, Mark) for name in mark.excludes]
    except InfrastructureError as error:
        raise UsageError(
            f"select.exclude: {path} cannot be read as marks; name ids of 64 hexadecimal digits, the marks.parquet "
            "that `coldforge review import` writes, or the marks-viewer.json that the viewer saves"
        ) from error


def read_viewer_marks(path: Path) -> ViewerMarks:
    """Return the marks that the viewer saved.

    Raises:
        UsageError: the file is none of the viewer's.
    """
    try:
        content = path.read_bytes()
        found = ViewerMarks.model_validate_json(content, strict=True)
        parse_json(content.decode())
    except OSError as error:
        raise UsageError(f"select.exclude: {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        told = str(error) if first is None else f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"
        raise UsageError(
            f"select.exclude: {path} is no file of marks of the viewer: {told}; the marks of a sample are named as the "
            "marks.parquet that `coldforge review import` makes of them"
        ) from error
    return found
