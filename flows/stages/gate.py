"""Gates 1 and 2: k rollouts of the base model without tools, then k with tools for what stayed hard."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from filters.gates import GateSettings, gate1, gate2, plain_count, tools_count, wanted
from flows.curation import Curation, Work, kept_ids, questions_of
from flows.stages.common import decided, gather_all, graded, persistent, quarantined, rejected
from flows.world import gate_setting
from pipeline.errors import RowError
from pipeline.records import GateCount, Mode, Outcome, Question, Trajectory
from pipeline.rollout import Setting, World, rollout
from pipeline.stage import Range, Stage, UnitInput, UnitOutput, UnitResult, run_unit_async


@dataclass(frozen=True)
class Gate:
    """What a gate needs beside its questions."""

    setting: Setting
    world: World
    settings: GateSettings
    slots: asyncio.Semaphore
    """Bounds the conversations in flight on this driver."""


@dataclass(frozen=True)
class _Gated:
    outcome: Outcome
    count: GateCount | None
    rollouts: tuple[Trajectory, ...]


def gate1_work(curation: Curation, stage: Stage) -> Work:
    """Ask the base model without tools."""
    ids = kept_ids(curation.done["decontaminate"])
    gate = _gate(curation, "plain")

    def unit(span: Range, _: int) -> UnitResult:
        mine = UnitInput(questions_of(curation.done["screen"], ids, span))
        run = run_unit_async(stage, curation.job.out, span, mine, lambda given: gate1_unit(gate, given))
        return curation.driver.wait(run)

    return Work(len(ids), unit)


def gate2_work(curation: Curation, stage: Stage) -> Work:
    """Ask the base model with tools about what it failed without."""
    hard = curation.done["gate1"]
    ids = kept_ids(hard)
    gate = _gate(curation, "tools")

    def unit(span: Range, _: int) -> UnitResult:
        questions = questions_of(curation.done["screen"], ids, span)
        counts = tuple(count for count in hard.read("counts", GateCount, span) if count.question_id in ids)
        run = run_unit_async(
            stage, curation.job.out, span, UnitInput(questions, counts), lambda given: gate2_unit(gate, given)
        )
        return curation.driver.wait(run)

    return Work(len(ids), unit)


def _gate(curation: Curation, mode: Mode) -> Gate:
    recipe, stock = curation.job.recipe, curation.stock
    setting = gate_setting(recipe, curation.inputs, stock, mode)
    return Gate(setting, stock.world, recipe.gate, stock.slots)


async def gate1_unit(gate: Gate, unit: UnitInput) -> UnitOutput:
    """Keep the questions that the base model fails without tools."""
    questions = [record for record in unit.records if isinstance(record, Question)]
    return _output(await gather_all(_plain(gate, question) for question in questions))


async def gate2_unit(gate: Gate, unit: UnitInput) -> UnitOutput:
    """Route the questions that stayed hard: solved with tools to RL, unsolved to synthesis."""
    plain = {count.question_id: count for count in unit.context if isinstance(count, GateCount)}
    questions = [record for record in unit.records if isinstance(record, Question)]
    return _output(await gather_all(_tools(gate, question, plain[question.id]) for question in questions))


async def _plain(gate: Gate, question: Question) -> _Gated:
    try:
        rollouts: tuple[Trajectory, ...] = ()
        while more := wanted(question.id, rollouts, gate.settings):
            rollouts += await _rollouts(gate, question, range(len(rollouts), len(rollouts) + more))
    except RowError as error:
        return _Gated(quarantined("gate1", question, error), None, ())
    count = plain_count(question.id, gate.settings, rollouts)
    return _Gated(decided("gate1", question, [gate1(count, gate.settings)]), count, rollouts)


async def _tools(gate: Gate, question: Question, plain: GateCount) -> _Gated:
    try:
        rollouts = await _rollouts(gate, question, range(gate.settings.k))
    except RowError as error:
        return _Gated(quarantined("gate2", question, error), None, ())
    count = tools_count(plain, rollouts)
    routing = gate2(count, gate.settings)
    if routing.route is None:
        outcome = rejected("gate2", question, routing.decision.reason, "gate2", routing.decision.score)
    else:
        outcome = decided("gate2", question, [routing.decision], routing.route)
    return _Gated(outcome, count.model_copy(update={"route": routing.route}), rollouts)


async def _rollouts(gate: Gate, question: Question, samples: range) -> tuple[Trajectory, ...]:
    async def one(sample: int) -> Trajectory:
        async with gate.slots:
            done = await persistent(lambda: rollout(question, sample, gate.setting, gate.world))
            return await graded(done, question)

    return tuple(await gather_all(one(sample) for sample in samples))


def _output(gated: list[_Gated]) -> UnitOutput:
    counts = sorted((item.count for item in gated if item.count is not None), key=lambda count: count.question_id)
    rollouts = sorted((rollout for item in gated for rollout in item.rollouts), key=lambda rollout: rollout.id)
    return UnitOutput(tuple(item.outcome for item in gated), {"counts": tuple(counts), "trajectories": tuple(rollouts)})
