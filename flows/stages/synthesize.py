"""Synthesis: teachers try what the base model cannot, every call executed, until an attempt is accepted.

Other lanes pass through here too: questions that need no tool, under the same prompt (`no_call`) or without it
(`plain_cot`), and texts that bring their solution along (`long_cot`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, get_args

from filters.answers import grader as answers
from filters.gates.gold import REASON, GoldSettings
from filters.gates.lanes import LANES
from filters.validate import long_cot
from filters.validate.rules import AcceptSettings, accept
from flows.asking.ask import Asker, PlainPrompt, TaughtLane, teacher_asks
from flows.asking.edited import UneditedError, edited_trajectory
from flows.asking.gold import GoldCheck, facts_of
from flows.asking.grading import judged
from flows.asking.judge import AnswerAsk, AnswerJudge
from flows.asking.observed_images import observation_facts
from flows.asking.resources import Resources, Revisions
from flows.asking.row_length import RowRule
from flows.recipe.inputs import Inputs, Job
from flows.recipe.recipe import SynthesisUse
from flows.recipe.roles import family_of
from flows.stages.fetching import kept_outcomes, questions_of
from flows.stages.long_cot import solution_trajectory
from flows.stages.outcomes import AGAIN, Found, filtered, gather_all, gathered, kept, quarantined, rejected
from pipeline.engine.done import Done
from pipeline.engine.stage import Stage, StageSettings
from pipeline.engine.units import Range, Reader, UnitInput, UnitOutput
from pipeline.errors import RowError
from pipeline.identity import Revision, uniform
from pipeline.models.refusals import RejectedError
from pipeline.records import (
    AttemptFact,
    DroppedHit,
    Edit,
    JudgeVotes,
    Lane,
    Outcome,
    Question,
    Record,
    Route,
    Suspicion,
    Trajectory,
)
from pipeline.rollout.loop import Ask

ROUTES: Mapping[str, Sequence[Route]] = {"gate1": ("no_call", "plain_cot", "long_cot"), "gate2": ("sft",)}
"""Which ways out of the gates lead here."""


class SynthesizeSettings(StageSettings):
    """What synthesis sees of a recipe."""

    synthesize: SynthesisUse
    teachers: Mapping[Lane, tuple[Ask, ...]]
    """By lane, in the recipe's order."""
    solutions: PlainPrompt
    """Under which prompts a text's own solution stands."""
    validate_: AcceptSettings
    row: RowRule
    """How long an accepted attempt may be as a row."""
    gold: GoldSettings
    families: Mapping[str, str]
    """Of each model's revision that attempts questions."""
    judge: AnswerAsk | None
    grader: Revision[int] = answers.VERSION
    retagging: Revision[int] = long_cot.VERSION

    @classmethod
    def of(cls, job: Job, inputs: Inputs, revisions: Revisions) -> SynthesizeSettings:
        """Return the settings of a run."""
        recipe = job.recipe
        prompts, roles = inputs.prompts, recipe.models.roles()
        attempt = [name for name in roles if name not in {"stronger", "judge"}]
        return cls(
            synthesize=recipe.synthesize,
            teachers={lane: teacher_asks(recipe, prompts, revisions, lane) for lane in get_args(TaughtLane)},
            solutions=PlainPrompt.of(recipe, prompts, inputs.tokens.name),
            validate_=recipe.validate_.accept,
            row=RowRule.of(recipe, prompts, inputs.tokens.name),
            gold=recipe.gold,
            families={revisions.models[name]: family_of(roles[name]) for name in attempt},
            judge=AnswerAsk.of(recipe, revisions.models.get("judge", "")),
        )

    @property
    def model(self) -> str:
        """Return the revisions of the teachers, one by one."""
        return " ".join(ask.model for ask in self.teachers["tools"])


class _Task(NamedTuple):
    """A question, in which lane, and what was tried at the gates."""

    question: Question
    lane: Lane
    before: Sequence[AttemptFact]


@dataclass
class _Tried(Found):
    """What synthesis has made of one question."""

    attempts: list[Trajectory] = field(default_factory=list)
    accepted: int = 0
    doubt: Suspicion | None = None


