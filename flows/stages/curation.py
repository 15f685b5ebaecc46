"""One invocation of a run, as its stages see it, and what they read of each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from filters.answers.choices import answer_texts
from flows.asking.resources import Stock
from flows.recipe.inputs import Inputs, Job
from flows.run.journal import Journal
from flows.run.progress import Progress
from pipeline.engine.commits import StageResult, begin_unit, stage_directory
from pipeline.engine.executor import Executor
from pipeline.engine.running import run_unit
from pipeline.engine.stage import Stage
from pipeline.engine.units import Range, Runner, UnitInput, UnitOutput, UnitResult
from pipeline.records import Outcome, Question, QuestionKey, Route
from pipeline.store import Store
from pipeline.store.shards import read_columns


@dataclass(frozen=True)
class Curation:
    """One invocation: what stages are run with, and what they have done so far."""

    job: Job
    inputs: Inputs
    store: Store
    executor: Executor
    stock: Stock
    stages: Mapping[str, Stage]
    progress: Progress
    journal: Journal
    runner: Runner
    done: dict[str, StageResult] = field(default_factory=dict)
    """Finished stages by name, in order."""


class Work(NamedTuple):
    """What a stage has to do in this run."""

    expected: int
    """Records that were routed to it."""
    unit: Callable[[Range, int], UnitResult]
    """Reads, runs and commits one range; the number is the total of ranges."""


def run_in_worker(
    curation: Curation, stage: Stage, span: Range, unit: UnitInput, work: Callable[[UnitInput], UnitOutput]
) -> UnitResult:
    """Run and commit one unit in a worker process; one that was committed before needs no process at all."""
    part, before = begin_unit(stage, stage_directory(curation.job.out, stage), span, unit)
    if before is not None:
        return UnitResult(part, reused=True, counts=before)
    return curation.executor.cpu(run_unit, stage, curation.job.out, span, unit, work)


def kept_ids(result: StageResult, route: Route | None = None) -> frozenset[str]:
    """Return the ids of the records that a stage kept, or of those that it sent one way."""
    import pyarrow.compute as pc

    table = read_columns(result.paths("outcomes"), Outcome, ["record_id", "outcome", "route"])
    chosen = pc.equal(table["outcome"], "kept") if route is None else pc.equal(table["route"], route)
    return frozenset(table.filter(chosen)["record_id"].to_pylist())


def kept_outcomes(result: StageResult, ids: frozenset[str], span: Range) -> list[Outcome]:
    """Return a stage's outcomes on the records in `ids` of one range, which it kept: they say where each goes."""
    return [
        outcome
        for outcome in result.read("outcomes", Outcome, span)
        if outcome.outcome == "kept" and outcome.record_id in ids
    ]


def questions_of(screened: StageResult, ids: frozenset[str], span: Range) -> tuple[Question, ...]:
    """Return the screened questions of one range whose id is in `ids`."""
    return tuple(question for question in screened.read("questions", Question, span) if question.id in ids)


def question_keys(screened: StageResult, ids: frozenset[str] | None = None) -> Iterator[QuestionKey]:
    """Yield the columns that global stages read, of all screened questions or of those in `ids`."""
    columns = ["id", "source", "category", "text", "images", "choices", "answers", "answer_type"]
    for batch in read_columns(screened.paths("questions"), Question, columns).to_batches():
        for row in batch.to_pylist():
            if ids is None or row["id"] in ids:
                images = tuple(image["sha256"] for image in row["images"])
                answers = answer_texts(row["answers"], tuple(row.pop("choices")))
                yield QuestionKey.model_validate({**row, "images": images, "answers": answers})
