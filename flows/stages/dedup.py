"""Dedup: questions that are one for training, over the whole input; one of each cluster goes on.

The whole input is read here, so this is also where answers are counted by the wording of their questions.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, cast

from filters.answers import grader
from filters.dedup import templates
from filters.dedup.agreement import RULE, deduplicate
from filters.dedup.clusters import DedupSettings, QuestionRow, hashes_of
from filters.dedup.key import KEY_RECIPE
from filters.dedup.templates import TemplateCounts, TemplateRow
from flows.asking.resources import Revisions
from flows.recipe.inputs import Inputs, Job
from flows.stages.fetching import picture_keys, question_keys
from flows.stages.outcomes import decided_all
from pipeline.engine.done import Done
from pipeline.engine.stage import Stage, StageSettings
from pipeline.engine.units import Reader, UnitInput, UnitOutput
from pipeline.identity import Revision
from pipeline.processes import cores
from pipeline.records import AnswerConflict, Cluster, NearText, PictureKey, QuestionKey, TemplateFacts
from pipeline.store import Store
from pipeline.store.shards import columns_of

T = TypeVar("T", bound=Hashable)

_SHARED = 1 << 18
"""Values that are held to be shared: some 50 MB. Where nearly all differ, more would cost what they save."""


class DedupStageSettings(StageSettings):
    """What dedup sees of a recipe."""

    dedup: DedupSettings
    templates: Revision[int] = templates.VERSION
    grader: Revision[int] = grader.VERSION
    key: Revision[str] = KEY_RECIPE

    @classmethod
    def of(cls, job: Job, inputs: Inputs, revisions: Revisions) -> DedupStageSettings:
        """Return the settings of a run."""
        del inputs, revisions
        recipe = job.recipe
        return cls(dedup=recipe.dedup)


def read(done: Done, settings: DedupStageSettings) -> Reader:
    """Hand over all screened questions, with the hashes of their images."""
    del settings
    return Reader(
        done.stages["screen"].counts.get("kept", 0),
        lambda _: UnitInput(question_keys(done), picture_keys(done)),
    )


def run(unit: UnitInput, settings: DedupStageSettings, store: Store) -> UnitOutput:
    """Cluster and decide; count what each wording is answered."""
    del store
    keys, hashes = columns_of(QuestionKey, unit.records), hashes_of(columns_of(PictureKey, unit.context))
    templates = TemplateCounts()
    # The one unit of a global stage works while no other does, so that every core is its own.
    with ThreadPoolExecutor(cores()) as threads:
        found = deduplicate(_rows(keys, templates), hashes, settings.dedup, spread=threads.map)
    tables = {
        "clusters": found.clusters,
        "conflicts": found.conflicts,
        "near_texts": found.near_texts,
        "templates": templates.facts(),
    }
    return UnitOutput(decided_all("dedup", keys, found.reasons, by=RULE.name), tables)


def _rows(keys: Iterable[QuestionKey], templates: TemplateCounts) -> Iterator[QuestionRow]:
    """Yield the columns that are compared, and count each question: its text is taken apart once for both.

    Values that many questions share are held once.
    """
    shared: dict[object, object] = {}

    def once(value: T) -> T:
        if len(shared) >= _SHARED:
            shared.clear()
        return cast("T", shared.setdefault(value, value))

    for key in keys:
        templates.add(TemplateRow(key.id, key.text, key.answers, key.answer_type))
        yield QuestionRow(
            key.id,
            key.text,
            once(key.images),
            answers=once(key.answers),
            answer_type=once(key.answer_type),
            tolerance=key.tolerance,
            choices=once(key.choices),
            offered=once(key.offered),
        )


DEDUP: Stage[DedupStageSettings, Store] = Stage(
    name="dedup",
    version=4,
    kind="global",
    resource="cpu",
    settings=DedupStageSettings,
    read=read,
    run=run,
    tables={
        "clusters": Cluster,
        "conflicts": AnswerConflict,
        "near_texts": NearText,
        "templates": TemplateFacts,
    },
)
