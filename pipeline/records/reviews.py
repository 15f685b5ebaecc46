"""What people said of rows that they looked at."""

from __future__ import annotations

from typing import ClassVar, Literal

from pipeline.identity import digest
from pipeline.records.base import Int32, Record

MarkWord = Literal["good", "defective", "cannot_tell"]
Defect = Literal["wrong_answer", "bad_question", "useless_tool", "unfaithful_thought", "bad_picture", "other"]


class Mark(Record):
    """What one annotator said of one trajectory, without having seen what the run made of it."""

    KEY: ClassVar[tuple[str, ...]] = ("record_id", "annotator")

    record_id: str
    """A trajectory's."""
    question_id: str
    sample: str
    """The sample that it was drawn for; see `flows.review.sample`."""
    annotator: Int32
    """From 1."""
    mark: MarkWord
    defect: Defect | None
    """None unless defective."""
    comment: str

    @property
    def excludes(self) -> tuple[str, ...]:
        """Return the ids of what should not be trained on by it."""
        return excluded_by(self.defect, self.record_id, self.question_id)


def excluded_by(defect: Defect | None, trajectory: str, question: str) -> tuple[str, ...]:
    """Return the ids of what should not be trained on by a mark.

    A defect of the question or its picture is one of every answer to it as well.
    """
    if defect is None:
        return ()
    return (trajectory, question) if defect in {"bad_question", "bad_picture"} else (trajectory,)


class Edit(Record):
    """What a person corrected of one record: another is made of it, and the one that he saw is its parent."""

    id: str
    """What is made by it bears this id: a row at ingest, or a trajectory."""
    parent: str
    """The question, as it was asked, or the trajectory that he saw."""
    unit: Literal["question", "trajectory"]
    root: str
    """`Question.root_id`: the source row."""
    before: str
    """The edit by which the question came to be that he saw; empty for none."""
    ingested: str
    """The question as it was ingested: its id says whether the row is still the one that he saw."""
    changes: str
    """Canonical JSON: of a question the fields of its row that are new; of a trajectory `answer`, and `thoughts` by
    the number of the turn, from 1."""
    was: str
    """Canonical JSON: what the parent has in their place."""
    annotator: str
    """Who: a name, or a number of a review."""
    comment: str
    """Why."""

    @staticmethod
    def make_id(parent: str, changes: str) -> str:
        """Return the id: what was changed of what; who did it, and why, decides nothing."""
        return digest({"edited": parent, "changes": changes})

    @property
    def row(self) -> str:
        """Return the id of the row that it is about: the source's own, or the one that an edit before it made."""
        return self.before or self.root


class FrameRow(Record):
    """A trajectory that could have been drawn, and the stratum in which it could."""

    KEY: ClassVar[tuple[str, ...]] = ("record_id",)

    record_id: str
    stratum: str
