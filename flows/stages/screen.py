"""Screen: has a row sense, does it ask who somebody is, are images intact, is its answer to check, needs it options?

Nothing here is paid for: what nobody could answer or learn is stopped before any model is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from filters.answers import chance
from filters.answers import grader as answers
from filters.rights.rules import RightsSettings, found_in_question, of_no_person, without_personal_data
from filters.screen.images import ImageBounds, image_intact
from filters.screen.listed_options import with_choices
from filters.screen.open_ended import to_open_ended
from filters.screen.questions import QuestionSettings, not_guessable, verifiable
from filters.screen.told import told_of_image, told_of_text
from filters.screen.well_formed import well_formed
from flows.asking.resources import Revisions
from flows.recipe.inputs import Inputs, Job
from flows.stages.outcomes import Found, decided, gathered
from pipeline.engine.done import Done
from pipeline.engine.stage import Stage, StageSettings
from pipeline.engine.units import Reader, UnitInput, UnitOutput
from pipeline.errors import InfrastructureError, RowError
from pipeline.identity import Place, Revision
from pipeline.images import (
    HASH_RECIPE,
    PIXEL_RECIPE,
    PerceptualHashes,
    contrast,
    decode,
    perceptual_hashes,
    pixel_hash,
)
from pipeline.records import Decision, ImageFacts, ImageRef, Outcome, PersonalData, Question
from pipeline.store import Store
from pipeline.store.blobs import BlobStore
from pipeline.students.family import Size, ViewRule
from pipeline.students.tokens import TokenCounter


class ScreenSettings(StageSettings):
    """What the screen sees of a recipe."""

    images: ImageBounds
    questions: QuestionSettings
    rights: RightsSettings
    views: tuple[ViewRule, ...] = ()
    """How the student is shown an image; each must be possible."""
    cutoff_len: int
    """Tokens that the student can learn of a row: a longer text leaves no room for an answer."""
    tokenizer: Place[Path | None] = None
    """Directory of what counts them; None: the estimate."""
    tokens: Revision[str] = ""
    """What it holds."""
    grader: Revision[int] = answers.VERSION
    chance: Revision[int] = chance.VERSION
    hashes: Revision[str] = HASH_RECIPE
    pixels: Revision[str] = PIXEL_RECIPE

    @classmethod
    def of(cls, job: Job, inputs: Inputs, revisions: Revisions) -> ScreenSettings:
        """Return the settings of a run."""
        del revisions
        recipe = job.recipe
        return cls(
            images=recipe.image_bounds,
            questions=recipe.questions,
            rights=recipe.rights.rules,
            views=recipe.student.view_rules,
            cutoff_len=recipe.student.cutoff_len,
            tokenizer=recipe.student.tokenizer,
            tokens=inputs.tokens.name,
        )


def read(done: Done, settings: ScreenSettings) -> Reader:
    """Hand over what ingest made."""
    del settings
    return Reader(
        done.stages["ingest"].counts.get("kept", 0),
        lambda span: UnitInput(tuple(done.records("ingest", "questions", Question, span))),
    )


def run(unit: UnitInput, settings: ScreenSettings, store: Store) -> UnitOutput:
    """Measure every image, then let the filters decide; what is kept leaves as it will be asked."""
    counter = _counter(settings.tokenizer)

    def words(decision: Decision, question: Question) -> str:
        return told_of_text(decision, question, settings.questions, settings.cutoff_len)

    def screened(question: Question) -> tuple[Outcome, Found]:
        tokens = counter.total((question.text, *question.choices))
        sense = well_formed(question, tokens, settings.cutoff_len)
        if sense.outcome == "keep":
            question = with_choices(question)
            sense = well_formed(question, tokens, settings.cutoff_len)
        if sense.outcome != "keep":
            return _with_words(decided("screen", question, [sense]), words(sense, question)), Found()
        measured = [image_facts(question, image, store.blobs, settings.views) for image in question.images]
        asked, decision = to_open_ended(question, settings.questions)
        personal = found_in_question(question if asked is None else asked)
        intact = [image_intact(fact, settings.images) for fact in measured]
        decisions = [
            of_no_person(question, personal, settings.rights),
            without_personal_data(question.id, personal, settings.rights.personal_data),
            *intact,
            decision,
        ]
        if asked is not None:
            decisions += [verifiable(asked, settings.questions), not_guessable(asked, settings.questions)]
        outcome, found = decided("screen", question, decisions), Found()
        if (stopped := next((one for one in decisions if one.outcome != "keep"), None)) is not None:
            shown = next((fact for one, fact in zip(intact, measured, strict=True) if one is stopped), None)
            told = (
                words(stopped, question if asked is None else asked)
                if shown is None
                else told_of_image(stopped, shown, settings.images)
            )
            outcome = _with_words(outcome, told)
        known_as = asked if outcome.outcome == "kept" and asked is not None else question
        named = {"record_id": known_as.id, "question_id": known_as.id}
        found.add("personal", *(fact.model_copy(update=named) for fact in personal))
        if outcome.outcome == "kept":
            if asked is None:
                raise InfrastructureError(f"screen kept question {question.id} without a form to ask it in")
            found.add("questions", asked)
            found.add("facts", *(fact.model_copy(update={"question_id": asked.id}) for fact in measured))
        return outcome, found

    return gathered(SCREEN.tables, (screened(question) for question in unit.records if isinstance(question, Question)))


def _with_words(outcome: Outcome, told: str) -> Outcome:
    return outcome.model_copy(update={"detail": f"{outcome.detail}: {told}"}) if told else outcome


@lru_cache(maxsize=1)
def _counter(tokenizer: Path | None) -> TokenCounter:
    """Open a tokenizer once per process: its file has several megabytes."""
    return TokenCounter.open(tokenizer)


def image_facts(
    question: Question,
    image: ImageRef,
    blobs: BlobStore,
    views: Sequence[ViewRule] = (),
) -> ImageFacts:
    """Return what one image shows. Not to decode is a fact, not an error."""
    found = _measured(image.sha256, blobs)
    seen = None if isinstance(found, RowError) else found
    error = found if isinstance(found, RowError) else _refused_view(image, views)
    return ImageFacts(
        question_id=question.id,
        sha256=image.sha256,
        width=image.width,
        height=image.height,
        phash=seen and seen.hashes.phash,
        dhash=seen and seen.hashes.dhash,
        hash_recipe=HASH_RECIPE,
        contrast=seen and seen.contrast,
        frames=image.frames,
        scaling=image.scaling,
        error=error and error.reason,
        pixels=seen and seen.pixels,
        mirrored_phash=seen and seen.hashes.mirrored_phash,
        mirrored_dhash=seen and seen.hashes.mirrored_dhash,
    )


class _Shown(NamedTuple):
    """What was measured on an image."""

    hashes: PerceptualHashes
    pixels: str
    contrast: int


@lru_cache(maxsize=65_536)
def _measured(sha256: str, blobs: BlobStore) -> _Shown | RowError:
    """Measure an image once per process, for many questions share one; what is kept of it has some 500 bytes."""
    return _measure(blobs.get(sha256))


def _measure(content: bytes) -> _Shown | RowError:
    try:
        image = decode(content)
        return _Shown(perceptual_hashes(image), pixel_hash(image), contrast(image))
    except RowError as error:
        return RowError(error.reason, error.detail)  # without its traceback, which holds the picture


def _refused_view(image: ImageRef, views: Sequence[ViewRule]) -> RowError | None:
    """Return why the student's processor takes no view of an image, so that no rollout has to find it out."""
    try:
        for rule in views:
            rule.size(Size(image.width, image.height))
    except RowError as error:
        return error
    return None


SCREEN: Stage[ScreenSettings, Store] = Stage(
    name="screen",
    version=4,
    kind="map",
    resource="cpu",
    settings=ScreenSettings,
    read=read,
    run=run,
    tables={"questions": Question, "facts": ImageFacts, "personal": PersonalData},
)
