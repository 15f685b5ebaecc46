"""What people said of rows that they looked at."""

from __future__ import annotations

from typing import ClassVar, Literal

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
        """Return the ids of what should not be trained on by it.

        A defect of the question or its picture is one of every answer to it as well.
        """
        if self.mark != "defective":
            return ()
        of_question = self.defect in {"bad_question", "bad_picture"}
        return (self.record_id, self.question_id) if of_question else (self.record_id,)


class FrameRow(Record):
    """A trajectory that could have been drawn, and the stratum in which it could."""

    KEY: ClassVar[tuple[str, ...]] = ("record_id",)

    record_id: str
    stratum: str
