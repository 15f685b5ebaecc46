"""What people correct, as they write it down: read, held to the run, and stored as edits that a recipe can name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from flows.asking.edited import UneditedError, edited_trajectory, written_in
from flows.recipe.exclusions import LONGEST_COMMENT
from flows.report.lookup import Found, Life, find, read_life, read_trajectory
from flows.report.tables import Table
from flows.review.sample import REVIEWS
from pipeline.errors import UsageError
from pipeline.identity import Json, canonical_json, parse_json
from pipeline.records import AnswerType, Category, Edit, Question
from pipeline.store.shards import read_records, write_records

EDITS = "edits.parquet"
_ASKED = ("text", "choices", "answers", "answer_type")
"""What the screen may change of a question, so that it is asked in another form than its row has."""
_OF_QUESTION = (*_ASKED, "category", "tolerance")
_OF_TRAJECTORY = ("answer", "thoughts")


class Correction(BaseModel):
    """One line of a file of corrections: whose, why, and what is to stand in place of what the parent has."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    parent: str
    """Id of a question or of a teacher's trajectory, or how that begins."""
    annotator: str = Field(pattern=r"\S", max_length=100)
    comment: str = Field(pattern=r"\S", max_length=LONGEST_COMMENT)
    text: str = Field(default="", pattern=r"\S")
    choices: tuple[str, ...] = ()
    answers: tuple[str, ...] = Field(default=(), min_length=1)
    answer_type: AnswerType = "text"
    category: Category = "perception"
    tolerance: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    answer: str = Field(default="", pattern=r"\S")
    """Of a trajectory: what it ends with."""
    thoughts: Mapping[str, str] = {}
    """Of a trajectory: by the number of the turn, from 1, as `show` prints it."""

    @model_validator(mode="after")
    def _one_kind(self) -> Correction:
        if self.given(_OF_QUESTION) and self.given(_OF_TRAJECTORY):
            raise ValueError("give fields of a question, or of a trajectory, each on a line of its own")
        return self

    def given(self, names: Iterable[str]) -> dict[str, Any]:
        """Return those of some fields that the line has; None is a value of `tolerance` alone."""
        plain = self.model_dump(mode="json")
        return {name: plain[name] for name in names if name in self.model_fields_set}


class Corrected(NamedTuple):
    """What `coldforge review edit` has stored."""

    path: Path
    edits: tuple[Edit, ...]
    """Those of the files."""
    before: int
    """Edits that stood there, of other records."""


def store_edits(run: Path, files: Sequence[Path]) -> Corrected:
    """Hold corrections to the run, and add them to the run's edits; one of the same parent is replaced.

    Raises:
        UsageError: a line cannot be read, its parent is not in the run, it changes nothing, or what it changes is not
            to be corrected. Nothing is stored then.
    """
    edits: dict[str, Edit] = {}
    for path in files:
        for where, correction in _lines(path):
            try:
                edit = edit_of(run, correction)
            except UsageError as error:
                raise UsageError(f"{where}: {error}") from error
            if edit.parent in edits:
                raise UsageError(f"{where}: {edit.unit} {edit.parent} is corrected twice; keep one of the lines")
            edits[edit.parent] = edit
    path = run / REVIEWS / EDITS
    before = [edit for edit in read_edits(run) if edit.parent not in edits]
    path.parent.mkdir(exist_ok=True)
    write_records(path, Edit, sorted([*before, *edits.values()], key=attrgetter(*Edit.KEY)))
    return Corrected(path, tuple(edits.values()), len(before))


def read_edits(run: Path) -> list[Edit]:
    """Return the edits of a run; none where there are none."""
    path = run / REVIEWS / EDITS
    return list(read_records(path, Edit)) if path.exists() else []


def _lines(path: Path) -> Iterator[tuple[str, Correction]]:
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}; a line is a JSON object") from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            parse_json(line).keys()
            yield where, Correction.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "the line"
            known = ", ".join(("parent", "annotator", "comment", *_OF_QUESTION, *_OF_TRAJECTORY))
            raise UsageError(
                f"{where}: {field}: {first['msg'].removeprefix('Value error, ')}; a line may hold {known}"
            ) from error
        except (ValueError, RecursionError, AttributeError) as error:
            raise UsageError(f"{where} is no JSON object: {error}") from error


