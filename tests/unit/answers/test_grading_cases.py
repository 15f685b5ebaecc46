"""Answers as they come in practice, each with the verdicts that are right: `tests/support/cases/grading.jsonl`, whole.

One file for every type, graded as a stage does it: by the metric where one is named, and by algebra where it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from filters.answers import grade
from filters.answers.mathematics.expressions import expression_pairs, settle
from filters.answers.metrics import grade_by
from pipeline.math_worker import MathWorker
from pipeline.records import AnswerType, GradeResult, Metric

CASES = Path(__file__).parents[2] / "support" / "cases" / "grading.jsonl"


class Answer(BaseModel):
    prediction: str
    golds: tuple[str, ...]
    answer_type: AnswerType
    choices: tuple[str, ...] | None = None
    metric: Metric | None = None
    right: tuple[str, ...]
    kind: str


ANSWERS = [Answer.model_validate_json(line) for line in CASES.read_text("utf-8").split("\n")[:-1]]


@pytest.fixture(scope="module")
def worker() -> Iterator[MathWorker]:
    with MathWorker() as worker:
        yield worker


def graded(answer: Answer, worker: MathWorker) -> GradeResult:
    if answer.metric is not None:
        return grade_by(answer.metric, answer.prediction, answer.golds, answer.answer_type)
    result = grade(answer.prediction, answer.golds, answer.answer_type, choices=answer.choices)
    pairs = expression_pairs(answer.prediction, answer.golds, result)
    return settle(result, worker.equal(pairs))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(answer, id=f"{answer.kind} {number}: {answer.prediction[:30]!r}")
        for number, answer in enumerate(ANSWERS)
    ],
)
def test_verdict(answer: Answer, worker: MathWorker) -> None:
    result = graded(answer, worker)
    assert result.verdict in answer.right, result
