"""Decontaminate: questions of a benchmark are stopped before anything is spent on them."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from itertools import chain
from pathlib import Path

from filters.dedup.clusters import hashes_of
from filters.dedup.contamination import (
    RULE,
    Benchmark,
    ContaminationSettings,
    benchmark_hit,
    decision_on,
    index_benchmarks,
)
from filters.validate.long_cot import SOLUTION_FIELD, solution_of
from flows.asking.resources import Revisions
from flows.recipe.inputs import Inputs, Job
from flows.stages.fetching import picture_keys, question_keys
from flows.stages.outcomes import decided_all
from pipeline.engine.done import Done
from pipeline.engine.stage import Stage, StageSettings
from pipeline.engine.units import Range, Reader, UnitInput, UnitOutput
from pipeline.identity import digest
from pipeline.records import BenchmarkHit, PictureKey, Question, QuestionKey, SolutionKey
from pipeline.store import Store
from pipeline.store.shards import RecordColumns, Together, columns_of, read_columns


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
        brought = (SolutionKey(question_id=name, meta=digest(meta)) for name, meta in metas(paths) if name in ids)
        context = Together(picture_keys(done, ids), RecordColumns.of(SolutionKey, brought))
        return UnitInput(question_keys(done, ids), context, paths)

    return Reader(len(ids), unit)


def run(unit: UnitInput, settings: DecontaminateSettings, store: Store) -> UnitOutput:
    """Compare every question, and the solution that it may have brought, with every benchmark."""
    del store
    keys, rule = columns_of(QuestionKey, unit.records), settings.decontaminate
    index = index_benchmarks(settings.benchmarks)
    hashes = hashes_of(record for record in unit.context if isinstance(record, PictureKey))
    brought = {record.question_id for record in unit.context if isinstance(record, SolutionKey)}
    # Solutions may be a hundred times as long as questions, so only those of one part are in memory at once.
    with_solution = ((key, solution_of(meta) or "") for key, meta in _with_metas(keys, unit.files, brought))
    without = ((key, "") for key in keys if key.id not in brought)
    found = (
        benchmark_hit(key.id, key.text, [hashes[i] for i in key.images], index, rule, solution=solution)
        for key, solution in chain(with_solution, without)
    )
    hits = {hit.question_id: hit for hit in found if hit is not None}
    decisions = (decision_on(name, hit) for name, hit in hits.items())
    stopped = {decision.record_id: decision for decision in decisions if decision.outcome != "keep"}
    said = [stopped.get(name) for name in sorted(keys.table["id"].to_pylist())]
    outcomes = decided_all(
        "decontaminate",
        keys,
        [None if decision is None else decision.reason for decision in said],
        by=RULE.name,
        scores=[None if decision is None else decision.score for decision in said],
    )
    return UnitOutput(outcomes, {"hits": [hits[name] for name in sorted(hits)]})


def _with_metas(
    keys: RecordColumns[QuestionKey], files: Sequence[Path], brought: Container[str]
) -> Iterator[tuple[QuestionKey, str]]:
    """Yield the questions that brought a solution, each with its `meta`."""
    import pyarrow as pa

    place_of = {name: place for place, name in enumerate(keys.table["id"].to_pylist()) if name in brought}
    for path in files:
        told = [(place_of[name], meta) for name, meta in metas([path]) if name in brought]
        some = RecordColumns(QuestionKey, keys.table.take(pa.array([place for place, _ in told], pa.int64())))
        yield from zip(some, (meta for _, meta in told), strict=True)


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
