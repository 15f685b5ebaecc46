"""Validate: every finished attempt of a teacher against every validator, replay last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from filters.gates.lanes import lane_of
from filters.turns import argument
from filters.validate.long_cot import LongCotSettings, Retagged, long_cot
from filters.validate.rules import ValidatorSettings, accept, replayed
from filters.validate.syntax import skeleton
from flows.asking.observations import observation_facts
from flows.stages.common import gather_all, persistent, trajectory_outcome
from flows.stages.curation import Curation, Work, kept_ids, questions_of
from pipeline.dialects import by_name
from pipeline.engine.running import run_unit_async
from pipeline.engine.stage import Stage
from pipeline.engine.units import Range, UnitInput, UnitOutput, UnitResult
from pipeline.identity import digest
from pipeline.records import (
    Decision,
    ObservationFacts,
    Outcome,
    Question,
    ReplayResult,
    Trajectory,
    TrajectoryKey,
)
from pipeline.rollout.replay import replay_trajectory
from pipeline.store.blobs import BlobStore
from pipeline.store.shards import read_columns
from pipeline.students.tokens import TokenCounter, loss_tokens


@dataclass(frozen=True)
class Validation:
    """What validation needs beside its trajectories."""

    settings: ValidatorSettings
    texts: LongCotSettings
    tokens: TokenCounter
    room: int
    """Tokens that the student can learn of a row, its prompt included."""
    blobs: BlobStore
    replay: Callable[[Trajectory], ReplayResult]
    """Executes a trajectory again, on zygotes that no rollout used."""
    slots: asyncio.Semaphore
    """Bounds the trajectories that are worked on at once."""


@dataclass(frozen=True)
class _Validated:
    outcome: Outcome
    decisions: Sequence[Decision]
    facts: Sequence[ObservationFacts]
    replay: ReplayResult | None
    key: TrajectoryKey | None


def work(curation: Curation, stage: Stage) -> Work:
    """Check what the teachers wrote."""
    recipe, executor, tried = curation.job.recipe, curation.executor, curation.done["synthesize"]
    blobs = curation.store.blobs
    ids = kept_ids(tried)
    validation = Validation(
        settings=recipe.validate_,
        texts=recipe.long_cot,
        tokens=curation.inputs.tokens,
        room=recipe.student.cutoff_len,
        blobs=blobs,
        replay=partial(
            replay_trajectory,
            pool=curation.stock.replay,
            blobs=blobs,
            rule=recipe.student.view_rule,
            seed=recipe.seed,
        ),
        slots=asyncio.Semaphore(executor.workers),
    )

    def unit(span: Range, _: int) -> UnitResult:
        # What was tried at a question whose stored answer is doubted is kept where it is, and no more is spent on it.
        trajectories = tuple(made for made in tried.read("trajectories", Trajectory, span) if made.question_id in ids)
        mine = UnitInput(trajectories, questions_of(curation.done["screen"], ids, span))
        run = run_unit_async(stage, curation.job.out, span, mine, lambda given: validate_unit(validation, given))
        return executor.wait(run)

    asked = read_columns(tried.paths("trajectories"), Trajectory, ["question_id"])["question_id"]
    return Work(sum(question in ids for question in asked.to_pylist()), unit)


async def validate_unit(validation: Validation, unit: UnitInput) -> UnitOutput:
    """Decide on every attempt. Replay costs the most, so only what passes all else is executed again."""
    questions = {record.id: record for record in unit.context if isinstance(record, Question)}
    trajectories = [record for record in unit.records if isinstance(record, Trajectory)]

    async def one(trajectory: Trajectory) -> _Validated:
        async with validation.slots:
            question = questions[trajectory.question_id]
            return await persistent(lambda: asyncio.to_thread(_validate, validation, trajectory, question))

    done = await gather_all(one(trajectory) for trajectory in trajectories)
    decisions = sorted((d for item in done for d in item.decisions), key=lambda d: (d.record_id, d.filter))
    facts = sorted((f for item in done for f in item.facts), key=lambda f: (f.trajectory_id, f.turn, f.image))
    replays = sorted((item.replay for item in done if item.replay is not None), key=lambda r: r.trajectory_id)
    keys = sorted((item.key for item in done if item.key is not None), key=lambda key: key.id)
    return UnitOutput(
        tuple(item.outcome for item in done),
        {"decisions": tuple(decisions), "facts": tuple(facts), "replays": tuple(replays), "keys": tuple(keys)},
    )


def _validate(validation: Validation, trajectory: Trajectory, question: Question) -> _Validated:
    facts = observation_facts(trajectory, validation.blobs)
    decisions = [*accept(trajectory, question, facts, validation.settings), *_of_text(validation, trajectory)]
    replay = None
    if all(decision.outcome == "keep" for decision in decisions):
        replay = validation.replay(trajectory)
        decisions.append(replayed(trajectory.id, replay, validation.settings))
    against = next((decision for decision in decisions if decision.outcome != "keep"), None)
    key = trajectory_key(trajectory, question, validation.tokens) if against is None else None
    outcome = trajectory_outcome("validate", trajectory, question, against)
    return _Validated(outcome, decisions, facts, replay, key)


def _of_text(validation: Validation, trajectory: Trajectory) -> Sequence[Decision]:
    """Return the decisions on a text's own solution; other lanes have none of these."""
    if trajectory.arm != "long_cot":
        return ()
    (turn,) = trajectory.turns
    count = validation.tokens.count
    prompt = count(trajectory.system) + count(trajectory.user)
    found = Retagged(turn.think, trajectory.answer or "")
    tokens = count(turn.raw_text)
    return long_cot(trajectory.id, found, tokens, validation.room - prompt, validation.texts)


def trajectory_key(trajectory: Trajectory, question: Question, tokens: TokenCounter) -> TrajectoryKey:
    """Return what selection needs to know of a valid trajectory."""
    shape = [
        [turn.action, skeleton(argument(turn) or "") if turn.action == "python" else ""] for turn in trajectory.turns
    ]
    return TrajectoryKey(
        id=trajectory.id,
        question_id=question.id,
        source=question.source,
        category=question.category,
        sample=trajectory.sample,
        lane=lane_of(trajectory),
        skeleton=digest(shape),
        loss_tokens=loss_tokens(trajectory, by_name(trajectory.dialect), tokens),
    )
