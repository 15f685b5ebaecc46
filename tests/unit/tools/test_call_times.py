"""The time that counts is what an execution took: never its queue, and never a part of the answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.images import encode_png, put_image
from pipeline.models.chat import ChatRequest, Message, Sampling, Text
from pipeline.models.samples import Sampled, sample_once
from pipeline.store.blobs import BlobStore
from pipeline.store.calls import CallCache, timed
from pipeline.tools.search.asked import Search, image_search, text_search
from pipeline.tools.search.hits import Answer, ImageHit, Picture, TextHit
from tests.support.builders import question
from tests.support.fakes import ScriptedModel

REQUEST = ChatRequest(
    model="scripted/1",
    messages=(Message(role="user", parts=(Text(text="2 + 2?"),)),),
    sampling=Sampling(),
    seed=0,
)
SECONDS = 0.05


class SlowSearch:
    """A provider that finds nothing, slowly."""

    revision = "slow/1"
    needs_url = False

    async def text(self, query: str, results: int) -> Answer[TextHit]:  # noqa: ARG002 - a provider's signature
        _, seconds = await asyncio.to_thread(timed, lambda: time.sleep(SECONDS))
        return Answer((), seconds)

    async def image(self, picture: Picture, results: int) -> Answer[ImageHit]:  # noqa: ARG002 - a provider's signature
        _, seconds = await asyncio.to_thread(timed, lambda: time.sleep(SECONDS))
        return Answer((), seconds)


def sampled(store: Path, latency: float) -> Sampled:
    async def ask(cache: CallCache) -> Sampled:
        return await sample_once(cache, ScriptedModel(lambda _, __: "4", latency=latency), REQUEST, 0)

    with CallCache(store / "calls.sqlite") as cache:
        return asyncio.run(ask(cache))


def test_equal_answers_are_equal_however_long_they_took(tmp_path: Path) -> None:
    slow, fast = sampled(tmp_path / "slow", 0.02), sampled(tmp_path / "fast", 0.001)
    assert slow.response == fast.response
    assert (slow.seconds, fast.seconds) == (0.02, 0.001)
    assert sampled(tmp_path / "slow", 0.0) == slow


@pytest.mark.parametrize("tool", ["text", "image"])
def test_searches_that_wait_for_a_thread_do_not_count_it(tool: str, tmp_path: Path) -> None:
    from PIL import Image

    blobs, search = BlobStore(tmp_path), Search(SlowSearch(), SlowSearch())
    images = [put_image(blobs, encode_png(Image.new("RGB", (40, 30), (shade, 0, 0)))) for shade in range(6)]

    async def together(cache: CallCache) -> Sequence[float]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        if tool == "text":
            texts = (text_search(cache, search, question("?"), f"query {number}") for number in range(6))
            return [found.seconds for found in await asyncio.gather(*texts)]
        asked = (question("?").model_copy(update={"images": (image,)}) for image in images)
        pictures = (image_search(cache, search, blobs, one) for one in asked)
        return [found.seconds for found in await asyncio.gather(*pictures) if found is not None]

    began = time.monotonic()
    with CallCache(tmp_path / "calls.sqlite") as cache:
        seconds = asyncio.run(together(cache))
    # One after the other: had any counted its queue, they would add up to more than passed.
    assert sum(seconds) <= time.monotonic() - began
    assert min(seconds) >= SECONDS
