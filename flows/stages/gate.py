"""Gates 1 and 2: k answers of the base model without tools, then k rollouts with tools for what stayed hard.

Beside these main arms there are others: without images (`blind`), at other pixel budgets (`pixels`), by a stronger
model (`stronger`), and without tools once more (`fresh`). Every rollout is kept, so that other thresholds need no
model.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from filters.answers import chance as guessing
from filters.answers import grader as answers
from filters.answers.chance import chance
from filters.answers.votes import question_decision
from filters.gates.counts import arm_count, kind, plain_count, tools_count
from filters.gates.gold import DisputeSettings
from filters.gates.lanes import LaneSettings, easy_route
from filters.gates.rules import (
    PlainGate,
    ToolsGate,
    answerable_blind,
    easy_blind_from,
    easy_for_stronger,
    gate1,
    gate2,
    wanted,
    without_answer,
)
from filters.validate.long_cot import has_solution
from flows.asking.ask import Asker, gate_ask, models_of
from flows.asking.gold import disputed
from flows.asking.judge import AnswerAsk, AnswerJudge, Judge, JudgeAsk
from flows.asking.resources import Resources, Revisions
from flows.recipe.inputs import Inputs, Job
from flows.recipe.roles import family_of
from flows.stages.fetching import questions_of
from flows.stages.outcomes import AGAIN, Found, decided, filtered, gather_all, gathered, kept, quarantined, rejected
from pipeline.engine.done import Done
from pipeline.engine.stage import Stage, StageSettings
from pipeline.engine.units import Range, Reader, UnitInput, UnitOutput
from pipeline.errors import RowError
from pipeline.identity import Revision
from pipeline.records import (
    ArmCount,
    Decision,
    DroppedHit,
    GateCount,
    JudgeVotes,
    Outcome,
    Question,
    Record,
    Suspicion,
    Trajectory,
)
from pipeline.rollout.loop import Ask

TABLES: Mapping[str, type[Record]] = {
    "counts": GateCount,
    "trajectories": Trajectory,
    "arms": ArmCount,
    "votes": JudgeVotes,
}
GATE2_TABLES: Mapping[str, type[Record]] = {**TABLES, "suspicions": Suspicion, "dropped_hits": DroppedHit}


class Gate1Settings(StageSettings):
    """What gate 1 sees of a recipe."""

    gate: PlainGate
    lanes: LaneSettings
    plain: Ask
    blind: Ask | None
    pixels: tuple[Ask, ...]
    """At other budgets than the student's."""
    stronger: Ask | None
    judge: JudgeAsk | None
    grader: Revision[int] = answers.VERSION
    chance: Revision[int] = guessing.VERSION

    @classmethod
    def of(cls, job: Job, inputs: Inputs, revisions: Revisions) -> Gate1Settings:
        """Return the settings of a run."""
        recipe = job.recipe
        prompts = inputs.prompts
        stronger = recipe.models.stronger is not None
        return cls(
            gate=recipe.gate.plain,
            lanes=recipe.lanes,
            plain=gate_ask(recipe, prompts, revisions, "main", "plain"),
            blind=gate_ask(recipe, prompts, revisions, "blind", "plain") if recipe.gate.blind else None,
            pixels=tuple(
                gate_ask(recipe, prompts, revisions, "pixels", "plain", pixels=pixels)
                for pixels in recipe.other_budgets
            ),
            stronger=gate_ask(recipe, prompts, revisions, "stronger", "plain") if stronger else None,
            judge=JudgeAsk.of(recipe, revisions.models.get("judge", "")),
        )

    @property
    def model(self) -> str:
        """Return the revisions of the models that attempt questions."""
        return models_of([self.plain, *([self.stronger] if self.stronger is not None else [])])


class Gate2Settings(StageSettings):
    """What gate 2 sees of a recipe."""

    gate: ToolsGate
    tools: Ask
    fresh: Ask
    judge: AnswerAsk | None
    gold: DisputeSettings
    base_family: str
    """Of the base model."""
    grader: Revision[int] = answers.VERSION
    chance: Revision[int] = guessing.VERSION

    @classmethod
    def of(cls, job: Job, inputs: Inputs, revisions: Revisions) -> Gate2Settings:
        """Return the settings of a run."""
        recipe = job.recipe
        return cls(
            gate=recipe.gate.tools,
            tools=gate_ask(recipe, inputs.prompts, revisions, "main", "tools"),
            fresh=gate_ask(recipe, inputs.prompts, revisions, "fresh", "plain"),
            judge=AnswerAsk.of(recipe, revisions.models.get("judge", "")),
            gold=recipe.gold.dispute,
            base_family=family_of(recipe.models.base),
        )

    @property
    def model(self) -> str:
        """Return the revision of the model that attempts questions."""
        return models_of([self.tools])


