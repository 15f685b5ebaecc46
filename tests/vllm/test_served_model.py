"""`coldforge serve-model` with vLLM itself, asked by the real client."""

from __future__ import annotations

import asyncio
import io
import signal
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest
from PIL import Image as Pillow

from pipeline.dialects.deepeyesv2 import STOP
from pipeline.errors import RowError
from pipeline.models.chat import ChatRequest, ChatResponse, Image, Message, Sampling, Text
from pipeline.models.providers.openai import Server
from pipeline.models.views import make_view
from pipeline.store.blobs import BlobStore
from pipeline.students.family import ViewRule
from tests.support.command import start
from tests.vllm.conftest import FLAGS
from tests.vllm.lessons import QUESTION, lessons

T = TypeVar("T")
MODEL = "openai/tiny-qwen@1"


class Running(NamedTuple):
    url: str
    name: str
    blobs: BlobStore


@pytest.fixture(scope="module")
def served(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    began = time.monotonic()
    process = start(["serve-model", checkpoint, "--port", "0", "--", *FLAGS])
    assert process.stdout is not None
    assert process.stderr is not None
    log: list[str] = []
    reading = threading.Thread(target=log.extend, args=(process.stderr,))
    reading.start()
    told = [process.stdout.readline().strip() for _ in range(3)]
    assert "base_url: " in told[2], "".join(log[-30:])
    print(f"\nserve-model: ready after {time.monotonic() - began:.0f} s")  # noqa: T201
    name, url = told[1].partition(": ")[2], told[2].partition(": ")[2]
    yield Running(url, name, BlobStore(tmp_path_factory.mktemp("blobs")))
    process.send_signal(signal.SIGINT)
    process.wait(60)
    reading.join()
    process.stdout.close()
    assert process.returncode == 130, "".join(log[-30:])
    with pytest.raises(ConnectionRefusedError):
        asyncio.run(_connect(url))


async def _connect(url: str) -> None:
    host, _, port = url.removeprefix("http://").removesuffix("/v1").partition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.close()


def talk(served: Running, work: Callable[[Server], Awaitable[T]]) -> T:
    async def main() -> T:
        client = Server(served.url, served_name=served.name, revision=MODEL, blobs=served.blobs, in_flight=32)
        try:
            await client.check()
            return await work(client)
        finally:
            await client.aclose()

    return asyncio.run(main())


def request(blobs: BlobStore, side: int, *, lesson: int = 0, seed: int = 7, logprobs: bool = False) -> ChatRequest:
    """A lesson's question beside a square picture of `side` pixels."""
    (_, system), (_, user), *_ = lessons()[lesson]
    data = io.BytesIO()
    Pillow.effect_noise((side, side), 64).convert("RGB").save(data, "PNG")
    view = make_view(data.getvalue(), ViewRule("qwen2_5_vl", 262_144, "student"), blobs)
    before, after = user.replace(QUESTION, "What is it?").split("<image>")
    return ChatRequest(
        model=MODEL,
        messages=(
            Message(role="system", parts=(Text(text=system),)),
            Message(role="user", parts=(Text(text=before), Image(view=view), Text(text=after))),
        ),
        sampling=Sampling(max_tokens=128),
        stop=STOP,
        seed=seed,
        logprobs=logprobs,
    )


def ask(served: Running, asked: ChatRequest, samples: Sequence[int] = (0,)) -> Sequence[ChatResponse]:
    return talk(served, lambda client: client.generate(asked, samples))


def test_images_reach_the_model(served: Running) -> None:
    (small,), (large,) = (ask(served, request(served.blobs, side)) for side in (112, 448))
    # A token for each 28 by 28 pixels: 4 x 4 and 16 x 16.
    assert large.prompt_tokens - small.prompt_tokens == 256 - 16


def test_a_message_ends_with_its_action_and_is_counted(served: Running) -> None:
    (response,) = ask(served, request(served.blobs, 224))
    assert response.finish == "stop"
    assert response.text.endswith("</answer>")
    assert 0 < response.completion_tokens < 128
    assert response.model_version.startswith("tiny-qwen")


def test_a_seed_is_an_answer_and_other_seeds_are_others(served: Running) -> None:
    asked = request(served.blobs, 224)
    first, again = ask(served, asked, range(12)), ask(served, asked, range(12))
    assert [response.text for response in first] == [response.text for response in again]
    assert len({response.text for response in first}) > 1
    # The seed of a sample is the request's and its number, whoever else is in the batch.
    (alone,) = ask(served, asked.model_copy(update={"seed": asked.seed + 5}))
    assert alone.text == first[5].text


def test_log_probabilities_come_for_each_token(served: Running) -> None:
    (response,) = ask(served, request(served.blobs, 112, logprobs=True))
    assert len(response.logprobs) == response.completion_tokens
    assert all(value <= 0 for value in response.logprobs)


def test_a_prompt_that_is_too_long_is_the_rows_error(served: Running) -> None:
    asked = request(served.blobs, 112)
    long = Message(role="user", parts=(Text(text="too long " * 5_000),))
    with pytest.raises(RowError, match="context_too_long"):
        ask(served, asked.model_copy(update={"messages": (*asked.messages, long)}))


def test_many_requests_are_answered_at_once(served: Running) -> None:
    asked = [request(served.blobs, 224, seed=seed) for seed in range(0, 960, 10)]

    async def work(client: Server) -> list[Sequence[ChatResponse]]:
        return await asyncio.gather(*(client.generate(one, (0,)) for one in asked))

    began = time.monotonic()
    answers = talk(served, work)
    seconds = time.monotonic() - began
    tokens = sum(answer.completion_tokens for (answer,) in answers)
    print(f"\nserver: {len(asked) / seconds:.1f} requests/s, {tokens / seconds:.0f} tokens/s written")  # noqa: T201
    assert all(answer.text for (answer,) in answers)
