"""A pilot: the first rows of a recipe are really curated, and the rest is extrapolated from what they took.

Its rows are the nested sample of `--limit`, its store is that of the run: what it paid for is not paid again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from flows.cost.estimate import Expected, Rows, estimate
from flows.cost.measure import Measures, measure
from flows.recipe.inputs import Job
from flows.recipe.recipe import Recipe
from flows.run.curate import curate
from flows.run.progress import Progress
from pipeline.models.samples import Spent
from pipeline.prompts.sets import Prompts


class Rate(NamedTuple):
    """What the pilot measured of one stage and model."""

    stage: str
    model: str
    records: int
    pass_rate: float
    """Of a gate: share of questions that go on to the next model. Of a teacher: share of attempts that were valid."""
    low: float
    high: float
    """95 %, Wilson."""
    calls_per_record: float
    tokens_per_call: float
    seconds_per_record: float | None
    """None where the store answered too much to tell."""


class Between(NamedTuple):
    """What a stage may ask of a model, given how few rows the pilot had: the share of rows that reach it varies."""

    stage: str
    model: str
    records_low: int
    records_high: int
    calls_low: int
    calls_high: int
    cost_low: float | None
    cost_high: float | None


@dataclass(frozen=True)
class Pilot:
    """A pilot that ran."""

    run: Path
    seconds: float
    paid: Spent
    """By this invocation; what the store held already cost nothing."""
    measures: Measures


def pilot_job(job: Job, rows: int) -> Job:
    """Return the pilot of a job: its first `rows` rows, in a run directory beside it."""
    return replace(job, out=job.out.with_name(f"{job.out.name}-pilot-{rows}"), limit=rows)


def run_pilot(job: Job, rows: int, progress: Progress) -> Pilot:
    """Curate the first `rows` rows, or resume doing so.

    Raises:
        UsageError, InfrastructureError, LimitError: as `curate`; the recipe's budget holds for the pilot as well.
    """
    summary = curate(pilot_job(job, rows), progress)
    return Pilot(summary.run, summary.seconds, summary.spent, measure(summary.run))


def rates(measures: Measures) -> tuple[Rate, ...]:
    """Return what was measured, stage by stage."""
    found = []
    for seen in sorted(measures.asked, key=lambda seen: (seen.stage, seen.model)):
        passed = measures.passed(seen.stage, seen.model)
        found.append(
            Rate(
                stage=seen.stage,
                model=seen.model,
                records=seen.records,
                pass_rate=round(passed.value, 4),
                low=round(passed.interval.low, 4),
                high=round(passed.interval.high, 4),
                calls_per_record=round(seen.calls / seen.records, 2),
                tokens_per_call=round((seen.prompt_tokens + seen.completion_tokens) / seen.calls, 1),
                seconds_per_record=None if seen.wall_seconds is None else round(seen.wall_seconds, 2),
            )
        )
    return tuple(found)


def between(recipe: Recipe, prompts: Prompts, rows: Rows, measures: Measures) -> tuple[Between, ...]:
    """Return the interval of every line of the estimate."""
    low, high = (estimate(recipe, prompts, rows, bound) for bound in measures.bounds())
    return tuple(_between(least, most) for least, most in zip(low, high, strict=True))


def _between(low: Expected, high: Expected) -> Between:
    return Between(low.stage, low.model, low.records, high.records, low.calls, high.calls, low.cost, high.cost)
