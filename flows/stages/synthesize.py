"""Synthesis: teachers try what the base model cannot, every call executed, until an attempt is accepted.

Other lanes pass through here too: questions that need no tool, under the same prompt (`no_call`) or without it
(`plain_cot`), and texts that bring their solution along (`long_cot`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, get_args

from filters.gates.gold import REASON
from filters.gates.lanes import LANES
from filters.validate.rules import ValidatorSettings, accept
from flows.asking.ask import PlainPrompt, TaughtLane, open_judge, plain_prompt, teacher_settings
from flows.asking.gold import GoldCheck, facts_of
from flows.asking.grading import judged
from flows.asking.judge import Judge
from flows.asking.observations import observation_facts
from flows.recipe.recipe import SynthesisUse
from flows.stages.common import gather_all, kept, persistent, quarantined, rejected
from flows.stages.curation import Curation, Work, kept_ids, kept_outcomes, questions_of
from flows.stages.long_cot import solution_trajectory
from pipeline.engine.commits import StageResult
from pipeline.engine.running import run_unit_async
from pipeline.engine.stage import Stage
from pipeline.engine.units import Range, UnitInput, UnitOutput, UnitResult
from pipeline.errors import RowError
from pipeline.identity import uniform
from pipeline.records import AttemptFact, JudgeVotes, Lane, Outcome, Question, Record, Route, Suspicion, Trajectory
from pipeline.rollout.loop import Setting, World, rollout

ROUTES: Mapping[str, Sequence[Route]] = {"gate1": ("no_call", "plain_cot", "long_cot"), "gate2": ("sft",)}
"""Which ways out of the gates lead here."""


@dataclass(frozen=True)
class Synthesis:
    """What synthesis needs beside its questions."""

    teachers: Mapping[Lane, Sequence[Setting]]
    """By lane, in the recipe's order."""
    plain: PlainPrompt
    """Under which prompts a text's own solution stands."""
    world: World
    use: SynthesisUse
    settings: ValidatorSettings
    gold: GoldCheck
    judge: Judge | None
    slots: asyncio.Semaphore


@dataclass
class _Written:
    """What synthesis has made of one question."""

    tried: list[Trajectory] = field(default_factory=list)
    votes: list[JudgeVotes] = field(default_factory=list)
    suspicions: list[Suspicion] = field(default_factory=list)


class _Synthesized(NamedTuple):
    outcome: Outcome
    written: _Written


class _Task(NamedTuple):
    """A question, in which lane, and what was tried at the gates."""

    question: Question
    lane: Lane
    before: Sequence[AttemptFact]


def work(curation: Curation, stage: Stage) -> Work:
    """Ask the teachers about what stayed unsolved with tools, and what the other lanes hold."""
    gates = {name: curation.done[name] for name in ROUTES}
    ids = {name: frozenset().union(*(kept_ids(gates[name], route) for route in ROUTES[name])) for name in ROUTES}
    every = frozenset().union(*ids.values())
    synthesis = open_synthesis(curation)

    def unit(span: Range, _: int) -> UnitResult:
        mine = UnitInput(questions_of(curation.done["screen"], every, span), _context(gates, ids, span))
        run = run_unit_async(stage, curation.job.out, span, mine, lambda given: synthesize_unit(synthesis, given))
        return curation.executor.wait(run)

    return Work(len(every), unit)


def open_synthesis(curation: Curation) -> Synthesis:
    """Return what the stage acts with."""
    recipe, inputs, stock = curation.job.recipe, curation.inputs, curation.stock
    return Synthesis(
        teachers={lane: teacher_settings(recipe, inputs, stock, lane) for lane in get_args(TaughtLane)},
        plain=plain_prompt(recipe, inputs),
        world=stock.world,
        use=recipe.synthesize,
        settings=recipe.validate_,
        gold=GoldCheck(recipe.gold, stock.families),
        judge=open_judge(recipe, stock),
        slots=stock.slots,
    )


def _context(gates: Mapping[str, StageResult], ids: Mapping[str, frozenset[str]], span: Range) -> tuple[Record, ...]:
    """Return which way each question came, and what the base model said where another answer may be the right one."""
    ways: list[Record] = [outcome for name in ROUTES for outcome in kept_outcomes(gates[name], ids[name], span)]
    asked = (
        trajectory
        for result in gates.values()
        for trajectory in result.read("trajectories", Trajectory, span)
        if trajectory.question_id in ids["gate2"]
    )
    return (*ways, *facts_of(asked))


