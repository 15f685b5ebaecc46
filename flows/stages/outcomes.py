"""What all stages share: outcome rows, what is found out beside them, and work on many records at once."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, TypeVar

from pipeline.engine.counted import count_record
from pipeline.engine.units import UnitOutput
from pipeline.errors import RowError
from pipeline.identity import canonical_json
from pipeline.models.refusals import FilteredError, RejectedError
from pipeline.records import (
    BY_RULE,
    Decision,
    Made,
    Outcome,
    Question,
    QuestionKey,
    Record,
    Route,
    SourceRow,
    Trajectory,
    TrajectoryKey,
)
from pipeline.store.shards import RecordColumns

T = TypeVar("T")

AGAIN = frozenset({RejectedError.code})
"""Reasons of outcomes that say something of a server and nothing of their record, see `Stage.again`."""
UNDECIDED = frozenset(
    {
        *(FilteredError.code, "no_attempt", "undecided", "judge_cannot_tell", "judge_unsure"),
        *("answer_undecided", "not_replayed", "unmeasured_image"),
    }
)
"""Reasons of rejections in which nothing was found out about the record: nobody answered, or what was answered decides
nothing. A test holds them to what filters call unknown."""


@dataclass
class Found:
    """What a stage found out about one record: rows of evidence by table; its outcome stands beside it."""

    rows: defaultdict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))

    def add(self, table: str, *rows: Record | None) -> None:
        """Write rows down; None is none, and of none there is no table."""
        some = [row for row in rows if row is not None]
        if some:
            self.rows[table] += some


def gathered(tables: Mapping[str, type[Record]], found: Iterable[tuple[Outcome, Found]]) -> UnitOutput:
    """Return what was found out about all records of a unit, each table in the order of its records' keys."""
    outcomes: list[Outcome] = []
    rows: dict[str, list[Record]] = {table: [] for table in tables}
    for outcome, one in found:
        outcomes.append(outcome)
        count_record()  # in a worker process, where `found` is made one after the other
        for table, some in one.rows.items():
            rows[table] += some
    ordered = {table: tuple(sorted(some, key=attrgetter(*tables[table].KEY))) for table, some in rows.items()}
    return UnitOutput(tuple(outcomes), ordered)


def kept(stage: str, question: Question | QuestionKey, *, route: Route = "next", score: float | None = None) -> Outcome:
    """Return the outcome of a question that goes on."""
    return _question_outcome(stage, question, outcome="kept", route=route, score=score)


def rejected(
    stage: str, question: Question | QuestionKey, reason: str, detail: str = "", score: float | None = None
) -> Outcome:
    """Return the outcome of a question that a rule stopped."""
    return _question_outcome(stage, question, outcome="rejected", reason=reason, detail=detail, score=score)


def quarantined(stage: str, question: Question, error: RowError) -> Outcome:
    """Return the outcome of a question that could not be worked on; its payload is kept."""
    payload = canonical_json(question.to_row())
    return _question_outcome(
        stage, question, outcome="quarantined", reason=error.reason, detail=error.detail, payload=payload
    )


def decided(
    stage: str, question: Question | QuestionKey, decisions: Sequence[Decision], route: Route = "next"
) -> Outcome:
    """Return the outcome that follows from a question's decisions: the first that does not keep stops it.

    What a filter could not decide is rejected with the filter's reason (the default of every recipe).
    """
    for decision in decisions:
        if decision.outcome != "keep":
            return rejected(stage, question, decision.reason, detail=decision.filter, score=decision.score)
    return kept(stage, question, route=route, score=decisions[-1].score if decisions else None)


