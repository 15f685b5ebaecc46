"""The system calls Python has no function for: namespaces, mounts, capabilities. Stdlib only.

Every call raises `OSError` that names the step, so that a refusal can say what the kernel said.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
from pathlib import Path

# <linux/sched.h>
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
_NAMESPACES = {
    "mount": CLONE_NEWNS,
    "cgroup": CLONE_NEWCGROUP,
    "uts": CLONE_NEWUTS,
    "ipc": CLONE_NEWIPC,
    "user": CLONE_NEWUSER,
    "pid": CLONE_NEWPID,
    "net": CLONE_NEWNET,
}

# <linux/mount.h>
MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2
MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
AT_RECURSIVE = 0x8000
AT_FDCWD = -100

# <linux/prctl.h>
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

# <linux/capability.h>
CAP_SYS_ADMIN = 21
_LINUX_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63  # two words of 32; numbers the kernel does not know answer EINVAL

# Numbers of the calls that glibc does not wrap; those from 424 on are equal on all architectures.
_SYS = {
    "x86_64": {"pivot_root": 155, "capset": 126, "seccomp": 317},
    "aarch64": {"pivot_root": 41, "capset": 91, "seccomp": 277},
}
_SYS_MOUNT_SETATTR = 442

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


def machine() -> str:
    """Return the architecture: `x86_64` or `aarch64`.

    Raises:
        OSError: another one; the sandbox has no system call table for it.
    """
    name = platform.machine()
    if name not in _SYS:
        raise OSError(f"no system call table for {name}; the sandbox runs on x86_64 and aarch64")
    return name


def _check(step: str, result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{step}: {os.strerror(code)}")
    return result


def syscall(step: str, number: int, *arguments: object) -> int:
    """Make a raw system call; plain integers are passed as 64-bit values."""
    words = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return _check(step, _libc.syscall(ctypes.c_long(number), *words))


def unshare(flags: int) -> None:
    """Move the caller (its children, for CLONE_NEWPID) into new namespaces."""
    names = "|".join(name for name, bit in _NAMESPACES.items() if flags & bit)
    _check(f"unshare({names})", _libc.unshare(ctypes.c_int(flags)))


def setns(descriptor: int, kind: int) -> None:
    """Enter the namespace behind a descriptor."""
    _check("setns", _libc.setns(descriptor, kind))


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    """Attach a file system, or a directory a second time (mount(2))."""
    result = _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
    _check(f"mount {kind or source} on {target}", result)


def unmount(target: str) -> None:
    """Detach a mount; it goes away with its last user."""
    _check(f"umount {target}", _libc.umount2(target.encode(), MNT_DETACH))


class _MountAttributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def set_mount_attributes(target: str, attributes: int, *, recursive: bool) -> None:
    """mount_setattr(2), Linux 5.12: the only way to make a mount and all below it read-only."""
    value = _MountAttributes(attr_set=attributes)
    flags = AT_RECURSIVE if recursive else 0
    step = f"mount_setattr {target}"
    syscall(step, _SYS_MOUNT_SETATTR, AT_FDCWD, target.encode(), flags, ctypes.byref(value), ctypes.sizeof(value))


def pivot_root_here() -> None:
    """Make the working directory the root and detach the old root (pivot_root(2), the `"."`, `"."` form)."""
    syscall("pivot_root", _SYS[machine()]["pivot_root"], b".", b".")
    unmount(".")
    os.chdir("/")


def prctl(option: int, value: int = 0) -> None:
    """Set an attribute of this process that takes one number."""
    arguments = [ctypes.c_ulong(word) for word in (value, 0, 0, 0)]
    _check(f"prctl({option})", _libc.prctl(ctypes.c_int(option), *arguments))


def unshare_user(proc: int, inside: int, flags: int = 0) -> None:
    """Enter a new user namespace (and others, as `flags` says) in which we are the id `inside`.

    Args:
        proc: directory descriptor of a /proc in which we are visible; after `pivot_root` there is no path to one.
        inside: our user and group id within; 0 keeps the capabilities over an `execve`.
        flags: further CLONE_NEW flags; those namespaces belong to the new user namespace.
    """
    user, group = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER | flags)
    for name, text in (
        ("setgroups", "deny"),  # without it an unprivileged process may not map a group (user_namespaces(7))
        ("uid_map", f"{inside} {user} 1"),
        ("gid_map", f"{inside} {group} 1"),
    ):
        handle = os.open(f"self/{name}", os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
        try:
            os.write(handle, text.encode())
        except OSError as error:
            raise OSError(error.errno, f"write {name}: {os.strerror(error.errno or 0)}") from error
        finally:
            os.close(handle)


def maps_user(number: int, uid_map: Path = Path("/proc/self/uid_map")) -> bool:
    """Return whether a user id exists in our user namespace (user_namespaces(7)): else nobody can become it."""
    spans = [[int(part) for part in line.split()] for line in uid_map.read_text().splitlines()]
    return any(first <= number < first + count for first, _, count in spans)


def has_capability(number: int, status: Path = Path("/proc/self/status")) -> bool:
    """Return whether this process may use a capability (capabilities(7)) now: root in a container lacks many.

    Args:
        number: such as `CAP_SYS_ADMIN`.
        status: the process's own, proc_pid_status(5).
    """
    for line in status.read_text(errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return bool(int(value, 16) >> number & 1)
    return False


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


def drop_capabilities() -> None:
    """Give up every capability for good: bounding, ambient, then effective, permitted and inheritable."""
    for capability in range(_LAST_CAPABILITY + 1):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            break  # past the last capability of this kernel
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    _set_capabilities(0)


def keep_capability(number: int) -> None:
    """Give up every capability but this one, which must be permitted, and make it effective."""
    _set_capabilities(1 << number)


def _set_capabilities(effective: int) -> None:
    """Set effective and permitted capabilities alike, and none that is inherited (capset(2): two words of each)."""
    header = _CapabilityHeader(version=_LINUX_CAPABILITY_VERSION_3, pid=0)
    low, high = effective & 0xFFFFFFFF, effective >> 32
    sets = (ctypes.c_uint32 * 6)(low, low, 0, high, high, 0)
    syscall("capset", _SYS[machine()]["capset"], ctypes.byref(header), ctypes.byref(sets))


def install_filter(program: bytes) -> None:
    """Install a seccomp filter on the calling thread, which must be the only one and have `no_new_privs`."""
    buffer = ctypes.create_string_buffer(program, len(program))
    size = len(program) // _BPF_INSTRUCTION
    description = _FilterProgram(length=size, instructions=ctypes.addressof(buffer))
    syscall("seccomp", _SYS[machine()]["seccomp"], _SECCOMP_SET_MODE_FILTER, 0, ctypes.byref(description))


_SECCOMP_SET_MODE_FILTER = 1
_BPF_INSTRUCTION = 8  # bytes of a struct sock_filter


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def limit(kind: int, value: int) -> None:
    """Set soft and hard limit, or keep a hard limit that is lower already."""
    _, hard = resource.getrlimit(kind)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))
