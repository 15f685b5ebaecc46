"""More conversations than sessions, and a model that answers all of them at once or none: a batch per turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.models.chat import ChatRequest, ChatResponse
from pipeline.records import Trajectory
from pipeline.rollout.loop import rollout
from pipeline.sandbox import Policy, Pool, guest
from pipeline.store import Store
from tests.support.asking import teacher_ask, tools
from tests.support.builders import question

CONVERSATIONS = 6
SESSIONS = 2


@dataclass
class Waves:
    """Answers when every conversation waits: cells that build on each other, then the answer."""

    revision: str = "waves/1"
    slots: AbstractAsyncContextManager[object] = field(default_factory=nullcontext)
    waves: int = 0
    waiting: list[asyncio.Event] = field(default_factory=list)

    async def generate(self, request: ChatRequest, samples: Sequence[int]) -> Sequence[ChatResponse]:
        mine = asyncio.Event()
        self.waiting.append(mine)
        if len(self.waiting) == CONVERSATIONS:
            self.waves += 1
            for waiting in self.waiting:
                waiting.set()
            self.waiting.clear()
        await mine.wait()
        number = sum(message.role == "assistant" for message in request.messages)
        # Every conversation's own: an equal cell would come from the store.
        code = (f"x = {samples[0]}", "x += 40\nprint(x)")
        act = f"<code>\n```python\n{code[number]}\n```\n</code>" if number < len(code) else "<answer>done</answer>"
        text = f"<think>Step {number}.</think>\n{act}"
        return [ChatResponse(text=text, finish="stop", prompt_tokens=1, completion_tokens=1)]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    guest.setup()
    with Pool(Policy(), 1, sessions=SESSIONS) as pool:
        yield pool


def test_conversations_that_wait_for_a_batch_keep_no_session_from_those_that_need_one(
    pool: Pool, tmp_path: Path
) -> None:
    model = Waves()
    ask = teacher_ask(model=model.revision)
    asked = question("What is it?", category="reasoning", answers=("done",))

    async def main(store: Store) -> list[Trajectory]:
        acting = tools(store, pool, idle_seconds=0.05)
        runs = (rollout(asked, sample, ask, model, acting) for sample in range(CONVERSATIONS))
        return [done.trajectory for done in await asyncio.wait_for(asyncio.gather(*runs), timeout=60)]

    with Store(tmp_path) as store:
        done = asyncio.run(main(store))
    assert model.waves == 3
    for sample, trajectory in enumerate(done):
        assert trajectory.finish == "answer"
        assert f"```\n{sample + 40}\n" in str(trajectory.turns[1].observation)
