"""A signal to stop ends a run in order, whoever runs its units and whatever they are at: one line, and it goes on."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import DEMO, invocations, start
from tests.support.servers.cases import SAYS
from tests.support.servers.openai_server import HANGING, OpenAIServer, Reply, completion

SLOW_CELL = "<think>I wait.</think>\n<code>\n```python\nimport time\ntime.sleep({seconds})\n```\n</code>"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, prepared: Callable[[Path], Path]) -> Path:
    return prepared(tmp_path_factory.mktemp("interrupts") / "store")


class Working:
    """A model that is wrong without tools and, with them, runs cells that take a while; then it tells, and is silent.

    So no unit ends by itself, whose end would wake the main thread.
    """

    def __init__(self, cells: int) -> None:
        self.enough = threading.Event()
        self._left = cells

    def __call__(self, body: dict[str, Any]) -> Reply:
        if "```python" not in str(body["messages"][0]["content"]):
            return completion(SAYS)
        self._left -= 1
        if self._left <= 0:
            self.enough.set()
            return HANGING
        return completion(SLOW_CELL.format(seconds=1 + len(body["messages"])))


def arguments(out: Path, store: Path, url: str, runner: str) -> list[str | Path]:
    role = {"backend": "openai", "model": f"{out.name}@1", "served_name": "served", "base_url": url}
    teacher = {**role, "model": f"{out.name}-teacher@1"}
    models = (f"models.base={json.dumps(role)}", f"models.teachers=[{json.dumps(teacher)}]", "gate.blind=false")
    sets = [part for change in models for part in ("--set", change)]
    return ["run", DEMO, "--limit", "8", "--out", out, "--store", store, "--runner", runner, *sets]


Send = Callable[[int, int], None]
"""To a process, or to it and all that it started, as a terminal and a service manager do."""


def to_a_thread(pid: int, number: int) -> None:
    """Send to a process so that another thread than its main one gets it, which the kernel may choose at any time."""
    tasks = sorted(Path(f"/proc/{pid}/task").iterdir(), key=lambda task: int(task.name))
    # A library's thread has a name of its own, and may let no signal in.
    ours = [task for task in tasks if (task / "comm").read_text() == (tasks[0] / "comm").read_text()]
    os.kill(int(ours[1].name), number)


@pytest.mark.parametrize(
    ("number", "send", "runner"),
    [
        (signal.SIGINT, os.kill, "local"),
        (signal.SIGINT, os.killpg, "local"),
        (signal.SIGTERM, os.kill, "local"),
        (signal.SIGTERM, os.killpg, "local"),
        (signal.SIGTERM, to_a_thread, "local"),
        (signal.SIGTERM, os.kill, "prefect"),
    ],
)
def test_a_run_that_is_told_to_stop_ends_in_order(
    number: signal.Signals, send: Send, runner: str, store: Path, tmp_path: Path
) -> None:
    out = tmp_path / f"{number.name}-{send.__name__}-{runner}".lower()
    working = Working(cells=12)
    quiet = {"PREFECT_HOME": str(tmp_path / "prefect"), "PREFECT_LOGGING_TO_API_ENABLED": "false"}
    with OpenAIServer(script=working).in_thread() as url:
        process = start(arguments(out, store, url, runner), quiet, group=True)
        assert working.enough.wait(300)
        send(process.pid, number)
        try:
            _, told = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 130, told
    # The last line, and nothing of what it was at beside it.
    assert told.splitlines()[-1] == "stopped; run the same command again to resume", told
    assert "Traceback" not in told, told
    # What was done is told as after any run.
    assert [stage["stage"] for stage in invocations(out)[-1]["stages"]][-1] == "gate2"
    assert (out / "ledger.duckdb").exists()


def test_a_run_whose_messages_nobody_reads_any_more_goes_on_to_its_end(store: Path, tmp_path: Path) -> None:
    with OpenAIServer(script=lambda _: completion(SAYS)).in_thread() as url:
        process = start(arguments(tmp_path / "unread", store, url, "local"))
        assert process.stderr is not None
        process.stderr.close()
        assert process.wait(timeout=300) == 0
    assert invocations(tmp_path / "unread")[-1]["stages"][-1]["stage"] == "publish"
