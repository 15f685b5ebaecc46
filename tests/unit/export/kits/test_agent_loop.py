"""verl's rollouts end where a limit cut them, and read messages whose thought the template has opened."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pipeline.dialects import DEEPEYESV2
from pipeline.identity import canonical_json
from pipeline.rollout.episode import Episode, Places
from tests.support.fakes import CountingSandbox
from tests.support.kits import FACTS, program
from tests.support.trainers import END, Server, installed

LOOK = DEEPEYESV2.render_turn("a", "python", canonical_json({"code": "print(1)"}))
SAID = DEEPEYESV2.render_turn("b", "answer", canonical_json({"answer": "4"}))
PROMPT = [{"role": "system", "content": "Think."}, {"role": "user", "content": "How many?"}]


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    sandbox = CountingSandbox()
    with installed():
        made = program("agent_loop.py", tmp_path)
        monkeypatch.setattr(made, "episode", lambda *_: Episode(FACTS, Places(sandbox, 1), []))
        yield made
    assert sandbox.open == 0


def rolled_out(loop: ModuleType, server: Server, **settings: Any) -> Any:
    agent = loop.ColdforgeAgentLoop(server, **settings)
    return asyncio.run(agent.run({}, raw_prompt=PROMPT, extra_info={"index": "q"}))


@pytest.mark.parametrize("eos", [False, True])
def test_only_what_was_generated_is_learnt(loop: ModuleType, eos: bool) -> None:
    output = rolled_out(loop, Server([LOOK, SAID], eos=eos))
    learnt = [one for one, mask in zip(output.response_ids, output.response_mask, strict=True) if mask]
    assert learnt.count(END) == (2 if eos else 0)
    assert "".join(chr(one) for one in learnt if one != END) == LOOK + SAID
    assert output.extra_fields["assistant_messages"] == [LOOK, SAID]
    given = [value for value, mask in zip(output.response_logprobs, output.response_mask, strict=True) if not mask]
    assert set(given) == {0.0}


def test_a_thought_that_the_prompt_has_opened_is_one(loop: ModuleType) -> None:
    server = Server([LOOK.removeprefix("<think>"), SAID.removeprefix("<think>")])
    output = rolled_out(loop, server, opens="<think>\n")
    assert output.extra_fields["assistant_messages"] == [LOOK, SAID]
    assert len(server.asked) == 2


def test_a_message_that_a_limit_cut_ends_the_episode(loop: ModuleType) -> None:
    server = Server([LOOK[:20], SAID])
    server.cut = True
    assert rolled_out(loop, server).extra_fields["assistant_messages"] == [LOOK[:20]]
    assert len(server.asked) == 1


def test_an_observation_for_which_there_is_no_room_is_not_taken(loop: ModuleType) -> None:
    output = rolled_out(loop, Server([LOOK, SAID]), response_length=len(LOOK) + 10)
    assert output.extra_fields["assistant_messages"] == [LOOK]
    assert len(output.response_ids) <= len(LOOK) + 10
    assert sum(output.response_mask) == len(LOOK)
