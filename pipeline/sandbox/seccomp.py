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
        ftruncate=77 fallocate=285 fsync=74 fdatasync=75 sync_file_range=277 fadvise64=221 utime=132 utimes=235
        utimensat=280 futimesat=261 statfs=137 fstatfs=138 flock=73 fcntl=72 dup=32 dup2=33 dup3=292 pipe=22
        pipe2=293 sendfile=40 copy_file_range=326 getxattr=191 lgetxattr=192 fgetxattr=193 listxattr=194
        llistxattr=195 flistxattr=196
        mmap=9 mprotect=10 munmap=11 mremap=25 madvise=28 brk=12 mincore=27 msync=26
        fork=57 vfork=58 execve=59 exit=60 exit_group=231 wait4=61 waitid=247 kill=62 tgkill=234 tkill=200
        set_tid_address=218 set_robust_list=273 get_robust_list=274 futex=202 rseq=334 membarrier=324
        sched_yield=24 sched_getaffinity=204 getcpu=309 restart_syscall=219 arch_prctl=158 getpriority=140
        rt_sigaction=13 rt_sigprocmask=14 rt_sigreturn=15 rt_sigpending=127 rt_sigtimedwait=128
        rt_sigsuspend=130 sigaltstack=131 pause=34 alarm=37 setitimer=38 getitimer=36
        getpid=39 getppid=110 gettid=186 getuid=102 geteuid=107 getgid=104 getegid=108 getresuid=118
        getresgid=120 getgroups=115 getpgid=121 getpgrp=111 getsid=124 setpgid=109 setsid=112 uname=63
        sysinfo=99 getrlimit=97 getrusage=98 times=100
        clock_gettime=228 clock_getres=229 clock_nanosleep=230 nanosleep=35 gettimeofday=96 time=201
        getrandom=318
        select=23 pselect6=270 poll=7 ppoll=271 epoll_create=213 epoll_create1=291 epoll_ctl=233 epoll_wait=232
        epoll_pwait=281 epoll_pwait2=441 eventfd=284 eventfd2=290
        sendto=44 recvfrom=45 sendmsg=46 recvmsg=47 shutdown=48 getsockopt=55 setsockopt=54 getsockname=51
        getpeername=52
        clone=56 clone3=435 ioctl=16 prctl=157 prlimit64=302 socketpair=53
    """,
    "aarch64": """
        read=63 write=64 readv=65 writev=66 pread64=67 pwrite64=68 preadv=69 pwritev=70 lseek=62 openat=56
        close=57 close_range=436 fstat=80 newfstatat=79 statx=291 faccessat=48 faccessat2=439 readlinkat=78
        getdents64=61 getcwd=17 chdir=49 fchdir=50 mkdirat=34 unlinkat=35 renameat=38 renameat2=276 linkat=37
        symlinkat=36 fchmod=52 fchmodat=53 umask=166 truncate=45 ftruncate=46 fallocate=47 fsync=82 fdatasync=83
        sync_file_range=84 fadvise64=223 utimensat=88 statfs=43 fstatfs=44 flock=32 fcntl=25 dup=23 dup3=24
        pipe2=59 sendfile=71 copy_file_range=285 getxattr=8 lgetxattr=9 fgetxattr=10 listxattr=11 llistxattr=12
        flistxattr=13
        mmap=222 mprotect=226 munmap=215 mremap=216 madvise=233 brk=214 mincore=232 msync=227
        execve=221 exit=93 exit_group=94 wait4=260 waitid=95 kill=129 tgkill=131 tkill=130 set_tid_address=96
        set_robust_list=99 get_robust_list=100 futex=98 rseq=293 membarrier=283 sched_yield=124
        sched_getaffinity=123 getcpu=168 restart_syscall=128 getpriority=141
        rt_sigaction=134 rt_sigprocmask=135 rt_sigreturn=139 rt_sigpending=136 rt_sigtimedwait=137
        rt_sigsuspend=133 sigaltstack=132 setitimer=103 getitimer=102
        getpid=172 getppid=173 gettid=178 getuid=174 geteuid=175 getgid=176 getegid=177 getresuid=148
        getresgid=150 getgroups=158 getpgid=155 getsid=156 setpgid=154 setsid=157 uname=160 sysinfo=179
        getrlimit=163 getrusage=165 times=153
        clock_gettime=113 clock_getres=114 clock_nanosleep=115 nanosleep=101 gettimeofday=169 getrandom=278
        pselect6=72 ppoll=73 epoll_create1=20 epoll_ctl=21 epoll_pwait=22 epoll_pwait2=441 eventfd2=19
        sendto=206 recvfrom=207 sendmsg=211 recvmsg=212 shutdown=210 getsockopt=209 setsockopt=208
        getsockname=204 getpeername=205
        clone=220 clone3=435 ioctl=29 prctl=167 prlimit64=261 socketpair=199
    """,
}
"""Per architecture, the calls a guest may need: files below its root, memory, its own processes and
threads, signals among them, clocks, waiting, and pairs of connected sockets.

