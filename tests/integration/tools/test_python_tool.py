"""Cells of rollouts: executed once, shared, and the same whenever and wherever a session is resumed."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
import time
from ast import literal_eval
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import pytest

from pipeline.sandbox import Pool, Session, guest
from pipeline.store.blobs import BlobStore
from pipeline.store.calls import CallCache
from pipeline.students.family import ViewRule
from pipeline.tools.python import Cell, PythonTool, Ran, normalise

T = TypeVar("T")

WORKERS = 1


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    guest.setup()
    with Pool(workers=WORKERS) as pool:
        yield pool


def act(pool: Pool, store: Path, work: Callable[[PythonTool], Awaitable[T]]) -> T:
    """Run `work` with a tool over `store`, as one invocation of a run would."""

    async def main() -> T:
        # Far above what any test takes: what waits for ever fails here.
        return await asyncio.wait_for(work(PythonTool(pool, calls, blobs, ViewRule("qwen2_5_vl", 262_144), 0)), 120)

    blobs = BlobStore(store / "blobs")
    with CallCache(store / "calls.sqlite") as calls:
        return asyncio.run(main())


async def notebook(tool: PythonTool, *codes: str) -> list[Ran]:
    """Run cells one after the other, as a rollout does."""
    async with tool.session(()) as session:
        return [await session.run(code) for code in codes]


def last(pool: Pool, store: Path, *codes: str) -> Cell:
    return act(pool, store, lambda tool: notebook(tool, *codes))[-1].cell


def cells_stored(store: Path) -> int:
    with closing(sqlite3.connect(store / "calls.sqlite")) as db:
        (count,) = db.execute("SELECT count(*) FROM calls WHERE kind = 'cell'").fetchone()
    assert isinstance(count, int)
    return count


def rewrite(store: Path, pattern: str, by: str) -> None:
    """Change what is stored, as if a cell had given something else when it was executed."""
    with closing(sqlite3.connect(store / "calls.sqlite")) as db, db:
        stored = db.execute("SELECT key, value FROM calls").fetchall()
        changed = [(new, key) for key, value in stored if (new := re.sub(pattern, by, value)) != value]
        db.executemany("UPDATE calls SET value = ? WHERE key = ?", changed)
    assert changed


def test_rollouts_share_the_cells_they_have_in_common(pool: Pool, tmp_path: Path) -> None:
    # Time differs with every execution, so equal values were executed once.
    codes = ("import time\nx = time.time_ns()\nx", "x + 1")

    async def together(tool: PythonTool) -> list[list[Ran]]:
        return list(await asyncio.gather(*(notebook(tool, *codes) for _ in range(5))))

    first, *others = act(pool, tmp_path, together)
    assert all(other == first for other in others)
    assert cells_stored(tmp_path) == 2
    assert act(pool, tmp_path, lambda tool: notebook(tool, *codes)) == first


def test_a_session_resumed_in_the_middle_runs_the_earlier_cells_again(pool: Pool, tmp_path: Path) -> None:
    earlier = ("x = 40", "x += 1\nopen('kept', 'w').write('y')", "1 / 0")
    assert last(pool, tmp_path, *earlier).status == "exception"
    assert last(pool, tmp_path, *earlier, "x + len(open('kept').read())").value == "42"
    assert cells_stored(tmp_path) == 4


@pytest.mark.parametrize(
    "code",
    ["object()", "print(object())", "import sys\nprint(object(), file=sys.stderr)", "raise ValueError(object())"],
)
def test_an_address_that_differs_in_another_process_is_no_difference(code: str, pool: Pool, tmp_path: Path) -> None:
    last(pool, tmp_path, code)
    rewrite(tmp_path, r"at 0x[0-9a-f]+", "at 0x7f0123456789")
    resumed = last(pool, tmp_path, code, "6 * 7")
    assert (resumed.nondeterministic, resumed.value) == (False, "42")


@pytest.mark.parametrize(
    ("code", "pattern", "by"),
    [
        ("print('seen')", "seen", "unseen"),
        ("1 / 0", "ZeroDivisionError", "OverflowError"),
        ("from PIL import Image\nImage.new('RGB', (60, 40))", '"sha256":"[0-9a-f]+"', f'"sha256":"{"0" * 64}"'),
    ],
    ids=["text", "error", "image"],
)
def test_whatever_else_differs_ends_the_attempt(code: str, pattern: str, by: str, pool: Pool, tmp_path: Path) -> None:
    last(pool, tmp_path, code)
    rewrite(tmp_path, pattern, by)
    assert last(pool, tmp_path, code, "6 * 7").nondeterministic


def test_chance_ends_as_nondeterministic_and_stays_so(pool: Pool, tmp_path: Path) -> None:
    chance = "import os\nos.urandom(16).hex()"
    assert last(pool, tmp_path, chance).status == "ok"
    assert last(pool, tmp_path, chance, "6 * 7").nondeterministic
    stored = cells_stored(tmp_path)
    again = act(pool, tmp_path, lambda tool: notebook(tool, chance, "6 * 7"))
    assert [ran.cell.nondeterministic for ran in again] == [False, True]
    assert cells_stored(tmp_path) == stored == 2


def test_more_rollouts_than_sessions_all_finish(pool: Pool, tmp_path: Path) -> None:
    async def many(tool: PythonTool) -> list[list[Ran]]:
        # Every third rollout has the same cells, so that holders of sessions wait for each other's cells too.
        rollouts = (notebook(tool, f"x = {n % 3}", f"x += {n}", "x") for n in range(3 * pool.capacity))
        return list(await asyncio.gather(*rollouts))

    done = act(pool, tmp_path, many)
    assert [cells[-1].cell.value for cells in done] == [str(n % 3 + n) for n in range(3 * pool.capacity)]


def test_no_more_cells_run_at_once_than_there_are_workers_and_waiting_is_not_their_time(
    pool: Pool, tmp_path: Path
) -> None:
    def clocked(number: int) -> str:
        return f"import time\nbegan = time.time()\ntime.sleep(0.05)\n({number}, began, time.time())"

    async def together(tool: PythonTool) -> Sequence[Ran]:
        began = time.monotonic()
        rollouts = [cells[0] for cells in await asyncio.gather(*(notebook(tool, clocked(n)) for n in range(12)))]
        # One after the other: had any counted its queue, they would add up to more than passed.
        assert sum(ran.seconds for ran in rollouts) <= time.monotonic() - began
        return rollouts

    done = act(pool, tmp_path, together)
    spans = sorted(literal_eval(ran.cell.value or "")[1:] for ran in done)
    assert all(before[1] <= after[0] for before, after in zip(spans, spans[WORKERS:], strict=False))
    assert all(ran.seconds >= 0.05 for ran in done)


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_session_that_closes_stops_no_other_rollout_and_keeps_its_lease_until_it_is_gone(
    cancelled: bool, pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closing, go, close = threading.Event(), threading.Event(), Session.close

    def slow(session: Session) -> None:
        closing.set()
        assert go.wait(20)
        close(session)

    async def work(tool: PythonTool) -> None:
        task = asyncio.create_task(notebook(tool, "1"))
        assert await asyncio.to_thread(closing.wait, 20)
        if cancelled:
            task.cancel()
            await asyncio.wait([task])
        assert not task.done() or cancelled
        assert tool.leases._value == pool.capacity - 1
        go.set()
        for _ in range(pool.capacity):
            await asyncio.wait_for(tool.leases.acquire(), 20)

    monkeypatch.setattr(Session, "close", slow)
    act(pool, tmp_path, work)


def test_normalise_replaces_addresses_and_nothing_else() -> None:
    text = "<object object at 0x7f0012ab> {'a': 0x12}"
    assert normalise(text) == "<object object at 0x0> {'a': 0x12}"
    assert normalise(normalise(text)) == normalise(text)
