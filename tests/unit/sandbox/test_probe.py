"""What a machine that cannot isolate is told: every row of the support matrix, from the files such a machine has."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from pipeline.sandbox import probe
from pipeline.sandbox.inside import linux
from tests.support.command import ROOT

STEP = "unshare(user): Operation not permitted"
CLONE = "kernel/unprivileged_userns_clone"
APPARMOR = "kernel/apparmor_restrict_unprivileged_userns"
MOST = "user/max_user_namespaces"


class Obstacle(NamedTuple):
    cause: str
    fix: str
    code: int = errno.EPERM
    sysctls: Mapping[str, str] = {}
    mark: str | None = None
    """A file that a container has."""
    seccomp: int = 0


OBSTACLES = (
    Obstacle("user.max_user_namespaces is 0", "sysctl -w user.max_user_names", errno.ENOSPC, {MOST: "0"}),
    Obstacle("all of user.max_user_namespaces=127217 are in use", "raise that sysctl", errno.ENOSPC),
    Obstacle("kernel.unprivileged_userns_clone is 0", "sysctl -w kernel.unprivileged_userns_clone=1", 1, {CLONE: "0"}),
    Obstacle(
        "kernel.apparmor_restrict_unprivileged_userns=1 blocks user namespaces",
        f"an AppArmor profile with `userns,` for {Path(sys.executable).resolve()}",
        errno.EACCES,
        {APPARMOR: "1"},
    ),
    *(
        Obstacle("user namespaces blocked by the container's seccomp profile", "--security-opt", mark=mark)
        for mark in (".dockerenv", "run/.containerenv", "run/secrets/kubernetes.io/token")
    ),
    Obstacle("blocked by a seccomp profile", "RestrictNamespaces=", seccomp=2),
    Obstacle("the kernel refuses namespaces to this process", "unshare -Ur true"),
    Obstacle("is too old", "Linux 5.14", errno.ENOSYS),
    Obstacle(os.strerror(errno.EIO), "see the failing step", errno.EIO),
)


def machine(root: Path, sysctls: Mapping[str, str], mark: str | None = None, seccomp: int = 0) -> Path:
    """Files of a machine on which everything is allowed, but for these settings."""
    files = {f"proc/sys/{name}": value for name, value in {MOST: "127217", **sysctls}.items()}
    files |= {"proc/self/ns/user": "", "proc/self/status": f"Name:\tpython\nSeccomp:\t{seccomp}\nSeccomp_filters:\t1"}
    if mark is not None:
        files[mark] = ""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


@pytest.mark.parametrize("obstacle", OBSTACLES, ids=lambda obstacle: obstacle.mark or obstacle.cause)
def test_each_obstacle_is_named_with_its_fix(tmp_path: Path, obstacle: Obstacle) -> None:
    root = machine(tmp_path, obstacle.sysctls, obstacle.mark, obstacle.seccomp)
    refused = probe.refusal(STEP, obstacle.code, root)
    assert (refused.step, refused.exit_code) == (STEP, 3)
    assert obstacle.cause in refused.cause
    assert obstacle.fix in refused.fix
    assert "coldforge sandbox serve" in refused.fix
    assert all(text in str(refused) for text in (STEP, refused.cause, refused.fix))


def test_settings_that_allow_it_are_not_blamed(tmp_path: Path) -> None:
    root = machine(tmp_path, {CLONE: "1", APPARMOR: "0"})
    assert "sysctl -w" not in str(probe.refusal(STEP, errno.EPERM, root))


def test_a_kernel_without_user_namespaces_is_named(tmp_path: Path) -> None:
    root = machine(tmp_path, {})
    (root / "proc/self/ns/user").unlink()
    assert "no user namespaces" in probe.refusal(STEP, errno.EINVAL, root).cause


def test_another_operating_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(probe.IsolationError, match="darwin has no Linux namespaces"):
        probe.check_platform()


@pytest.mark.parametrize(
    ("effective", "expected"),
    [("000001ffffffffff", True), ("00000000a80425fb", False), ("0000000000200000", True), ("0000000000000000", False)],
    ids=["root", "root in a container", "it alone", "user"],
)
def test_a_capability_is_read_from_its_bit(tmp_path: Path, effective: str, expected: bool) -> None:
    status = tmp_path / "status"
    status.write_text(f"Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t{effective}\nCapBnd:\t000001ffffffffff\n")
    assert linux.has_capability(linux.CAP_SYS_ADMIN, status) is expected


def test_a_process_that_dropped_its_capabilities_has_none() -> None:
    script = (
        "from pipeline.sandbox.inside import linux\n"
        "linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)\n"
        "try: linux.drop_capabilities()\n"
        "except PermissionError: pass\n"  # an ordinary user had none to drop
        "print(linux.has_capability(linux.CAP_SYS_ADMIN))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_facts_say_what_isolates() -> None:
    facts = probe.facts()
    assert facts["kernel"] == os.uname().release
    assert facts["started_as"] == ("root" if linux.has_capability(linux.CAP_SYS_ADMIN) else "user")
    assert {"landlock_abi", "cgroup", "memory", "cpu", "seccomp", "machine"} <= facts.keys()
