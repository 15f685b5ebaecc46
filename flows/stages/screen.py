"""Screen: are the images intact, is the answer verifiable, can the question stand without options?"""

from __future__ import annotations

from functools import partial

from filters.images import ImageSettings, image_intact
from filters.questions import QuestionSettings, to_open_ended, verifiable
from flows.curation import Curation, Work, run_in_worker
from flows.stages.common import decided
from pipeline.errors import InfrastructureError, RowError
from pipeline.images import HASH_RECIPE, decode, perceptual_hashes
from pipeline.records import ImageFacts, ImageRef, Outcome, Question
from pipeline.stage import Range, Stage, UnitInput, UnitOutput, UnitResult
from pipeline.store.blobs import BlobStore


def work(curation: Curation, stage: Stage) -> Work:
    """Screen each range of what ingest made in a worker process."""
    recipe, ingested = curation.job.recipe, curation.done["ingest"]
    run = partial(screen_unit, images=recipe.images, questions=recipe.questions, blobs=curation.driver.blobs)

    def unit(span: Range, _: int) -> UnitResult:
        mine = UnitInput(tuple(ingested.read("questions", Question, span)))
        return run_in_worker(curation, stage, span, mine, run)

    return Work(ingested.counts["kept"], unit)


def screen_unit(unit: UnitInput, images: ImageSettings, questions: QuestionSettings, blobs: BlobStore) -> UnitOutput:
    """Measure every image, then let the filters decide; what is kept leaves open-ended."""
    outcomes: list[Outcome] = []
    kept: list[Question] = []
    facts: list[ImageFacts] = []
    for question in unit.records:
        assert isinstance(question, Question)  # noqa: S101 - tells mypy what the wiring guarantees
        measured = [image_facts(question, image, blobs) for image in question.images]
        opened, decision = to_open_ended(question)
        decisions = [*(image_intact(fact, images) for fact in measured), decision]
        if opened is not None:
            decisions.append(verifiable(opened, questions))
        outcome = decided("screen", question, decisions)
        outcomes.append(outcome)
        if outcome.outcome == "kept":
            if opened is None:
                raise InfrastructureError(f"screen kept question {question.id} without an open-ended form")
            kept.append(opened)
            facts += [fact.model_copy(update={"question_id": opened.id}) for fact in measured]
    kept.sort(key=lambda question: question.id)
    facts.sort(key=lambda fact: (fact.question_id, fact.sha256))
    return UnitOutput(tuple(outcomes), {"questions": tuple(kept), "facts": tuple(facts)})


def image_facts(question: Question, image: ImageRef, blobs: BlobStore) -> ImageFacts:
    """Decode one image and hash what it shows; a failure to decode is a fact, not an error."""
    try:
        hashes = perceptual_hashes(decode(blobs.get(image.sha256)))
    except RowError as error:
        return _facts(question, image, None, None, error.reason)
    return _facts(question, image, hashes.phash, hashes.dhash, None)


def _facts(question: Question, image: ImageRef, phash: int | None, dhash: int | None, error: str | None) -> ImageFacts:
    return ImageFacts(
        question_id=question.id,
        sha256=image.sha256,
        width=image.width,
        height=image.height,
        phash=phash,
        dhash=dhash,
        hash_recipe=HASH_RECIPE,
        error=error,
    )
