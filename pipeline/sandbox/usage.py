"""What the processes of a session use, read by the host from its own /proc."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024
_SOCKET = 208 * _KIB
"""What the kernel lets one socket hold unless told otherwise (net.core.wmem_default), and guests cannot tell it."""


class Usage(NamedTuple):
    """Wall and CPU seconds of a cell; `max_rss`: the largest memory of one process, in bytes."""

    wall: float
    cpu: float
    max_rss: int


def host_pid(pidfd: int) -> int:
    """Return the process behind a pidfd as this process numbers it; -1 once it is gone."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "Pid":
            return int(value)
    return -1


def tree(pid: int) -> list[int]:
    """Return a process and its descendants; the kernel hands orphans to process 1, so none is missed."""
    found, pending = [], [pid]
    while pending:
        found.append(pending.pop())
        try:
            for task in Path(f"/proc/{found[-1]}/task").iterdir():
                pending += [int(child) for child in (task / "children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    return found


class CpuMeter:
    """CPU time of a session from its processes' own counters: never too much, and never less than before.

    Missed is what a process used after the last look at it, if it ended without its parent waiting for it
    (SIGCHLD ignored).
    """

    def __init__(self) -> None:
        self._own: dict[tuple[int, str], int] = {}
        """Ticks of each process when it was last seen; a number is used again, with its start time it is not."""
        self._most = 0

    def seconds(self, pids: list[int]) -> float:
        """Return the CPU time used so far, where `pids` are the processes there are now, parents first."""
        alive, waited = 0, 0
        for pid in pids:
            # utime, stime, cutime, cstime and starttime: fields 14 to 17 and 22 of proc(5)
            fields = _read(pid, "stat").rpartition(")")[2].split()
            if fields:
                self._own[pid, fields[19]] = int(fields[11]) + int(fields[12])
                alive += self._own[pid, fields[19]]
                waited += int(fields[13]) + int(fields[14])
        # What has ended is known in two ways, each of which may miss some of it.
        self._most = max(self._most, alive + waited, sum(self._own.values()))
        return self._most / _TICKS


def memory(pids: list[int]) -> int:
    """Return bytes of memory of a session, process 1 of it first, as far as they can be told from outside.

    Pages shared by several processes are divided among them. Of the kernel's own memory page tables count, and
    sockets as if each were full: a hundred processes may hold thousands of them.
    """
    total = _sockets(pids[0]) * _SOCKET
    for pid in pids:
        status = _read(pid, "status")
        total += _kib(status, "VmPTE")
        try:
            total += _kib(_read(pid, "smaps_rollup"), "Pss")
        except PermissionError:
            # A program that its user may not read is closed to us as well; its own pages are public.
            total += _kib(status, "RssAnon") + _kib(status, "RssShmem")
    return total


def _sockets(pid: int) -> int:
    """Return how many sockets a process's network namespace holds; a session has one of its own."""
    for line in _read(pid, "net/sockstat").splitlines():
        if line.startswith("sockets: used "):
            return int(line.split()[2])
    return 0


def max_rss(pid: int) -> int:
    """Return the largest resident size a process has had, in bytes."""
    return _kib(_read(pid, "status"), "VmHWM")


def _kib(text: str, field: str) -> int:
    _, found, rest = text.partition(f"\n{field}:")
    return int(rest.split(None, 1)[0]) * _KIB if found else 0


def _read(pid: int, name: str) -> str:
    try:
        return read(f"/proc/{pid}/{name}")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def read(path: str | Path) -> str:
    """Return a kernel file's text, by the shortest way: some are read several times per cell."""
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - pathlib costs several times as much
        # Guest code may give its processes any name, valid text or not.
        return file.read().decode(errors="replace")
