"""Boundaries, ends and losses: what the host is promised whatever happens inside, and to it."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.sandbox import app, split_cells
from pipeline.errors import InfrastructureError, UsageError
from pipeline.processes import tree_cpu_seconds
from pipeline.sandbox import Limits, Policy, Pool, cgroup, guest, usage
from pipeline.sandbox import pool as pool_module
from pipeline.sandbox.worker import Worker

ROOT = Path(__file__).parents[2]
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


FORGED = {
    "length": "b'\\xff' * 8",
    "no JSON": "struct.pack('>II', 3, 0) + b'abc'",
    "deep JSON": "struct.pack('>II', 9999, 0) + b'[' * 9999",
    "another number": "frame({'seq': 9})",
    "two replies": "frame({}) + frame({})",
    "10^9 pixels": "frame({'images': [['L', 32768, 32768]]})",
    "missing pixels": "frame({'images': [['L', 2, 2]]}, 3)",
}


@pytest.mark.parametrize("name", FORGED)
def test_94_forged_frames_end_the_session_and_nothing_else(pool: Pool, name: str) -> None:
    code = f"""
import json, os, struct
def frame(changes, blob=0):
    text = json.dumps({{'seq': 1, 'value': None, 'error': None, 'images': [], 'notes': [], **changes}}).encode()
    return struct.pack('>II', len(text), blob) + text + bytes(blob)
os.write(3, {FORGED[name]})
"""
    with pool.session() as session:
        result = session.run(code)
        assert (result.status, result.ended, result.images) == ("protocol_error", True, ())
    with pool.session() as session:
        assert session.run("1").value == "1"


def test_94_a_late_reply_never_reaches_the_next_cell(pool: Pool) -> None:
    forged = "{'seq': 2, 'value': 'forged', 'error': None, 'images': [], 'notes': []}"
    code = f"""
import json, os, struct, threading
text = json.dumps({forged}).encode()
threading.Timer(0.2, os.write, [3, struct.pack('>II', len(text), 0) + text]).start()
"""
    with pool.session() as session:
        assert session.run(code).status == "ok"
        assert select.select([session._handles.channel], [], [], 10)[0]
        result = session.run("'true'")
    assert (result.status, result.value) == ("protocol_error", None)


def test_23_canaries_are_out_of_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    canary = "WALRUS-" + "7" * 12
    (tmp_path / canary).write_text(canary)
    monkeypatch.setenv("CANARY", canary)
    # The pattern must not match its own text in the guest's memory.
    code = r"""
import os, re
wanted = re.compile(rb'WALR[U]S-7{12}')
found = []
for line in open('/proc/self/maps'):
    span, flags, *_ = line.split()
    if 'w' in flags:
        start, end = (int(part, 16) for part in span.split('-'))
        with open('/proc/self/mem', 'rb', 0) as memory:
            memory.seek(start)
            found += wanted.findall(memory.read(end - start))
for folder, _, names in os.walk('/'):
    if folder.startswith(('/proc', '/usr', '/python', '/guest', '/lib', '/bin', '/sbin', '/etc/alternatives')):
        continue
    for name in names:
        found += wanted.findall(os.fsencode(name))
        if not folder.startswith('/dev'):
            found += wanted.findall(open(os.path.join(folder, name), 'rb').read())
for name in ('environ', 'cmdline', 'mountinfo', 'cgroup'):
    found += wanted.findall(open(f'/proc/self/{name}', 'rb').read())
found, os.environ.get('CANARY'), os.path.exists(PLACE)
"""
    with Pool(POLICY, workers=1) as pool, pool.session() as session:
        result = session.run(code.replace("PLACE", repr(str(tmp_path))))
    assert result.value == "([], None, False)", result
    assert canary not in repr(result)


def test_13_sessions_cannot_meet(pool: Pool) -> None:
    with pool.session() as first, pool.session() as second:
        first.run("import os\nopen('/dev/shm/meet', 'w').write('x')\npid = os.getpid()")
        result = second.run("import os\nos.path.exists('/dev/shm/meet'), os.getpid(), len(os.listdir('/proc'))")
    assert result.value == "(False, 1, 3)"


def test_110_grandchildren_end_with_their_session(pool: Pool) -> None:
    with pool.session() as session:
        session.run("1")
        idle = below_us()
        code = "import subprocess\nx = [subprocess.Popen(['setsid', 'sleep', '300'], stdout=1) for n in range(3)]"
        assert session.run(code).status == "ok"
        assert wait_for(lambda: len(below_us() - idle) == 3)
    assert not below_us() - idle


def test_112_a_hang_at_exit_does_not_delay_the_end(pool: Pool) -> None:
    code = """
import atexit, time
atexit.register(time.sleep, 300)
class A:
    def __del__(self): time.sleep(300)
a = A()
"""
    with pool.session() as session:
        session.run(code)
        begin = time.monotonic()
    assert time.monotonic() - begin < 5


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


def test_114_a_killed_zygote_is_an_infrastructure_failure_and_is_replaced(pool: Pool) -> None:
    before = below_us()
    with ThreadPoolExecutor(1) as threads, pool.session() as session:
        assert session.run("1").value == "1"
        running = threads.submit(session.run, "import time\ntime.sleep(60)")
        for pid in below_us() - before:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(InfrastructureError):
            running.result(timeout=30)
    with pool.session() as session:
        assert session.run("1 + 1").value == "2"


def test_113_nothing_outlives_a_killed_host() -> None:
    script = """