def read_gate1(done: Done, settings: Gate1Settings) -> Reader:
    """Hand over what stands in no benchmark."""
    del settings
    ids = done.kept("decontaminate")
    return Reader(len(ids), lambda span: UnitInput(questions_of(done, ids, span)))


def read_gate2(done: Done, settings: Gate2Settings) -> Reader:
    """Hand over what the base model failed without tools, with how often it did."""
    del settings
    ids = done.kept("gate1", "next")

    def unit(span: Range) -> UnitInput:
        counts = (count for count in done.records("gate1", "counts", GateCount, span) if count.question_id in ids)
        return UnitInput(questions_of(done, ids, span), tuple(counts))

    return Reader(len(ids), unit)


async def run_gate1(unit: UnitInput, settings: Gate1Settings, resources: Resources) -> UnitOutput:
    """Keep the questions that the base model fails without tools."""
    gate = _Gate1(settings, resources, resources.judge(settings.judge))
    questions = [record for record in unit.records if isinstance(record, Question)]
    asked = (_gated("gate1", question, gate.decide, resources) for question in questions)
    return gathered(TABLES, await gather_all(asked))


async def run_gate2(unit: UnitInput, settings: Gate2Settings, resources: Resources) -> UnitOutput:
    """Route the questions that stayed hard: solved with tools to RL, unsolved to synthesis."""
    plain = {count.question_id: count for count in unit.context if isinstance(count, GateCount)}
    gate = _Gate2(settings, resources, resources.answer_judge(settings.judge), plain)
    questions = [record for record in unit.records if isinstance(record, Question)]
    asked = (_gated("gate2", question, gate.decide, resources) for question in questions)
    return gathered(GATE2_TABLES, await gather_all(asked))


async def _gated(
    stage: str, question: Question, decide: Callable[[Question, Found], Awaitable[Outcome]], resources: Resources
) -> tuple[Outcome, Found]:
    """Return what became of a question; one that cannot be asked leaves nothing but its payload.

    Its place is held from the first arm to the last: questions end in the order in which they began, so that units
    are committed one after the other and not all at the end.
    """
    found = Found()
    try:
        async with resources.questions:
            outcome = await decide(question, found)
    except RowError as error:
        outcome, found = quarantined(stage, question, error), Found()
    resources.work.records += 1
    return outcome, found


async def _ask(asker: Asker, found: Found, question: Question, samples: Iterable[int]) -> tuple[Trajectory, ...]:
    """Run and grade rollouts of one arm, and write them down.

    Raises:
        MalformedError: too many of the arm's first ones are malformed.
    """

    async def one(sample: int) -> Trajectory:
        async with asker.resources.slots:
            trajectory, votes, dropped = await asker.graded(question, sample)
            asker.resources.formed.count(trajectory, asker.ask.role)
            found.add("votes", votes)
            found.add("dropped_hits", *dropped)
            return trajectory

    rollouts = tuple(await gather_all(one(sample) for sample in samples))
    found.add("trajectories", *rollouts)
    return rollouts


async def _count(asker: Asker, found: Found, question: Question, samples: range, easy_from: int) -> ArmCount:
    """Ask in an arm beside the main one, and count."""
    pixels = asker.ask.view.max_pixels if asker.ask.arm != "blind" else 0
    count = arm_count(await _ask(asker, found, question, samples), max_pixels=pixels, easy_from=easy_from)
    found.add("arms", count)
    return count


