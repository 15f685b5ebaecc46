"""Every number of the filter's tables against the kernel's own headers, where these are installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.sandbox.inside import landlock, linux, seccomp

HEADERS = {
    "x86_64": tuple(Path("/usr/include", place, "asm/unistd_64.h") for place in ("x86_64-linux-gnu", "")),
    "aarch64": (Path("/usr/include/asm-generic/unistd.h"),),
}
# The generic header names some calls after both sizes of a word: `__NR3264_mmap` is `mmap` where a long has 64 bits.
_DEFINE = re.compile(r"#define\s+__NR(?:3264)?_(\w+)\s+(\d+)\b")
_ALIAS = re.compile(r"#define\s+__NR_(\w+)\s+__NR3264_(\w+)")
NEWER = {"epoll_pwait2", "faccessat2", "close_range"}
"""Calls that a header older than Linux 5.11 lacks."""


def kernel_numbers(machine: str) -> dict[str, int]:
    """Name and number of every call by the header, under the names of a 64-bit system."""
    found = next((path for path in HEADERS[machine] if path.exists()), None)
    if found is None:
        pytest.skip(f"no kernel header for {machine}; Debian's linux-libc-dev brings both")
    text = found.read_text()
    numbers = {name: int(number) for name, number in _DEFINE.findall(text)}
    # Further down the header gives each 3264 number its two names: the first branch is that of 64 bits.
    for name, shared in _ALIAS.findall(text):
        if shared in numbers:
            numbers.setdefault(name, numbers[shared])
    return numbers


@pytest.mark.parametrize("machine", sorted(HEADERS))
def test_every_number_is_the_kernels(machine: str) -> None:
    kernel = kernel_numbers(machine)
    ours = seccomp.numbers(machine)
    known = {name: number for name, number in ours.items() if name in kernel}
    assert known == {name: kernel[name] for name in known}
    assert set(ours) - set(known) <= NEWER


@pytest.mark.parametrize("machine", sorted(HEADERS))
def test_every_call_that_confines_has_the_kernels_number(machine: str) -> None:
    kernel = kernel_numbers(machine)
    ours = {
        **linux._SYS[machine],
        "mount_setattr": linux._SYS_MOUNT_SETATTR,
        "landlock_create_ruleset": landlock._CREATE,
        "landlock_add_rule": landlock._ADD_RULE,
        "landlock_restrict_self": landlock._RESTRICT_SELF,
    }
    assert ours == {name: kernel.get(name, number) for name, number in ours.items()}


def test_both_architectures_allow_the_same_things() -> None:
    """Where aarch64 lacks an old call, its newer form is there for it."""
    x86, arm = (set(seccomp.numbers(machine)) for machine in ("x86_64", "aarch64"))
    assert arm <= x86
    old = """
        access alarm arch_prctl chmod creat dup2 epoll_create epoll_wait eventfd fork futimesat getdents getpgrp link
        lstat mkdir open pause pipe poll readlink rename rmdir select stat symlink time unlink utime utimes vfork
    """
    assert x86 - arm == set(old.split())
