"""Screen: are the images intact, is the answer verifiable and no mere guess, are options needed?"""

from __future__ import annotations

from functools import partial

from filters.screen.images import ImageBounds, image_intact
from filters.screen.open_ended import to_open_ended
from filters.screen.questions import QuestionSettings, not_guessable, verifiable
from flows.stages.common import decided
from flows.stages.curation import Curation, Work, run_in_worker
from pipeline.engine.stage import Stage
from pipeline.engine.units import Range, UnitInput, UnitOutput, UnitResult
from pipeline.errors import InfrastructureError, RowError
from pipeline.images import HASH_RECIPE, PerceptualHashes, decode, perceptual_hashes
from pipeline.records import ImageFacts, ImageRef, Outcome, Question
from pipeline.store.blobs import BlobStore


def work(curation: Curation, stage: Stage) -> Work:
    """Screen each range of what ingest made in a worker process."""
    recipe, ingested = curation.job.recipe, curation.done["ingest"]
    run = partial(screen_unit, images=recipe.image_bounds, questions=recipe.questions, blobs=curation.store.blobs)

    def unit(span: Range, _: int) -> UnitResult:
        mine = UnitInput(tuple(ingested.read("questions", Question, span)))
        return run_in_worker(curation, stage, span, mine, run)

    return Work(ingested.counts["kept"], unit)


def screen_unit(unit: UnitInput, images: ImageBounds, questions: QuestionSettings, blobs: BlobStore) -> UnitOutput:
    """Measure every image, then let the filters decide; what is kept leaves as it will be asked."""
    outcomes: list[Outcome] = []
    kept: list[Question] = []
    facts: list[ImageFacts] = []
    shown: dict[str, PerceptualHashes | RowError] = {}  # several questions share an image
    for question in unit.records:
        assert isinstance(question, Question)  # noqa: S101 - tells mypy what the wiring guarantees
        measured = [image_facts(question, image, shown, blobs) for image in question.images]
        asked, decision = to_open_ended(question, questions)
        decisions = [*(image_intact(fact, images) for fact in measured), decision]
        if asked is not None:
            decisions += [verifiable(asked, questions), not_guessable(asked, questions)]
        outcome = decided("screen", question, decisions)
        outcomes.append(outcome)
        if outcome.outcome == "kept":
            if asked is None:
                raise InfrastructureError(f"screen kept question {question.id} without a form to ask it in")
            kept.append(asked)
            facts += [fact.model_copy(update={"question_id": asked.id}) for fact in measured]
    kept.sort(key=lambda question: question.id)
    facts.sort(key=lambda fact: (fact.question_id, fact.sha256))
    return UnitOutput(tuple(outcomes), {"questions": tuple(kept), "facts": tuple(facts)})


def image_facts(
    question: Question, image: ImageRef, shown: dict[str, PerceptualHashes | RowError], blobs: BlobStore
) -> ImageFacts:
    """Return what one image shows, measured once: `shown` keeps it by sha256. Not to decode is a fact, not an error."""
    if image.sha256 not in shown:
        shown[image.sha256] = _measure(blobs.get(image.sha256))
    found = shown[image.sha256]
    hashes = None if isinstance(found, RowError) else found
    return ImageFacts(
        question_id=question.id,
        sha256=image.sha256,
        width=image.width,
        height=image.height,
        phash=hashes and hashes.phash,
        dhash=hashes and hashes.dhash,
        hash_recipe=HASH_RECIPE,
        error=found.reason if isinstance(found, RowError) else None,
    )


def _measure(content: bytes) -> PerceptualHashes | RowError:
    try:
        return perceptual_hashes(decode(content))
    except RowError as error:
        return error
