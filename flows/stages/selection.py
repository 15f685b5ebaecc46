"""Select: one trajectory per question cluster for SFT, in the mix asked for, questions for RL, no cluster in both."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from filters.selection.choose import RlCandidate, SelectionSettings, SftCandidate, select
from filters.selection.mix import UnmetMixError
from flows.stages.common import decided, key_outcome
from flows.stages.curation import Curation, Work, kept_ids, question_keys, run_in_worker
from pipeline.engine.stage import Stage
from pipeline.engine.units import Range, UnitInput, UnitOutput, UnitResult
from pipeline.errors import UsageError
from pipeline.identity import digest
from pipeline.records import ArmCount, Cluster, GateCount, QuestionKey, Record, TrajectoryKey


def work(curation: Curation, stage: Stage) -> Work:
    """Choose among all valid trajectories and all questions that gate 2 sent to RL, in a worker process."""
    done, recipe = curation.done, curation.job.recipe
    valid, rl = kept_ids(done["validate"]), kept_ids(done["gate2"], "rl")
    run = partial(select_unit, settings=recipe.select, max_plain_right=recipe.gate.max_plain_right)

    def unit(span: Range, _: int) -> UnitResult:
        keys = tuple(done["validate"].read("keys", TrajectoryKey))
        involved = rl | {key.question_id for key in keys}
        questions = {key.id: key for key in question_keys(done["screen"], involved)}
        records: list[Record] = [*keys, *(question for question in questions.values() if question.id in rl)]
        context: list[Record] = [question for question in questions.values() if question.id not in rl]
        context += [cluster for cluster in done["dedup"].read("clusters", Cluster) if cluster.question_id in involved]
        context += [count for count in done["gate2"].read("counts", GateCount) if count.question_id in rl]
        context += _as_deployed(curation, involved)
        whole = UnitInput(tuple(records), tuple(context))
        return run_in_worker(curation, stage, span, whole, run)

    return Work(len(valid) + len(rl), unit)


def _as_deployed(curation: Curation, questions: frozenset[str]) -> Iterator[ArmCount]:
    """Yield what the student did without tools at the size it is deployed with; nothing if the recipe has none."""
    budget = curation.job.recipe.student.deploy_pixels
    for count in curation.done["gate1"].read("arms", ArmCount):
        if count.arm == "pixels" and count.max_pixels == budget and count.question_id in questions:
            yield count


def select_unit(unit: UnitInput, settings: SelectionSettings, max_plain_right: int) -> UnitOutput:
    """Decide on every trajectory and every RL question.

    A question is hard by our resizing alone if gate 1, asked at the size of deployment, would call it too easy.

    Raises:
        UsageError: the mix asks for a group that has no trajectory.
    """
    questions = {r.id: r for r in (*unit.records, *unit.context) if isinstance(r, QuestionKey)}
    clusters = {r.question_id: r.cluster_id for r in unit.context if isinstance(r, Cluster)}
    saturated = {r.question_id: r.saturated for r in unit.context if isinstance(r, GateCount)}
    artifacts = {r.question_id for r in unit.context if isinstance(r, ArmCount) and r.right > max_plain_right}
    trajectories = {r.id: r for r in unit.records if isinstance(r, TrajectoryKey)}
    rl = [
        RlCandidate(r.id, clusters[r.id], r.category, saturated[r.id], r.id in artifacts)
        for r in unit.records
        if isinstance(r, QuestionKey)
    ]
    sft = [
        _sft_candidate(key, questions[key.question_id], clusters[key.question_id], key.question_id in artifacts)
        for key in trajectories.values()
    ]
    try:
        chosen = select(rl, sft, settings)
    except UnmetMixError as error:
        raise UsageError(str(error)) from error
    outcomes = [decided("select", questions[d.record_id], [d], route="rl") for d in chosen.rl]
    for decision in chosen.sft:
        key = trajectories[decision.record_id]
        against = None if decision.outcome == "keep" else decision
        outcomes.append(key_outcome("select", key, questions[key.question_id], against))
    return UnitOutput(tuple(outcomes), {})


def _sft_candidate(key: TrajectoryKey, question: QuestionKey, cluster_id: str, artifact: bool) -> SftCandidate:
    return SftCandidate(
        trajectory_id=key.id,
        question_id=key.question_id,
        cluster_id=cluster_id,
        category=key.category,
        lane=key.lane,
        sample=key.sample,
        skeleton=key.skeleton,
        images=digest(question.images) if question.images else "",
        loss_tokens=key.loss_tokens,
        resolution_artifact=artifact,
    )
