"""Landlock: a second wall around files, where the kernel has it (Linux 5.13). Stdlib only.

The mount namespace already shows nothing but a read-only root and private memory file systems; this
also refuses to create sockets, pipes, devices and symbolic links, and reaches no other session.
"""

from __future__ import annotations

import ctypes
import errno
import os

from pipeline.sandbox.inside import linux

_CREATE, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # equal on all architectures
_VERSION_FLAG = 1
_RULE_PATH_BENEATH = 1

# <linux/landlock.h>, LANDLOCK_ACCESS_FS_*
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_ALL_SINCE_1 = (1 << 13) - 1
_BIND_AND_CONNECT_TCP = 0b11
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11

_READ = _EXECUTE | _READ_FILE | _READ_DIR
_CHANGE = _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE
_WRITE_DEVICE = _WRITE_FILE | _TRUNCATE


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scope", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("access", ctypes.c_uint64), ("parent", ctypes.c_int32))


def abi() -> int:
    """Return the Landlock version of the running kernel, 0 where there is none.

    Asked by system call: /sys/kernel/security is often not mounted.
    """
    try:
        return linux.syscall("landlock_create_ruleset", _CREATE, None, 0, _VERSION_FLAG)
    except OSError as error:
        if error.errno in {errno.ENOSYS, errno.EOPNOTSUPP}:
            return 0
        raise


def restrict(writable: tuple[str, ...], devices: tuple[str, ...]) -> None:
    """Confine the calling thread and its children: read everywhere, change only below `writable`.

    Does nothing on a kernel without Landlock. Needs `no_new_privs`.
    """
    version = abi()
    if version == 0:
        return
    handled = _ALL_SINCE_1
    handled |= _REFER if version >= 2 else 0  # noqa: PLR2004 - versions of the interface, landlock(7)
    handled |= _TRUNCATE if version >= 3 else 0  # noqa: PLR2004
    handled |= _IOCTL_DEV if version >= 5 else 0  # noqa: PLR2004
    ruleset = _Ruleset(
        files=handled,
        network=_BIND_AND_CONNECT_TCP if version >= 4 else 0,  # noqa: PLR2004
        scope=_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if version >= 6 else 0,  # noqa: PLR2004
    )
    # An older kernel accepts the longer structure as long as the fields it does not know are zero.
    descriptor = linux.syscall("landlock_create_ruleset", _CREATE, ctypes.byref(ruleset), ctypes.sizeof(ruleset), 0)
    try:
        _allow(descriptor, "/", _READ & handled)
        for path in writable:
            _allow(descriptor, path, (_READ | _CHANGE) & handled)
        for path in devices:
            _allow(descriptor, path, (_READ_FILE | _WRITE_DEVICE) & handled)
        linux.syscall("landlock_restrict_self", _RESTRICT_SELF, descriptor, 0)
    finally:
        os.close(descriptor)


def _allow(ruleset: int, path: str, access: int) -> None:
    parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _PathBeneath(access=access, parent=parent)
        linux.syscall("landlock_add_rule", _ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(parent)
