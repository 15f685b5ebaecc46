"""Memory and process limits and CPU time by control group, version 1 or 2, where this process may make groups."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pipeline.sandbox.policy import Limits

Version = Literal["v1", "v2"]
_PREFIX = "coldforge-"
_LEGACY = ("memory", "pids", "cpuacct")


class Place(NamedTuple):
    """Where groups can be made: directory by controller, `memory`, `pids` and where there is one `cpuacct`.

    Under version 2 they are all the same one: every group there counts CPU time.
    """

    version: Version
    parents: Mapping[str, Path]


def find() -> Place | None:
    """Return where sessions can be limited, or None: then the host watches memory itself.

    Version 2 needs a delegated group without processes of its own, which is tried, not guessed.
    """
    mounts = _mounts()
    own = dict(_own())
    legacy: dict[str, Path] = {}
    for name in _LEGACY:
        if name in mounts and name in own and os.access(mounts[name] / own[name], os.W_OK):
            legacy[name] = mounts[name] / own[name]
    if {"memory", "pids"} <= legacy.keys():
        return Place("v1", legacy)
    if "" in mounts and "" in own:
        group = mounts[""] / own[""]
        if os.access(group / "cgroup.subtree_control", os.W_OK) and _delegates(group):
            return Place("v2", {"memory": group, "pids": group, "cpuacct": group})
    return None


def _own() -> list[tuple[str, str]]:
    """Return our group by controller; the name of version 2's hierarchy is empty (cgroups(7))."""
    pairs = []
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        pairs += [(name, path.lstrip("/")) for name in names.split(",")]
    return pairs


def _mounts() -> dict[str, Path]:
    """Return the mount point of each controller that shows the hierarchy from its top."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        shown, point = left.split(" ")[3:5]
        if shown != "/":
            continue
        if kind == "cgroup2":
            found[""] = Path(point)
        elif kind == "cgroup":
            found.update({name: Path(point) for name in options.split(",") if name in _LEGACY})
    return found


def _delegates(group: Path) -> bool:
    wanted = {"memory", "pids"}
    if not wanted <= set((group / "cgroup.controllers").read_text().split()):
        return False
    if wanted <= set((group / "cgroup.subtree_control").read_text().split()):
        return True
    try:
        (group / "cgroup.subtree_control").write_text("+memory +pids")
    except OSError:
        return False  # it has processes of its own
    return True


class Group:
    """The control group of one session; empty and removed with it."""

    def __init__(self, directories: Mapping[str, Path], version: Version) -> None:
        self._directories = directories
        self._version = version

    @classmethod
    def make(cls, place: Place, limits: Limits) -> Self:
        """Make a group with these limits.

        Raises:
            OSError: the kernel refused.
        """
        name = f"{_PREFIX}{os.getpid()}-{secrets.token_hex(6)}"
        directories = {controller: parent / name for controller, parent in place.parents.items()}
        for path in set(directories.values()):
            path.mkdir()
        memory = directories["memory"]
        if place.version == "v1":
            _write(memory / "memory.limit_in_bytes", limits.memory)
            _write(memory / "memory.memsw.limit_in_bytes", limits.memory)  # memory and swap together
        else:
            _write(memory / "memory.max", limits.memory)
            _write(memory / "memory.swap.max", 0)
            _write(memory / "memory.oom.group", 1)
        _write(directories["pids"] / "pids.max", limits.processes)
        return cls(directories, place.version)

    def join(self, pid: int) -> None:
        """Put a process in; its children follow."""
        for path in set(self._directories.values()):
            (path / "cgroup.procs").write_text(str(pid))

    def memory_kills(self) -> int:
        """Return how many processes the kernel killed because this group was at its limit."""
        name = "memory.oom_control" if self._version == "v1" else "memory.events"
        counts = dict(line.split() for line in (self._directories["memory"] / name).read_text().splitlines())
        return int(counts.get("oom_kill", 0))

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of all processes that were ever in the group; None if it is not counted."""
        directory = self._directories.get("cpuacct")
        if directory is None:
            return None
        if self._version == "v1":
            return int((directory / "cpuacct.usage").read_text()) / 1e9
        counts = dict(line.split() for line in (directory / "cpu.stat").read_text().splitlines())
        return int(counts["usage_usec"]) / 1e6

    def remove(self) -> None:
        """Remove the group, which must be empty.

        Raises:
            OSError: it is not.
        """
        for path in set(self._directories.values()):
            path.rmdir()


def sweep(place: Place) -> None:
    """Remove empty groups that a killed host process left behind."""
    for parent in set(place.parents.values()):
        for path in parent.glob(f"{_PREFIX}*-*"):
            owner = path.name.removeprefix(_PREFIX).partition("-")[0]
            if owner.isdigit() and not Path(f"/proc/{owner}").exists():
                try:
                    path.rmdir()
                except OSError:
                    continue  # another process sweeps too, or its last process is just ending


def _write(path: Path, value: int) -> None:
    # Swap accounting is a build option; without it there is no such file and nothing to limit.
    if path.exists() or "sw" not in path.name:
        path.write_text(str(value))
