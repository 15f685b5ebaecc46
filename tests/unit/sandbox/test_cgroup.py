"""Control groups of both versions, on directories that look like the kernel's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import InfrastructureError
from pipeline.sandbox import cgroup
from pipeline.sandbox.inside.policy import Limits

LIMITS = Limits(memory=1 << 30, processes=48)
MOUNT = "36 25 0:32 {shown} {point} rw,relatime - {kind} cgroup {options}\n"


def proc(base: Path, groups: str, *mounts: str) -> Path:
    """A /proc that tells of these groups and mounts, and of an ordinary file system first."""
    (base / "proc/self").mkdir(parents=True)
    (base / "proc/self/cgroup").write_text(groups)
    root = "25 1 254:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
    (base / "proc/self/mountinfo").write_text(root + "".join(mounts))
    return base / "proc"


def legacy(base: Path, *controllers: str, shown: str = "/") -> list[str]:
    return [MOUNT.format(shown=shown, point=base / name, kind="cgroup", options=f"rw,{name}") for name in controllers]


def unified(base: Path, *, pids: str = "", controllers: str = "cpu memory pids", enabled: str = "") -> Path:
    """A version 2 group `app` with these processes in it."""
    group = base / "unified/app"
    group.mkdir(parents=True)
    for name, text in (
        ("cgroup.procs", pids),
        ("cgroup.controllers", controllers),
        ("cgroup.subtree_control", enabled),
        ("cgroup.type", "domain\n"),
    ):
        (group / name).write_text(text)
    return group


def unified_proc(base: Path, own: str = "/app") -> Path:
    mount = MOUNT.format(shown="/", point=base / "unified", kind="cgroup2", options="rw,nsdelegate")
    return proc(base, f"0::{own}\n", mount)


def group_of(base: Path, version: cgroup.Version, **files: str) -> cgroup.Group:
    for name, text in files.items():
        (base / name.replace("__", ".")).write_text(text)
    return cgroup.Group({"memory": base, "pids": base, "cpuacct": base}, version)


# -- where groups can be made


def test_version_1_needs_memory_and_pids_and_takes_cpu_time_along(tmp_path: Path) -> None:
    for name in ("memory", "pids", "cpuacct"):
        (tmp_path / name / "job").mkdir(parents=True)
    groups = "9:name=systemd:/job\n4:memory:/job\n3:pids:/job\n2:cpuacct:/job\n0::/\n"
    found = cgroup.find(proc(tmp_path, groups, *legacy(tmp_path, "memory", "pids", "cpuacct")))
    parents = {name: tmp_path / name / "job" for name in ("memory", "pids", "cpuacct")}
    assert found == cgroup.Place("v1", parents)


def test_controllers_that_share_a_hierarchy_are_all_found(tmp_path: Path) -> None:
    (tmp_path / "both").mkdir()
    mount = MOUNT.format(shown="/", point=tmp_path / "both", kind="cgroup", options="rw,pids,memory")
    found = cgroup.find(proc(tmp_path, "3:pids,memory:/\n", mount))
    assert found == cgroup.Place("v1", {"memory": tmp_path / "both", "pids": tmp_path / "both"})


def test_memory_alone_is_not_enough(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    assert cgroup.find(proc(tmp_path, "4:memory:/\n3:pids:/\n", *legacy(tmp_path, "memory"))) is None


def test_a_container_that_sees_its_own_part_of_a_hierarchy_finds_its_group(tmp_path: Path) -> None:
    for name in ("memory", "pids"):
        (tmp_path / name / "inner").mkdir(parents=True)
    groups = "4:memory:/docker/abc/inner\n3:pids:/docker/abc/inner\n"
    mounts = legacy(tmp_path, "memory", "pids", shown="/docker/abc")
    found = cgroup.find(proc(tmp_path, groups, *mounts))
    assert found is not None
    assert found.parents == {name: tmp_path / name / "inner" for name in ("memory", "pids")}


def test_a_hierarchy_that_does_not_show_our_group_is_no_place(tmp_path: Path) -> None:
    for name in ("memory", "pids"):
        (tmp_path / name).mkdir()
    mounts = legacy(tmp_path, "memory", "pids", shown="/docker/abc")
    assert cgroup.find(proc(tmp_path, "4:memory:/other\n3:pids:/other\n", *mounts)) is None


def test_in_a_group_delegated_to_us_alone_we_step_aside_and_limit_its_children(tmp_path: Path) -> None:
    group = unified(tmp_path, pids=f"{os.getpid()}\n")
    found = cgroup.find(unified_proc(tmp_path))
    assert found == cgroup.Place("v2", dict.fromkeys(("memory", "pids", "cpuacct"), group))
    assert (group / "coldforge/cgroup.procs").read_text() == str(os.getpid())
    assert (group / "cgroup.subtree_control").read_text() == "+memory +pids"


def test_a_second_pool_uses_the_group_that_the_first_one_was_delegated(tmp_path: Path) -> None:
    group = unified(tmp_path, enabled="memory pids\n")
    (group / "coldforge").mkdir()
    found = cgroup.find(unified_proc(tmp_path, "/app/coldforge"))
    assert found is not None
    assert found.parents["memory"] == group


def test_a_group_that_others_live_in_is_left_alone(tmp_path: Path) -> None:
    group = unified(tmp_path, pids=f"1\n{os.getpid()}\n")
    assert cgroup.find(unified_proc(tmp_path)) is None
    assert not (group / "coldforge").exists()
    assert (group / "cgroup.subtree_control").read_text() == ""


def test_children_of_ours_step_aside_with_us(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        group = unified(tmp_path, pids=f"{os.getpid()}\n{child.pid}\n")
        assert cgroup.find(unified_proc(tmp_path)) is not None
        assert int((group / "coldforge/cgroup.procs").read_text()) in {os.getpid(), child.pid}
    finally:
        child.communicate(b"\n")


def test_the_top_of_a_hierarchy_may_keep_its_processes(tmp_path: Path) -> None:
    group = unified(tmp_path, pids="1\n2\n")
    (group / "cgroup.type").unlink()
    assert cgroup.find(unified_proc(tmp_path)) is not None
    assert not (group / "coldforge").exists()


def test_a_controller_that_was_not_delegated_is_not_there(tmp_path: Path) -> None:
    unified(tmp_path, controllers="cpu pids\n")
    assert cgroup.find(unified_proc(tmp_path)) is None


def test_where_no_hierarchy_is_mounted_there_is_no_place(tmp_path: Path) -> None:
    assert cgroup.find(proc(tmp_path, "0::/\n")) is None


# -- limits


def test_version_1_limits_memory_with_swap_and_processes(tmp_path: Path) -> None:
    place = cgroup.Place("v1", {"memory": tmp_path / "memory", "pids": tmp_path / "pids"})
    for parent in place.parents.values():
        parent.mkdir()
    group = cgroup.Group.make(place, LIMITS)
    (memory,), (pids,) = (list(parent.iterdir()) for parent in place.parents.values())
    assert (memory / "memory.limit_in_bytes").read_text() == str(1 << 30)
    assert (pids / "pids.max").read_text() == "48"
    group.join(4711)
    assert [(path / "cgroup.procs").read_text() for path in (memory, pids)] == ["4711", "4711"]
    # Swap accounting is a build option.
    assert not (memory / "memory.memsw.limit_in_bytes").exists()


def test_version_2_limits_memory_and_processes_and_kills_a_session_as_a_whole(tmp_path: Path) -> None:
    place = cgroup.Place("v2", {"memory": tmp_path, "pids": tmp_path, "cpuacct": tmp_path})
    cgroup.Group.make(place, LIMITS)
    (made,) = tmp_path.iterdir()
    files = {path.name: path.read_text() for path in made.iterdir()}
    assert files == {"memory.max": str(1 << 30), "memory.oom.group": "1", "pids.max": "48"}


def test_groups_of_a_dead_process_are_swept_and_no_others(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    names = (f"coldforge-{ended.pid}-aa", f"coldforge-{os.getpid()}-bb", "coldforge", "coldforge-x-y", "other-1-2")
    for name in names:
        (tmp_path / name).mkdir()
    cgroup.sweep(cgroup.Place("v2", {"memory": tmp_path}))
    assert {path.name for path in tmp_path.iterdir()} == set(names[1:])


# -- who was killed, and why


EVENTS = "low 0\nhigh 0\nmax {max}\noom {oom}\noom_kill {kill}\noom_group_kill {group}\n"


@pytest.mark.parametrize(
    ("events", "kills"),
    [
        ({"max": 0, "oom": 0, "kill": 0, "group": 0}, 0),
        ({"max": 900, "oom": 0, "kill": 0, "group": 0}, 0),  # reclaiming was enough
        ({"max": 900, "oom": 1, "kill": 5, "group": 1}, 5),
    ],
)
def test_version_2_counts_the_kills_at_its_own_limit(tmp_path: Path, events: dict[str, int], kills: int) -> None:
    assert group_of(tmp_path, "v2", memory__events=EVENTS.format_map(events)).memory_kills() == kills


@pytest.mark.parametrize("at_limit", [0, 900], ids=["never at its limit", "reclaimed at its limit"])
def test_version_2_takes_a_kill_for_the_hosts_memory_for_what_it_is(tmp_path: Path, at_limit: int) -> None:
    group = group_of(tmp_path, "v2", memory__events=EVENTS.format(max=at_limit, oom=0, kill=1, group=0))
    with pytest.raises(InfrastructureError, match="the host ran out of memory"):
        group.memory_kills()


CONTROL = "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n"


def legacy_group(base: Path, memory: int, swap: int | None) -> cgroup.Group:
    """A group whose limit is 1 MiB, with the most it ever used: of memory, and of memory and swap together."""
    for name, most in (("memory", memory), ("memory.memsw", swap)):
        if most is not None:
            (base / f"{name}.limit_in_bytes").write_text(f"{1 << 20}\n")
            (base / f"{name}.max_usage_in_bytes").write_text(f"{most}\n")
    return group_of(base, "v1", memory__oom_control=CONTROL)


@pytest.mark.parametrize(("memory", "swap"), [(1 << 20, None), ((1 << 20) - 4096, None), (1 << 19, 1 << 20)])
def test_version_1_counts_the_kills_at_its_own_limit(tmp_path: Path, memory: int, swap: int | None) -> None:
    assert legacy_group(tmp_path, memory, swap).memory_kills() == 2


@pytest.mark.parametrize(("memory", "swap"), [(1 << 19, None), (1 << 19, 1 << 19), (0, 0)])
def test_version_1_takes_a_kill_for_the_hosts_memory_for_what_it_is(
    tmp_path: Path, memory: int, swap: int | None
) -> None:
    with pytest.raises(InfrastructureError, match="the host ran out of memory"):
        legacy_group(tmp_path, memory, swap).memory_kills()


def test_cpu_time_is_read_in_the_unit_of_its_version(tmp_path: Path) -> None:
    assert group_of(tmp_path, "v1", cpuacct__usage="2500000000\n").cpu_seconds() == 2.5
    stat = "usage_usec 1500000\nuser_usec 1000000\nsystem_usec 500000\n"
    assert group_of(tmp_path, "v2", cpu__stat=stat).cpu_seconds() == 1.5
    assert cgroup.Group({"memory": tmp_path}, "v1").cpu_seconds() is None
