"""Whether this machine can isolate a session, and what to do where it cannot."""

from __future__ import annotations

import errno
import os
import platform
import sys
from pathlib import Path
from typing import Any, ClassVar

from pipeline.errors import ColdforgeError
from pipeline.sandbox import cgroup
from pipeline.sandbox.inside import landlock, linux, seccomp


class IsolationError(ColdforgeError):
    """Code of strangers cannot be isolated here, so it is not run; `step`, `cause` and `fix` say why."""

    exit_code: ClassVar[int] = 3

    def __init__(self, step: str, cause: str, fix: str) -> None:
        super().__init__(f"sandbox: cannot isolate here: {step}\n  cause: {cause}\n  fix: {fix}")
        self.step = step
        self.cause = cause
        self.fix = fix


_DENIED = {errno.EPERM, errno.EACCES}
_USED_UP = {errno.ENOSPC, errno.EUSERS}
_CONTAINER = (
    "start the container with `--cap-add SYS_ADMIN --security-opt seccomp=unconfined "
    "--security-opt apparmor=unconfined`, or run coldforge outside it"
)
_ELSEWHERE = "; or use the sandbox of another host: `coldforge sandbox serve` there"


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


def refusal(step: str, code: int, root: Path = Path("/")) -> IsolationError:
    """Return the error for a step of the start sequence that failed, with its likely cause and fix.

    Root is told the same as others: it gives up its user id before it makes a user namespace.

    Args:
        step: which one, as the kernel's answer named it.
        code: its errno.
        root: where `proc` and the marks of containers are looked for.
    """
    cause, fix = _unreadable(step) if code == errno.EACCES and step.startswith("/") else _cause(code, root)
    return IsolationError(step, cause, fix + _ELSEWHERE)


def _unreadable(step: str) -> tuple[str, str]:
    cause = f"{step.partition(': ')[0]} is closed to the user that guests run as"
    return cause, "install Python and build the guest environment (XDG_CACHE_HOME) where every user may read"


def _cause(code: int, root: Path) -> tuple[str, str]:
    """Return cause and fix: what a setting of this machine explains first, then what the error alone does."""
    if code == errno.ENOSYS:
        return f"Linux {platform.release()} is too old", "Linux 5.14 or newer"
    if not (root / "proc/self/ns/user").exists():
        return "this kernel has no user namespaces", "a kernel built with CONFIG_USER_NS"
    most = _sysctl(root, "user/max_user_namespaces")
    if most == "0":
        return "user.max_user_namespaces is 0", "sysctl -w user.max_user_namespaces=65536"
    if _sysctl(root, "kernel/unprivileged_userns_clone") == "0":
        return "kernel.unprivileged_userns_clone is 0", "sysctl -w kernel.unprivileged_userns_clone=1"
    if _sysctl(root, "kernel/apparmor_restrict_unprivileged_userns") == "1":
        profile = f"an AppArmor profile with `userns,` for {Path(sys.executable).resolve()}"
        fix = f"{profile}, or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        return "kernel.apparmor_restrict_unprivileged_userns=1 blocks user namespaces", fix
    if code in _USED_UP:
        return f"all of user.max_user_namespaces={most} are in use", "end what holds them, or raise that sysctl"
    if code in _DENIED and _in_container(root):
        return "user namespaces blocked by the container's seccomp profile", _CONTAINER
    if code in _DENIED and _is_filtered(root):
        fix = f"in a container: {_CONTAINER}; in a service of systemd: allow namespaces (RestrictNamespaces=)"
        return "user namespaces blocked by a seccomp profile that this process was started under", fix
    if code in _DENIED:
        cause = "the kernel refuses namespaces to this process (a chroot, a security module or a limit)"
        return cause, "run as a user who may make user namespaces: try `unshare -Ur true`"
    return os.strerror(code) if code else "unknown", "see the failing step"


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
        "started_as": "root" if linux.has_capability(linux.CAP_SYS_ADMIN) else "user",
    }


def _sysctl(root: Path, name: str) -> str | None:
    path = root / "proc/sys" / name
    return path.read_text().strip() if path.exists() else None


def _in_container(root: Path) -> bool:
    # Docker and Podman leave a mark, Kubernetes mounts its credentials.
    marks = (".dockerenv", "run/.containerenv", "run/secrets/kubernetes.io", "var/run/secrets/kubernetes.io")
    return any((root / mark).exists() for mark in marks)


def _is_filtered(root: Path) -> bool:
    """Return whether a seccomp filter is in force (mode 2, proc_pid_status(5))."""
    status = root / "proc/self/status"
    lines = status.read_text(errors="replace").splitlines() if status.exists() else []
    return any(line.split() == ["Seccomp:", "2"] for line in lines)
