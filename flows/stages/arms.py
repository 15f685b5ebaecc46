"""The arms of the gates: which rollouts of a question there are, and how each is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from filters.gates.lanes import LaneSettings
from filters.gates.rules import GateSettings, arm_count
from flows.asking.ask import gate_setting, open_judge
from flows.asking.grading import judged
from flows.asking.judge import Judge
from flows.stages.common import gather_all, persistent
from flows.stages.curation import Curation
from pipeline.models.views import Views
from pipeline.records import ArmCount, GateCount, JudgeVotes, Question, Trajectory
from pipeline.rollout.loop import Setting, World, rollout


class Arms(NamedTuple):
    """How the models of a gate are asked."""

    plain: Setting
    tools: Setting
    fresh: Setting
    blind: Setting
    pixels: Setting
    stronger: Setting | None


@dataclass(frozen=True)
class Gate:
    """What a gate needs beside its questions."""

    arms: Arms
    world: World
    at_pixels: Mapping[int, World]
    """The same under other pixel budgets than the student's."""
    settings: GateSettings
    lanes: LaneSettings
    judge: Judge | None
    slots: asyncio.Semaphore
    """Bounds the conversations in flight on this driver."""


@dataclass
class Written:
    """What a gate has found out about one question."""

    trajectories: list[Trajectory] = field(default_factory=list)
    counts: list[GateCount] = field(default_factory=list)
    arms: list[ArmCount] = field(default_factory=list)
    votes: list[JudgeVotes] = field(default_factory=list)


def merged(written: Iterable[Written]) -> Written:
    """Return what was found out about several questions, each table in the order of its keys."""
    total = Written()
    for one in written:
        total.trajectories += one.trajectories
        total.counts += one.counts
        total.arms += one.arms
        total.votes += one.votes
    total.trajectories.sort(key=lambda rollout: rollout.id)
    total.counts.sort(key=lambda count: count.question_id)
    total.arms.sort(key=lambda arm: (arm.question_id, arm.arm, arm.max_pixels))
    total.votes.sort(key=lambda vote: (vote.record_id, vote.asked))
    return total


def open_gate(curation: Curation) -> Gate:
    """Return what both gates act with."""
    recipe, inputs, stock = curation.job.recipe, curation.inputs, curation.stock
    student, blobs = recipe.student, curation.store.blobs
    return Gate(
        arms=Arms(
            plain=gate_setting(recipe, inputs, stock, "main", "plain"),
            tools=gate_setting(recipe, inputs, stock, "main", "tools"),
            fresh=gate_setting(recipe, inputs, stock, "fresh", "plain"),
            blind=gate_setting(recipe, inputs, stock, "blind", "plain"),
            pixels=gate_setting(recipe, inputs, stock, "pixels", "plain"),
            stronger=gate_setting(recipe, inputs, stock, "stronger", "plain") if stock.stronger is not None else None,
        ),
        world=stock.world,
        at_pixels={
            pixels: stock.world._replace(views=Views(blobs, student.view_at(pixels))) for pixels in recipe.other_budgets
        },
        settings=recipe.gate,
        lanes=recipe.lanes,
        judge=open_judge(recipe, stock),
        slots=stock.slots,
    )


class Asking(NamedTuple):
    """Which rollouts are asked for."""

    setting: Setting
    samples: range
    world: World


async def ask(gate: Gate, written: Written, question: Question, asking: Asking) -> tuple[Trajectory, ...]:
    """Run and grade rollouts of one arm, and write them down.

    Raises:
        RowError: the model or the student's processor refuses the question.
        InfrastructureError: as `persistent`.
    """

    async def one(sample: int) -> Trajectory:
        async with gate.slots:
            done = await persistent(lambda: rollout(question, sample, asking.setting, asking.world))
            trajectory, votes = await judged(done, question, gate.judge)
            written.votes += [votes] if votes is not None else []
            return trajectory

    rollouts = tuple(await gather_all(one(sample) for sample in asking.samples))
    written.trajectories += rollouts
    return rollouts


async def ask_blind(gate: Gate, written: Written, question: Question) -> ArmCount:
    """Ask without the images, which the question may or may not need."""
    unseen = question.model_copy(update={"images": ()})
    asking = Asking(gate.arms.blind, range(gate.settings.k), gate.world)
    return _counted(written, await ask(gate, written, unseen, asking), 0)


async def ask_at_pixels(gate: Gate, written: Written, question: Question, pixels: int) -> ArmCount:
    """Ask with the images at another pixel budget."""
    asking = Asking(gate.arms.pixels, range(gate.settings.k), gate.at_pixels[pixels])
    return _counted(written, await ask(gate, written, question, asking), pixels)


async def ask_stronger(gate: Gate, written: Written, question: Question, setting: Setting) -> ArmCount:
    """Ask the stronger model."""
    asking = Asking(setting, range(gate.settings.k), gate.world)
    return _counted(written, await ask(gate, written, question, asking), gate.world.views.rule.max_pixels)


async def ask_fresh(gate: Gate, written: Written, question: Question) -> ArmCount:
    """Ask without tools once more: the k samples after those that decided gate 1."""
    asking = Asking(gate.arms.fresh, range(gate.settings.k, 2 * gate.settings.k), gate.world)
    return _counted(written, await ask(gate, written, question, asking), gate.world.views.rule.max_pixels)


def _counted(written: Written, rollouts: tuple[Trajectory, ...], max_pixels: int) -> ArmCount:
    count = arm_count(rollouts, max_pixels=max_pixels)
    written.arms.append(count)
    return count
