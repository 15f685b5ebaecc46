"""Asking the stand-in of the OpenAI protocol with the client of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pipeline.dialects.deepeyesv2 import STOP
from pipeline.models.chat import ChatRequest, ChatResponse, Message, Sampling, Text
from pipeline.models.providers.openai import Server
from pipeline.store.blobs import BlobStore
from tests.support.servers.openai_server import OpenAIServer, Reply

T = TypeVar("T")

REQUEST = ChatRequest(
    model="openai/weights",
    messages=(
        Message(role="system", parts=(Text(text="Be right."),)),
        Message(role="user", parts=(Text(text="2 + 2?"),)),
    ),
    sampling=Sampling(temperature=0.7, top_p=0.9, max_tokens=64),
    stop=STOP,
    seed=100,
)
ANSWER = "<think>t</think>\n<answer>4</answer>"

TWO_CHOICES = Reply(body=json.dumps({"choices": [{"message": {"content": "a"}}, {"message": {"content": "b"}}]}))


def talk(fake: OpenAIServer, root: Path, work: Callable[[Server], Awaitable[T]], **fields: Any) -> T:
    """Run `work` with a client of `fake`."""

    async def main() -> T:
        async with fake.serving() as url:
            settings = {"base_url": url, "first_pause_seconds": 0.001, **fields}
            client = Server(served_name="served", revision="openai/weights", blobs=BlobStore(root), **settings)
            try:
                return await work(client)
            finally:
                await client.aclose()

    return asyncio.run(main())


def ask(
    fake: OpenAIServer, root: Path, request: ChatRequest = REQUEST, samples: Sequence[int] = (0,), **fields: Any
) -> Sequence[ChatResponse]:
    return talk(fake, root, lambda client: client.generate(request, samples), **fields)
