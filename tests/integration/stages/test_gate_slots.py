"""A gate works on one question from its first arm to its last, so that units end one after the other."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from filters.gates.gold import DisputeSettings
from filters.gates.rules import GateSettings
from flows.recipe.recipe import FEWEST_ROLLOUTS
from flows.runners.local import OPEN_UNITS
from flows.stages.gate import Gate2Settings, run_gate2
from pipeline.engine.units import UnitInput
from pipeline.models.chat import ChatRequest
from pipeline.records import Question
from pipeline.rollout.loop import Limits
from pipeline.sandbox import Pool, guest
from pipeline.store import Store
from tests.support.asking import ask, resources, tools
from tests.support.builders import gate_count, question
from tests.support.fakes import ScriptedModel

QUESTIONS = 2_000
UNITS = 64
"""As a run of 2,000 rows has: at most 32 questions each."""
LOOK = '<think>I look it up.</think>\n<tool_call>\n{"name": "search", "arguments": {"query": "x"}}\n</tool_call>'
ANSWER = "<think>So it is.</think>\n<answer>NOTHING</answer>"


def look_then_answer(request: ChatRequest, _: int) -> str:
    return ANSWER if len(request.messages) > 3 else LOOK


def test_the_first_unit_of_gate_2_commits_before_a_twentieth_of_its_calls(tmp_path: Path) -> None:
    guest.setup()
    questions = [question(f"Which word is on sign {n}?", source_row=str(n), images=()) for n in range(QUESTIONS)]
    gate, rollouts = GateSettings(), FEWEST_ROLLOUTS
    settings = Gate2Settings(
        gate=gate.tools,
        tools=ask(mode="tools", system="You have tools.", limits=Limits(max_turns=3)),
        fresh=ask(arm="fresh"),
        judge=None,
        gold=DisputeSettings(),
        base_family="scripted",
    )
    model = ScriptedModel(look_then_answer, latency=0.001)
    calls = QUESTIONS * gate.k * 2  # a search and an answer of each rollout

    async def first_unit(opened: Store, pool: Pool) -> int:
        acting = resources(
            tools(opened, pool), opened, {"base": model}, at_once=rollouts, questions=-(-rollouts // gate.k)
        )
        open_units = asyncio.Semaphore(OPEN_UNITS)

        async def unit(some: list[Question]) -> None:
            async with open_units:
                await run_gate2(UnitInput(tuple(some), tuple(gate_count(one.id) for one in some)), settings, acting)

        tasks = [asyncio.create_task(unit(questions[number::UNITS])) for number in range(UNITS)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        asked = len(model.calls)
        for task in tasks:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert not [error for error in done if isinstance(error, Exception)]
        return asked

    with Store(tmp_path) as opened, Pool(workers=1) as pool:
        asked = asyncio.run(first_unit(opened, pool))
    sys.stdout.write(f"first unit after {asked:,} of {calls:,} calls ({asked / calls:.1%})\n")  # shown with -s
    assert asked < 0.05 * calls, f"{asked / calls:.1%} of the calls were made"
