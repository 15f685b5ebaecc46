"""Dedup: questions that are one for training, over the whole input; one of each cluster goes on.

The whole input is read here, so this is also where answers are counted by the wording of their questions.
"""

from __future__ import annotations

from filters.answers import grader
from filters.dedup import templates
from filters.dedup.agreement import deduplicate
from filters.dedup.clusters import DedupSettings, QuestionRow, hashes_of
from filters.dedup.key import KEY_RECIPE
from filters.dedup.templates import TemplateRow, template_facts
from flows.asking.resources import Revisions
from flows.recipe.inputs import Inputs, Job
from flows.stages.fetching import question_keys
from flows.stages.outcomes import decided
from pipeline.engine.done import Done
from pipeline.engine.stage import Stage, StageSettings
from pipeline.engine.units import Reader, UnitInput, UnitOutput
from pipeline.identity import Revision
from pipeline.records import AnswerConflict, Cluster, ImageFacts, QuestionKey, TemplateFacts
from pipeline.store import Store


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
        lambda _: UnitInput(question_keys(done), done.columns("screen", "facts", ImageFacts)),
    )


def run(unit: UnitInput, settings: DedupStageSettings, store: Store) -> UnitOutput:
    """Cluster and decide; count what each wording is answered."""
    del store
    hashes = hashes_of(fact for fact in unit.context if isinstance(fact, ImageFacts))
    rows = [_row(record) for record in unit.records if isinstance(record, QuestionKey)]
    found = deduplicate(rows, hashes, settings.dedup)
    facts = template_facts([TemplateRow(row.question_id, row.text, row.answers, row.answer_type) for row in rows])
    decisions = {decision.record_id: decision for decision in found.decisions}
    # The columns are read once more, for a key has five times the size of what is decided on it.
    keys = (record for record in unit.records if isinstance(record, QuestionKey))
    outcomes = (decided("dedup", key, [decisions[key.id]]) for key in keys)
    tables = {"clusters": found.clusters, "conflicts": found.conflicts, "templates": facts}
    return UnitOutput(outcomes, tables)


def _row(key: QuestionKey) -> QuestionRow:
    return QuestionRow(
        key.id,
        key.text,
        key.images,
        answers=key.answers,
        answer_type=key.answer_type,
        tolerance=key.tolerance,
        choices=key.choices,
        offered=key.offered,
    )


DEDUP: Stage[DedupStageSettings, Store] = Stage(
    name="dedup",
    version=3,
    kind="global",
    resource="cpu",
    settings=DedupStageSettings,
    read=read,
    run=run,
    tables={"clusters": Cluster, "conflicts": AnswerConflict, "templates": TemplateFacts},
)
