"""The filter program, decided call by call with a small interpreter of classic BPF."""

from __future__ import annotations

import errno
import struct

import pytest

from pipeline.sandbox.inside import seccomp

ALLOW, KILL, NOTHING = "allow", "kill", "nothing"
ARCHES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}


def decide(machine: str, number: int, *arguments: int, arch: int | None = None) -> str:
    """Return what the filter says: `allow`, `kill`, `nothing` (success, not made) or the name of an error."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, ARCHES[machine] if arch is None else arch, 0, *words)
    program = list(struct.iter_unpack("=HBBI", seccomp.build(machine)))
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, operand = program[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, operand)
            case 0x15:
                at += if_true if accumulator == operand else if_false
            case 0x35:
                at += if_true if accumulator >= operand else if_false
            case 0x54:
                accumulator &= operand
            case 0x45:
                at += if_true if accumulator & operand else if_false
            case 0x06:
                kinds = {0x7FFF0000: ALLOW, 0x80000000: KILL, 0x50000: NOTHING}
                return kinds.get(operand) or errno.errorcode[operand & 0xFFFF]
            case _:
                raise AssertionError(f"instruction {code:#x}")


both = pytest.mark.parametrize("machine", ARCHES)


@both
def test_what_is_listed_is_allowed_and_nothing_else(machine: str) -> None:
    calls = seccomp.numbers(machine)
    by_argument = {"clone", "clone3", "fcntl", "ioctl", "prctl", "prlimit64", "recvfrom", "sendto", "socketpair"}
    by_argument |= {"fdatasync", "fsync", "futex", "madvise", "mmap"}
    free = {number for name, number in calls.items() if name not in by_argument}
    special = {calls[name] for name in by_argument}
    newest = 450  # what is newer is not there at all, so that libraries take their fallback
    assert max(calls.values()) <= newest
    for number in range(1024):
        if number not in special:
            refused = "EPERM" if number <= newest else "ENOSYS"
            assert decide(machine, number) == (ALLOW if number in free else refused), number


@both
def test_dangerous_calls_are_not_listed(machine: str) -> None:
    forbidden = """
        socket connect bind listen accept accept4 memfd_create shmget mq_open ptrace process_vm_readv kcmp
        mount umount2 unshare setns chroot pivot_root bpf keyctl io_uring_setup userfaultfd perf_event_open
        personality open_by_handle_at name_to_handle_at execveat openat2 setuid setgid setresuid capset mknod mknodat
        chown fchownat pidfd_open pidfd_getfd pidfd_send_signal seccomp init_module kexec_load reboot swapon
        setrlimit clock_settime sched_setscheduler sched_setaffinity mbind vmsplice syslog quotactl
        sendmsg recvmsg sendmmsg recvmmsg setsockopt splice tee inotify_init1 timerfd_create setpriority ioprio_set
        flock membarrier mincore sync sync_file_range tkill
    """
    assert not set(forbidden.split()) & set(seccomp.numbers(machine))


@both
def test_another_architecture_is_killed(machine: str) -> None:
    assert decide(machine, 1, arch=0x40000003) == KILL  # i386, as int 0x80 enters


def test_x32_calls_do_not_exist() -> None:
    assert decide("x86_64", 0x40000000) == "ENOSYS"
    assert decide("x86_64", 0x40000000 | 39) == "ENOSYS"


@both
def test_clone_makes_processes_and_threads_but_no_namespaces(machine: str) -> None:
    clone = seccomp.numbers(machine)["clone"]
    assert decide(machine, clone, 17) == ALLOW  # SIGCHLD: a fork
    assert decide(machine, clone, 0x3D0F00) == ALLOW  # the flags of a thread
    for flag in (0x80, 0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert decide(machine, clone, flag | 17) == "EPERM"
        assert decide(machine, clone, flag | 17 | 1 << 40) == "EPERM"
    assert decide(machine, seccomp.numbers(machine)["clone3"]) == "ENOSYS"


@both
def test_arguments_decide_on_ioctl_prctl_prlimit_and_socketpair(machine: str) -> None:
    calls = seccomp.numbers(machine)
    assert decide(machine, calls["ioctl"], 0, 0x5401) == ALLOW
    assert decide(machine, calls["ioctl"], 0, 0x5412) == "EPERM"  # TIOCSTI
    assert decide(machine, calls["ioctl"], 0, 0x5412 | 1 << 32) == "EPERM"
    assert decide(machine, calls["prctl"], 15) == ALLOW
    assert decide(machine, calls["prctl"], 22) == "EPERM"  # PR_SET_SECCOMP
    assert decide(machine, calls["prlimit64"], 0) == ALLOW
    assert decide(machine, calls["prlimit64"], 0, 7, 0, 0x7FFF00001000) == ALLOW
    assert decide(machine, calls["prlimit64"], 1) == "EPERM"
    for new_limit in (0x1000, 1 << 32, 1 << 63):
        assert decide(machine, calls["prlimit64"], 0, 7, new_limit) == "EPERM"
    assert decide(machine, calls["socketpair"], 1) == ALLOW
    assert decide(machine, calls["socketpair"], 16) == "EPERM"  # AF_NETLINK


@both
def test_nothing_flushes_the_disk_of_the_host(machine: str) -> None:
    calls = seccomp.numbers(machine)
    assert decide(machine, calls["fsync"], 3) == decide(machine, calls["fdatasync"], 3) == NOTHING


@both
def test_memory_that_no_limit_counts_cannot_be_mapped(machine: str) -> None:
    mmap = seccomp.numbers(machine)["mmap"]
    assert decide(machine, mmap, 0, 1 << 21, 3, 0x22) == ALLOW
    for flags in (0x40022, 0x40021, 0x40022 | 21 << 26, 0x40022 | 1 << 32):
        assert decide(machine, mmap, 0, 1 << 21, 3, flags) == "EPERM"  # MAP_HUGETLB


@both
def test_locks_do_not_inherit_priority(machine: str) -> None:
    futex = seccomp.numbers(machine)["futex"]
    for command in (0, 1, 3, 4, 5, 9, 10):
        for flags in (0, 128, 256, 128 | 256):
            assert decide(machine, futex, 0, command | flags) == ALLOW
    for command in (2, 6, 7, 8, 11, 12, 13):
        assert decide(machine, futex, 0, command | 128) == "EPERM"


@both
def test_memory_is_not_merged_with_that_of_others(machine: str) -> None:
    madvise = seccomp.numbers(machine)["madvise"]
    for advice in (4, 8, 14, 18, 102):
        assert decide(machine, madvise, 0, 4096, advice) == ALLOW
    for advice in (12, 13, 20, 21, 100, 101):
        assert decide(machine, madvise, 0, 4096, advice) == "EPERM"


@both
def test_a_descriptor_has_no_signal_sent_and_no_pipe_grows(machine: str) -> None:
    fcntl = seccomp.numbers(machine)["fcntl"]
    for command in (0, 1, 2, 3, 4, 1030, 1032):
        assert decide(machine, fcntl, 3, command) == ALLOW
    for command in (8, 10, 15, 1024, 1026, 1031, 1033):
        assert decide(machine, fcntl, 3, command) == "EPERM"


@both
def test_no_lock_is_made_or_asked_for(machine: str) -> None:
    fcntl = seccomp.numbers(machine)["fcntl"]
    lock, wait, ask = 6, 7, 5
    assert [decide(machine, fcntl, 3, command) for command in (lock, wait)] == [NOTHING, NOTHING]
    assert decide(machine, fcntl, 3, ask) == "EPERM"


def test_known_numbers() -> None:
    """Anchors of both tables: a shifted column would miss them."""
    known = {"x86_64": {"read": 0, "execve": 59, "statx": 332}, "aarch64": {"read": 63, "execve": 221, "statx": 291}}
    for machine, expected in known.items():
        assert expected.items() <= seccomp.numbers(machine).items()


@both
def test_numbers_are_distinct_and_the_program_fits_the_kernel(machine: str) -> None:
    calls = seccomp.numbers(machine)
    assert len(set(calls.values())) == len(calls)
    assert len(seccomp.build(machine)) // 8 <= 4096  # BPF_MAXINSNS
