"""Boundaries, ends and losses: what the host is promised whatever happens inside, and to it."""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.sandbox import app, split_cells
from pipeline.errors import InfrastructureError, UsageError
from pipeline.processes import tree_cpu_seconds
from pipeline.sandbox import Limits, Policy, Pool, cgroup, guest, usage
from pipeline.sandbox import pool as pool_module
from pipeline.sandbox.zygote_process import ZygoteProcess
from tests.support.command import ROOT

POLICY = Policy(Limits(cell_seconds=5.0, grace_seconds=0.5))


@pytest.fixture(scope="module", autouse=True)
def environment() -> Path:
    return guest.setup()


@pytest.fixture(scope="module")
def pool(environment: Path) -> Iterator[Pool]:
    assert environment.exists()
    with Pool(POLICY, workers=1) as pool:
        yield pool


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def below_us() -> set[int]:
    """Return our descendants that are still running."""
    return {pid for pid in usage.tree(os.getpid()) if pid != os.getpid()}


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir() if path.exists()}


def left_groups() -> list[Path]:
    place = cgroup.find()
    parents = set() if place is None else set(place.parents.values())
    return [path for parent in parents for path in parent.glob(f"coldforge-{os.getpid()}-*")]


def test_closing_a_pool_leaves_nothing() -> None:
    processes, descriptors = below_us(), open_descriptors()
    with Pool(POLICY, workers=2) as pool:
        with pool.session() as one, pool.session() as other:
            assert one.run("import os\nos.fork()\n1").status == "ok"
            assert other.run("1").status == "ok"
        with pool.session() as session:
            session.run("import os\nos._exit(1)")
    assert below_us() == processes
    assert open_descriptors() == descriptors
    assert left_groups() == []
    with pytest.raises(InfrastructureError, match="closed"), pool.session():
        pass


def test_closing_a_pool_ends_sessions_in_use() -> None:
    processes = below_us()
    pool = Pool(POLICY, workers=1)
    with ThreadPoolExecutor(1) as threads, pool.session() as session:
        assert session.run("1").value == "1"
        running = threads.submit(session.run, "import time\ntime.sleep(60)")
        pool.close()
        with pytest.raises(InfrastructureError):
            running.result(timeout=30)
    assert below_us() == processes
    assert left_groups() == []


def test_closing_a_session_does_not_wait_for_its_cell(pool: Pool) -> None:
    with ThreadPoolExecutor(1) as threads:
        with pool.session() as session:
            assert session.run("1").value == "1"
            running = threads.submit(session.run, "import time\ntime.sleep(60)")
            assert wait_for(session._lock.locked)
            begin = time.monotonic()
        assert time.monotonic() - begin < 4  # its limit is 5
        with pytest.raises(InfrastructureError):
            running.result(timeout=10)


def test_a_child_that_a_cell_forks_does_not_answer_for_it(pool: Pool) -> None:
    with pool.session() as session:
        assert session.run("import os\nx = os.fork()\nx > 0").value == "True"
        assert session.run("x > 0").value == "True"


def test_many_threads_share_few_zygotes_and_every_answer_is_its_own(pool: Pool) -> None:
    def job(number: int) -> tuple[str | None, str | None]:
        with pool.session(seed=number) as session:
            session.run(f"x = {number}")
            return session.run("x").value, session.run("x * x").value

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(job, range(24))) == [(str(n), str(n * n)) for n in range(24)]


GROUPS = pytest.mark.parametrize("groups", [True, False], ids=["control group where there is one", "process counters"])