import os, sys, time
from pipeline.sandbox import Policy, Pool, usage
with Pool(Policy(), workers=1) as pool, pool.session() as session:
    session.run("import os\\nos.setsid() if os.fork() == 0 else 0\\n1")
    print(*[pid for pid in usage.tree(os.getpid()) if pid != os.getpid()], flush=True)
    session.run("import time\\ntime.sleep(600)")
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True) as host:
        assert host.stdout is not None
        pids = [int(pid) for pid in host.stdout.readline().split()]
        assert len(pids) >= 4  # watcher, zygote (as root also its parent), session and its child
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        host.kill()
    assert wait_for(lambda: not any(_runs(pid) for pid in pids))


def _runs(pid: int) -> bool:
    """Return whether a process exists and is no zombie that init has yet to collect."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_many_threads_share_few_zygotes_and_every_answer_is_its_own(pool: Pool) -> None:
    def job(number: int) -> tuple[str | None, str | None]:
        with pool.session(seed=number) as session:
            session.run(f"x = {number}")
            return session.run("x").value, session.run("x * x").value

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(job, range(24))) == [(str(n), str(n * n)) for n in range(24)]


def test_87_an_idle_session_ends() -> None:
    with Pool(Policy(Limits(idle_seconds=0.5)), workers=1) as pool, pool.session() as session:
        assert session.run("1").value == "1"
        time.sleep(3)
        with pytest.raises(InfrastructureError, match="ended"):
            session.run("1")


def test_86_cpu_time_of_background_work_is_limited() -> None:
    limits = Limits(session_cpu_seconds=2)
    with Pool(Policy(limits), workers=1) as pool, pool.session() as session:
        session.run("import threading\ndef spin():\n    while True: pass\nthreading.Thread(target=spin).start()")
        result = session.run("import time\ntime.sleep(15)")
        assert (result.status, result.ended) == ("died", True)
        assert result.error is not None
        assert "CPU" in result.error.message


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


def test_giving_a_zygote_back_does_not_wait_for_the_start_of_another(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go = threading.Event(), threading.Event()

    class Slow(Worker):
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
            monkeypatch.setattr(pool_module, "Worker", Slow)
            monkeypatch.setattr(pool_module, "_RECYCLE_AFTER", 0)
            other = threads.submit(open_one)
            assert begun.wait(30)
        # The session was closed while the other zygote could not start.
        assert not other.done()
        go.set()
        assert other.result(timeout=60) == "3"


# Runs in a child: a /proc that hides something is one below which the kernel allows no further one.
MASKED = """
import os
from pipeline.sandbox import linux, root
linux.unshare(linux.CLONE_NEWNS)
linux.mount("none", "/", "", linux.MS_REC | linux.MS_PRIVATE)
linux.mount("tmpfs", "/proc/sys", "tmpfs", 0)
linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWNS | linux.CLONE_NEWPID)
if os.fork() == 0:
    root.mount_proc()
    print([name for name in os.listdir("/proc") if name.isdigit()], flush=True)
    os._exit(0)
os.wait()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts over /proc")
def test_where_no_proc_can_be_mounted_the_one_below_is_hidden() -> None:
    result = subprocess.run([sys.executable, "-c", MASKED], cwd=ROOT, capture_output=True, text=True, check=True)
    # A kernel that allows it after all shows the caller's own namespace, which is as good.
    assert result.stdout in {"[]\n", "['1']\n"}, result


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


# Runs in a child: shows what lies below private directories (an interpreter in root's home) to another
# user within a mount namespace of its own, becomes that user and runs a part of the corpus.
AS_USER = """
import os, sys
from pathlib import Path
from pipeline.sandbox import linux
paths = [str(Path(p).resolve()) for p in sys.argv[1].split(":")]
hidden = {str(a) for p in paths for a in Path(p).parents if not a.stat().st_mode & 1}
linux.unshare(linux.CLONE_NEWNS)
linux.mount("none", "/", "", linux.MS_REC | linux.MS_PRIVATE)
handles = [os.open(p, os.O_PATH) for p in paths]
for top in sorted(hidden, key=len)[:1]:
    linux.mount("tmpfs", top, "tmpfs", 0, "mode=755")
for path, handle in zip(paths, handles):
    if not os.path.exists(path):
        os.makedirs(path)
        linux.mount(f"/proc/self/fd/{handle}", path, "", linux.MS_BIND | linux.MS_REC)
os.setgroups([])
os.setresgid(12345, 12345, 12345)
os.setresuid(12345, 12345, 12345)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="then all of these tests run as an ordinary user already")
def test_an_ordinary_user_is_isolated_as_well(environment: Path) -> None:
    paths = ":".join((sys.base_prefix, sys.prefix, str(ROOT), str(environment)))
    tests = str(ROOT / "tests" / "integration" / "test_sandbox_corpus.py")
    chosen = "43-unshare or 1-tcp or 14-shadow or 28-usr or 36- or 74- or 76- or 103- or 119- or 82-"
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(ROOT), tests, "-k", chosen]
    result = subprocess.run(
        [sys.executable, "-c", AS_USER, paths, *command],
        cwd=ROOT,
        env={**os.environ, "HOME": "/nonexistent", "XDG_CACHE_HOME": str(environment.parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert " passed" in result.stdout


def test_where_it_cannot_isolate_it_refuses_and_says_why(environment: Path) -> None:
    # A user namespace in which no further one may be made.
    script = """
import os
from pipeline.sandbox import linux
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