def read(done: Done, settings: SynthesizeSettings) -> Reader:
    """Hand over what stayed unsolved with tools, and what the other lanes hold."""
    del settings
    ids = {name: frozenset().union(*(done.kept(name, route) for route in ROUTES[name])) for name in ROUTES}
    every = frozenset().union(*ids.values())

    def unit(span: Range) -> UnitInput:
        """Add which way each question came, and what the base model said where another answer may be the right one."""
        ways: list[Record] = [outcome for name in ROUTES for outcome in kept_outcomes(done, name, ids[name], span)]
        asked = (
            trajectory
            for name in ROUTES
            for trajectory in done.records(name, "trajectories", Trajectory, span)
            if trajectory.question_id in ids["gate2"]
        )
        edits = (edit for edit in done.records("ingest", "edits", Edit, span) if edit.unit == "trajectory")
        return UnitInput(questions_of(done, every, span), (*ways, *facts_of(asked), *edits))

    return Reader(len(every), unit)


async def run(unit: UnitInput, settings: SynthesizeSettings, resources: Resources) -> UnitOutput:
    """Write every attempt, finished or not; a question without a finished one is rejected as `no_attempt`."""
    lanes = {r.question_id: LANES[r.route] for r in unit.context if isinstance(r, Outcome) and r.route is not None}
    facts = [record for record in unit.context if isinstance(record, AttemptFact)]
    questions = [record for record in unit.records if isinstance(record, Question)]
    tasks = [
        _Task(question, lanes[question.id], [fact for fact in facts if fact.question_id == question.id])
        for question in questions
    ]
    edits = {record.parent: record for record in unit.context if isinstance(record, Edit)}
    synthesis = _Synthesis(settings, resources, resources.answer_judge(settings.judge), edits)
    return gathered(SYNTHESIZE.tables, await gather_all(synthesis.synthesized(task) for task in tasks))


@dataclass(frozen=True)
class _Synthesis:
    settings: SynthesizeSettings
    resources: Resources
    judge: AnswerJudge | None
    edits: Mapping[str, Edit]
    """What people corrected, by the trajectory that they saw."""

    async def synthesized(self, task: _Task) -> tuple[Outcome, Found]:
        outcome, found = await self._attempted(task)
        for parent in [*found.rows["trajectories"]]:
            if isinstance(parent, Trajectory) and parent.id in self.edits:
                await self._corrected(task.question, parent, found)
        self.resources.work.records += 1
        return outcome, found

    async def _corrected(self, question: Question, parent: Trajectory, found: Found) -> None:
        """Add what a person made of an attempt, graded as that was; one that is stale is none, as the ledger tells."""
        try:
            made = edited_trajectory(parent, self.edits[parent.id])
        except UneditedError:
            return
        trajectory, votes, _ = await judged(made, question, self.judge)
        found.add("trajectories", trajectory)
        found.add("votes", votes)

    async def _attempted(self, task: _Task) -> tuple[Outcome, Found]:
        if task.lane == "long_cot":
            return await self._from_solution(task.question)
        tried = _Tried()
        # Held from the first attempt to the last: questions end in the order in which they began, so that few units
        # are half done, and a server's cache still knows a question when it is tried again.
        async with self.resources.slots:
            refusals = await self._try_teachers(task, tried)
        rejections = [error for error in refusals if isinstance(error, RejectedError)]
        if rejections and not tried.accepted:
            # What a server does not take is no attempt: the question may have a solution that nobody was asked for.
            return quarantined("synthesize", task.question, rejections[0]), Found()
        for attempt in tried.attempts:
            tried.add("trajectories" if attempt.finish == "answer" else "unfinished", attempt)
        tried.add("suspicions", tried.doubt or self._in_other_words(task, tried.attempts))
        return _outcome(task.question, tried, refusals), tried

    async def _from_solution(self, question: Question) -> tuple[Outcome, Found]:
        """Take a text's own solution for the one attempt, under the prompts of a student without tools."""
        found = Found()
        attempt = solution_trajectory(question, self.settings.solutions, self.resources.tokens.count)
        if isinstance(attempt, RowError):
            return rejected("synthesize", question, attempt.reason, attempt.detail), found
        trajectory, votes, _ = await judged(attempt, question, self.judge)
        found.add("trajectories", trajectory)
        found.add("votes", votes)
        return kept("synthesize", question, route="sft"), found

    async def _try_teachers(self, task: _Task, tried: _Tried) -> Sequence[RowError]:
        """Ask one teacher after the other; one that refuses the question takes nothing from the others.

        Returns why a teacher could not be asked; at most one of each.
        """
        use, refusals = self.settings.synthesize, list[RowError]()
        for ask in ordered(self.settings.teachers[task.lane], use, task.question.id):
            asker = Asker(ask, self.resources, self.judge)
            try:
                for sample in range(use.attempts):
                    trajectory, votes, dropped = await asker.graded(task.question, sample)
                    tried.attempts.append(trajectory)
                    tried.add("votes", votes)
                    tried.add("dropped_hits", *dropped)
                    tried.accepted += await self._accepted(task, trajectory)
                    if tried.accepted >= use.accept:
                        return refusals
                    tried.doubt = self._doubt(task, tried.attempts)
                    if tried.doubt is not None and tried.doubt.condemns:
                        return refusals
            except RowError as error:
                refusals.append(error)
        return refusals

    def _doubt(self, task: _Task, attempts: Sequence[Trajectory]) -> Suspicion | None:
        """Return what speaks against the stored answer so far."""
        if task.lane != "tools":
            return None  # the base model solves these, so others do not agree against them
        check = GoldCheck(self.settings.gold, self.settings.families)
        return check.doubts(task.question, [*task.before, *facts_of(attempts)])

    def _in_other_words(self, task: _Task, attempts: Sequence[Trajectory]) -> Suspicion | None:
        """Return what the attempts agree on where nobody could compare it with the stored answer."""
        if task.lane != "tools":
            return None
        check = GoldCheck(self.settings.gold, self.settings.families)
        return check.in_other_words(task.question, [*task.before, *facts_of(attempts)])

    async def _accepted(self, task: _Task, trajectory: Trajectory) -> bool:
        facts = await asyncio.to_thread(observation_facts, trajectory, self.resources.store.blobs)
        decisions = (
            *accept(trajectory, task.question, facts, self.settings.validate_),
            self.settings.row.decision(trajectory, task.question, task.lane, self.resources.tokens),
        )
        return all(decision.outcome == "keep" for decision in decisions)


