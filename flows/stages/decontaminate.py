"""Decontaminate: questions of a benchmark are stopped before anything is spent on them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from filters.contamination import Benchmark, ContaminationSettings, contaminated, index_benchmarks
from flows.curation import Curation, Work, kept_ids, question_keys, run_in_worker
from flows.stages.common import decided
from flows.stages.dedup import image_hashes
from pipeline.records import ImageFacts, QuestionKey
from pipeline.stage import Range, Stage, UnitInput, UnitOutput, UnitResult


def work(curation: Curation, stage: Stage) -> Work:
    """Compare what dedup kept with every benchmark of the recipe, in a worker process."""
    screened = curation.done["screen"]
    ids = kept_ids(curation.done["dedup"])
    run = partial(decontaminate_unit, benchmarks=curation.inputs.benchmarks, settings=curation.job.recipe.decontaminate)

    def unit(span: Range, _: int) -> UnitResult:
        facts = tuple(fact for fact in screened.read("facts", ImageFacts) if fact.question_id in ids)
        whole = UnitInput(tuple(question_keys(screened, ids)), facts)
        return run_in_worker(curation, stage, span, whole, run)

    return Work(len(ids), unit)


def decontaminate_unit(unit: UnitInput, benchmarks: Sequence[Benchmark], settings: ContaminationSettings) -> UnitOutput:
    """Decide on every question."""
    index, hashes = index_benchmarks(benchmarks, settings), image_hashes(unit)
    keys = [record for record in unit.records if isinstance(record, QuestionKey)]
    return UnitOutput(
        tuple(
            decided(
                "decontaminate",
                key,
                [contaminated(key.id, key.text, [hashes[image] for image in key.images], index, settings)],
            )
            for key in keys
        ),
        {},
    )
