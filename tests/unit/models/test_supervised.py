from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pipeline.errors import InfrastructureError
from pipeline.models.local.supervised import Supervised

FAMILY = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, {on_term})
child = os.fork()
print("here", os.getpid(), child or "child", flush=True)
if child: open({mark!r}, "w").write(f"{{os.getpid()}} {{child}}")
time.sleep(600)
"""
"""A process and its child, which outlives it if nobody ends it; `on_term` is what they do when asked to end."""


def _family(directory: Path, on_term: str = "signal.SIG_DFL") -> tuple[list[str], Path]:
    mark = directory / "pids"
    return [sys.executable, "-c", FAMILY.format(on_term=on_term, mark=str(mark))], mark


def _written(mark: Path) -> list[int]:
    return [int(word) for word in mark.read_text().split()] if mark.exists() else []


async def _pids(mark: Path) -> list[int]:
    while len(pids := _written(mark)) < 2:  # noqa: ASYNC110 - another process writes them
        await asyncio.sleep(0.01)
    return pids


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def _until_gone(pids: list[int]) -> None:
    while any(_lives(pid) for pid in pids):  # noqa: ASYNC110 - other processes
        await asyncio.sleep(0.01)


def test_stop_ends_the_whole_group(tmp_path: Path) -> None:
    async def scenario() -> list[int]:
        command, mark = _family(tmp_path)
        process = await Supervised.start("family", command, os.environ)
        pids = await _pids(mark)
        await process.stop()
        await process.stop()  # a second time does nothing
        return [pid for pid in pids if _lives(pid)]

    assert asyncio.run(scenario()) == []


def test_a_group_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.models.local.supervised.GRACE_SECONDS", 0.2)

    async def scenario() -> list[int]:
        command, mark = _family(tmp_path, "signal.SIG_IGN")
        process = await Supervised.start("family", command, os.environ)
        pids = await _pids(mark)
        await process.stop()
        return [pid for pid in pids if _lives(pid)]

    assert asyncio.run(scenario()) == []


def test_the_group_ends_when_its_host_is_killed(tmp_path: Path) -> None:
    command, mark = _family(tmp_path)
    host = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            textwrap.dedent(f"""
                import asyncio, os
                from pipeline.models.local.supervised import Supervised

                async def main():
                    process = await Supervised.start("family", {command!r}, os.environ)
                    await process.wait()

                asyncio.run(main())
            """),
        ]
    )
    pids = asyncio.run(asyncio.wait_for(_pids(mark), 20))
    host.send_signal(signal.SIGKILL)
    host.wait()
    asyncio.run(asyncio.wait_for(_until_gone(pids), 20))


def test_work_fails_with_the_last_lines_when_the_process_ends_first() -> None:
    echo = io.BytesIO()

    async def scenario() -> None:
        code = "import sys; print('loading'); sys.exit('no memory left')"
        process = await Supervised.start("vLLM for m", [sys.executable, "-c", code], os.environ, echo)
        await process.during(asyncio.Event().wait())

    with pytest.raises(InfrastructureError, match=r"(?s)vLLM for m ended with status 1; .*loading\n  no memory left$"):
        asyncio.run(scenario())
    assert echo.getvalue() == b"loading\nno memory left\n"


def test_a_connection_that_is_lost_as_the_process_ends_tells_the_last_lines_of_the_process() -> None:
    async def lost() -> None:
        raise ConnectionResetError("Connection lost")

    async def scenario() -> None:
        # It closes its connection, and ends a moment later.
        script = "import sys, time; time.sleep(0.3); sys.exit('last words')"
        process = await Supervised.start("helper", [sys.executable, "-c", script], os.environ)
        with pytest.raises(InfrastructureError, match="last words"):
            await process.during(lost())
        await process.stop()

    asyncio.run(scenario())


def test_a_command_that_cannot_start_says_why() -> None:
    async def scenario() -> None:
        process = await Supervised.start("vLLM for m", ["/nowhere/python"], os.environ)
        await process.wait()

    with pytest.raises(InfrastructureError, match="/nowhere/python: No such file or directory"):
        asyncio.run(scenario())


def test_work_that_ends_in_time_gives_its_result_and_its_error() -> None:
    async def scenario() -> int:
        process = await Supervised.start("sleeper", [sys.executable, "-c", "input()"], os.environ)

        async def result() -> int:
            return 7

        async def error() -> int:
            raise ZeroDivisionError

        process_2 = await Supervised.start("s", [sys.executable, "-c", "import time; time.sleep(99)"], os.environ)
        try:
            with pytest.raises(ZeroDivisionError):
                await process_2.during(error())
            return await process_2.during(result())
        finally:
            await process.stop()
            await process_2.stop()

    assert asyncio.run(scenario()) == 7
