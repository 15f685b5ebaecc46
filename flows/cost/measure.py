"""What a run asked of its models, read from its ledger: in place of assumptions, or to compare with them.

Calls and tokens are those of all rollouts, whoever paid for them: what a plan is about is what a recipe asks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from filters.intervals import Interval, wilson
from flows.cost.asks import ASSUMED
from flows.ledger.journal import require_journal
from flows.ledger.query import query
from pipeline.identity import parse_json

ASKING = ("gate1", "gate2", "synthesize")
"""Stages that ask a model, in order."""
PAID_SHARE = 0.9
"""A stage that found more than the rest of its calls in the store says nothing about how long calls take."""

_ROLLOUTS = """
SELECT stage, model, count(DISTINCT question_id) AS questions, count(*) AS rollouts, sum(n_turns)::BIGINT AS calls,
       sum(prompt_tokens)::BIGINT AS prompt_tokens, sum(completion_tokens)::BIGINT AS completion_tokens
FROM trajectories WHERE arm <> 'long_cot' GROUP BY ALL
"""
"""Of every arm; solutions that came with a source were asked of no model."""
_SPENT = """
SELECT stage, sum(model_calls)::BIGINT AS paid, sum(prompt_tokens)::BIGINT AS prompt_tokens,
       sum(cached_tokens)::BIGINT AS cached_tokens, sum(wall_seconds) AS wall_seconds
FROM cost GROUP BY stage
"""
_REACHED = """
SELECT s.stage, count(o.record_id) AS n
FROM stages s LEFT JOIN outcomes o ON o.stage = s.stage AND o.unit <> 'trajectory'
GROUP BY s.stage
"""
_SENT = """
SELECT s.stage, count(o.record_id) AS n
FROM stages s LEFT JOIN outcomes o ON o.stage = s.stage AND o.outcome = 'kept' AND o.route IN ('next', 'sft')
WHERE s.stage IN ('gate1', 'gate2') GROUP BY s.stage
"""
"""Not all that synthesis is asked comes from gate 2: what needs no tools leaves by a route of its own."""
_YIELD = """
SELECT model, sum(attempts)::BIGINT AS attempts, sum(valid)::BIGINT AS valid FROM yield_by_teacher GROUP BY model
"""


class Share(NamedTuple):
    """A share as it was counted."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """Return the share, 0 of nothing."""
        return self.hits / self.of if self.of else 0.0

    @property
    def interval(self) -> Interval:
        """Return the Wilson score interval of 95 % (Wilson, 1927), which holds for small samples too."""
        return wilson(self.hits, self.of)


@dataclass(frozen=True)
class Measured:
    """What one stage asked one model."""

    stage: str
    model: str
    """Its place in the recipe's `models`."""
    records: int
    """Of the stage; for the stronger model, those that it was asked about."""
    rollouts: float
    calls: float
    prompt_tokens: float
    cached_tokens: float
    completion_tokens: float
    wall_seconds: float | None
    """Per record; None where too much was answered from the store."""

    @property
    def turns_per_record(self) -> float:
        """Return the calls per record that follow one another."""
        return self.calls / (self.records if self.stage == "synthesize" else self.rollouts)


@dataclass(frozen=True)
class Measures:
    """What a run tells a plan."""

    rows: int
    reached: Mapping[str, int]
    """Records per stage that asks a model; a stage that has not run is absent."""
    sent: Mapping[str, int]
    """By gate: what it keeps for the next stage that asks a model about tools."""
    reach: Mapping[str, float]
    """Share of rows that reach a stage; where it has not run, by assumption from the stage before."""
    accepted: Mapping[str, Share]
    """By the teacher's place in `models`: those of its attempts that were valid."""
    asked: tuple[Measured, ...]

    @property
    def hard(self) -> float:
        """Return the share of questions that pass gate 1."""
        return self.reach["gate2"] / self.reach["gate1"] if self.reach["gate1"] else ASSUMED.hard

    def passed(self, stage: str, model: str) -> Share:
        """Return what a stage sends on to the next that asks a model; of a teacher, its valid attempts."""
        if stage == "synthesize":
            return self.accepted.get(model, Share(0, 0))
        seen = self.of(stage, model)
        return Share(self.sent.get(stage, 0), self.reached.get(stage, 0) if seen is None else seen.records)

    def of(self, stage: str, model: str) -> Measured | None:
        """Return what a stage asked a model, None if it asked nothing."""
        return next((seen for seen in self.asked if (seen.stage, seen.model) == (stage, model)), None)

    def bounds(self) -> tuple[Measures, Measures]:
        """Return the same with every reach at the lower and at the upper end of its interval (95 %, Wilson)."""
        ends = {stage: Share(n, self.rows).interval for stage, n in self.reached.items()}
        low = {stage: ends[stage].low if stage in ends else share for stage, share in self.reach.items()}
        high = {stage: ends[stage].high if stage in ends else share for stage, share in self.reach.items()}
        return replace(self, reach=low), replace(self, reach=high)


def measure(run: Path) -> Measures:
    """Return what a run asked.

    Raises:
        UsageError: the run has no ledger.
    """
    reached = {row["stage"]: row["n"] for row in query(run, _REACHED).to_pylist()}
    rows = reached.get("ingest", 0)
    asking = {stage: reached[stage] for stage in ASKING if stage in reached}
    spent = {row["stage"]: row for row in query(run, _SPENT).to_pylist()}
    places = _places(run)
    asked = [
        _measured(
            row,
            place,
            share,
            row["questions"] if place == "stronger" else asking[row["stage"]],
            spent.get(row["stage"]),
        )
        for row in _with_stage_calls(query(run, _ROLLOUTS).to_pylist())
        for place, share in places.get((row["stage"], row["model"]), ())
    ]
    sent = {row["stage"]: row["n"] for row in query(run, _SENT).to_pylist()}
    return Measures(rows, asking, sent, _reach(asking, rows), _accepted(run, places), tuple(asked))


