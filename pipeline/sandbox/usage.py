"""What the processes of a session use, read by the host from its own /proc."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024


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


def cpu_seconds(pids: list[int]) -> float:
    """Return the CPU time of these processes and their ended children (utime to cstime of proc(5))."""
    ticks = 0
    for pid in pids:
        fields = _read(pid, "stat").rpartition(")")[2].split()
        ticks += sum(map(int, fields[11:15]))
    return ticks / _TICKS


def memory(pids: list[int]) -> int:
    """Return bytes of memory; pages shared by several processes are divided among them."""
    total = 0
    for pid in pids:
        try:
            total += _kib(_read(pid, "smaps_rollup"), "Pss")
        except PermissionError:
            # A program that its user may not read is closed to us as well; its own pages are public.
            status = _read(pid, "status")
            total += _kib(status, "RssAnon") + _kib(status, "RssShmem")
    return total


def max_rss(pid: int) -> int:
    """Return the largest resident size a process has had, in bytes."""
    return _kib(_read(pid, "status"), "VmHWM")


def _kib(text: str, field: str) -> int:
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * _KIB
    return 0


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
