"""Validate: every finished attempt of a teacher against every validator, replay last.

Of what is kept, it is told whether DeepEyesV2's own environment would show the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from filters.gates.lanes import lane_of
from filters.rights.rules import VERSION as RIGHTS
from filters.rights.rules import DataUse, found_in_trajectory, without_personal_data
from filters.turns import argument
from filters.validate.long_cot import LongCotSettings, Retagged, long_cot
from filters.validate.rules import ValidatorSettings, accept, replayed
from filters.validate.syntax import skeleton
from flows.asking.ask import persistent
from flows.asking.observed_images import observation_facts
from flows.asking.replays import replay
from flows.asking.resources import Resources, Revisions
from flows.asking.row_length import RowRule
from flows.recipe.inputs import Inputs, Job
from flows.stages.fetching import questions_of
from flows.stages.outcomes import Found, gather_all, gathered, trajectory_outcome
from pipeline.dialects import by_name
from pipeline.engine.done import Done
from pipeline.engine.stage import Stage, StageSettings
from pipeline.engine.units import Range, Reader, UnitInput, UnitOutput
from pipeline.identity import Revision, digest
from pipeline.records import (
    Decision,
    ObservationFacts,
    Outcome,
    PersonalData,
    Question,
    ReplayResult,
    StockEnv,
    Trajectory,
    TrajectoryKey,
)
from pipeline.rollout.stock_env import stock_env, stock_revision
from pipeline.store.shards import read_columns
from pipeline.students.tokens import TokenCounter, loss_tokens


class ValidateSettings(StageSettings):
    """What validation sees of a recipe."""

    validate_: ValidatorSettings
    long_cot: LongCotSettings
    row: RowRule
    """How long a row may be. Its view is that of the rollouts: a cell shows a picture where the student can see it."""
    seed: int
    """Of sandbox sessions."""
    sandbox: Revision[str]
    personal_data: DataUse
    rights: Revision[int] = RIGHTS
    stock: Revision[str] = stock_revision()
    """How it is found what the stock environment would show."""

    @classmethod
    def of(cls, job: Job, inputs: Inputs, revisions: Revisions) -> ValidateSettings:
        """Return the settings of a run."""
        recipe = job.recipe
        return cls(
            validate_=recipe.validate_,
            long_cot=recipe.long_cot,
            row=RowRule.of(recipe, inputs.prompts, inputs.tokens.name),
            seed=recipe.seed,
            sandbox=revisions.sandbox,
            personal_data=recipe.rights.personal_data,
        )

    @property
    def model(self) -> str:
        """Return the identity of the sandbox."""
        return self.sandbox


def read(done: Done, settings: ValidateSettings) -> Reader:
    """Hand over what the teachers wrote.

    What was tried at a question whose stored answer is doubted is kept where it is, and no more is spent on it.
    """
    del settings
    ids = done.kept("synthesize")

    def unit(span: Range) -> UnitInput:
        tried = done.records("synthesize", "trajectories", Trajectory, span)
        return UnitInput(tuple(made for made in tried if made.question_id in ids), questions_of(done, ids, span))

    asked = read_columns(done.paths("synthesize", "trajectories"), Trajectory, ["question_id"])["question_id"]
    return Reader(sum(question in ids for question in asked.to_pylist()), unit)


async def run(unit: UnitInput, settings: ValidateSettings, resources: Resources) -> UnitOutput:
    """Decide on every attempt."""
    questions = {record.id: record for record in unit.context if isinstance(record, Question)}
    trajectories = [record for record in unit.records if isinstance(record, Trajectory)]

    async def one(trajectory: Trajectory) -> tuple[Outcome, Found]:
        async with resources.replays:
            question = questions[trajectory.question_id]
            work = resources.work
            outcome, found = await persistent(
                lambda: asyncio.to_thread(validated, settings, resources, trajectory, question), work
            )
            if outcome.outcome == "kept":
                found.add("stock", await persistent(lambda: stock_env(trajectory, resources.tools.python), work))
            work.records += 1
            return outcome, found

    return gathered(VALIDATE.tables, await gather_all(one(trajectory) for trajectory in trajectories))


def validated(
    settings: ValidateSettings, resources: Resources, trajectory: Trajectory, question: Question
) -> tuple[Outcome, Found]:
    """Decide on an attempt. Replay costs the most, so only what passes all else is executed again."""
    blobs, found = resources.store.blobs, Found()
    facts, personal = observation_facts(trajectory, blobs), found_in_trajectory(trajectory)
    row = settings.row.decision(trajectory, question, lane_of(trajectory), resources.tokens)
    decisions = [
        *accept(trajectory, question, facts, settings.validate_),
        row,
        without_personal_data(trajectory.id, personal, settings.personal_data),
        *_of_text(settings, resources.tokens, trajectory),
    ]
    if all(decision.outcome == "keep" for decision in decisions):
        again = replay(trajectory, resources.replay, blobs, settings.row.view, settings.seed)
        decisions.append(replayed(trajectory.id, again, settings.validate_))
        found.add("replays", again)
    found.add("decisions", *decisions)
    found.add("facts", *facts)
    found.add("personal", *personal)
    against = next((decision for decision in decisions if decision.outcome != "keep"), None)
    if against is None:
        found.add("keys", trajectory_key(trajectory, question, int(row.score or 0), resources.tokens))
    return trajectory_outcome("validate", trajectory, question, against), found


def _of_text(settings: ValidateSettings, tokens: TokenCounter, trajectory: Trajectory) -> Sequence[Decision]:
    """Return the decisions on a text's own solution; other lanes have none of these."""
    if trajectory.arm != "long_cot":
        return ()
    (turn,) = trajectory.turns
    room = settings.row.cutoff_len - tokens.count(trajectory.system) - tokens.count(trajectory.user)
    found = Retagged(turn.think, trajectory.answer or "")
    return long_cot(trajectory.id, found, tokens.count(turn.raw_text), room, settings.long_cot)


def trajectory_key(trajectory: Trajectory, question: Question, row_tokens: int, tokens: TokenCounter) -> TrajectoryKey:
    """Return what selection needs to know of a valid trajectory, whose row has so many tokens."""
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
        row_tokens=row_tokens,
    )


VALIDATE: Stage[ValidateSettings, Resources] = Stage(
    name="validate",
    version=5,
    kind="map",
    resource="model",
    settings=ValidateSettings,
    read=read,
    run=run,
    tables={
        "decisions": Decision,
        "facts": ObservationFacts,
        "personal": PersonalData,
        "replays": ReplayResult,
        "keys": TrajectoryKey,
        "stock": StockEnv,
    },
)