@GROUPS
def test_cpu_time_of_ended_children_is_limited_between_cells(groups: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not groups:
        monkeypatch.setattr(cgroup, "find", lambda: None)
    # No process lives long or is waited for, so no process's own counter and no limit of one ever shows it.
    spin = """
import os, signal, time
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
if os.fork() == 0:
    while True:
        if os.fork() == 0:
            end = time.process_time() + 1.5
            while time.process_time() < end: pass
            os._exit(0)
        time.sleep(1.6)
1
"""
    with Pool(Policy(Limits(session_cpu_seconds=3)), workers=1) as pool, pool.session() as session:
        assert session.run(spin).value == "1"
        assert select.select([session._handles.process], [], [], 60)[0]
        result = session.run("2")
    assert (result.status, result.ended) == ("died", True)
    assert result.error is not None
    assert "CPU" in result.error.message


@GROUPS
def test_cpu_time_of_many_processes_together_is_limited(groups: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not groups:
        monkeypatch.setattr(cgroup, "find", lambda: None)
    code = "import os\nfor n in range(3):\n    if os.fork() == 0:\n        while True: pass\nwhile True: pass"
    with Pool(Policy(Limits(session_cpu_seconds=2)), workers=1) as pool, pool.session() as session:
        result = session.run(code)
    assert (result.status, result.ended) == ("died", True)
    assert result.usage.cpu < 4


def test_a_session_that_somebody_on_the_host_killed_is_no_outcome_of_its_cell(pool: Pool) -> None:
    with ThreadPoolExecutor(1) as threads, pool.session() as session:
        running = threads.submit(session.run, "import time\ntime.sleep(60)")
        assert wait_for(session._lock.locked)
        session._signal(signal.SIGKILL)
        with pytest.raises(InfrastructureError, match="killed from outside"):
            running.result(timeout=30)


@contextmanager
def descriptors_left(count: int) -> Iterator[None]:
    """Let at most `count` more be opened: what a host with many sessions runs into."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_host_without_descriptors_is_no_outcome_of_a_cell(pool: Pool) -> None:
    with pool.session() as session:
        assert session.run("x = 1\nx").value == "1"
        with descriptors_left(0), pytest.raises(InfrastructureError, match="Too many open files"):
            session.run("x")
        # It may have run, and would then answer in the place of the next one.
        with pytest.raises(InfrastructureError, match="ended"):
            session.run("x")
    assert pool._warden is not None
    assert pool._warden.is_alive()
    with pool.session() as session:
        assert session.run("x = 2\nx").value == "2"


def test_what_starts_without_descriptors_leaks_none_and_is_started_later() -> None:
    directory = guest.require()
    zygote = ZygoteProcess(directory, POLICY.limits, None)
    before = open_descriptors()
    # Fewer than a session or a zygote takes, so that each step is the one that fails.
    for left in range(8):
        with descriptors_left(left):
            with pytest.raises(InfrastructureError, match="Too many open files"):
                zygote.session()
            with pytest.raises(InfrastructureError, match="Too many open files"):
                ZygoteProcess(directory, POLICY.limits, None)
        assert open_descriptors() == before, left
    assert zygote.alive
    zygote.session().close()
    zygote.close()


def test_giving_a_zygote_back_does_not_wait_for_the_start_of_another(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()

    class Slow(ZygoteProcess):
        def __init__(self, directory: Path, limits: Limits, groups: cgroup.Place | None) -> None:
            begun.set()
            assert go.wait(30)
            super().__init__(directory, limits, groups)

    def open_one() -> str | None:
        with pool.session() as session:
            return session.run("3").value

    with ThreadPoolExecutor(1) as threads:
        with pool.session() as session:
            session.run("1")
            monkeypatch.setattr(pool_module, "ZygoteProcess", Slow)
            monkeypatch.setattr(pool_module, "_RECYCLE_AFTER", 0)
            other = threads.submit(open_one)
            assert begun.wait(30)
        # The session was closed while the other zygote could not start.
        assert not other.done()
        go.set()
        assert other.result(timeout=60) == "3"


def test_a_process_whose_name_is_no_text_is_counted() -> None:
    code = """
import ctypes, time
ctypes.CDLL(None).prctl(15, b'\\xff) \\xff')
while time.process_time() < 0.2: pass
print(flush=True)
input()
"""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert b"\xff) \xff" in Path(f"/proc/{child.pid}/comm").read_bytes()
        assert 0.1 < tree_cpu_seconds(child.pid) <= tree_cpu_seconds()
        assert usage.CpuMeter().seconds([child.pid]) > 0.1
        child.communicate(b"\n")


def test_where_it_cannot_isolate_it_refuses_and_says_why(environment: Path) -> None:
    # A user namespace in which no further one may be made.
    script = """
import os
from pipeline.sandbox.inside import linux
linux.unshare_user(os.open("/proc", os.O_PATH), 1000)
open("/proc/sys/user/max_user_namespaces", "w").write("0")
from pipeline.sandbox import IsolationError, Policy, Pool
try:
    with Pool(Policy(), workers=1) as pool, pool.session() as session:
        print(session.run("1"))
except IsolationError as error:
    print(error.exit_code, error)
"""
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "XDG_CACHE_HOME": str(environment.parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.startswith("3 sandbox: cannot isolate here: unshare"), result
    assert "user.max_user_namespaces is 0" in result.stdout
    assert "fix: sysctl" in result.stdout


def test_a_missing_guest_environment_is_the_users_to_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(UsageError, match="coldforge sandbox setup"):
        Pool(POLICY)


def test_the_command_prints_one_document_per_cell(tmp_path: Path) -> None:
    file = tmp_path / "cells.py"
    file.write_text("x = 20\n# %%\nx + 1\n# %% a title\n1 / 0\n# %%\nimport os; os._exit(1)\n# %%\n'x' in globals()")
    result = CliRunner().invoke(app, ["run", str(file), "--json"])
    assert result.exit_code == 1
    cells = [json.loads(line) for line in result.stdout.splitlines()]
    assert [cell["cell"] for cell in cells] == [1, 2, 3, 4, 5]
    assert [cell["status"] for cell in cells] == ["ok", "ok", "exception", "died", "ok"]
    assert [cell["value"] for cell in cells] == [None, "21", None, None, "False"]
    keys = {"cell", "status", "stdout", "stderr", "value", "images", "error", "seconds"}
    assert all(set(cell) == keys for cell in cells)
    assert cells[2]["error"]["type"] == "ZeroDivisionError"


def test_cells_are_cut_at_their_separators_and_kept_byte_exact() -> None:
    assert split_cells("# %%\n  a\n\n# %% title\nb") == ["  a\n\n", "b"]
    assert split_cells("a\n# %%") == ["a\n", ""]
    assert split_cells("x = '''\n # %%\n'''") == ["x = '''\n # %%\n'''"]


def test_doctor_runs_a_cell() -> None:
    result = CliRunner().invoke(app, ["doctor", "--json"])
    assert result.exit_code == 0
    assert {"tier", "kernel", "landlock_abi", "cgroup", "seccomp"} <= json.loads(result.stdout).keys()
