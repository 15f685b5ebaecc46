"""Dedup: questions that are one for training, over the whole input; one of each cluster goes on.

The whole input is read here, so this is also where answers are counted by the wording of their questions.
"""

from __future__ import annotations

from functools import partial

from filters.dedup.clusters import DedupSettings, ImageHashes, QuestionRow, cluster_questions, dedup_decisions
from filters.dedup.templates import TemplateRow, template_facts
from flows.stages.common import decided
from flows.stages.curation import Curation, Work, question_keys, run_in_worker
from pipeline.engine.stage import Stage
from pipeline.engine.units import Range, UnitInput, UnitOutput, UnitResult
from pipeline.records import ImageFacts, QuestionKey


def work(curation: Curation, stage: Stage) -> Work:
    """Cluster all screened questions in a worker process."""
    screened = curation.done["screen"]

    def unit(span: Range, _: int) -> UnitResult:
        whole = UnitInput(tuple(question_keys(screened)), tuple(screened.read("facts", ImageFacts)))
        run = partial(dedup_unit, settings=curation.job.recipe.dedup)
        return run_in_worker(curation, stage, span, whole, run)

    return Work(screened.counts["kept"], unit)


def dedup_unit(unit: UnitInput, settings: DedupSettings) -> UnitOutput:
    """Cluster and decide; count what each wording is answered."""
    keys = {record.id: record for record in unit.records if isinstance(record, QuestionKey)}
    rows = [QuestionRow(key.id, asked(key), key.images) for key in keys.values()]
    clusters = cluster_questions(rows, image_hashes(unit), settings)
    outcomes = (decided("dedup", keys[decision.record_id], [decision]) for decision in dedup_decisions(clusters))
    templates = template_facts([TemplateRow(key.id, key.text, key.answers, key.answer_type) for key in keys.values()])
    return UnitOutput(tuple(outcomes), {"clusters": clusters, "templates": templates})


def asked(key: QuestionKey) -> str:
    """Return what two questions have to share to be one: their text, and what is right where they give options.

    "Which of these is shown?" is another question over other options. Only the right one is looked at: beside other
    wrong ones the question teaches the same.
    """
    return "\n".join((key.text, *sorted(key.answers))) if key.answer_type == "choice" else key.text


def image_hashes(unit: UnitInput) -> dict[str, ImageHashes]:
    """Return the hashes of the images that a unit came with, by sha256; what did not decode has none."""
    return {
        fact.sha256: ImageHashes(fact.phash, fact.dhash, fact.width, fact.height, fact.hash_recipe)
        for fact in unit.context
        if isinstance(fact, ImageFacts) and fact.phash is not None and fact.dhash is not None
    }