Absent on purpose: `socket`, `connect`, `bind`, `listen`, `accept` (network), `memfd_create`, `shmget`
and `mq_open` (memory that no quota counts), `pidfd_*`, `ptrace`, `process_vm_*`, `kcmp` (other
processes), `mount`, `unshare`, `setns`, `chroot`, `pivot_root`, `bpf`, `keyctl`, `io_uring_*`,
`userfaultfd`, `perf_event_open`, `personality`, `open_by_handle_at`, `execveat`, `openat2`, all `set*id`,
`mknod` and `chown`. The last line of each table is decided by its arguments, below.
"""

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # <linux/audit.h>
_X32_BIT = 0x40000000
_NAMESPACE_FLAGS = 0x7E020080  # every CLONE_NEW flag, CLONE_NEWTIME included

# Requests of ioctl(2) that Python and its libraries make on files and pipes; none that reaches a terminal's input.
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS TIOCGWINSZ FIONREAD FIONBIO FIONCLEX FIOCLEX
# PR_SET_PDEATHSIG, PR_SET_NAME, PR_GET_NAME, PR_SET_VMA (glibc names its arenas with it)
_PRCTLS = (1, 15, 16, 0x53564D41)
_AF_UNIX = 1

# <linux/bpf_common.h>, <linux/seccomp.h>: classic BPF over struct seccomp_data
_LOAD = 0x20
_JUMP_EQUAL = 0x15
_JUMP_ANY_BIT = 0x45
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
    program += _on(
        calls.pop("clone"),
        [
            (_LOAD, 0, 0, _ARGUMENT),
            (_JUMP_ANY_BIT, 0, 1, _NAMESPACE_FLAGS),
            (_RETURN, 0, 0, deny),
            (_RETURN, 0, 0, _ALLOW),
        ],
    )
    program += _on(calls.pop("ioctl"), _argument_in(1, _IOCTLS))
    program += _on(calls.pop("prctl"), _argument_in(0, _PRCTLS))
    # Limits can be read, and only the caller's own. Lowered ones would let the kernel kill a session unexplained.
    program += _on(calls.pop("prlimit64"), _all_zero(_ARGUMENT, _ARGUMENT + 16, _ARGUMENT + 20))
    program += _on(calls.pop("socketpair"), _argument_in(0, (_AF_UNIX,)))
    for number in calls.values():
        program += _on(number, [(_RETURN, 0, 0, _ALLOW)])
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


def _argument_in(index: int, values: tuple[int, ...]) -> list[Instruction]:
    """Allow if the low half of an argument (all of it, for an int) is one of `values`, else EPERM."""
    block: list[Instruction] = [(_LOAD, 0, 0, _ARGUMENT + 8 * index)]
    for value in values:
        block += [(_JUMP_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
    return [*block, (_RETURN, 0, 0, _ERRNO | errno.EPERM)]
