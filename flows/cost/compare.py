"""What a run was expected to ask, beside what it asked and what of that it paid for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flows.cost.measure import ASKING
from pipeline.identity import parse_json
from pipeline.store.ledger import query


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
    lines = parse_json((run / "run.json").read_text())["invocations"][-1].get("estimate", [])
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
