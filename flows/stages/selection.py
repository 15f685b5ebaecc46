"""Select: one trajectory per question cluster for SFT, questions for RL, and no cluster in both."""

from __future__ import annotations

from functools import partial

from filters.selection import RlCandidate, SelectionSettings, SftCandidate, select
from flows.curation import Curation, Work, kept_ids, question_keys, run_in_worker
from flows.stages.common import decided, key_outcome
from pipeline.identity import digest
from pipeline.records import Cluster, GateCount, QuestionKey, Record, TrajectoryKey
from pipeline.stage import Range, Stage, UnitInput, UnitOutput, UnitResult


def work(curation: Curation, stage: Stage) -> Work:
    """Choose among all valid trajectories and all questions that gate 2 sent to RL, in a worker process."""
    done = curation.done
    valid, rl = kept_ids(done["validate"]), kept_ids(done["gate2"], "rl")
    run = partial(select_unit, settings=curation.job.recipe.select)

    def unit(span: Range, _: int) -> UnitResult:
        keys = tuple(done["validate"].read("keys", TrajectoryKey))
        involved = rl | {key.question_id for key in keys}
        questions = {key.id: key for key in question_keys(done["screen"], involved)}
        records: list[Record] = [*keys, *(question for question in questions.values() if question.id in rl)]
        context: list[Record] = [question for question in questions.values() if question.id not in rl]
        context += [cluster for cluster in done["dedup"].read("clusters", Cluster) if cluster.question_id in involved]
        context += [count for count in done["gate2"].read("counts", GateCount) if count.question_id in rl]
        whole = UnitInput(tuple(records), tuple(context))
        return run_in_worker(curation, stage, span, whole, run)

    return Work(len(valid) + len(rl), unit)


def select_unit(unit: UnitInput, settings: SelectionSettings) -> UnitOutput:
    """Decide on every trajectory and every RL question."""
    questions = {r.id: r for r in (*unit.records, *unit.context) if isinstance(r, QuestionKey)}
    clusters = {r.question_id: r.cluster_id for r in unit.context if isinstance(r, Cluster)}
    saturated = {r.question_id: r.saturated for r in unit.context if isinstance(r, GateCount)}
    trajectories = {r.id: r for r in unit.records if isinstance(r, TrajectoryKey)}
    rl = [
        RlCandidate(r.id, clusters[r.id], r.category, saturated[r.id])
        for r in unit.records
        if isinstance(r, QuestionKey)
    ]
    sft = [
        SftCandidate(
            trajectory_id=key.id,
            question_id=key.question_id,
            cluster_id=clusters[key.question_id],
            category=key.category,
            sample=key.sample,
            skeleton=key.skeleton,
            images=digest(questions[key.question_id].images),
        )
        for key in trajectories.values()
    ]
    chosen = select(rl, sft, settings)
    outcomes = [decided("select", questions[d.record_id], [d], route="rl") for d in chosen.rl]
    for decision in chosen.sft:
        key = trajectories[decision.record_id]
        against = None if decision.outcome == "keep" else decision
        outcomes.append(key_outcome("select", key, questions[key.question_id], against))
    return UnitOutput(tuple(outcomes), {})
