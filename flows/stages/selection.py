"""Select: one trajectory per question cluster for SFT, in the mix asked for, questions for RL, no cluster in both."""

from __future__ import annotations

from filters.selection.choose import RlCandidate, SelectionSettings, SftCandidate, select
from filters.selection.mix import UnmetMixError
from flows.asking.resources import Revisions
from flows.recipe.inputs import Inputs, Job
from flows.stages.fetching import question_keys
from flows.stages.outcomes import decided, key_outcome
from pipeline.engine.done import Done
from pipeline.engine.stage import Stage, StageSettings
from pipeline.engine.units import Range, Reader, UnitInput, UnitOutput
from pipeline.errors import UsageError
from pipeline.identity import digest
from pipeline.records import ArmCount, Cluster, GateCount, QuestionKey, Record, TrajectoryKey
from pipeline.store import Store


class SelectSettings(StageSettings):
    """What selection sees of a recipe."""

    select: SelectionSettings
    deploy_pixels: int | None
    """A question is hard by our resizing alone if gate 1, asked at this size, would call it too easy."""

    @classmethod
    def of(cls, job: Job, inputs: Inputs, revisions: Revisions) -> SelectSettings:
        """Return the settings of a run."""
        del inputs, revisions
        recipe = job.recipe
        return cls(
            select=recipe.select,
            deploy_pixels=recipe.student.deploy_pixels,
        )


def read(done: Done, settings: SelectSettings) -> Reader:
    """Hand over the keys of all valid trajectories, and the questions that gate 2 sent to RL."""
    valid, rl = done.kept("validate"), done.kept("gate2", "rl")

    def unit(_: Range) -> UnitInput:
        keys = tuple(done.records("validate", "keys", TrajectoryKey))
        involved = rl | {key.question_id for key in keys}
        questions = list(question_keys(done, involved))
        records: list[Record] = [*keys, *(question for question in questions if question.id in rl)]
        context: list[Record] = [question for question in questions if question.id not in rl]
        context += [c for c in done.records("dedup", "clusters", Cluster) if c.question_id in involved]
        context += [count for count in done.records("gate2", "counts", GateCount) if count.question_id in rl]
        context += [
            count
            for count in done.records("gate1", "arms", ArmCount)
            if (count.arm, count.max_pixels) == ("pixels", settings.deploy_pixels) and count.question_id in involved
        ]
        return UnitInput(tuple(records), tuple(context))

    return Reader(len(valid) + len(rl), unit)


def run(unit: UnitInput, settings: SelectSettings, store: Store) -> UnitOutput:
    """Decide on every trajectory and every RL question.

    Raises:
        UsageError: the mix asks for a group that has no trajectory.
    """
    del store
    questions = {r.id: r for r in (*unit.records, *unit.context) if isinstance(r, QuestionKey)}
    clusters = {r.question_id: r for r in unit.context if isinstance(r, Cluster)}
    saturated = {r.question_id: r.saturated for r in unit.context if isinstance(r, GateCount)}
    artifacts = {r.question_id for r in unit.context if isinstance(r, ArmCount) and r.above}
    trajectories = {r.id: r for r in unit.records if isinstance(r, TrajectoryKey)}
    rl = [
        RlCandidate(
            r.id,
            (own := clusters[r.id]).cluster_id,
            r.category,
            saturated=saturated[r.id],
            resolution_artifact=r.id in artifacts,
            pictures=own.pictures,
            representative=own.representative,
        )
        for r in unit.records
        if isinstance(r, QuestionKey)
    ]
    sft = [
        _sft_candidate(key, questions[key.question_id], clusters[key.question_id], key.question_id in artifacts)
        for key in trajectories.values()
    ]
    try:
        chosen = select(rl, sft, settings.select)
    except UnmetMixError as error:
        raise UsageError(str(error)) from error
    outcomes = [decided("select", questions[d.record_id], [d], route="rl") for d in chosen.rl]
    for decision in chosen.sft:
        key = trajectories[decision.record_id]
        against = None if decision.outcome == "keep" else decision
        outcomes.append(key_outcome("select", key, questions[key.question_id], against))
    return UnitOutput(tuple(outcomes), {})


def _sft_candidate(key: TrajectoryKey, question: QuestionKey, cluster: Cluster, artifact: bool) -> SftCandidate:
    return SftCandidate(
        trajectory_id=key.id,
        question_id=key.question_id,
        cluster_id=cluster.cluster_id,
        category=key.category,
        lane=key.lane,
        sample=key.sample,
        skeleton=key.skeleton,
        images=digest(question.images) if question.images else "",
        loss_tokens=key.loss_tokens,
        resolution_artifact=artifact,
        pictures=cluster.pictures,
        representative=cluster.representative,
    )


SELECT: Stage[SelectSettings, Store] = Stage(
    name="select",
    version=3,
    kind="global",
    resource="cpu",
    settings=SelectSettings,
    read=read,
    run=run,
    tables={},
)
