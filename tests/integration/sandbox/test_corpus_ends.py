"""Items of the threat corpus about the ends of sessions, of zygotes and of the host, and what is counted until then."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline.errors import InfrastructureError
from pipeline.sandbox import Limits, Policy, Pool, cgroup, usage
from tests.support.command import ROOT
from tests.support.corpus.beyond import FORK_BOMB
from tests.support.corpus.item import ENDLESS
from tests.support.corpus.resources import SOCKETS_OF_MANY, TABLES


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def running(pid: int) -> bool:
    """Return whether a process exists and is no zombie that init has yet to collect."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def held(descriptor: int) -> int:
    """Return how many of our descriptors lead to the same pipe."""
    return [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.exists()].count(
        Path(f"/proc/self/fd/{descriptor}").readlink()
    )


def test_086_cpu_time_of_background_work_is_limited() -> None:
    spin = "import threading\ndef spin():\n    while True: pass\nthreading.Thread(target=spin).start()"
    with Pool(Policy(Limits(session_cpu_seconds=2)), workers=1) as pool, pool.session() as session:
        session.run(spin)
        result = session.run("import time\ntime.sleep(15)")
    assert (result.status, result.ended) == ("died", True)
    assert result.error is not None
    assert "CPU" in result.error.message


def test_087_an_idle_session_ends() -> None:
    with Pool(Policy(Limits(idle_seconds=0.5)), workers=1) as pool, pool.session() as session:
        assert session.run("1").value == "1"
        assert select.select([session._handles.process], [], [], 20)[0]
        with pytest.raises(InfrastructureError, match="ended"):
            session.run("1")


def test_110_grandchildren_end_with_their_session(pool: Pool) -> None:
    def below() -> set[int]:
        return set(usage.tree(session._pid))

    with pool.session() as session:
        code = "import subprocess\nx = [subprocess.Popen(['setsid', 'sleep', '300'], stdout=1) for n in range(3)]"
        assert session.run(code).status == "ok"
        assert wait_for(lambda: len(below()) == 4)
        pids = below()
    assert not [pid for pid in pids if running(pid)]


def test_112_a_hang_at_exit_does_not_delay_the_end(pool: Pool) -> None:
    code = """
import atexit, signal, time
atexit.register(time.sleep, 300)
for n in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT): signal.signal(n, signal.SIG_IGN)
class A:
    def __del__(self): time.sleep(300)
a = A()
"""
    with pool.session() as session:
        session.run(code)
        begin = time.monotonic()
    assert time.monotonic() - begin < 5


def test_113_nothing_outlives_a_killed_host() -> None:
    script = """
import os, sys, time
from pipeline.sandbox import Policy, Pool, usage
with Pool(Policy(), workers=1) as pool, pool.session() as session:
    session.run("import os, time\\nif os.fork() == 0:\\n    os.setsid(); time.sleep(600)")
    print(*[pid for pid in usage.tree(os.getpid()) if pid != os.getpid()], flush=True)
    session.run("import time\\ntime.sleep(600)")
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        pids = [int(pid) for pid in host.stdout.readline().split()]
        assert len(pids) >= 4  # watcher, zygote (as root also its parent), session and its child
        assert all(running(pid) for pid in pids)
        host.kill()
        killed = time.monotonic()
    assert wait_for(lambda: not any(running(pid) for pid in pids))
    assert time.monotonic() - killed < 2


def test_114_a_killed_zygote_is_an_infrastructure_failure_and_is_replaced(pool: Pool) -> None:
    with ThreadPoolExecutor(1) as threads, pool.session() as session:
        assert session.run("1").value == "1"
        cell = threads.submit(session.run, "import time\ntime.sleep(60)")
        for pid in usage.tree(os.getpid()):
            if pid != os.getpid():
                os.kill(pid, signal.SIGKILL)
        with pytest.raises(InfrastructureError):
            cell.result(timeout=30)
    with pool.session() as session:
        assert session.run("1 + 1").value == "2"


# A host that is stopped while its cell runs, for longer than the cell's limit and the grace together.
PAUSED = """
import sys
from pipeline.sandbox import Limits, Policy, Pool
with Pool(Policy(Limits(cell_seconds=3, grace_seconds=0.5)), workers=1) as pool, pool.session() as session:
    session.run("import time")
    print("ready", flush=True)
    result = session.run(sys.argv[1])
    print(result.status, result.value, flush=True)
"""


@pytest.mark.parametrize(
    "code", ["time.sleep(1.5)\\n7", "end = time.time() + 6\\nwhile time.time() < end: time.sleep(.1)\\n7"]
)
def test_115_a_pause_of_the_host_is_not_the_cells_timeout(code: str) -> None:
    arguments = [sys.executable, "-c", PAUSED, code.encode().decode("unicode_escape")]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        assert host.stdout.readline() == "ready\n"
        time.sleep(0.5)
        os.kill(host.pid, signal.SIGSTOP)
        time.sleep(5)
        os.kill(host.pid, signal.SIGCONT)
        assert host.stdout.read() == "ok 7\n"


def test_141_a_fork_bomb_without_zombies_ends_at_its_limit(pool: Pool) -> None:
    with pool.session() as session:
        result = session.run(FORK_BOMB, ENDLESS)
        pids = usage.tree(session._pid)
    # Whether the one process that is interrupted gets a turn before the kill is chance among so many.
    assert result.status in {"timeout", "died"}
    assert not [pid for pid in pids if running(pid)]
    with pool.session() as session:
        assert session.run("1").value == "1"


def test_148_the_host_shares_no_open_file_with_a_guest(pool: Pool) -> None:
    with pool.session() as session:
        ends = (session._handles.stdout, session._handles.stderr)
        # The flags of the guest's own ends: the host's are another description.
        session.run("import os\nos.set_blocking(1, False)\nos.set_blocking(2, True)\nfor n in range(20): os.dup(1)")
        session.run("os.set_blocking(1, True)\nos.set_blocking(3, True)\nfor n in range(20): os.dup(3)")
        assert not any(os.get_blocking(end) for end in ends)
        assert not session._handles.channel.getblocking()
        assert [held(end) for end in ends] == [1, 1]
        assert session.run("print('x')\n2").stdout == "x\n"


def test_148_a_channel_that_does_not_wait_harms_only_its_session(pool: Pool) -> None:
    with pool.session() as session:
        assert session.run("import os\nos.set_blocking(3, False)\n1").status == "ok"
        # Whether the session finds its next request or none is a matter of who is faster.
        assert session.run("1").status in {"ok", "died"}
    with pool.session() as session:
        assert session.run("1").value == "1"


# A copy that nobody may read: the kernel then hides the memory of whoever runs it.
HIDDEN = """
import os, shutil, subprocess, time
shutil.copy('/usr/bin/tail', '/box/tail')
os.chmod('/box/tail', 0o111)
for n in range(4):
    child = subprocess.Popen(['/box/tail', '-c', '150M'], stdin=subprocess.PIPE)
    for part in range(120): child.stdin.write(bytes(1 << 20))
time.sleep(30)
"""
KERNELS = {"hidden programs": HIDDEN, "sockets": SOCKETS_OF_MANY, "page tables": TABLES}


@pytest.mark.parametrize("name", KERNELS)
def test_149_memory_of_many_is_limited_without_a_control_group(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "find", lambda: None)
    limits = Limits(memory=400 << 20, data=200 << 20, cell_seconds=15)
    with Pool(Policy(limits), workers=1) as pool, pool.session() as session:
        result = session.run(KERNELS[name])
    assert (result.status, result.ended) == ("killed_memory", True), result
