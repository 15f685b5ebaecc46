"""Sessions for asyncio, and sessions that are forked ahead."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.errors import InfrastructureError, RowError
from pipeline.sandbox import Limits, Policy, Pool, guest
from pipeline.sandbox.backend import open_session
from pipeline.sandbox.zygote_process import ZygoteProcess


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    guest.setup()
    with Pool(Policy(Limits(cell_seconds=30.0)), workers=1, sessions=2) as pool:
        yield pool


async def is_free(pool: Pool) -> bool:
    """Whether all of the pool's sessions can be opened at once."""
    async with asyncio.timeout(20), open_session(pool) as one, open_session(pool) as other:
        return [(await one.run("1")).value, (await other.run("2")).value] == ["1", "2"]


def test_state_is_kept_and_sessions_are_apart(pool: Pool) -> None:
    async def main() -> tuple[str | None, str | None]:
        async with open_session(pool, seed=1) as one, open_session(pool, seed=1) as other:
            await asyncio.gather(one.run("x = 1"), other.run("x = 2"))
            first, second = await asyncio.gather(one.run("x"), other.run("x"))
            return first.value, second.value

    assert asyncio.run(main()) == ("1", "2")


def test_more_tasks_than_threads_wait_for_room_and_get_it(pool: Pool) -> None:
    async def one(number: int) -> str | None:
        async with open_session(pool) as session:
            await session.run(f"x = {number}")
            return (await session.run("x")).value

    async def main() -> list[str | None]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
        return await asyncio.gather(*map(one, range(8)))

    assert asyncio.run(main()) == [str(number) for number in range(8)]


def test_a_cancelled_cell_ends_its_session_at_once(pool: Pool) -> None:
    async def main() -> bool:
        async def endless() -> None:
            async with open_session(pool) as session:
                await session.run("while True: pass")

        task = asyncio.create_task(endless())
        await asyncio.sleep(0.3)  # into the cell, or into its start: either must end
        task.cancel()
        async with asyncio.timeout(10):
            await asyncio.wait([task])
        return task.cancelled() and await is_free(pool)

    assert asyncio.run(main())


def test_whoever_is_cancelled_while_a_session_opens_leaves_none_behind(pool: Pool) -> None:
    async def main() -> bool:
        async def opened() -> None:
            async with open_session(pool):
                await asyncio.Event().wait()

        tasks = [asyncio.create_task(opened()) for _ in range(5)]  # three of them wait for the others
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        async with asyncio.timeout(20):
            await asyncio.wait(tasks)
        return all(task.cancelled() for task in tasks) and await is_free(pool)

    assert asyncio.run(main())


def test_an_image_that_does_not_decode_is_the_callers_error(pool: Pool) -> None:
    async def main() -> None:
        async with open_session(pool, [b"no image"]):
            raise AssertionError("opened")

    with pytest.raises(RowError, match="image"):
        asyncio.run(main())


@pytest.fixture
def zygote() -> Iterator[ZygoteProcess]:
    zygote = ZygoteProcess(guest.setup(), Limits(), None)
    yield zygote
    zygote.close()


def test_a_session_forked_ahead_is_used_before_a_new_one_is_forked(zygote: ZygoteProcess) -> None:
    zygote.stock()
    forked = zygote.started
    sessions = [zygote.session() for _ in range(forked)]
    assert zygote.started == forked >= 1
    for number, session in enumerate(sessions):
        session.prepare([], seed=number)
        assert session.run("import random; random.random()").status == "ok"
        session.close()


def test_a_session_forked_ahead_is_seeded_as_any_other(zygote: ZygoteProcess) -> None:
    code = "import random, numpy, cv2\nrandom.random(), numpy.random.rand(), float(cv2.randu(numpy.zeros(1), 0, 1)[0])"
    fresh = zygote.session()
    zygote.stock()
    ahead = zygote.session()
    values = []
    for session in (fresh, ahead):
        session.prepare([], seed=7)
        values.append(session.run(code).value)
        session.close()
    assert values[0] == values[1]
    assert values[0] is not None


def test_sessions_forked_ahead_end_with_their_zygote(zygote: ZygoteProcess) -> None:
    zygote.stock()
    spare = zygote.session()
    assert spare._pid > 0
    zygote.close()
    with pytest.raises(InfrastructureError):
        spare.prepare([], seed=0)
    spare.close()
    with pytest.raises(ProcessLookupError):
        os.kill(spare._pid, 0)


def test_a_killed_spare_costs_nobody_a_session(pool: Pool) -> None:
    with pool.session():
        pass
    zygote = pool._slots[0]._current
    assert zygote is not None
    zygote.stock()
    for spare in list(zygote._spares):
        os.kill(spare._pid, signal.SIGKILL)
    with pool.session() as session:
        assert session.run("3").value == "3"
