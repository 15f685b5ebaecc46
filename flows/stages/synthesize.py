"""Synthesis: teachers try what the base model cannot, every call executed, until an attempt is accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from filters.validators import ValidatorSettings, accept
from flows.curation import Curation, Work, kept_ids, questions_of
from flows.recipe import SynthesisUse
from flows.stages.common import gather_all, graded, kept, persistent, quarantined, rejected
from flows.stages.observations import observation_facts
from flows.world import teacher_settings
from pipeline.errors import RowError
from pipeline.identity import uniform
from pipeline.records import Outcome, Question, Trajectory
from pipeline.rollout import Setting, World, rollout
from pipeline.stage import Range, Stage, UnitInput, UnitOutput, UnitResult, run_unit_async


@dataclass(frozen=True)
class Synthesis:
    """What synthesis needs beside its questions."""

    teachers: tuple[Setting, ...]
    """In the recipe's order."""
    world: World
    use: SynthesisUse
    settings: ValidatorSettings
    slots: asyncio.Semaphore


@dataclass(frozen=True)
class _Synthesized:
    outcome: Outcome
    tried: Sequence[Trajectory]


def work(curation: Curation, stage: Stage) -> Work:
    """Ask the teachers about what stayed unsolved with tools."""
    recipe, stock = curation.job.recipe, curation.stock
    ids = kept_ids(curation.done["gate2"], "sft")
    synthesis = Synthesis(
        teachers=teacher_settings(recipe, curation.inputs, stock),
        world=stock.world,
        use=recipe.synthesize,
        settings=recipe.validate_,
        slots=stock.slots,
    )

    def unit(span: Range, _: int) -> UnitResult:
        mine = UnitInput(questions_of(curation.done["screen"], ids, span))
        run = run_unit_async(stage, curation.job.out, span, mine, lambda given: synthesize_unit(synthesis, given))
        return curation.driver.wait(run)

    return Work(len(ids), unit)


async def synthesize_unit(synthesis: Synthesis, unit: UnitInput) -> UnitOutput:
    """Write every attempt, finished or not; a question without a finished one is rejected as `no_attempt`."""
    questions = [record for record in unit.records if isinstance(record, Question)]
    done = await gather_all(_synthesize(synthesis, question) for question in questions)
    tried = sorted((trajectory for item in done for trajectory in item.tried), key=lambda trajectory: trajectory.id)
    finished = tuple(trajectory for trajectory in tried if trajectory.finish == "answer")
    unfinished = tuple(trajectory for trajectory in tried if trajectory.finish != "answer")
    return UnitOutput(tuple(item.outcome for item in done), {"trajectories": finished, "unfinished": unfinished})


async def _synthesize(synthesis: Synthesis, question: Question) -> _Synthesized:
    # Held from the first attempt to the last: questions end in the order in which they began, so that few units
    # are half done, and a server's cache still knows a question when it is tried again.
    async with synthesis.slots:
        tried, refusals = await _try_teachers(synthesis, question)
    if any(trajectory.finish == "answer" for trajectory in tried):
        outcome = kept("synthesize", question, route="sft")
    elif refusals and not tried:
        outcome = quarantined("synthesize", question, refusals[0])
    else:
        ends = [*(trajectory.finish for trajectory in tried), *(error.reason for error in refusals)]
        outcome = rejected("synthesize", question, "no_attempt", ", ".join(ends))
    return _Synthesized(outcome, tried)


class _Tried(NamedTuple):
    """What became of the attempts at one question."""

    attempts: Sequence[Trajectory]
    refusals: Sequence[RowError]
    """Why a teacher could not be asked; at most one of each."""


async def _try_teachers(synthesis: Synthesis, question: Question) -> _Tried:
    """Ask one teacher after the other; one that refuses the question takes nothing from the others."""
    tried: list[Trajectory] = []
    refusals: list[RowError] = []
    accepted = 0
    for setting in ordered(synthesis.teachers, synthesis.use, question.id):
        try:
            for sample in range(synthesis.use.attempts):
                done = await persistent(partial(rollout, question, sample, setting, synthesis.world))
                tried.append(await graded(done, question))
                accepted += await _accepted(synthesis, question, tried[-1])
                if accepted >= synthesis.use.accept:
                    return _Tried(tried, refusals)
        except RowError as error:
            refusals.append(error)
    return _Tried(tried, refusals)


def ordered(teachers: Sequence[Setting], use: SynthesisUse, question_id: str) -> Sequence[Setting]:
    """Return the teachers in the order in which a question asks them.

    Weighted: without replacement, by keys u^(1/w) (Efraimidis and Spirakis, 2006), seeded by the question's id.
    """
    if use.policy == "cascade":
        return teachers
    weights = use.weights or (1.0,) * len(teachers)
    keys = [
        (uniform("teacher", question_id, teacher.model.revision, teacher.sampling.model_dump()) ** (1 / weight), number)
        for number, (teacher, weight) in enumerate(zip(teachers, weights, strict=True))
    ]
    return [teachers[number] for _, number in sorted(keys, reverse=True)]


async def _accepted(synthesis: Synthesis, question: Question, trajectory: Trajectory) -> bool:
    facts = await asyncio.to_thread(observation_facts, trajectory, synthesis.world.blobs)
    decisions = accept(trajectory, question, facts, synthesis.settings)
    return all(decision.outcome == "keep" for decision in decisions)
