"""Whether this machine can isolate a session, and what to do where it cannot."""

from __future__ import annotations

import errno
import os
import platform
import sys
from pathlib import Path
from typing import Any, ClassVar

from pipeline.errors import ColdforgeError
from pipeline.sandbox import cgroup, landlock, linux, seccomp


class IsolationError(ColdforgeError):
    """Code of strangers cannot be isolated here, so it is not run; `step`, `cause` and `fix` say why."""

    exit_code: ClassVar[int] = 3

    def __init__(self, step: str, cause: str, fix: str) -> None:
        super().__init__(f"sandbox: cannot isolate here: {step}\n  cause: {cause}\n  fix: {fix}")
        self.step = step
        self.cause = cause
        self.fix = fix


_SYSCTL_APPARMOR = "kernel/apparmor_restrict_unprivileged_userns"
_SYSCTL_NAMESPACES = "user/max_user_namespaces"
_SYSCTL_CLONE = "kernel/unprivileged_userns_clone"
_DENIED = {errno.EPERM, errno.EACCES, errno.ENOSPC, errno.EUSERS}
_CONTAINER = (
    "start the container with `--cap-add SYS_ADMIN --security-opt seccomp=unconfined "
    "--security-opt apparmor=unconfined`, or run coldforge outside it"
)


def check_platform() -> None:
    """Refuse systems that have no such isolation at all.

    Raises:
        IsolationError: not Linux, or an architecture without a system call table.
    """
    if sys.platform != "linux":
        raise IsolationError(
            "operating system", f"{sys.platform} has no Linux namespaces", "use a Linux host, container or VM"
        )
    try:
        linux.machine()
    except OSError as error:
        raise IsolationError("architecture", str(error), "use an x86_64 or aarch64 host") from error


def refusal(step: str, code: int) -> IsolationError:
    """Return the error for a step of the start sequence that failed with `code`, with its likely cause and fix."""
    if _sysctl(_SYSCTL_NAMESPACES) == "0":
        return IsolationError(step, "user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces=65536")
    if _sysctl(_SYSCTL_CLONE) == "0" and os.geteuid() != 0:
        cause = "kernel.unprivileged_userns_clone is 0"
        return IsolationError(step, cause, "sysctl -w kernel.unprivileged_userns_clone=1")
    if _sysctl(_SYSCTL_APPARMOR) == "1" and os.geteuid() != 0:
        return IsolationError(
            step,
            "kernel.apparmor_restrict_unprivileged_userns=1 blocks user namespaces",
            f"an AppArmor profile with `userns,` for {Path(sys.executable).resolve()}, "
            "or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        )
    if code == errno.ENOSYS:
        return IsolationError(step, f"Linux {platform.release()} is too old", "Linux 5.14 or newer")
    if code in _DENIED and _in_container():
        return IsolationError(step, "namespaces are blocked by the container's seccomp profile", _CONTAINER)
    if code in _DENIED:
        cause = "the kernel refuses namespaces to this process (a seccomp profile, a chroot, or a limit)"
        return IsolationError(step, cause, "run as a user who may make user namespaces: try `unshare -Ur true`")
    return IsolationError(step, os.strerror(code) if code else "unknown", "see the failing step")


def facts() -> dict[str, Any]:
    """Return what the isolation on this machine is made of, as JSON: for the cache entry and the ledger."""
    machine = linux.machine()
    groups = cgroup.find()
    return {
        "kernel": platform.release(),
        "machine": machine,
        "landlock_abi": landlock.abi(),
        "cgroup": groups.version if groups is not None else "none",
        "memory": "control group" if groups is not None else "rlimits and a 100 ms watchdog: cgroup not writable",
        "cpu": "control group" if groups is not None and "cpuacct" in groups.parents else "counters of each process",
        "seccomp": seccomp.filter_hash(machine),
        "started_as": "root" if os.geteuid() == 0 else "user",
    }


def _sysctl(name: str) -> str | None:
    path = Path("/proc/sys") / name
    return path.read_text().strip() if path.exists() else None


def _in_container() -> bool:
    return any(Path(mark).exists() for mark in ("/.dockerenv", "/run/.containerenv"))
