"""Workers that never outlive their parent, signals, turns between processes, and the CPU time of a process tree."""

from __future__ import annotations

import fcntl
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path

SPAWNED = multiprocessing.get_context("spawn")
"""Not forked: the driver has threads, and a fork would copy their locks in any state."""


def worker_pool(workers: int, begin: Callable[[], None] | None = None) -> ProcessPoolExecutor:
    """Return a pool of spawned workers that end when this process ends, however it ends.

    `begin` is called in each before its first task.
    """
    return ProcessPoolExecutor(workers, mp_context=SPAWNED, initializer=_begin_worker, initargs=(begin,))


def _begin_worker(begin: Callable[[], None] | None) -> None:
    die_with_parent()
    if begin is not None:
        begin()


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def die_with_parent() -> None:
    """End this worker as soon as its parent is gone; leave Ctrl-C to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()


def heed_signals() -> None:
    """Let SIGTERM end this process in order, as Ctrl-C does, whichever of its threads a signal reaches.

    The kernel may give a signal to any thread; Python acts on it in the main thread alone, which a wait for a lock
    keeps asleep for as long as the lock is held. So another thread, told by Python that one came, wakes it.
    """
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(_WAKING, lambda _number, _frame: None)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    threading.Thread(target=_wake_main, args=(heard,), name="signals", daemon=True).start()


_WAKING = signal.SIGURG
"""Ends a wait and does nothing else; where nobody handles it, it is ignored (signal(7))."""


def _wake_main(heard: int) -> None:
    main = threading.main_thread().ident
    while main is not None and (number := os.read(heard, 1)):
        if number[0] != _WAKING:
            signal.pthread_kill(main, _WAKING)


@contextmanager
def turn(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold a file that one process or thread at a time can hold; whoever holds it may be killed, and it is free again.

    Raises:
        BlockingIOError: another one holds it, and nobody wants to wait.
    """
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield


def holder(path: Path) -> int | None:
    """Return which process has its `turn` at a file, None where nobody has: looking takes no turn from anyone.

    Reads /proc/locks (proc(5)): kind, `ADVISORY`, access, process, device and inode. Another container's are not told.
    """
    try:
        inode = str(path.stat().st_ino)
        locks = Path("/proc/locks").read_text()
    except OSError:
        return None
    for line in locks.splitlines():
        kind, _, _, process, place, *_ = line.partition(":")[2].replace("->", "").split()
        if kind == "FLOCK" and place.rpartition(":")[2] == inode:
            return int(process)
    return None


def tree_cpu_seconds(root: int | None = None) -> float:
    """Return the CPU seconds used so far by a process (default: this one) and all it started, ended ones included.

    Reads utime, stime, cutime and cstime, fields 14 to 17 of /proc/<pid>/stat (proc(5)).
    """
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            # A process may give itself any name, valid text or not.
            fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked; its time shows up as its parent's cutime
        pid = int(entry.name)
        parents[pid] = int(fields[1])
        ticks[pid] = sum(int(value) for value in fields[11:15])
    top = os.getpid() if root is None else root
    return sum(used for pid, used in ticks.items() if _descends(pid, top, parents)) / os.sysconf("SC_CLK_TCK")


def _descends(pid: int, top: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        if pid == top:
            return True
        pid = parents[pid]
    return False
