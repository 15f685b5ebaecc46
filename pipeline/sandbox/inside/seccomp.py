"""The seccomp allowlist: which system calls guest code may make. Stdlib only; also runs in the guest.

A classic BPF program (seccomp(2)) decides on every call. What is not listed answers EPERM, as if the
caller lacked a right, so that libraries take their fallbacks. Numbers: the kernel's
`asm/unistd_64.h` (x86_64) and `asm-generic/unistd.h` (aarch64).
"""

from __future__ import annotations

import errno
import hashlib
import struct

_CALLS = {
    "x86_64": """
        read=0 write=1 readv=19 writev=20 pread64=17 pwrite64=18 preadv=295 pwritev=296 lseek=8 open=2
        openat=257 creat=85 close=3 close_range=436 stat=4 fstat=5 lstat=6 newfstatat=262 statx=332 access=21
        faccessat=269 faccessat2=439 readlink=89 readlinkat=267 getdents=78 getdents64=217 getcwd=79 chdir=80
        fchdir=81 mkdir=83 mkdirat=258 rmdir=84 unlink=87 unlinkat=263 rename=82 renameat=264 renameat2=316
        link=86 linkat=265 symlink=88 symlinkat=266 chmod=90 fchmod=91 fchmodat=268 umask=95 truncate=76
        ftruncate=77 fallocate=285 fadvise64=221 utime=132 utimes=235
        utimensat=280 futimesat=261 statfs=137 fstatfs=138 dup=32 dup2=33 dup3=292 pipe=22
        pipe2=293 sendfile=40 copy_file_range=326 getxattr=191 lgetxattr=192 fgetxattr=193 listxattr=194
        llistxattr=195 flistxattr=196
        mprotect=10 munmap=11 mremap=25 brk=12 msync=26
        fork=57 vfork=58 execve=59 exit=60 exit_group=231 wait4=61 waitid=247 kill=62 tgkill=234
        set_tid_address=218 set_robust_list=273 rseq=334
        sched_yield=24 sched_getaffinity=204 getcpu=309 restart_syscall=219 arch_prctl=158
        rt_sigaction=13 rt_sigprocmask=14 rt_sigreturn=15 rt_sigpending=127 rt_sigtimedwait=128
        rt_sigsuspend=130 sigaltstack=131 pause=34 alarm=37 setitimer=38 getitimer=36
        getpid=39 getppid=110 gettid=186 getuid=102 geteuid=107 getgid=104 getegid=108 getresuid=118
        getresgid=120 getgroups=115 getpgid=121 getpgrp=111 getsid=124 setpgid=109 setsid=112 uname=63
        sysinfo=99 getrlimit=97 getrusage=98 times=100
        clock_gettime=228 clock_getres=229 clock_nanosleep=230 nanosleep=35 gettimeofday=96 time=201
        getrandom=318
        select=23 pselect6=270 poll=7 ppoll=271 epoll_create=213 epoll_create1=291 epoll_ctl=233 epoll_wait=232
        epoll_pwait=281 epoll_pwait2=441 eventfd=284 eventfd2=290
        shutdown=48 getsockopt=55 getsockname=51 getpeername=52
        clone3=435 clone=56 fcntl=72 fdatasync=75 fsync=74 futex=202 ioctl=16 madvise=28 mmap=9 prctl=157 prlimit64=302
        recvfrom=45 sendto=44 socketpair=53
    """,
    "aarch64": """
        read=63 write=64 readv=65 writev=66 pread64=67 pwrite64=68 preadv=69 pwritev=70 lseek=62 openat=56
        close=57 close_range=436 fstat=80 newfstatat=79 statx=291 faccessat=48 faccessat2=439 readlinkat=78
        getdents64=61 getcwd=17 chdir=49 fchdir=50 mkdirat=34 unlinkat=35 renameat=38 renameat2=276 linkat=37
        symlinkat=36 fchmod=52 fchmodat=53 umask=166 truncate=45 ftruncate=46 fallocate=47
        fadvise64=223 utimensat=88 statfs=43 fstatfs=44 dup=23 dup3=24
        pipe2=59 sendfile=71 copy_file_range=285 getxattr=8 lgetxattr=9 fgetxattr=10 listxattr=11 llistxattr=12
        flistxattr=13
        mprotect=226 munmap=215 mremap=216 brk=214 msync=227
        execve=221 exit=93 exit_group=94 wait4=260 waitid=95 kill=129 tgkill=131 set_tid_address=96
        set_robust_list=99 rseq=293 sched_yield=124
        sched_getaffinity=123 getcpu=168 restart_syscall=128
        rt_sigaction=134 rt_sigprocmask=135 rt_sigreturn=139 rt_sigpending=136 rt_sigtimedwait=137
        rt_sigsuspend=133 sigaltstack=132 setitimer=103 getitimer=102
        getpid=172 getppid=173 gettid=178 getuid=174 geteuid=175 getgid=176 getegid=177 getresuid=148
        getresgid=150 getgroups=158 getpgid=155 getsid=156 setpgid=154 setsid=157 uname=160 sysinfo=179
        getrlimit=163 getrusage=165 times=153
        clock_gettime=113 clock_getres=114 clock_nanosleep=115 nanosleep=101 gettimeofday=169 getrandom=278
        pselect6=72 ppoll=73 epoll_create1=20 epoll_ctl=21 epoll_pwait=22 epoll_pwait2=441 eventfd2=19
        shutdown=210 getsockopt=209 getsockname=204 getpeername=205
        clone3=435 clone=220 fcntl=25 fdatasync=83 fsync=82 futex=98 ioctl=29 madvise=233 mmap=222 prctl=167
        prlimit64=261 recvfrom=207 sendto=206 socketpair=199
    """,
}
"""Per architecture, the calls a guest may need: files below its root, memory, its own processes and
threads, signals among them, clocks, waiting, and pairs of connected sockets.

Absent on purpose: `socket`, `connect`, `bind`, `listen`, `accept` (network), `sendmsg`, `recvmsg`
(descriptors and credentials beside the bytes), `setsockopt` (packet filters, larger buffers), `memfd_create`, `shmget`
and `mq_open` (memory that no quota counts), `pidfd_*`, `ptrace`, `process_vm_*`, `kcmp` (other
processes), `mount`, `unshare`, `setns`, `chroot`, `pivot_root`, `bpf`, `keyctl`, `io_uring_*`,
`userfaultfd`, `perf_event_open`, `personality`, `open_by_handle_at`, `execveat`, `openat2`, all `set*id`,
`mknod` and `chown`; `flock` (an exclusive lock on a file of the host that can only be read), `membarrier`
(interrupts other processors), `mincore`, `sync_file_range`. What `kill`, `setsid`, `setpgid` and timers do stays
inside the session's process namespace. The last lines of each table are decided by their arguments, below.
"""

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # <linux/audit.h>
_X32_BIT = 0x40000000
_NAMESPACE_FLAGS = 0x7E020080  # every CLONE_NEW flag, CLONE_NEWTIME included

