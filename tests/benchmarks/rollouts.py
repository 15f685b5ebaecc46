"""What very many conversations at once need in memory: each about its own picture, with a model that takes time.

The synthesis stage itself, with everything but a server and a sandbox: a message that is refused, a search, an
answer. Pictures are noise, so that they have bytes; held in memory, 10,000 of them and their views would be seen.
`tests.benchmarks.models` measures rollouts with cells and a server.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from flows.recipe.recipe import SynthesisUse
from flows.stages import synthesize
from pipeline.engine.executor import Executor
from pipeline.images import encode_png, put_image
from pipeline.models.chat import ChatRequest, ChatResponse
from pipeline.processes import cores
from pipeline.records import Question
from pipeline.sandbox import Policy, Pool
from pipeline.store import Store
from pipeline.store.blobs import BlobStore
from tests.support.asking import resources, teacher_ask, tools
from tests.support.builders import question
from tests.support.synthesis import synthesis, unsolved

SIDE = 168, 112
"""Multiples of 28: some 20 KB as PNG."""
LIMIT_MB = 1_536
MESSAGES = (
    "I shall look it up.",
    '<think>I look.</think>\n<tool_call>\n{"name": "search", "arguments": {"query": "two and two"}}\n</tool_call>',
    "<think>Two and two.</think>\n<answer>4</answer>",
)


@dataclass(frozen=True)
class Slow:
    """Says the next of `MESSAGES` after a while."""

    latency: float
    revision: str = "script/1"
    slots: AbstractAsyncContextManager[object] = field(default_factory=nullcontext)

    async def generate(self, request: ChatRequest, samples: Sequence[int]) -> Sequence[ChatResponse]:
        """Answer every sample alike."""
        number = sum(message.role == "assistant" for message in request.messages)
        await asyncio.sleep(self.latency)
        return [ChatResponse(text=MESSAGES[number], finish="stop", prompt_tokens=300, completion_tokens=20)] * len(
            samples
        )


def numbered(number: int, blobs: BlobStore) -> Question:
    """Return a question about a picture that no other shows."""
    from PIL import Image

    return question(
        f"How many dots are there? ({number})",
        source_row=str(number),
        category="reasoning",
        images=(put_image(blobs, encode_png(Image.effect_noise(SIDE, 60))),),
        answers=("4",),
        answer_type="number",
    )


def stage_of(latency: float) -> tuple[synthesize.SynthesizeSettings, dict[str, Slow]]:
    """Return the stage with one teacher that is asked once, and that teacher by its role."""
    model = Slow(latency)
    ask = teacher_ask(model=model.revision)
    return synthesis((ask,), SynthesisUse(attempts=1)), {ask.role: model}


def peak_mb() -> float:
    """Return the largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def run(store: Path, conversations: int, at_once: int, latency: float) -> None:
    """Run so many conversations and print what they took."""
    with Store(store) as opened, Executor(1) as executor, Pool(Policy(), cores()) as pool:
        questions = tuple(numbered(number, opened.blobs) for number in range(conversations))
        before, began = peak_mb(), time.monotonic()
        settings, models = stage_of(latency)
        acting = resources(tools(opened, pool), opened, models, at_once=at_once)
        output = executor.wait(synthesize.run(unsolved(*questions), settings, acting))
        wall = time.monotonic() - began
    finished = len(output.tables["trajectories"])
    assert finished == conversations, f"{conversations - finished} of {conversations} did not end with an answer"
    sys.stdout.write(
        f"{conversations:,} conversations of {len(MESSAGES)} messages, {at_once:,} at once, a picture each, "
        f"{latency:g} s a message: {wall:.1f} s; peak {peak_mb():.0f} MB, {before:.0f} MB of it before the first\n"
    )
    assert peak_mb() < LIMIT_MB, f"more than {LIMIT_MB} MB"


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=10_000)
    parser.add_argument("--latency", type=float, default=5.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        run(Path(root), given.conversations, given.at_once, given.latency)
