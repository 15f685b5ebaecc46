"""Which replica is asked, which is left alone, and how one comes back."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from pipeline.errors import InfrastructureError, RowError, UsageError
from pipeline.models.chat import ChatRequest, Message, Text
from pipeline.models.providers.openai import Server
from pipeline.models.replicas import OPEN_AFTER, SLACK, BusyError, Replica, Replicas, choose
from pipeline.store.blobs import BlobStore
from tests.support.openai_asking import ANSWER, REQUEST
from tests.support.servers.openai_server import OpenAIServer, Reply

URLS = ("http://a/v1", "http://b/v1", "http://c/v1")


class Now:
    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def replicas(count: int = 2, patience: float = 60.0) -> tuple[Replicas, Now]:
    now = Now()
    return Replicas(URLS[:count], patience, 1.0, now), now


async def fail(group: Replicas, affinity: bytes = b"") -> str:
    """Claim a replica, fail on it and return its URL."""
    with suppress(InfrastructureError):
        async with group.place(affinity) as replica:
            raise InfrastructureError(f"{replica.url} is down")
    return replica.url


async def succeed(group: Replicas, affinity: bytes = b"") -> str:
    async with group.place(affinity) as replica:
        return replica.url


def test_equal_beginnings_share_a_replica_and_different_ones_spread() -> None:
    async def main() -> None:
        group, _ = replicas(3)
        homes = {number: await succeed(group, b"%d" % number) for number in range(300)}
        assert {number: await succeed(group, b"%d" % number) for number in homes} == homes
        assert min(Counter(homes.values()).values()) > 60

    asyncio.run(main())


def test_a_conversation_leaves_its_replica_when_that_is_much_busier_than_another() -> None:
    async def main() -> None:
        group, _ = replicas(2)
        async with AsyncExitStack() as held:
            places = [(await held.enter_async_context(group.place(b"x"))).url for _ in range(SLACK + 11)]
        assert len(set(places[: SLACK + 1])) == 1
        counts = Counter(places)
        assert max(counts.values()) - min(counts.values()) == SLACK + 1
        assert all(replica.open == 0 for replica in group.all)

    asyncio.run(main())


def test_a_beginning_keeps_its_replica_while_others_come_and_go() -> None:
    three = [Replica(url) for url in URLS]
    for number in range(50):
        home = choose(three, b"%d" % number)
        for gone in three:
            if gone is not home:
                assert choose([replica for replica in three if replica is not gone], b"%d" % number) is home


def test_a_replica_that_fails_in_a_row_is_left_alone_then_probed_once_then_used() -> None:
    async def main() -> None:
        group, now = replicas(2)
        down = await fail(group, b"x")
        for _ in range(OPEN_AFTER - 1):
            assert await fail(group, b"x") == down
        assert {await succeed(group, b"x") for _ in range(20)} == {next(u for u in URLS[:2] if u != down)}
        now.seconds += 1.0
        assert await fail(group, b"x") == down  # the probe; the next rest is twice as long
        now.seconds += 1.5
        assert await succeed(group, b"x") != down
        now.seconds += 0.5
        async with group.place(b"x") as probe:
            assert probe.url == down
            assert await succeed(group, b"x") != down  # one probe at a time
        assert {await succeed(group, b"x") for _ in range(3)} == {down}

    asyncio.run(main())


def test_failures_that_began_before_a_replica_was_left_alone_count_once() -> None:
    async def main() -> None:
        group, _ = replicas(1)
        with suppress(InfrastructureError):
            async with AsyncExitStack() as held:
                for _ in range(50):
                    await held.enter_async_context(group.place(b""))
                raise InfrastructureError("reset")
        assert group.all[0].failures == OPEN_AFTER
        assert group.all[0].open == 0

    asyncio.run(main())


@pytest.mark.parametrize("error", [RowError("request_rejected", ""), UsageError("key"), BusyError("later", None)])
def test_a_server_that_answers_anything_is_well(error: Exception) -> None:
    async def main() -> None:
        group, _ = replicas(1)
        await fail(group)
        with pytest.raises(type(error)):
            async with group.place(b""):
                raise error
        assert group.all[0].failures == 0

    asyncio.run(main())


def test_a_busy_replica_rests_as_long_as_it_asks_and_the_other_works_meanwhile() -> None:
    async def main() -> None:
        group, now = replicas(2)
        with suppress(BusyError):
            async with group.place(b"x") as busy:
                raise BusyError("later", 5.0)
        assert await succeed(group, b"x") != busy.url
        now.seconds += 5.0
        assert await succeed(group, b"x") == busy.url

    asyncio.run(main())


def test_when_all_are_down_for_longer_than_patience_nobody_waits_any_more() -> None:
    async def main() -> None:
        group, now = replicas(1, patience=10.0)
        for _ in range(OPEN_AFTER):
            await fail(group)
        now.seconds += 0.5
        waiting = asyncio.create_task(succeed(group))
        await asyncio.sleep(0)
        assert not waiting.done()
        waiting.cancel()
        now.seconds += 0.5
        await fail(group)
        now.seconds += 1.0
        group.all[0].rests_until = now.seconds + 30
        now.seconds += 9.0
        with pytest.raises(InfrastructureError, match="http://a/v1 is down: no answer for 10 s"):
            await succeed(group)

    asyncio.run(main())


def asked_again(number: int) -> ChatRequest:
    messages = (*REQUEST.messages[:1], Message(role="user", parts=(Text(text=f"question {number}"),)))
    return REQUEST.model_copy(update={"messages": messages})


def test_a_replica_that_dies_and_returns_loses_no_answer_and_gets_work_again(tmp_path: Path) -> None:
    async def main() -> None:
        first, second = OpenAIServer(), OpenAIServer()
        async with first.serving() as one:
            async with second.serving() as two:
                client = Server((one, two), "served", "openai/m", BlobStore(tmp_path), first_pause_seconds=0.01)
                await client.check()
                for number in range(20):
                    await client.generate(asked_again(number), (0,))
                assert first.requests
                assert second.requests
            # The second is gone; its port is kept for its return.
            before = len(first.requests)
            answers = [(await client.generate(asked_again(number), (0,)))[0] for number in range(20)]
            assert [answer.text for answer in answers] == [ANSWER] * 20
            assert len(first.requests) == before + 20
            await client.check()  # one of two lives: told, no error
            returned = OpenAIServer(port=int(two.rsplit(":", 1)[1].removesuffix("/v1")))
            async with returned.serving():
                number = 0
                while not returned.requests:
                    number += 1
                    await client.generate(asked_again(number), (0,))
            await client.aclose()

    asyncio.run(asyncio.wait_for(main(), 60))


def test_a_replica_that_serves_something_else_is_an_error_though_the_other_is_right(tmp_path: Path) -> None:
    async def main() -> None:
        async with OpenAIServer().serving() as one, OpenAIServer(models=("other",)).serving() as two:
            client = Server((one, two), "served", "openai/m", BlobStore(tmp_path))
            try:
                await client.check()
            finally:
                await client.aclose()

    with pytest.raises(UsageError, match="serves other, not served"):
        asyncio.run(main())


def test_retry_after_is_respected_by_all_and_by_none_longer_than_patience(tmp_path: Path) -> None:
    async def main() -> float:
        fake = OpenAIServer(faults=[Reply(429, "slow down", headers={"Retry-After": "1"})])
        async with fake.serving() as url:
            client = Server(url, "served", "openai/m", BlobStore(tmp_path), first_pause_seconds=0.01)
            began = asyncio.get_running_loop().time()
            await client.generate(REQUEST, range(3))
            passed = asyncio.get_running_loop().time() - began
            fake.faults.append(Reply(429, "tomorrow", headers={"Retry-After": "86400"}))
            with pytest.raises(InfrastructureError, match="429: tomorrow"):
                await client.generate(REQUEST, (9,))
            await client.aclose()
        assert len(fake.requests) == 5
        return passed

    assert asyncio.run(main()) >= 1.0
