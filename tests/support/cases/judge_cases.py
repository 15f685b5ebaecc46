"""Labelled answers with their questions, for a judge; see `tests/grading/README.md`."""

from __future__ import annotations

from pipeline.records import Question
from tests.support.builders import question
from tests.support.cases.grading_cases import DATA, SETS, Case, disputed, load

FILE = "judge"


class JudgeCase(Case):
    """A case of grading, with the question that a judge is told."""

    question: str

    def as_question(self) -> Question:
        """Return the question with its stored answers, as a stage has it."""
        return question(
            self.question,
            source_row=self.question,
            choices=self.choices or (),
            answers=self.golds,
            answer_type=self.answer_type,
            tolerance=self.tolerance,
        )


def load_asked() -> list[JudgeCase]:
    """Return the cases that were written for a judge, in the order of their file."""
    lines = (DATA / f"{FILE}.jsonl").read_text("utf-8").splitlines()
    return [JudgeCase.model_validate_json(line) for line in lines]


def load_bare() -> list[JudgeCase]:
    """Return the cases of both sets of grading that have a label to hold a judge to; their question is not known."""
    cases = [case for name in SETS for case in load(name, without=disputed() if name == "blind" else ())]
    labelled = [case for case in cases if case.expected != "undecided" and case.prediction is not None]
    return [JudgeCase(question="(not recorded)", **case.model_dump()) for case in labelled]
