"""Memory and process limits and CPU time by control group, version 1 or 2, where this process may make groups.

Files and rules: the kernel's `admin-guide/cgroup-v1/memory.rst` and `admin-guide/cgroup-v2.rst`.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Self

from pipeline.errors import InfrastructureError
from pipeline.sandbox import usage
from pipeline.sandbox.inside.policy import Limits

Version = Literal["v1", "v2"]
_PREFIX = "coldforge-"
_EMPTY_SECONDS, _EMPTY_STEP = 10.0, 0.01
"""For the last process of a group to leave it: it is already dead when the group is removed."""
_HOST = "coldforge"
"""Under version 2, the group that we ourselves move to; one for all that share a delegated group."""
_LEGACY = ("memory", "pids", "cpuacct")
_UNIFIED = ""
"""How /proc/self/cgroup names the hierarchy of version 2."""
_WANTED = {"memory", "pids"}
_MEASURED = ("memory", "memory.memsw")
_LARGEST_CHARGE = 8 * os.sysconf("SC_PAGE_SIZE")
"""Bytes. For a request of more pages at once the kernel kills nobody (PAGE_ALLOC_COSTLY_ORDER, 3)."""


class Place(NamedTuple):
    """Where groups can be made: directory by controller, `memory`, `pids` and where there is one `cpuacct`.

    Under version 2 they are all the same one: every group there counts CPU time.
    """

    version: Version
    parents: Mapping[str, Path]


def find(proc: Path = Path("/proc")) -> Place | None:
    """Return where sessions can be limited, or None: then the host watches memory itself.

    Version 2 needs a group that is delegated to us alone (`systemd-run --user --scope -p Delegate=yes`): where
    groups are to be limited, their parent may hold no process, so we move to a group of our own beside them.
    """
    own = _own((proc / "self/cgroup").read_text(), (proc / "self/mountinfo").read_text())
    legacy = {name: own[name] for name in _LEGACY if name in own and os.access(own[name], os.W_OK)}
    if legacy.keys() >= _WANTED:
        return Place("v1", legacy)
    if _UNIFIED not in own:
        return None
    group = own[_UNIFIED].parent if own[_UNIFIED].name == _HOST else own[_UNIFIED]
    if not _delegate(group, set(usage.tree(os.getpid()))):
        return None
    return Place("v2", {"memory": group, "pids": group, "cpuacct": group})


def _own(groups: str, mountinfo: str) -> dict[str, Path]:
    """Return the directory of our own group by controller (cgroups(7), proc_pid_mountinfo(5)); not all are mounted."""
    paths = {}
    for line in groups.splitlines():
        _, names, path = line.split(":", 2)
        paths.update(dict.fromkeys(names.split(","), Path(path)))
    found: dict[str, Path] = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        shown, point = left.split(" ")[3:5]  # a container may see its own part of a hierarchy alone
        controllers = {"cgroup": options.split(","), "cgroup2": [_UNIFIED]}.get(kind, [])
        for name in controllers:
            if name in paths and paths[name].is_relative_to(shown):
                found[name] = Path(point) / paths[name].relative_to(shown)
    return found


def _delegate(group: Path, ours: set[int]) -> bool:
    """Have groups below `group` limited, and return whether they are; `ours` are this process and its children."""
    switch = group / "cgroup.subtree_control"
    if not all(os.access(path, os.W_OK) for path in (group, switch, group / "cgroup.procs")):
        return False
    if not set((group / "cgroup.controllers").read_text().split()) >= _WANTED:
        return False
    if set(switch.read_text().split()) >= _WANTED:
        return True
    inside = {int(pid) for pid in (group / "cgroup.procs").read_text().split()}
    # The top of the hierarchy, which has no such file, may limit groups beside its processes.
    confined = (group / "cgroup.type").exists()
    if confined and not inside <= ours:
        return False  # not for us alone; a process that its owner put there is not ours to move
    try:
        if confined and inside:
            (group / _HOST).mkdir(exist_ok=True)
            for pid in sorted(inside):
                (group / _HOST / "cgroup.procs").write_text(str(pid))
        switch.write_text(" ".join(f"+{name}" for name in sorted(_WANTED)))
    except OSError:
        return False  # the kernel knows better, as when a process was started meanwhile
    return True


class Group:
    """The control group of one session; empty and removed with it."""

    def __init__(self, directories: Mapping[str, Path], version: Version) -> None:
        self._directories = directories
        self._version = version
        # Read with every cell, so the names are put together once.
        legacy = version == "v1"
        self._kills = str(directories["memory"] / ("memory.oom_control" if legacy else "memory.events"))
        counted = directories.get("cpuacct")
        self._cpu = counted and str(counted / ("cpuacct.usage" if legacy else "cpu.stat"))

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
        """Return how many processes the kernel killed because this group was at its limit.

        Raises:
            InfrastructureError: it killed some, but not for that: a group above, or the whole host, lacked memory.
        """
        kills = _counts(self._kills).get("oom_kill", 0)
        if kills and not self._reached_limit(self._directories["memory"]):
            raise InfrastructureError("sandbox: the host ran out of memory and killed a process of a session")
        return kills

    def _reached_limit(self, memory: Path) -> bool:
        if self._version == "v2":
            # `oom_kill` counts kills of any cause, `oom` those times at which this group itself had no memory left.
            return _counts(memory / "memory.events").get("oom", 0) > 0
        # Version 1 does not tell the two apart, but how close to its limit the group ever was, with and without swap.
        # (`failcnt`, meant for this, stayed 0 on Linux 6.18.)
        pairs = [(memory / f"{kind}.max_usage_in_bytes", memory / f"{kind}.limit_in_bytes") for kind in _MEASURED]
        return any(_number(most) > _number(limit) - _LARGEST_CHARGE for most, limit in pairs if limit.exists())

    def cpu_seconds(self) -> float | None:
        """Return the CPU time of all processes that were ever in the group; None if it is not counted."""
        if self._cpu is None:
            return None
        if self._version == "v1":
            return _number(self._cpu) / 1e9
        return _counts(self._cpu)["usage_usec"] / 1e6

    def remove(self) -> None:
        """Remove the group, as soon as it is empty.

        Raises:
            InfrastructureError: it does not become empty.
        """
        for path in set(self._directories.values()):
            _remove(path)


def _remove(path: Path) -> None:
    deadline = time.monotonic() + _EMPTY_SECONDS
    while True:
        try:
            path.rmdir()
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise InfrastructureError(f"sandbox: a session left its control group in use: {error}") from error
            time.sleep(_EMPTY_STEP)  # version 1 tells nobody when a group becomes empty
        else:
            return


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


def _number(path: str | Path) -> int:
    return int(usage.read(path))


def _counts(path: str | Path) -> dict[str, int]:
    """Return a flat keyed file (cgroup-v2.rst): one name and number per line."""
    return {name: int(value) for name, value in (line.split() for line in usage.read(path).splitlines())}


def _write(path: Path, value: int) -> None:
    # Swap accounting is a build option; without it there is no such file and nothing to limit.
    if path.exists() or "sw" not in path.name:
        path.write_text(str(value))
