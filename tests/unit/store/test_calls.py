from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from pipeline.errors import InfrastructureError, RowError
from pipeline.store.calls import CallCache, Entry, Made, _place
from tests.support.command import ROOT
from tests.support.jobs.call_job import main as call_job


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[CallCache]:
    with CallCache(tmp_path / "calls.sqlite") as opened:
        yield opened


def maker(values: list[str]) -> Callable[[], Awaitable[Made]]:
    """A call that answers with the next of `values` after giving everyone else a turn."""

    async def make() -> Made:
        await asyncio.sleep(0)
        return Made(values.pop(0), "{}", 0.0)

    return make


def start(base: Path, keys: int, seconds: float) -> subprocess.Popen[str]:
    command = [
        sys.executable,
        "-m",
        "tests.support.jobs.call_job",
        str(base),
        str(base / "log"),
        str(keys),
        str(seconds),
    ]
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
                return Made("ours", "{}", 0.0)

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


@pytest.mark.parametrize("turns", range(6))
def test_a_call_that_is_cancelled_at_any_moment_leaves_no_lease(turns: int, tmp_path: Path) -> None:
    async def cancel(cache: CallCache) -> None:
        slot = asyncio.Semaphore(1)
        tasks = [asyncio.create_task(cache.once("model", str(n), maker(["late"]), slot)) for n in range(8)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for _ in range(2):  # a stage that fails cancels its rollouts, and so does the end of the run
            for task in tasks:
                task.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not slot.locked()

    with CallCache(tmp_path / "calls.sqlite") as cache:
        asyncio.run(cancel(cache))
    assert leases(tmp_path / "calls.sqlite") == []


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_slot_is_held_until_the_answer_is_durable(cancelled: bool, tmp_path: Path) -> None:
    store, asked, slow = tmp_path / "calls.sqlite", list[int](), asyncio.Event()

    async def on_a_slow_disk(cache: CallCache) -> None:
        slots = asyncio.Semaphore(2)

        async def make(number: int) -> Made:
            asked.append(number)
            await slow.wait()
            return Made("value", "{}", 0.0)

        def call(number: int) -> asyncio.Task[Entry]:
            return asyncio.create_task(cache.once("model", str(number), lambda: make(number), slots))

        tasks = [call(number) for number in range(12)]
        while len(leases(store)) < 12 or len(asked) < 2:  # noqa: ASYNC110 - the store is a file
            await asyncio.sleep(0.001)
        blocker.execute("BEGIN IMMEDIATE")  # from here on nothing is written: another process holds the file
        slow.set()
        if cancelled:
            while cache.counts.paid["model"] < 2:  # noqa: ASYNC110 - counted as the store is handed an answer
                await asyncio.sleep(0)
            for number in asked:
                tasks[number].cancel()
        for _ in range(100):  # turns of the loop, in any of which another could be asked for
            await asyncio.sleep(0)
        assert len(asked) == 2
        blocker.execute("ROLLBACK")
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert sum(isinstance(one, Entry) for one in done) == (10 if cancelled else 12)

    with CallCache(store) as cache, closing(sqlite3.connect(store, isolation_level=None)) as blocker:
        asyncio.run(on_a_slow_disk(cache))
    assert stored(store) == 12


def stored(store: Path) -> int:
    with closing(sqlite3.connect(store)) as db:
        return int(db.execute("SELECT count(*) FROM calls").fetchone()[0])


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


def test_how_long_the_execution_took_is_kept_with_its_answer_and_not_how_long_it_waited(tmp_path: Path) -> None:
    async def ask(seconds: float) -> float:
        with CallCache(tmp_path / "calls.sqlite") as cache:

            async def make() -> Made:
                await asyncio.sleep(0.05)  # a queue
                return Made("value", "{}", seconds)

            return (await cache.once("model", "key", make)).seconds

    assert asyncio.run(ask(0.0123)) == 0.012
    assert asyncio.run(ask(7.0)) == 0.012


def test_a_lease_is_renewed_for_as_long_as_its_call_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.store.calls.LEASE_SECONDS", 0.3)
    asked = threading.Event()

    async def pay_slowly() -> str:
        with CallCache(tmp_path / "calls.sqlite") as cache:

            async def make() -> Made:
                asked.set()
                # Several leases long, and the other process has begun to ask by then.
                await asyncio.sleep(3)
                return Made("ours", "{}", 3.0)

            return (await cache.once("model", "key-0", make)).value

    with ThreadPoolExecutor(1) as thread:
        ours = thread.submit(asyncio.run, pay_slowly())
        asked.wait(60)
        theirs = start(tmp_path, keys=1, seconds=0).communicate()[0]
        assert (ours.result(), theirs) == ("ours", "ours")
    assert paid(tmp_path) == []


def leases(store: Path) -> list[str]:
    with closing(sqlite3.connect(store)) as db:
        return [owner for (owner,) in db.execute("SELECT owner FROM leases")]


@pytest.mark.parametrize("fails", [False, True])
def test_a_lease_that_another_took_over_stays_the_others(fails: bool, tmp_path: Path) -> None:
    store = tmp_path / "calls.sqlite"

    async def lose_it() -> None:
        with CallCache(store) as cache:

            async def make() -> Made:
                with closing(sqlite3.connect(store)) as other, other:
                    other.execute("UPDATE leases SET owner = 'other'")
                if fails:
                    raise InfrastructureError("server is gone")
                return Made("ours", "{}", 0.0)

            with suppress(InfrastructureError):
                await cache.once("model", "key", make)

    asyncio.run(lose_it())
    assert leases(store) == ["other"]


def test_an_answer_that_cannot_be_stored_fails_its_own_call_and_no_other(cache: CallCache) -> None:
    async def many() -> list[Entry | BaseException]:
        values = {str(number): "good" for number in range(20)} | {"7": "half of a pair: \ud83d"}
        calls = (cache.once("model", key, maker([value])) for key, value in values.items())
        return list(await asyncio.gather(*calls, return_exceptions=True))

    async def both() -> tuple[list[Entry | BaseException], Entry]:
        return await many(), await cache.once("model", "later", maker(["later"]))

    done, later = asyncio.run(asyncio.wait_for(both(), 30))
    assert isinstance(done.pop(7), UnicodeEncodeError)
    assert {entry.value for entry in done if isinstance(entry, Entry)} == {"good"}
    assert len(done) == 19
    assert later.value == "later"


@pytest.mark.parametrize("owner", ["", "0", "1", "nobody:5", "-1:5", f"{2**70}:5", "1:2:3"])
def test_whatever_names_the_owner_of_a_lease_that_ran_out_the_key_is_free(owner: str, tmp_path: Path) -> None:
    store = tmp_path / "calls.sqlite"

    async def ask() -> str:
        with CallCache(store) as cache:
            with closing(sqlite3.connect(store)) as db, db:
                db.execute("INSERT INTO leases VALUES ('key', ?, ?)", (owner, time.time() + 0.5))
            return (await cache.once("model", "key", maker(["value"]))).value

    assert asyncio.run(asyncio.wait_for(ask(), 30)) == "value"


def test_a_store_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    (tmp_path / "calls.sqlite").write_bytes(b"no database, but long enough to be taken for one" * 100)
    with (
        pytest.raises(InfrastructureError, match=r"calls\.sqlite cannot be opened"),
        CallCache(tmp_path / "calls.sqlite"),
    ):
        pass


def test_leases_end_with_the_cache_though_its_callers_were_never_told(tmp_path: Path) -> None:
    store = tmp_path / "calls.sqlite"

    async def hang() -> Made:
        await asyncio.Event().wait()
        raise AssertionError("never set")

    async def leave_them() -> None:
        with CallCache(store) as cache:
            tasks = [asyncio.create_task(cache.once("model", str(number), hang)) for number in range(8)]
            while len(leases(store)) < 8:  # noqa: ASYNC110 - the store is a file
                await asyncio.sleep(0.001)
        assert leases(store) == []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(asyncio.wait_for(leave_them(), 30))


def test_a_lease_that_leaked_is_not_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.store.calls.LEASE_SECONDS", 0.3)
    store = tmp_path / "calls.sqlite"
    with CallCache(store) as cache:
        with closing(sqlite3.connect(store)) as db, db:
            db.execute("INSERT INTO leases VALUES ('leaked', ?, ?)", (cache._owner, time.time() + 600))
        wait_for(lambda: leases(store) == [])


@pytest.mark.parametrize("place", ["another-boot:4026531836", "{boot}:1"])
def test_the_owner_of_a_lease_in_another_container_is_believed_until_it_ends(place: str, tmp_path: Path) -> None:
    store = tmp_path / "calls.sqlite"
    here = _place().partition(":")[0]

    async def ask() -> str:
        with CallCache(store) as cache:
            with closing(sqlite3.connect(store)) as db, db:
                # A process of this number may well run here, and another may be long gone.
                owner = f"{place.format(boot=here)}:999999999:5"
                db.execute("INSERT INTO leases VALUES ('key', ?, ?)", (owner, time.time() + 1.0))
            began = time.monotonic()
            value = (await cache.once("model", "key", maker(["value"]))).value
            assert time.monotonic() - began > 0.5
            return value

    assert asyncio.run(asyncio.wait_for(ask(), 30)) == "value"


def test_what_was_too_long_is_known_under_no_larger_context(cache: CallCache) -> None:
    async def kept(asked: int | None, now: int | None) -> str | None:
        await cache.keep_too_long("key", asked, "too long")
        return await cache.too_long("key", now)

    async def main() -> list[str | None]:
        pairs = [(8_192, 8_192), (8_192, 4_096), (None, None), (8_192, 16_384), (None, 8_192), (8_192, None)]
        return [await cache.too_long("other", None), *[await kept(*pair) for pair in pairs]]

    assert asyncio.run(main()) == [None, "too long", "too long", "too long", None, None, None]


def test_what_is_stored_is_read_without_a_call_and_what_is_not_leaves_no_lease(cache: CallCache) -> None:
    async def read() -> tuple[Entry | None, Entry | None, int]:
        before = await cache.stored("search", "key")
        await cache.once("search", "key", maker(["found"]))
        after = await cache.stored("search", "key")
        leases = await cache._submit(lambda db: db.execute("SELECT count(*) FROM leases").fetchone())
        return before, after, int(leases[0])

    assert asyncio.run(read()) == (None, Entry("found", 0.0), 0)
    assert (cache.counts.paid["search"], cache.counts.cached["search"]) == (1, 1)