async def synthesize_unit(synthesis: Synthesis, unit: UnitInput) -> UnitOutput:
    """Write every attempt, finished or not; a question without a finished one is rejected as `no_attempt`."""
    lanes = {r.question_id: LANES[r.route] for r in unit.context if isinstance(r, Outcome) and r.route is not None}
    facts = [record for record in unit.context if isinstance(record, AttemptFact)]
    questions = [record for record in unit.records if isinstance(record, Question)]
    tasks = [
        _Task(question, lanes[question.id], [fact for fact in facts if fact.question_id == question.id])
        for question in questions
    ]
    done = await gather_all(_synthesize(synthesis, task) for task in tasks)
    tried = sorted((attempt for item in done for attempt in item.written.tried), key=lambda attempt: attempt.id)
    votes = sorted((vote for item in done for vote in item.written.votes), key=lambda vote: vote.record_id)
    doubts = sorted((doubt for item in done for doubt in item.written.suspicions), key=lambda doubt: doubt.question_id)
    return UnitOutput(
        tuple(item.outcome for item in done),
        {
            "trajectories": tuple(attempt for attempt in tried if attempt.finish == "answer"),
            "unfinished": tuple(attempt for attempt in tried if attempt.finish != "answer"),
            "votes": tuple(votes),
            "suspicions": tuple(doubts),
        },
    )


async def _synthesize(synthesis: Synthesis, task: _Task) -> _Synthesized:
    if task.lane == "long_cot":
        return await _from_solution(synthesis, task.question)
    written = _Written()
    # Held from the first attempt to the last: questions end in the order in which they began, so that few units
    # are half done, and a server's cache still knows a question when it is tried again.
    async with synthesis.slots:
        refusals = await _try_teachers(synthesis, task, written)
    return _Synthesized(_outcome(task, written, refusals), written)


def _outcome(task: _Task, written: _Written, refusals: Sequence[RowError]) -> Outcome:
    question, tried = task.question, written.tried
    if written.suspicions:
        (doubt,) = written.suspicions
        return rejected("synthesize", question, REASON, doubt.answer, doubt.agreeing / doubt.valid)
    if any(trajectory.finish == "answer" for trajectory in tried):
        return kept("synthesize", question, route="sft")
    if refusals and not tried:
        return quarantined("synthesize", question, refusals[0])
    ends = [*(trajectory.finish for trajectory in tried), *(error.reason for error in refusals)]
    return rejected("synthesize", question, "no_attempt", ", ".join(ends))


async def _from_solution(synthesis: Synthesis, question: Question) -> _Synthesized:
    """Take a text's own solution for the one attempt, under the prompts of a student without tools."""
    told = synthesis.plain
    attempt = solution_trajectory(
        question,
        system=told.system,
        user=told.user_template,
        prompts=told.prompts,
        dialect=told.dialect,
        view=told.view,
        seed=told.seed,
        count=told.count,
    )
    if isinstance(attempt, RowError):
        return _Synthesized(rejected("synthesize", question, attempt.reason, attempt.detail), _Written())
    trajectory, votes = await judged(attempt, question, synthesis.judge)
    written = _Written([trajectory], [votes] if votes is not None else [])
    return _Synthesized(kept("synthesize", question, route="sft"), written)


async def _try_teachers(synthesis: Synthesis, task: _Task, written: _Written) -> Sequence[RowError]:
    """Ask one teacher after the other; one that refuses the question takes nothing from the others.

    Returns why a teacher could not be asked; at most one of each.
    """
    refusals: list[RowError] = []
    accepted = 0
    for setting in ordered(synthesis.teachers[task.lane], synthesis.use, task.question.id):
        try:
            for sample in range(synthesis.use.attempts):
                attempt = await _attempt(synthesis, task.question, sample, setting, written)
                accepted += await _accepted(synthesis, task.question, attempt)
                if accepted >= synthesis.use.accept or _doubted(synthesis, task, written):
                    return refusals
        except RowError as error:
            refusals.append(error)
    return refusals


async def _attempt(
    synthesis: Synthesis, question: Question, sample: int, setting: Setting, written: _Written
) -> Trajectory:
    done = await persistent(partial(rollout, question, sample, setting, synthesis.world))
    trajectory, votes = await judged(done, question, synthesis.judge)
    written.tried.append(trajectory)
    written.votes += [votes] if votes is not None else []
    return trajectory


def _doubted(synthesis: Synthesis, task: _Task, written: _Written) -> bool:
    """Return whether the attempts so far speak against the stored answer, and write that down."""
    if task.lane != "tools":
        return False  # the base model solves these, so others do not agree against them
    doubt = synthesis.gold.doubts(task.question, [*task.before, *facts_of(written.tried)])
    if doubt is not None:
        written.suspicions.append(doubt)
    return doubt is not None


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
