from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from pipeline.errors import InfrastructureError, RowError
from pipeline.store.calls import CallCache, Entry, Made
from tests.call_job import main as call_job

ROOT = Path(__file__).parents[2]


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[CallCache]:
    with CallCache(tmp_path / "calls.sqlite") as opened:
        yield opened


def maker(values: list[str]) -> Callable[[], Awaitable[Made]]:
    """A call that answers with the next of `values` after giving everyone else a turn."""

    async def make() -> Made:
        await asyncio.sleep(0)
        return Made(values.pop(0), "{}")

    return make


def start(base: Path, keys: int, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.call_job", str(base), str(base / "log"), str(keys), str(seconds)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def paid(base: Path) -> list[str]:
    return (base / "log").read_text().split() if (base / "log").exists() else []


def test_equal_keys_in_flight_share_one_call(cache: CallCache) -> None:
    async def many() -> list[Entry]:
        make = maker(["first", "second"])
        return list(await asyncio.gather(*(cache.once("model", "key", make) for _ in range(20))))

    assert {entry.value for entry in asyncio.run(many())} == {"first"}
    assert cache.counts.paid == {"model": 1}
    assert cache.counts.cached == {"model": 19}


def test_the_first_answer_stays(tmp_path: Path) -> None:
    async def ask(value: str) -> str:
        with CallCache(tmp_path / "calls.sqlite") as cache:
            return (await cache.once("cell", "key", maker([value]))).value

    assert asyncio.run(ask("first")) == "first"
    assert asyncio.run(ask("second")) == "first"


def test_an_answer_that_another_wrote_meanwhile_is_read_back(tmp_path: Path) -> None:
    async def race() -> str:
        with CallCache(tmp_path / "calls.sqlite") as cache:

            async def make() -> Made:
                with sqlite3.connect(tmp_path / "calls.sqlite") as other:
                    other.execute("INSERT INTO calls VALUES ('key', 'model', 'theirs', 1.5, '{}', 0)")
                other.close()
                return Made("ours", "{}")

            return (await cache.once("model", "key", make)).value

    assert asyncio.run(race()) == "theirs"


@pytest.mark.parametrize("error", [InfrastructureError("server is gone"), RowError("too_long", "refused")])
def test_a_failed_call_stores_nothing_and_reaches_every_follower(cache: CallCache, error: Exception) -> None:
    async def fail() -> Made:
        await asyncio.sleep(0)
        raise error

    async def many() -> list[Entry | BaseException]:
        calls = (cache.once("model", "key", fail) for _ in range(3))
        return list(await asyncio.gather(*calls, return_exceptions=True))

    async def both() -> tuple[list[Entry | BaseException], Entry]:
        return await many(), await cache.once("model", "key", maker(["later"]))

    failed, later = asyncio.run(both())
    assert failed == [error] * 3
    assert later.value == "later"
    assert cache.counts.paid == {"model": 1}


def test_a_cancelled_call_leaves_the_key_free(cache: CallCache) -> None:
    async def hang() -> Made:
        await asyncio.Event().wait()
        raise AssertionError("never set")

    async def cancel_then_ask() -> str:
        task = asyncio.create_task(cache.once("model", "key", hang))
        for _ in range(50):
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return (await cache.once("model", "key", maker(["later"]))).value

    assert asyncio.run(cancel_then_ask()) == "later"


def test_two_processes_pay_once(tmp_path: Path) -> None:
    other = start(tmp_path, keys=40, seconds=1.0)
    wait_for(lambda: len(paid(tmp_path)) > 0)
    ours = asyncio.run(call_job(tmp_path, tmp_path / "log", 40, 1.0))
    theirs = other.communicate()[0].split()
    assert ours == theirs
    assert Counter(paid(tmp_path)) == {f"key-{number}": 1 for number in range(40)}


def test_a_killed_owners_lease_is_taken_over_at_once(tmp_path: Path) -> None:
    owner = start(tmp_path, keys=1, seconds=600)
    wait_for(lambda: len(paid(tmp_path)) == 1)
    owner.kill()
    owner.communicate()
    began = time.monotonic()
    asyncio.run(call_job(tmp_path, tmp_path / "log", 1, 0))
    assert time.monotonic() - began < 10  # far below the 900 s of the lease
    assert paid(tmp_path) == ["key-0"] * 2


def test_how_long_a_call_took_is_kept_with_its_answer(tmp_path: Path) -> None:
    async def ask(seconds: float) -> float:
        with CallCache(tmp_path / "calls.sqlite") as cache:

            async def make() -> Made:
                await asyncio.sleep(seconds)
                return Made("value", "{}")

            return (await cache.once("model", "key", make)).seconds

    first = asyncio.run(ask(0.05))
    assert first >= 0.05
    assert asyncio.run(ask(0)) == first


def test_a_store_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "calls.sqlite").write_bytes(b"no database, but long enough to be taken for one" * 100)
    with (
        pytest.raises(InfrastructureError, match=r"calls\.sqlite cannot be opened"),
        CallCache(tmp_path / "calls.sqlite"),
    ):
        pass