# Requests of ioctl(2) that Python and its libraries make on files and pipes; none that reaches a terminal's input.
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS TIOCGWINSZ FIONREAD FIONBIO FIONCLEX FIOCLEX
# PR_SET_PDEATHSIG, PR_SET_NAME, PR_GET_NAME, PR_SET_VMA (glibc names its arenas with it)
_PRCTLS = (1, 15, 16, 0x53564D41)
# F_DUPFD F_GETFD F_SETFD F_GETFL F_SETFL, F_DUPFD_CLOEXEC F_GETPIPE_SZ. None that has the kernel send signals
# (F_SETOWN, F_SETSIG, F_NOTIFY, F_SETLEASE), makes a pipe hold more (F_SETPIPE_SZ) or asks who holds a lock (F_GETLK).
_FCNTLS = (0, 1, 2, 3, 4, 1030, 1032)
# F_SETLK F_SETLKW. A lock on a part of a file that can only be read is seen by all who read that file: a letter to
# another session, and in the way of a program of the host. SQLite gives up without locks, so they succeed unmade; a
# database that several processes of a session write to at once is theirs to keep whole.
_LOCKS = (6, 7)
# FUTEX_WAIT FUTEX_WAKE FUTEX_REQUEUE FUTEX_CMP_REQUEUE FUTEX_WAKE_OP FUTEX_WAIT_BITSET FUTEX_WAKE_BITSET: what glibc's
# locks are made of. None that inherits priority: no lock here asks for it, and kernels were broken into that way.
_FUTEXES = (0, 1, 3, 4, 5, 9, 10)
_FUTEX_COMMAND = 0x7F  # the rest are flags
# MADV_NORMAL RANDOM SEQUENTIAL WILLNEED DONTNEED, FREE REMOVE DONTFORK DOFORK, HUGEPAGE NOHUGEPAGE DONTDUMP DODUMP
# WIPEONFORK KEEPONFORK, GUARD_INSTALL GUARD_REMOVE. No MADV_MERGEABLE: what is merged with another session's pages can
# be told by the time a write takes.
_ADVICE = (0, 1, 2, 3, 4, 8, 9, 10, 11, 14, 15, 16, 17, 18, 19, 102, 103)
_MAP_HUGETLB = 0x40000  # pages that a host keeps for others and that neither RLIMIT_DATA nor a memory group counts
_FIRST_UNKNOWN = 451  # cachestat, Linux 6.5: newer than every number of the tables
_AF_UNIX = 1
_MSG_OOB = 1  # of AF_UNIX since Linux 5.15, with a history of use after free

