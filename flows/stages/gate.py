"""Gates 1 and 2: k rollouts of the base model without tools, then k with tools for what stayed hard.

Beside these main arms there are others (`flows.stages.arms`). Every rollout is kept, so that other thresholds
need no model.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from filters.answers.chance import chance
from filters.answers.votes import question_decision
from filters.gates.lanes import easy_route
from filters.gates.rules import answerable_blind, easy_for_stronger, gate1, gate2, plain_count, tools_count, wanted
from filters.validate.long_cot import has_solution
from flows.stages.arms import (
    Asking,
    Gate,
    Written,
    ask,
    ask_at_pixels,
    ask_blind,
    ask_fresh,
    ask_stronger,
    merged,
    open_gate,
)
from flows.stages.common import decided, gather_all, kept, quarantined, rejected
from flows.stages.curation import Curation, Work, kept_ids, questions_of
from pipeline.engine.running import run_unit_async
from pipeline.engine.stage import Stage
from pipeline.engine.units import Range, UnitInput, UnitOutput, UnitResult
from pipeline.errors import RowError
from pipeline.records import (
    Decision,
    GateCount,
    Outcome,
    Question,
    Trajectory,
)


def gate1_work(curation: Curation, stage: Stage) -> Work:
    """Ask the base model without tools."""
    ids = kept_ids(curation.done["decontaminate"])
    gate = open_gate(curation)

    def unit(span: Range, _: int) -> UnitResult:
        mine = UnitInput(questions_of(curation.done["screen"], ids, span))
        run = run_unit_async(stage, curation.job.out, span, mine, lambda given: gate1_unit(gate, given))
        return curation.executor.wait(run)

    return Work(len(ids), unit)


def gate2_work(curation: Curation, stage: Stage) -> Work:
    """Ask the base model with tools about what it failed without."""
    hard = curation.done["gate1"]
    ids = kept_ids(hard, "next")
    gate = open_gate(curation)

    def unit(span: Range, _: int) -> UnitResult:
        questions = questions_of(curation.done["screen"], ids, span)
        counts = tuple(count for count in hard.read("counts", GateCount, span) if count.question_id in ids)
        mine = UnitInput(questions, counts)
        run = run_unit_async(stage, curation.job.out, span, mine, lambda given: gate2_unit(gate, given))
        return curation.executor.wait(run)

    return Work(len(ids), unit)


async def gate1_unit(gate: Gate, unit: UnitInput) -> UnitOutput:
    """Keep the questions that the base model fails without tools."""
    questions = [record for record in unit.records if isinstance(record, Question)]
    return _output(
        await gather_all(_gated("gate1", question, lambda q, w: _hard(gate, q, w)) for question in questions)
    )


async def gate2_unit(gate: Gate, unit: UnitInput) -> UnitOutput:
    """Route the questions that stayed hard: solved with tools to RL, unsolved to synthesis."""
    plain = {count.question_id: count for count in unit.context if isinstance(count, GateCount)}
    questions = [record for record in unit.records if isinstance(record, Question)]
    return _output(
        await gather_all(
            _gated("gate2", question, lambda q, w: _helped(gate, q, plain[q.id], w)) for question in questions
        )
    )


class _Gated(NamedTuple):
    outcome: Outcome
    written: Written


async def _gated(stage: str, question: Question, work: Callable[[Question, Written], Awaitable[Outcome]]) -> _Gated:
    """Return what became of a question; one that cannot be asked leaves nothing but its payload."""
    written = Written()
    try:
        return _Gated(await work(question, written), written)
    except RowError as error:
        return _Gated(quarantined(stage, question, error), Written())


async def _hard(gate: Gate, question: Question, written: Written) -> Outcome:
    if has_solution(question):
        # Text with a solution of its own: no model has to fail it first (DeepEyesV2, App. A.1).
        return kept("gate1", question, route="long_cot")
    guess = chance(question)
    if gate.settings.blind and question.images:
        decision = answerable_blind(await ask_blind(gate, written, question), guess, gate.settings)
        if decision.outcome != "keep":
            return decided("gate1", question, [decision])
    decision = await _plain(gate, question, guess, written)
    way = easy_route(question.id, gate.lanes) if decision.reason == "too_easy" else None
    if way is not None:
        return kept("gate1", question, route=way, score=decision.score)
    if decision.outcome != "keep":
        return decided("gate1", question, [decision])
    return decided("gate1", question, [*await _survivor(gate, question, written), decision])


async def _plain(gate: Gate, question: Question, guess: float, written: Written) -> Decision:
    rollouts: tuple[Trajectory, ...] = ()
    while more := wanted(question.id, rollouts, gate.settings):
        asking = Asking(gate.arms.plain, range(len(rollouts), len(rollouts) + more), gate.world)
        rollouts += await ask(gate, written, question, asking)
    count = plain_count(question.id, gate.settings, rollouts, guess)
    written.counts.append(count)
    return gate1(count, gate.settings)


async def _survivor(gate: Gate, question: Question, written: Written) -> Sequence[Decision]:
    """Ask what else is wanted of a question that passed; the first decision against it ends it."""
    if gate.arms.stronger is not None:
        decision = easy_for_stronger(await ask_stronger(gate, written, question, gate.arms.stronger), gate.settings)
        if decision.outcome != "keep":
            return (decision,)
    if gate.judge is not None and gate.settings.judge_questions:
        votes = await gate.judge.question(question)
        written.votes.append(votes)
        decision = question_decision(votes)
        if decision.outcome != "keep":
            return (decision,)
    if question.images:
        await gather_all(ask_at_pixels(gate, written, question, pixels) for pixels in gate.at_pixels)
    return ()


async def _helped(gate: Gate, question: Question, plain: GateCount, written: Written) -> Outcome:
    rollouts = await ask(gate, written, question, Asking(gate.arms.tools, range(gate.settings.k), gate.world))
    count = tools_count(plain, rollouts)
    fresh = await ask_fresh(gate, written, question) if gate.settings.asks_fresh(question.id) else None
    routing = gate2(count, gate.settings, fresh)
    written.counts.append(count.model_copy(update={"route": routing.route}))
    if routing.route is None:
        return rejected("gate2", question, routing.decision.reason, "gate2", routing.decision.score)
    return decided("gate2", question, [routing.decision], routing.route)


def _output(done: Sequence[_Gated]) -> UnitOutput:
    written = merged(item.written for item in done)
    return UnitOutput(
        tuple(item.outcome for item in done),
        {
            "counts": tuple(written.counts),
            "trajectories": tuple(written.trajectories),
            "arms": tuple(written.arms),
            "votes": tuple(written.votes),
        },
    )