def decided_all(
    stage: str,
    keys: RecordColumns[QuestionKey],
    reasons: Sequence[str | None],
    *,
    by: str,
    scores: Sequence[float | None] | None = None,
) -> Sequence[Outcome]:
    """Return as `decided` what follows for all questions of a run, in the order of their ids.

    Args:
        stage: which decides.
        keys: the questions, in any order.
        reasons: why each is rejected, in the order of the ids; None where it goes on.
        by: the filter that says so.
        scores: those of the decisions, in the same order.
    """
    named = keys.table.select(["id", "source", "category"]).sort_by("id")

    def columns(begin: int, end: int) -> Mapping[str, Any]:
        ids, sources, categories = (column.to_pylist() for column in named.slice(begin, end - begin).columns)
        why = reasons[begin:end]
        return {
            "stage": stage,
            "unit": "question",
            "record_id": ids,
            "question_id": ids,
            "source": sources,
            "category": categories,
            "outcome": ["kept" if reason is None else "rejected" for reason in why],
            "route": ["next" if reason is None else None for reason in why],
            "reason": [reason or "" for reason in why],
            "detail": ["" if reason is None else by for reason in why],
            "payload": "",
            "score": None if scores is None else scores[begin:end],
        }

    return Made(Outcome, named.num_rows, columns)


def row_outcome(stage: str, row: SourceRow, error: RowError | None) -> Outcome:
    """Return the outcome of a source row: kept, rejected by a rule, or quarantined with its payload."""
    told = "kept" if error is None else "rejected" if error.reason in BY_RULE else "quarantined"
    return Outcome(
        stage=stage,
        unit="row",
        record_id=row.id,
        question_id=row.id,
        source=row.source,
        category=row.category,
        outcome=told,
        route="next" if error is None else None,
        reason="" if error is None else error.reason,
        detail="" if error is None else error.detail,
        payload=row.payload if told == "quarantined" else "",
        score=None,
    )


def trajectory_outcome(stage: str, trajectory: Trajectory, question: Question, decision: Decision | None) -> Outcome:
    """Return the outcome of a trajectory: kept when `decision` is None, else rejected for its reason."""
    return _trajectory_outcome(stage, trajectory.id, (question.id, question.source, question.category), decision)


def key_outcome(stage: str, key: TrajectoryKey, decision: Decision | None) -> Outcome:
    """Do as `trajectory_outcome` where only the keys were read."""
    return _trajectory_outcome(stage, key.id, (key.question_id, key.source, key.category), decision)


def filtered(stage: str, question: Question, rollouts: Sequence[Trajectory]) -> Outcome | None:
    """Return the outcome of a question whose every rollout the model refused, or a filter before it; else None."""
    if not rollouts or any(rollout.finish != "refused" for rollout in rollouts):
        return None
    return rejected(stage, question, FilteredError.code, rollouts[0].detail)


async def gather_all(work: Iterable[Awaitable[T]]) -> list[T]:
    """Await everything together; the first failure cancels the rest and is raised."""
    tasks = [asyncio.ensure_future(item) for item in work]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _trajectory_outcome(
    stage: str, trajectory_id: str, question: tuple[str, str, str], decision: Decision | None
) -> Outcome:
    question_id, source, category = question
    return Outcome(
        stage=stage,
        unit="trajectory",
        record_id=trajectory_id,
        question_id=question_id,
        source=source,
        category=category,
        outcome="kept" if decision is None else "rejected",
        route="sft" if decision is None else None,
        reason="" if decision is None else decision.reason,
        detail="" if decision is None else decision.filter,
        payload="",
        score=None if decision is None else decision.score,
    )


def _question_outcome(
    stage: str,
    question: Question | QuestionKey,
    *,
    outcome: str,
    route: Route | None = None,
    reason: str = "",
    detail: str = "",
    payload: str = "",
    score: float | None = None,
) -> Outcome:
    return Outcome.model_validate(
        {
            "stage": stage,
            "unit": "question",
            "record_id": question.id,
            "question_id": question.id,
            "source": question.source,
            "category": question.category,
            "outcome": outcome,
            "route": route,
            "reason": reason,
            "detail": detail,
            "payload": payload,
            "score": score,
        }
    )
