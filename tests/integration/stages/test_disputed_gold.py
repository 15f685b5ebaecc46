"""A stored answer that some come to and most contradict lives on, and a person is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from filters.gates.gold import REASON, DisputeSettings
from filters.gates.rules import GateSettings
from flows.recipe.recipe import SynthesisUse
from flows.stages import gate, synthesize
from flows.stages.gate import Gate2Settings
from flows.stages.outcomes import kept
from pipeline.engine.units import UnitInput, UnitOutput
from pipeline.models.chat import ChatRequest
from pipeline.records import AttemptFact, Outcome, Suspicion
from pipeline.rollout.loop import Limits
from pipeline.sandbox import Pool, guest
from pipeline.store import Store
from tests.support.asking import ask, resources, teacher_ask, tools
from tests.support.builders import gate_count, question
from tests.support.fakes import ScriptedModel
from tests.support.synthesis import synthesis

QUESTION = question("How many crates are in cellar 7?", category="reasoning", answers=("42",), answer_type="number")
CODE = "<think>I count.</think>\n<code>\n```python\nprint(6 * 7)\n```\n</code>"
TOOLS = "You have tools."
STORED, OTHER = "42", "67"


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    guest.setup()
    with Pool(workers=1) as pool:
        yield pool


def says(*answers: str) -> ScriptedModel:
    """A model that says something else in each sample, after a cell where it has tools."""

    def script(request: ChatRequest, sample: int) -> str:
        with_tools = TOOLS in str(request.messages[0].parts)
        if with_tools and len(request.messages) < 4:
            return CODE
        return f"<think>So it is.</think>\n<answer>{answers[sample % len(answers)]}</answer>"

    return ScriptedModel(script)


def gated(store: Path, pool: Pool, answers: Sequence[str]) -> UnitOutput:
    settings = Gate2Settings(
        gate=GateSettings(fresh_share=0.0).tools,
        tools=ask(mode="tools", system=TOOLS, limits=Limits(max_turns=3)),
        fresh=ask(arm="fresh"),
        judge=None,
        gold=DisputeSettings(),
        base_family="lynx",
    )
    unit = UnitInput((QUESTION,), (gate_count(QUESTION.id, plain_valid=8),))
    with Store(store) as opened:
        acting = resources(tools(opened, pool), opened, {"base": says(*answers)})
        return asyncio.run(gate.run_gate2(unit, settings, acting))


def taught(store: Path, pool: Pool, answers: Sequence[str], use: SynthesisUse) -> UnitOutput:
    facts = tuple(
        AttemptFact(
            trajectory_id=str(number),
            question_id=QUESTION.id,
            model="scripted/base",
            mode="plain",
            answer=OTHER,
            verdict="wrong",
            informed=False,
        )
        for number in range(2)
    )
    settings = synthesis([teacher_ask(system=TOOLS, limits=Limits(max_turns=3))], use)
    settings = settings.model_copy(update={"families": {**settings.families, "scripted/base": "lynx"}})
    unit = UnitInput((QUESTION,), (kept("gate2", QUESTION, route="sft"), *facts))
    with Store(store) as opened:
        acting = resources(tools(opened, pool), opened, {"teachers.0": says(*answers)})
        return asyncio.run(synthesize.run(unit, settings, acting))


def only(output: UnitOutput) -> tuple[Outcome, Suspicion | None]:
    (outcome,), told = output.outcomes, output.tables["suspicions"]
    assert isinstance(outcome, Outcome)
    assert len(told) <= 1
    return outcome, next((row for row in told if isinstance(row, Suspicion)), None)


def test_what_goes_to_rl_is_listed_where_most_rollouts_agree_on_another_answer(tmp_path: Path, pool: Pool) -> None:
    outcome, told = only(gated(tmp_path, pool, [STORED, *[OTHER] * 7]))
    assert (outcome.outcome, outcome.route) == ("kept", "rl")
    assert told is not None
    assert (told.answer, told.agreeing, told.valid, told.reached) == (OTHER, 7, 8, True)
    assert not told.condemns


@pytest.mark.parametrize("answers", [[STORED, OTHER], [STORED, *map(str, range(60, 67))], [OTHER]])
def test_nothing_is_listed_where_they_do_not_agree_or_nothing_goes_to_rl(
    tmp_path: Path, pool: Pool, answers: list[str]
) -> None:
    assert only(gated(tmp_path, pool, answers))[1] is None


def test_a_stored_answer_that_a_teacher_reaches_is_not_rejected_for_the_others(tmp_path: Path, pool: Pool) -> None:
    use = SynthesisUse(attempts=6, accept=2)
    outcome, told = only(taught(tmp_path, pool, [STORED, *[OTHER] * 5], use))
    assert (outcome.outcome, outcome.route) == ("kept", "sft")
    assert told is not None
    assert (told.answer, told.reached) == (OTHER, True)


def test_one_that_nobody_reaches_is(tmp_path: Path, pool: Pool) -> None:
    outcome, told = only(taught(tmp_path, pool, [OTHER], SynthesisUse(attempts=6, accept=2)))
    assert (outcome.outcome, outcome.reason) == ("rejected", REASON)
    assert told is not None
    assert told.condemns