@dataclass(frozen=True)
class _Gate1:
    settings: Gate1Settings
    resources: Resources
    judge: Judge | None

    async def decide(self, question: Question, found: Found) -> Outcome:
        settings = self.settings
        if has_solution(question):
            # Text with a solution of its own: no model has to fail it first (DeepEyesV2, App. A.1).
            return kept("gate1", question, route="long_cot")
        guess = chance(question)
        if settings.blind is not None and question.images:
            # Without the images, which the question may or may not need.
            unseen = question.model_copy(update={"images": ()})
            guessed = easy_blind_from(guess, settings.gate)
            decision = answerable_blind(await self._arm(settings.blind, found, unseen, guessed))
            if decision.outcome != "keep":
                return decided("gate1", question, [decision])
        rollouts = await self._plain(question, found)
        if (refused := filtered("gate1", question, rollouts)) is not None:
            return refused
        count = plain_count(question.id, settings.gate.k, rollouts, guess, settings.gate.guess_floor)
        found.add("counts", count)
        decision = gate1(count, settings.gate)
        way = easy_route(count, settings.lanes) if decision.reason == "too_easy" else None
        if way is not None:
            return kept("gate1", question, route=way, score=decision.score)
        if decision.outcome == "unknown":
            return rejected("gate1", question, decision.reason, without_answer(count), decision.score)
        if decision.outcome != "keep":
            return decided("gate1", question, [decision])
        return decided("gate1", question, [*await self._survivor(question, found), decision])

    async def _plain(self, question: Question, found: Found) -> tuple[Trajectory, ...]:
        """Ask until the rule has enough; the lane `no_call` goes by all k."""
        asker, gate, lanes = self._asker(self.settings.plain), self.settings.gate, self.settings.lanes
        all_k = gate.asks_all(question.id) or lanes.draws_no_call(question.id)
        rollouts: tuple[Trajectory, ...] = ()
        while more := wanted(map(kind, rollouts), gate, all_k=all_k):
            rollouts += await _ask(asker, found, question, range(len(rollouts), len(rollouts) + more))
        return rollouts

    async def _survivor(self, question: Question, found: Found) -> Sequence[Decision]:
        """Ask what else is wanted of a question that passed; the first decision against it ends it."""
        settings = self.settings
        if settings.stronger is not None:
            decision = easy_for_stronger(await self._arm(settings.stronger, found, question), settings.gate)
            if decision.outcome != "keep":
                return (decision,)
        if self.judge is not None and settings.gate.judge_questions:
            votes = await self.judge.question(question)
            found.add("votes", votes)
            decision = question_decision(votes)
            if decision.outcome != "keep":
                return (decision,)
        if question.images:
            await gather_all(self._arm(ask, found, question) for ask in settings.pixels)
        return ()

    async def _arm(self, ask: Ask, found: Found, question: Question, easy_from: int | None = None) -> ArmCount:
        gate = self.settings.gate
        above = gate.max_plain_right + 1 if easy_from is None else easy_from
        return await _count(self._asker(ask), found, question, range(gate.k), above)

    def _asker(self, ask: Ask) -> Asker:
        return Asker(ask, self.resources, self.judge)


@dataclass(frozen=True)
class _Gate2:
    settings: Gate2Settings
    resources: Resources
    judge: AnswerJudge | None
    plain: dict[str, GateCount]
    """Of gate 1, by question."""

    async def decide(self, question: Question, found: Found) -> Outcome:
        gate = self.settings.gate
        tools, fresh = (Asker(ask, self.resources, self.judge) for ask in (self.settings.tools, self.settings.fresh))
        rollouts = await _ask(tools, found, question, range(gate.k))
        if (refused := filtered("gate2", question, rollouts)) is not None:
            return refused
        plain, placebo = self.plain[question.id], None
        if gate.asks_fresh(question.id):
            # The k samples after those that gate 1 asked, of which none has decided anything.
            again = range(plain.plain_asked, plain.plain_asked + gate.k)
            placebo = await _count(fresh, found, question, again, gate.max_plain_right + 1)
        count = tools_count(plain, rollouts, placebo)
        routing = gate2(count, gate, placebo)
        found.add("counts", count.model_copy(update={"route": routing.route, "by_floor": routing.by_floor}))
        decision = routing.decision
        if routing.route == "rl":
            found.add("suspicions", disputed(question, rollouts, self.settings.gold, self.settings.base_family))
        if routing.route is None:
            return rejected("gate2", question, decision.reason, routing.detail or "gate2", decision.score)
        return decided("gate2", question, [decision], routing.route)


GATE1: Stage[Gate1Settings, Resources] = Stage(
    name="gate1",
    version=3,
    kind="map",
    resource="model",
    settings=Gate1Settings,
    read=read_gate1,
    run=run_gate1,
    tables=TABLES,
    again=AGAIN,
    asks=frozenset({"base", "stronger", "judge"}),
)
GATE2: Stage[Gate2Settings, Resources] = Stage(
    name="gate2",
    version=4,
    kind="map",
    resource="model",
    settings=Gate2Settings,
    read=read_gate2,
    run=run_gate2,
    tables=GATE2_TABLES,
    again=AGAIN,
    asks=frozenset({"base", "judge"}),
)
