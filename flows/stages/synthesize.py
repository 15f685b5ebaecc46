"""Synthesis: teachers try what the base model cannot, every call executed, until an attempt is accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from filters.validators import ValidatorSettings, accept
from flows.curation import Curation, Work, kept_ids, questions_of
from flows.stages.common import gather_all, graded, kept, persistent, quarantined, rejected
from flows.stages.observations import observation_facts
from flows.world import teacher_settings
from pipeline.errors import RowError
from pipeline.records import Outcome, Question, Trajectory
from pipeline.rollout import Setting, World, attempts, rollout
from pipeline.stage import Range, Stage, UnitInput, UnitOutput, UnitResult, run_unit_async


@dataclass(frozen=True)
class Synthesis:
    """What synthesis needs beside its questions."""

    teachers: tuple[Setting, ...]
    """Asked in this order, each for `attempts`, until one attempt is accepted."""
    world: World
    attempts: int
    settings: ValidatorSettings
    slots: asyncio.Semaphore


@dataclass(frozen=True)
class _Synthesized:
    outcome: Outcome
    tried: tuple[Trajectory, ...]


def work(curation: Curation, stage: Stage) -> Work:
    """Ask the teachers about what stayed unsolved with tools."""
    recipe, stock = curation.job.recipe, curation.stock
    ids = kept_ids(curation.done["gate2"], "sft")
    synthesis = Synthesis(
        teachers=teacher_settings(recipe, curation.inputs, stock),
        world=stock.world,
        attempts=recipe.synthesize.attempts,
        settings=recipe.validate_,
        slots=stock.slots,
    )

    def unit(span: Range, _: int) -> UnitResult:
        mine = UnitInput(questions_of(curation.done["screen"], ids, span))
        run = run_unit_async(stage, curation.job.out, span, mine, lambda given: synthesize_unit(synthesis, given))
        return curation.driver.wait(run)

    return Work(len(ids), unit)


async def synthesize_unit(synthesis: Synthesis, unit: UnitInput) -> UnitOutput:
    """Write every finished attempt; a question without any is rejected as `no_attempt`."""
    questions = [record for record in unit.records if isinstance(record, Question)]
    done = await gather_all(_synthesize(synthesis, question) for question in questions)
    tried = sorted((trajectory for item in done for trajectory in item.tried), key=lambda trajectory: trajectory.id)
    return UnitOutput(tuple(item.outcome for item in done), {"trajectories": tuple(tried)})


async def _synthesize(synthesis: Synthesis, question: Question) -> _Synthesized:
    try:
        tried = await _try_teachers(synthesis, question)
    except RowError as error:
        return _Synthesized(quarantined("synthesize", question, error), ())
    if not any(trajectory.finish == "answer" for trajectory in tried):
        ends = ", ".join(trajectory.finish for trajectory in tried)
        return _Synthesized(rejected("synthesize", question, "no_attempt", ends), ())
    finished = tuple(trajectory for trajectory in tried if trajectory.finish == "answer")
    return _Synthesized(kept("synthesize", question, route="sft"), finished)


async def _try_teachers(synthesis: Synthesis, question: Question) -> Sequence[Trajectory]:
    tried: list[Trajectory] = []
    for setting in synthesis.teachers:

        async def one(sample: int, setting: Setting = setting) -> Trajectory:
            async with synthesis.slots:
                done = await persistent(lambda: rollout(question, sample, setting, synthesis.world))
                return graded(done, question)

        async def settled(trajectory: Trajectory) -> bool:
            return await _accepted(synthesis, question, trajectory)

        done = await attempts(one, synthesis.attempts, settled)
        tried += done
        if await settled(done[-1]):
            break
    return tried


async def _accepted(synthesis: Synthesis, question: Question, trajectory: Trajectory) -> bool:
    facts = await asyncio.to_thread(observation_facts, trajectory, synthesis.world.blobs)
    decisions = accept(trajectory, question, facts, synthesis.settings)
    return all(decision.outcome == "keep" for decision in decisions)
