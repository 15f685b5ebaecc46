"""What a freshly forked session does before it runs anything of the guest. Stdlib only; order matters."""

from __future__ import annotations

import os
import resource
import socket
from pathlib import Path

from pipeline.sandbox.inside import landlock, linux, root
from pipeline.sandbox.inside.policy import MIB, Limits

CHANNEL = 3
"""Descriptor of the socket to the host; 0, 1 and 2 are the usual ones and there is no other."""
GUEST = 1000
"""User and group id of guest code."""


def isolate(limits: Limits, proc: int, program: bytes) -> None:
    """Confine this process, which is process 1 of a new process namespace, for good.

    Args:
        limits: of this session.
        proc: directory descriptor of a /proc that shows us, closed here.
        program: the seccomp filter.

    Raises:
        OSError: a step failed; nothing of the guest has run.
    """
    # A process group of its own: `kill(0, n)` asks neither namespaces nor, before Landlock's sixth version, anything
    # but the user id, so it would reach the zygote's group and with it every other session.
    os.setsid()
    linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS | linux.CLONE_NEWNET)
    socket.sethostname("sandbox")
    _mount_disk(limits)
    root.mount_proc()
    linux.unshare_user(proc, GUEST)
    # Within the user namespace, which counts for itself (Linux 5.14). Set before it, the limit would also hold
    # for the zygote's, where all sessions count together.
    linux.limit(resource.RLIMIT_NPROC, limits.processes)
    os.closerange(CHANNEL + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    _limit(limits)
    os.chdir(root.BOX)
    linux.drop_capabilities()
    linux.prctl(linux.PR_SET_DUMPABLE, 1)  # the host's watchdog reads our memory use
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    landlock.restrict((root.BOX, root.TEMPORARY, root.SHARED), ("/dev/null", "/dev/zero", "/dev/full"))
    linux.install_filter(program)


def _mount_disk(limits: Limits) -> None:
    """One memory file system behind working directory, temporary files and shared memory: one quota for all."""
    options = f"mode=755,size={limits.disk},nr_inodes={limits.files}"
    flags = linux.MS_NOSUID | linux.MS_NODEV
    linux.mount("tmpfs", root.SCRATCH, "tmpfs", flags, options)
    for name, target in (("box", root.BOX), ("tmp", root.TEMPORARY), ("shm", root.SHARED)):
        Path(root.SCRATCH, name).mkdir()
        linux.mount(f"{root.SCRATCH}/{name}", target, "", linux.MS_BIND)
    linux.unmount(root.SCRATCH)


def _limit(limits: Limits) -> None:
    for kind, value in (
        (resource.RLIMIT_DATA, limits.data),
        (resource.RLIMIT_AS, limits.address_space),
        (resource.RLIMIT_CPU, limits.session_cpu_seconds),
        (resource.RLIMIT_FSIZE, limits.disk),
        (resource.RLIMIT_NOFILE, limits.descriptors),
        (resource.RLIMIT_STACK, 8 * MIB),  # the usual size; a host without a limit would reserve more per thread
        (resource.RLIMIT_CORE, 1),  # no file, and unlike 0 no start of the program that a host has for dumps (core(5))
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_RTPRIO, 0),
    ):
        linux.limit(kind, value)
