"""Every try that fails is counted by its cause, and every call that is tried again, whatever a server does."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from pathlib import Path
from unittest.mock import patch

import pytest

from pipeline.errors import InfrastructureError, RowError
from pipeline.models.client import Asked, Client, Key, Retry, read_json
from pipeline.models.providers.openai import Server
from pipeline.models.samples import Meter, Metered, Price
from pipeline.models.traffic import Traffic
from pipeline.store.blobs import BlobStore
from tests.support.openai_asking import REQUEST
from tests.support.servers.openai_server import DROPPED, GARBAGE, HANGING, RESET, OpenAIServer, Reply, completion

TOO_LONG = Reply(400, '{"error": {"code": "context_length_exceeded", "message": "too long"}}')
FAULTS = {
    "429": Reply(429, headers={"Retry-After": "0.01"}),
    "500": Reply(500),
    "503": Reply(503),
    "connection lost": RESET,
    "timeout": HANGING,
    "unusable answer": GARBAGE,
}


def metered(url: str, store: Path) -> tuple[Server, Metered]:
    traffic = Traffic()
    client = Server(
        url,
        "served",
        "openai/weights",
        BlobStore(store / "blobs"),
        timeout_seconds=0.5,
        first_pause_seconds=0.002,
        traffic=traffic,
    )
    return client, Metered(client, Meter(), Price(), traffic=traffic)


def test_failed_tries_are_told_by_cause(tmp_path: Path) -> None:
    expected = Counter({cause: number + 1 for number, cause in enumerate(FAULTS)})

    async def main() -> Traffic:
        faults = [FAULTS[cause] for cause in expected.elements()]
        async with OpenAIServer(faults=faults).serving() as url:
            client, model = metered(url, tmp_path)
            try:
                await model.generate(REQUEST, range(8))
            finally:
                await client.aclose()
            return model.traffic

    with patch("pipeline.pauses.LONGEST_PAUSE_SECONDS", 0.05):
        traffic = asyncio.run(main())
    assert traffic.failed == expected
    assert traffic.again == expected.total()
    assert traffic.in_flight == 0


def test_half_an_answer_is_a_lost_connection_and_what_is_refused_is_not_asked_again(tmp_path: Path) -> None:
    async def main() -> Traffic:
        async with OpenAIServer(script=lambda _: TOO_LONG, faults=[DROPPED]).serving() as url:
            client, model = metered(url, tmp_path)
            try:
                with pytest.raises(RowError):
                    await model.generate(REQUEST, [0])
            finally:
                await client.aclose()
            return model.traffic

    traffic = asyncio.run(main())
    assert traffic.failed == {"connection lost": 1, "context_too_long": 1}
    assert (traffic.again, traffic.in_flight) == (1, 0)


def test_a_server_that_is_not_there_refuses_the_connection() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

    async def main() -> Traffic:
        client = Client(
            "server", [url], Key(None), lambda _status, _body: None, retry=Retry(3, first_pause_seconds=0.002)
        )
        try:
            with pytest.raises(InfrastructureError):
                await client.ask(Asked("GET", "/models"), read_json)
        finally:
            await client.aclose()
        return client.traffic

    traffic = asyncio.run(main())
    assert (traffic.failed, traffic.again) == ({"connection refused": 3}, 2)


def test_calls_are_in_flight_until_they_are_answered(tmp_path: Path) -> None:
    async def main() -> list[int]:
        seen = list[int]()

        def script(_: object) -> Reply:
            seen.append(model.traffic.in_flight)
            return completion("<answer>4</answer>")

        async with OpenAIServer(script=script).serving() as url:
            client, model = metered(url, tmp_path)
            await model.generate(REQUEST, range(5))
            await client.aclose()
        return [*seen, model.traffic.in_flight]

    first, *_, last = asyncio.run(main())
    assert (first, last) == (5, 0)
