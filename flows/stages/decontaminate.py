"""Decontaminate: questions of a benchmark are stopped before anything is spent on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from filters.dedup.contamination import Benchmark, ContaminationSettings, contaminated, index_benchmarks
from filters.validate.long_cot import SOLUTION_FIELD, solution_of
from flows.stages.common import decided
from flows.stages.curation import Curation, Work, kept_ids, question_keys, run_in_worker
from flows.stages.dedup import image_hashes
from pipeline.engine.stage import Stage
from pipeline.engine.units import Range, UnitInput, UnitOutput, UnitResult
from pipeline.identity import digest
from pipeline.records import ImageFacts, Outcome, Question, QuestionKey, Record
from pipeline.store.shards import read_columns


class SolutionKey(Record):
    """That a question brought a solution along, and which; the text is read where it is needed."""

    question_id: str
    meta: str
    """sha256 of `Question.meta`, which holds the solution: another one is new input."""


def work(curation: Curation, stage: Stage) -> Work:
    """Compare what dedup kept with every benchmark of the recipe, in a worker process."""
    screened, benchmarks = curation.done["screen"], curation.inputs.benchmarks
    ids = kept_ids(curation.done["dedup"])
    paths = screened.paths("questions") if benchmarks else []
    run = partial(
        decontaminate_unit, benchmarks=benchmarks, settings=curation.job.recipe.decontaminate, questions=paths
    )

    def unit(span: Range, _: int) -> UnitResult:
        facts = tuple(fact for fact in screened.read("facts", ImageFacts) if fact.question_id in ids)
        brought = (SolutionKey(question_id=name, meta=digest(meta)) for name, meta in metas(paths) if name in ids)
        whole = UnitInput(tuple(question_keys(screened, ids)), (*facts, *brought))
        return run_in_worker(curation, stage, span, whole, run)

    return Work(len(ids), unit)


def decontaminate_unit(
    unit: UnitInput, benchmarks: Sequence[Benchmark], settings: ContaminationSettings, questions: Sequence[Path] = ()
) -> UnitOutput:
    """Decide on every question; `questions` are the parts to read solutions from, for those that have a key."""
    index, hashes = index_benchmarks(benchmarks, settings), image_hashes(unit)
    keys = {record.id: record for record in unit.records if isinstance(record, QuestionKey)}
    brought = {record.question_id for record in unit.context if isinstance(record, SolutionKey)}

    def outcome(key: QuestionKey, solution: str = "") -> Outcome:
        images = [hashes[image] for image in key.images]
        decision = contaminated(key.id, key.text, images, index, settings, solution=solution)
        return decided("decontaminate", key, [decision])

    # Solutions may be a hundred times as long as questions, so only those of one part are in memory at once.
    with_solution = (outcome(keys[name], solution_of(meta) or "") for name, meta in metas(questions) if name in brought)
    without = (outcome(key) for key in keys.values() if key.id not in brought)
    return UnitOutput((*with_solution, *without), {})


def metas(questions: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Yield id and `meta` of the questions that may have a solution, part by part."""
    import pyarrow.compute as pc

    for path in questions:
        table = read_columns([path], Question, ["id", "meta"])
        told = table.filter(pc.match_substring(table["meta"], SOLUTION_FIELD))
        yield from zip(told["id"].to_pylist(), told["meta"].to_pylist(), strict=True)
