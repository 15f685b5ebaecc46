"""Whatever a server does, every sample is stored once, as the server answered it, and nothing else is."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import RowError
from pipeline.models.providers.openai import Server
from pipeline.models.samples import Meter, Metered, Price, sample_once
from pipeline.store.blobs import BlobStore
from pipeline.store.calls import CallCache
from tests.support.openai_asking import REQUEST, TWO_CHOICES
from tests.support.servers.openai_server import DROPPED, GARBAGE, HANGING, RESET, OpenAIServer, Reply, completion

SAMPLES = 12
FAULTS = {
    "429": Reply(429),
    "429 and when to come back": Reply(429, headers={"Retry-After": "0.01"}),
    "500": Reply(500),
    "503": Reply(503),
    "reset": RESET,
    "half a body": DROPPED,
    "hang": HANGING,
    "invalid JSON": GARBAGE,
    "no choice": Reply(body='{"choices": []}'),
    "two choices": TWO_CHOICES,
    "no content": completion(None, "abort"),
}
TOO_LONG = Reply(400, '{"error": {"code": "context_length_exceeded", "message": "too long"}}')


def by_seed(body: dict[str, Any]) -> Reply:
    return TOO_LONG if body["seed"] == REQUEST.seed else completion(f"<answer>{body['seed']}</answer>")


async def ask_all(url: str, store: Path) -> tuple[list[str], Meter]:
    """Ask for every sample through the store; an error's reason stands for its answer."""
    client = Server(
        url,
        "served",
        "openai/weights",
        BlobStore(store / "blobs"),
        # Long enough for a loaded machine, short enough for a hang to end within the test.
        timeout_seconds=0.5,
        first_pause_seconds=0.002,
    )
    meter = Meter()
    model = Metered(client, meter, Price())

    async def one(cache: CallCache, sample: int) -> str:
        try:
            return (await sample_once(cache, model, REQUEST, sample)).response.text
        except RowError as error:
            return error.reason

    try:
        with CallCache(store / "calls.sqlite") as cache:
            return list(await asyncio.gather(*(one(cache, sample) for sample in range(SAMPLES)))), meter
    finally:
        await client.aclose()


EXPECTED = ["context_too_long", *(f"<answer>{REQUEST.seed + sample}</answer>" for sample in range(1, SAMPLES))]


@given(faults=st.lists(st.sampled_from(sorted(FAULTS)), max_size=25))
@settings(max_examples=25, deadline=None)
def test_faults_lose_nothing_double_nothing_and_are_written_nowhere(faults: list[str]) -> None:
    async def main(store: Path) -> None:
        fake = OpenAIServer(script=by_seed, faults=[FAULTS[name] for name in faults])
        async with fake.serving() as url:
            answers, meter = await ask_all(url, store)
        assert answers == EXPECTED
        assert meter.spent.calls == SAMPLES - 1
        # Ideal, and one more for each fault that hit.
        assert len(fake.requests) == SAMPLES + len(faults)
        with sqlite3.connect(store / "calls.sqlite") as db:
            stored = [json.loads(value) for (value,) in db.execute("SELECT value FROM calls")]
        assert Counter(value["text"] for value in stored) == Counter(EXPECTED[1:])

    # Many faults may hit one sample, whose pauses would double up to half a minute each.
    with tempfile.TemporaryDirectory() as store, patch("pipeline.pauses.LONGEST_PAUSE_SECONDS", 0.05):
        asyncio.run(main(Path(store)))


def test_empty_content_is_an_answer_of_the_model(tmp_path: Path) -> None:
    async def main() -> list[str]:
        async with OpenAIServer(script=lambda _: completion("")).serving() as url:
            return (await ask_all(url, tmp_path))[0]

    assert asyncio.run(main()) == [""] * SAMPLES