def _outcome(question: Question, tried: _Tried, refusals: Sequence[RowError]) -> Outcome:
    if tried.doubt is not None and tried.doubt.condemns:
        return rejected("synthesize", question, REASON, tried.doubt.answer, tried.doubt.agreeing / tried.doubt.valid)
    if any(trajectory.finish == "answer" for trajectory in tried.attempts):
        return kept("synthesize", question, route="sft")
    if refusals and not tried.attempts:
        return quarantined("synthesize", question, refusals[0])
    if not refusals and (refused := filtered("synthesize", question, tried.attempts)) is not None:
        return refused
    ends = [*(trajectory.finish for trajectory in tried.attempts), *(error.reason for error in refusals)]
    return rejected("synthesize", question, "no_attempt", ", ".join(ends))


def ordered(teachers: Sequence[Ask], use: SynthesisUse, question_id: str) -> Sequence[Ask]:
    """Return the teachers in the order in which a question asks them.

    Weighted: without replacement, by keys u^(1/w) (Efraimidis and Spirakis, 2006), seeded by the question's id.
    """
    if use.policy == "cascade":
        return teachers
    weights = use.weights or (1.0,) * len(teachers)
    keys = [
        (uniform("teacher", question_id, teacher.model, teacher.sampling.model_dump()) ** (1 / weight), number)
        for number, (teacher, weight) in enumerate(zip(teachers, weights, strict=True))
    ]
    return [teachers[number] for _, number in sorted(keys, reverse=True)]


SYNTHESIZE: Stage[SynthesizeSettings, Resources] = Stage(
    name="synthesize",
    version=3,
    kind="map",
    resource="model",
    settings=SynthesizeSettings,
    read=read,
    run=run,
    tables={
        "trajectories": Trajectory,
        "unfinished": Trajectory,
        "votes": JudgeVotes,
        "suspicions": Suspicion,
        "dropped_hits": DroppedHit,
    },
    again=AGAIN,
    asks=frozenset({"teachers", "judge"}),
)
