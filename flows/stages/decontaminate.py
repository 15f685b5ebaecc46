"""Decontaminate: questions of a benchmark are stopped before anything is spent on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from filters.dedup.clusters import hashes_of
from filters.dedup.contamination import (
    Benchmark,
    ContaminationSettings,
    benchmark_hit,
    decision_on,
    index_benchmarks,
)
from filters.validate.long_cot import SOLUTION_FIELD, solution_of
from flows.asking.resources import Revisions
from flows.recipe.inputs import Inputs, Job
from flows.stages.fetching import question_keys
from flows.stages.outcomes import Found, decided, gathered
from pipeline.engine.done import Done
from pipeline.engine.stage import Stage, StageSettings
from pipeline.engine.units import Range, Reader, UnitInput, UnitOutput
from pipeline.identity import digest
from pipeline.records import BenchmarkHit, ImageFacts, Outcome, Question, QuestionKey, SolutionKey
from pipeline.store import Store
from pipeline.store.shards import read_columns


class DecontaminateSettings(StageSettings):
    """What decontamination sees of a recipe."""

    decontaminate: ContaminationSettings
    benchmarks: tuple[Benchmark, ...]

    @classmethod
    def of(cls, job: Job, inputs: Inputs, revisions: Revisions) -> DecontaminateSettings:
        """Return the settings of a run."""
        del revisions
        recipe = job.recipe
        return cls(decontaminate=recipe.decontaminate, benchmarks=inputs.benchmarks)


def read(done: Done, settings: DecontaminateSettings) -> Reader:
    """Hand over what dedup kept, with the hashes of its images and which solutions were brought along."""
    ids = done.kept("dedup")
    paths = tuple(done.paths("screen", "questions")) if settings.benchmarks else ()

    def unit(_: Range) -> UnitInput:
        facts = (fact for fact in done.records("screen", "facts", ImageFacts) if fact.question_id in ids)
        brought = (SolutionKey(question_id=name, meta=digest(meta)) for name, meta in metas(paths) if name in ids)
        return UnitInput(question_keys(done, ids), (*facts, *brought), paths)

    return Reader(len(ids), unit)


def run(unit: UnitInput, settings: DecontaminateSettings, store: Store) -> UnitOutput:
    """Compare every question, and the solution that it may have brought, with every benchmark."""
    del store
    rule = settings.decontaminate
    index = index_benchmarks(settings.benchmarks)
    hashes = hashes_of(record for record in unit.context if isinstance(record, ImageFacts))
    keys = {record.id: record for record in unit.records if isinstance(record, QuestionKey)}
    brought = {record.question_id for record in unit.context if isinstance(record, SolutionKey)}

    def looked_up(key: QuestionKey, solution: str = "") -> tuple[Outcome, Found]:
        found = Found()
        hit = benchmark_hit(key.id, key.text, [hashes[i] for i in key.images], index, rule, solution=solution)
        found.add("hits", hit)
        return decided("decontaminate", key, [decision_on(key.id, hit)]), found

    # Solutions may be a hundred times as long as questions, so only those of one part are in memory at once.
    with_solution = (
        looked_up(keys[name], solution_of(meta) or "") for name, meta in metas(unit.files) if name in brought
    )
    without = (looked_up(key) for key in keys.values() if key.id not in brought)
    return gathered(DECONTAMINATE.tables, chain(with_solution, without))


def metas(questions: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Yield id and `meta` of the questions that may have a solution, part by part."""
    import pyarrow.compute as pc

    for path in questions:
        table = read_columns([path], Question, ["id", "meta"])
        told = table.filter(pc.match_substring(table["meta"], SOLUTION_FIELD))
        yield from zip(told["id"].to_pylist(), told["meta"].to_pylist(), strict=True)


DECONTAMINATE: Stage[DecontaminateSettings, Store] = Stage(
    name="decontaminate",
    version=2,
    kind="global",
    resource="cpu",
    settings=DecontaminateSettings,
    read=read,
    run=run,
    tables={"hits": BenchmarkHit},
)