def edit_of(run: Path, correction: Correction) -> Edit:
    """Return the edit that a correction of a run's record comes to.

    Raises:
        UsageError: its parent is not in the run, or not to be corrected; it changes nothing, or a message of the
            transcript could not be read any more.
    """
    found = find(run, correction.parent)
    of_trajectory = found.kind == "trajectory"
    other = correction.given(_OF_QUESTION if of_trajectory else _OF_TRAJECTORY)
    if other:
        owner = "its question's" if of_trajectory else "a trajectory's"
        raise UsageError(f"{next(iter(other))}: {found.kind} {found.id} has none; give {owner} id as parent")
    return _of_trajectory(run, found, correction) if of_trajectory else _of_question(run, found, correction)


def _of_question(run: Path, found: Found, correction: Correction) -> Edit:
    life = read_life(run, found)
    ingested, question = _both(life, found)
    if found.kind == "question" and found.id not in {ingested.id, question.id}:
        raise UsageError(f"question {found.id} was corrected before; correct what was made of it, {question.id}")
    question = ingested if found.id == ingested.id else question
    now: dict[str, Json] = question.model_dump(mode="json", include={*_OF_QUESTION})
    given = correction.given(_OF_QUESTION)
    changed = {name: value for name, value in given.items() if value != now[name]}
    if not changed:
        raise UsageError(f"nothing of question {question.id} is changed; give another {', '.join(_OF_QUESTION)}")
    # The row has it in another form: what a person saw is to stand there whole.
    formed = any(now[name] != ingested.model_dump(mode="json")[name] for name in _ASKED)
    changes = {**({name: now[name] for name in _ASKED} if formed else {}), **changed}
    was = {name: now[name] for name in changed}
    return _edit(correction, life, Found(question.id, "question"), changes, was)


def _of_trajectory(run: Path, found: Found, correction: Correction) -> Edit:
    parent = read_trajectory(run, found.id)
    if parent.purpose != "synthesis" or parent.finish != "answer":
        raise UsageError(f"trajectory {parent.id} is no finished attempt of a teacher, so it is never shipped")
    given = correction.given(_OF_TRAJECTORY)
    was = written_in(parent, given)
    if missing := [number for number, think in was.get("thoughts", {}).items() if think is None]:  # type: ignore[union-attr]
        raise UsageError(f"thoughts: trajectory {parent.id} has turns 1 to {len(parent.turns)}, and no {missing[0]!r}")
    if given == was or not given:
        raise UsageError(f"nothing of trajectory {parent.id} is changed; give another answer, or other thoughts")
    life = read_life(run, Found(parent.question_id, "question"))
    edit = _edit(correction, life, found, given, was)
    try:
        edited_trajectory(parent, edit)
    except UneditedError as error:
        raise UsageError(f"trajectory {parent.id}: {error}") from error
    return edit


def _edit(
    correction: Correction, life: Life, parent: Found, changes: Mapping[str, Json], was: Mapping[str, Json]
) -> Edit:
    ingested, question = _both(life, parent)
    made_by = question.edited_from
    return Edit.model_validate(
        {
            "id": Edit.make_id(parent.id, canonical_json(changes)),
            "parent": parent.id,
            "unit": parent.kind,
            "root": question.root_id,
            "before": "" if made_by is None else made_by["edit"],
            "ingested": ingested.id,
            "changes": canonical_json(changes),
            "was": canonical_json(was),
            "annotator": correction.annotator,
            "comment": correction.comment,
        }
    )


def _both(life: Life, found: Found) -> tuple[Question, Question]:
    """Return a question as it was ingested and as it is asked.

    Raises:
        UsageError: no question was made of its row.
    """
    if life.ingested is None:
        raise UsageError(f"row {found.id} became no question; correct it at its source")
    return life.ingested, life.screened or life.ingested


def edits_table(edits: Iterable[Edit]) -> Table:
    """Return what is changed, a line for each field."""
    rows = tuple(
        (edit.unit, edit.parent[:12], name, canonical_json(was), canonical_json(parse_json(edit.changes)[name]))
        for edit in edits
        for name, was in parse_json(edit.was).items()
    )
    return Table("edits", "Corrected", ("of", "parent", "field", "was", "is"), rows)
