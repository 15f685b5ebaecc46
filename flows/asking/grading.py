"""The verdict on a rollout: by rule, and by a judge where no rule decides."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from filters.answers import grade
from filters.answers.mathematics.expressions import expression_pairs, settle
from filters.answers.metrics import grade_by, metric_of
from filters.answers.votes import answer_verdict
from flows.asking.judge import AnswerJudge
from pipeline.math_worker import math_worker
from pipeline.records import DroppedHit, GradeResult, JudgeVotes, Question, Trajectory, Verdict

VERDICTS: dict[str, Verdict] = {"right": "right", "wrong": "wrong", "undecided": "unknown"}


class Judged(NamedTuple):
    """A trajectory with its verdict, the votes on it where a judge was asked, and hits that it was not shown."""

    trajectory: Trajectory
    votes: JudgeVotes | None
    dropped: tuple[DroppedHit, ...] = ()


async def judged(trajectory: Trajectory, question: Question, judge: AnswerJudge | None) -> Judged:
    """Grade a trajectory by rule, and ask the judge, if there is one, about an answer that no rule decides.

    What the judge leaves open, or its votes differ on, stays unknown. Without a judge it is unjudged, which a gate
    counts as not right.

    Raises:
        InfrastructureError: the judge could not be asked; it may be asked again.
    """
    by_rule = await graded(trajectory, question)
    if by_rule.finish != "answer" or by_rule.verdict != "unknown":
        return Judged(by_rule, None)
    if judge is None:
        return Judged(by_rule.model_copy(update={"verdict": "unjudged"}), None)
    votes = await judge.answer(question, by_rule.answer or "", by_rule.id)
    return Judged(by_rule.model_copy(update={"verdict": answer_verdict(votes)}), votes)


async def graded(trajectory: Trajectory, question: Question) -> Trajectory:
    """Return the trajectory with its verdict: only a finished answer can be right or wrong."""
    if trajectory.finish != "answer":
        return trajectory
    result = await grade_of(trajectory.answer or "", question)
    return trajectory.model_copy(update={"verdict": VERDICTS[result.verdict]})


async def grade_of(answer: str, question: Question) -> GradeResult:
    """Return the grade of an answer with the rule that gave it.

    An expression that its spelling does not settle is compared by algebra, away from the event loop.
    """
    result = _grade(answer, question)
    if question.answer_type == "expression":
        pairs = expression_pairs(answer, question.answers, result)
        worker = math_worker()
        result = settle(result, await asyncio.to_thread(worker.equal, pairs))
    return result


def _grade(answer: str, question: Question) -> GradeResult:
    metric = metric_of(question)
    if metric is not None:
        return grade_by(metric, answer, question.answers, question.answer_type)
    return grade(
        answer,
        question.answers,
        question.answer_type,
        tolerance=question.tolerance,
        choices=question.choices or None,
        question=question.text,
    )