Places = Mapping[tuple[str, str], Sequence[tuple[str, float]]]
"""Stage and revision → places in the recipe's `models`, and the share of the calls that each is given."""


def _places(run: Path) -> Places:
    """Return where each revision stands in the recipe; teachers that differ in sampling alone share what is known."""
    ((text,),) = (row.values() for row in query(run, "SELECT environment FROM runs").to_pylist())
    environment = parse_json(text)
    teachers: list[str] = environment["teachers"]
    places: dict[tuple[str, str], Sequence[tuple[str, float]]] = {
        (stage, environment["base"]): [("base", 1.0)] for stage in ("gate1", "gate2")
    }
    if (stronger := environment.get("stronger")) is not None:
        places.setdefault(("gate1", stronger), [("stronger", 1.0)])
    for revision in teachers:
        mine = [f"teachers.{number}" for number, other in enumerate(teachers) if other == revision]
        places["synthesize", revision] = [(place, 1 / len(mine)) for place in mine]
    return places


def _with_stage_calls(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add the calls of the whole stage to each of its models."""
    calls = {stage: sum(row["calls"] for row in rows if row["stage"] == stage) for stage in ASKING}
    return [{**row, "stage_calls": calls[row["stage"]]} for row in rows]


def _measured(
    row: Mapping[str, Any], place: str, share: float, records: int, spent: Mapping[str, Any] | None
) -> Measured:
    cached, wall = 0.0, None
    if spent is not None and spent["prompt_tokens"]:
        cached = spent["cached_tokens"] / spent["prompt_tokens"]
    if spent is not None and records and spent["paid"] >= PAID_SHARE * row["stage_calls"]:
        wall = spent["wall_seconds"] * row["calls"] * share / row["stage_calls"] / records
    return Measured(
        stage=row["stage"],
        model=place,
        records=records,
        rollouts=row["rollouts"] * share,
        calls=row["calls"] * share,
        prompt_tokens=row["prompt_tokens"] * share,
        cached_tokens=row["prompt_tokens"] * share * cached,
        completion_tokens=row["completion_tokens"] * share,
        wall_seconds=wall,
    )


def _reach(reached: Mapping[str, int], rows: int) -> Mapping[str, float]:
    passed = {"gate1": ASSUMED.screened, "gate2": ASSUMED.hard, "synthesize": ASSUMED.unsolved}
    reach, before = {}, 1.0
    for stage in ASKING:
        before = reached[stage] / rows if stage in reached and rows else before * passed[stage]
        reach[stage] = before
    return reach


def _accepted(run: Path, places: Places) -> Mapping[str, Share]:
    rows = query(run, _YIELD).to_pylist()
    return {
        place: Share(row["valid"], row["attempts"])
        for row in rows
        for place, _ in places.get(("synthesize", row["model"]), ())
    }


class Compared(NamedTuple):
    """One stage: the estimate that the run began with, and the facts over all its invocations."""

    stage: str
    calls_expected: int
    calls: int
    """Of all rollouts, whoever paid for them."""
    paid: int
    """Of the calls: those that this run paid for; the store answered the others."""
    tokens_expected: int
    tokens: int
    """Prompts and completions of the calls."""
    cost_expected: float | None
    """None where no model has a price."""
    cost: float | None
    """Of what was paid for."""


_ASKED = """
SELECT stage, sum(n_turns)::BIGINT AS calls, sum(prompt_tokens + completion_tokens)::BIGINT AS tokens
FROM trajectories WHERE arm <> 'long_cot' GROUP BY ALL
"""
_PAID = "SELECT stage, sum(model_calls)::BIGINT AS calls, sum(cost) AS cost FROM cost GROUP BY stage"


def compare(run: Path) -> tuple[Compared, ...]:
    """Return the comparison per stage that asks a model; none for a run of a version that made no estimate.

    Raises:
        UsageError: the run has no ledger.
    """
    # The last invocation's estimate is that of the recipe as it stands.
    lines = require_journal(run)["invocations"][-1].get("estimate", [])
    asked = {row["stage"]: row for row in query(run, _ASKED).to_pylist()}
    paid = {row["stage"]: row for row in query(run, _PAID).to_pylist()}
    by_stage = {stage: [line for line in lines if line["stage"] == stage] for stage in ASKING}
    return tuple(
        _compared(stage, mine, asked.get(stage, {}), paid.get(stage, {})) for stage, mine in by_stage.items() if mine
    )


def _compared(
    stage: str, lines: Sequence[Mapping[str, Any]], asked: Mapping[str, Any], paid: Mapping[str, Any]
) -> Compared:
    costs = [line["cost"] for line in lines if line["cost"] is not None]
    return Compared(
        stage=stage,
        calls_expected=sum(line["calls"] for line in lines),
        calls=asked.get("calls", 0),
        paid=paid.get("calls", 0),
        tokens_expected=sum(line["prompt_tokens"] + line["completion_tokens"] for line in lines),
        tokens=asked.get("tokens", 0),
        cost_expected=round(sum(costs), 4) if costs else None,
        cost=round(paid.get("cost", 0.0), 4) if costs else None,
    )
