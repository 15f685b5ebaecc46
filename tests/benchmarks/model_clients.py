"""One client, one measurement: so many requests, so many at once; prints CPU, wall time and peak memory as JSON.

Run by path and with the interpreter that has the client. `raw` is what anybody would write with aiohttp,
`openai` the official SDK, `ours` the client of this project.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gc
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

IMAGES = 8
"""Different ones, sent in turn."""
WARM_UP = 64

Ask = Callable[[int], Awaitable[None]]


def image(number: int, size: int) -> bytes:
    """Return bytes that stand for a PNG; nobody decodes them."""
    return random.Random(number).randbytes(size)


def message(number: int, pictures: list[str]) -> Any:
    text = {"type": "text", "text": f"What is {number} plus {number}?"}
    if not pictures:
        return [text]
    return [{"type": "image_url", "image_url": {"url": pictures[number % IMAGES]}}, text]


def pictures_of(nbytes: int) -> list[str]:
    urls = (f"data:image/png;base64,{base64.b64encode(image(number, nbytes)).decode()}" for number in range(IMAGES))
    return list(urls) if nbytes else []


async def raw(url: str, nbytes: int, run: Callable[[Ask], Awaitable[None]]) -> None:
    import aiohttp

    pictures = pictures_of(nbytes)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(number: int) -> None:
            body = {
                "model": "m",
                "messages": [{"role": "user", "content": message(number, pictures)}],
                "temperature": 1.0,
                "top_p": 1.0,
                "max_tokens": 64,
                "seed": number,
                "stop": ["</answer>"],
            }
            async with session.post(f"{url}/chat/completions", json=body) as reply:
                reply.raise_for_status()
                answer = await reply.json()
            assert answer["choices"][0]["message"]["content"]

        await run(ask)


async def openai(url: str, nbytes: int, run: Callable[[Ask], Awaitable[None]]) -> None:
    from openai import AsyncOpenAI  # type: ignore[import-not-found] # in .venv-bench alone

    pictures = pictures_of(nbytes)
    async with AsyncOpenAI(base_url=url, api_key="none") as client:

        async def ask(number: int) -> None:
            answer = await client.chat.completions.create(
                model="m",
                messages=[{"role": "user", "content": message(number, pictures)}],
                temperature=1.0,
                top_p=1.0,
                max_tokens=64,
                seed=number,
                stop=["</answer>"],
            )
            assert answer.choices[0].message.content

        await run(ask)


async def ours(url: str, nbytes: int, run: Callable[[Ask], Awaitable[None]]) -> None:
    from pipeline.models.chat import ChatRequest, Image, Message, Sampling, Text, View
    from pipeline.models.providers.openai import Server
    from pipeline.store.blobs import BlobStore

    with tempfile.TemporaryDirectory() as directory:
        blobs = BlobStore(Path(directory))
        stored = [blobs.put(image(number, nbytes)) for number in range(IMAGES)] if nbytes else []
        views = [
            View(blob=blob, pixels=blob, width=512, height=512, source_width=512, source_height=512) for blob in stored
        ]
        client = Server(url, "m", "openai/m", blobs, in_flight=4096)
        gc.freeze()  # as the driver of a run does

        async def ask(number: int) -> None:
            text = Text(text=f"What is {number} plus {number}?")
            parts = (Image(view=views[number % IMAGES]), text) if views else (text,)
            request = ChatRequest(
                model="openai/m",
                messages=(Message(role="user", parts=parts),),
                sampling=Sampling(max_tokens=64),
                stop=("</answer>",),
                seed=number,
            )
            (answer,) = await client.generate(request, (0,))
            assert answer.text

        try:
            await run(ask)
        finally:
            await client.aclose()


def used() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def measure(client: str, url: str, count: int, at_once: int, nbytes: int) -> dict[str, float]:
    report: dict[str, float] = {}

    async def run(ask: Ask) -> None:
        numbers = iter(range(count))

        async def worker() -> None:
            for number in numbers:
                await ask(number)

        await asyncio.gather(*(ask(number) for number in range(min(WARM_UP, at_once))))
        cpu, began = used(), time.monotonic()
        await asyncio.gather(*(worker() for _ in range(at_once)))
        report["wall"] = time.monotonic() - began
        report["cpu_ms"] = (used() - cpu) / count * 1_000
        report["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024

    await {"raw": raw, "openai": openai, "ours": ours}[client](url, nbytes, run)
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("client", choices=("raw", "openai", "ours"))
    parser.add_argument("url")
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--at-once", type=int, default=256)
    parser.add_argument("--bytes", type=int, default=0)
    given = parser.parse_args()
    result = asyncio.run(measure(given.client, given.url, given.count, given.at_once, given.bytes))
    sys.stdout.write(json.dumps(result) + "\n")