# <linux/bpf_common.h>, <linux/seccomp.h>: classic BPF over struct seccomp_data
_LOAD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_AT_LEAST = 0x35
_JUMP_ANY_BIT = 0x45
_AND = 0x54
_RETURN = 0x06
_NUMBER, _ARCH, _ARGUMENT = 0, 4, 16  # offsets; the low half of an argument comes first (little-endian)
_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false (both counted from the next instruction), operand."""


def numbers(machine: str) -> dict[str, int]:
    """Return name and number of every call the filter of this architecture knows."""
    return {name: int(number) for name, _, number in (entry.partition("=") for entry in _CALLS[machine].split())}


def build(machine: str) -> bytes:
    """Return the filter program for `x86_64` or `aarch64`, as an array of struct sock_filter."""
    calls = numbers(machine)
    deny = _ERRNO | errno.EPERM
    program: list[Instruction] = [
        (_LOAD, 0, 0, _ARCH),
        (_JUMP_EQUAL, 1, 0, _AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _KILL_PROCESS),  # int 0x80 and foreign ABIs: their numbers mean other calls
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":
        program += [(_JUMP_ANY_BIT, 0, 1, _X32_BIT), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    # clone3 hides its flags behind a pointer that BPF cannot follow; on ENOSYS glibc falls back to clone.
    program += _on(calls.pop("clone3"), [(_RETURN, 0, 0, _ERRNO | errno.ENOSYS)])
    program += _on(calls.pop("clone"), _without(0, _NAMESPACE_FLAGS))
    # Guests write to memory file systems alone, where this does nothing; on a file that they can only read it would
    # have the host's disk flushed, again and again. So it succeeds without being made.
    for name in ("fsync", "fdatasync"):
        program += _on(calls.pop(name), [(_RETURN, 0, 0, _ERRNO)])
    program += _on(calls.pop("mmap"), _without(3, _MAP_HUGETLB))
    program += _on(calls.pop("futex"), _argument_in(1, _FUTEXES, mask=_FUTEX_COMMAND))
    program += _on(calls.pop("madvise"), _argument_in(2, _ADVICE))
    program += _on(calls.pop("fcntl"), [*_unmade(1, _LOCKS), *_argument_in(1, _FCNTLS)])
    program += _on(calls.pop("ioctl"), _argument_in(1, _IOCTLS))
    program += _on(calls.pop("prctl"), _argument_in(0, _PRCTLS))
    # Limits can be read, and only the caller's own. Lowered ones would let the kernel kill a session unexplained.
    program += _on(calls.pop("prlimit64"), _all_zero(_ARGUMENT, _ARGUMENT + 16, _ARGUMENT + 20))
    program += _on(calls.pop("socketpair"), _argument_in(0, (_AF_UNIX,)))
    # Along a connected pair only: an address would reach any datagram socket the kernel finds by name.
    *in_band, allow = _without(3, _MSG_OOB)
    program += _on(calls.pop("recvfrom"), [*in_band, allow])
    program += _on(calls.pop("sendto"), [*in_band, *_all_zero(_ARGUMENT + 8 * 4, _ARGUMENT + 8 * 4 + 4)])
    for number in calls.values():
        program += _on(number, [(_RETURN, 0, 0, _ALLOW)])
    # A library that meets a kernel older than a call takes a fallback; one that is refused it may give up.
    program += [(_JUMP_AT_LEAST, 0, 1, _FIRST_UNKNOWN), (_RETURN, 0, 0, _ERRNO | errno.ENOSYS)]
    program.append((_RETURN, 0, 0, deny))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def filter_hash(machine: str) -> str:
    """Return the sha256 of the filter program."""
    return hashlib.sha256(build(machine)).hexdigest()


def _on(number: int, block: list[Instruction]) -> list[Instruction]:
    """Run a block that ends in a return if the loaded number is this one."""
    return [(_JUMP_EQUAL, 0, len(block), number), *block]


def _all_zero(*offsets: int) -> list[Instruction]:
    """Allow if every 32-bit word at these offsets is zero, else EPERM."""
    block: list[Instruction] = []
    for offset in offsets:
        block += [(_LOAD, 0, 0, offset), (_JUMP_EQUAL, 1, 0, 0), (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
    return [*block, (_RETURN, 0, 0, _ALLOW)]


def _without(index: int, bits: int) -> list[Instruction]:
    """Allow if the low half of an argument has none of `bits`, else EPERM."""
    return [
        (_LOAD, 0, 0, _ARGUMENT + 8 * index),
        (_JUMP_ANY_BIT, 0, 1, bits),
        (_RETURN, 0, 0, _ERRNO | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]


def _unmade(index: int, values: tuple[int, ...]) -> list[Instruction]:
    """Answer success without the call if the low half of an argument is one of `values`, else go on."""
    block: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENT + 8 * index)]
    for value in values:
        block += [(_JUMP_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ERRNO)]
    return block


def _argument_in(index: int, values: tuple[int, ...], mask: int | None = None) -> list[Instruction]:
    """Allow if the low half of an argument (all of it, for an int), as far as `mask` says, is one of `values`."""
    block: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENT + 8 * index)]
    if mask is not None:
        block.append((_AND, 0, 0, mask))
    for value in values:
        block += [(_JUMP_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
    return [*block, (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
