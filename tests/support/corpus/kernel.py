"""Items 43 to 70: privilege and what of the kernel can be reached. Numbers of system calls: x86_64."""

from __future__ import annotations

from errno import ENOSYS, EPERM

from tests.support.corpus.item import RAW, denied, dies, fails, gives, raises

# mov eax, number; int 0x80; ret: a call through the 32-bit entry, where numbers mean other calls.
INT_80 = """
import ctypes, mmap
m = mmap.mmap(-1, 4096, prot=7)
m.write(bytes.fromhex('b814000000cd80c3'))
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()
"""

KERNEL = [
    denied(43, "unshare a user namespace", "raw(272, 0x10000000)"),
    denied(44, "clone with a user namespace", "raw(56, 0x10000000 | 17, 0, 0, 0, 0)"),
    denied(45, "clone3", "raw(435, 0, 0)", ENOSYS),
    denied(46, "setns", "raw(308, os.open('/proc/self/ns/user', os.O_RDONLY), 0)"),
    fails(47, "setuid", EPERM, "import os\nos.setuid(0)"),
    denied(48, "ptrace", "raw(101, 16, 1, 0, 0)"),
    denied(49, "process_vm_readv", "raw(310, 1, 0, 0, 0, 0, 0)"),
    denied(49, "process_vm_writev", "raw(311, 1, 0, 0, 0, 0, 0)"),
    denied(50, "io_uring", "raw(425, 1, ctypes.create_string_buffer(120))"),
    denied(51, "keyctl", "raw(250, 0, -3, 0)"),
    denied(51, "add_key", "raw(248, b'user', b'x', b'x', 1, -3)"),
    denied(52, "bpf", "raw(321, 0, 0, 0)"),
    denied(53, "perf_event_open", "raw(298, 0, 0, 0, 0, 0)"),
    denied(54, "userfaultfd", "raw(323, 1)"),
    denied(55, "x32", "raw(0x40000000 + 39)", ENOSYS),
    dies(56, "32-bit call", "SessionDied", "ended by SIGSYS", INT_80),
    denied(57, "memfd", "raw(319, b'x', 0)"),
    denied(57, "memfd_secret", "raw(447, 0)"),
    denied(58, "shmget", "raw(29, 0, 4096, 0o1600)"),
    denied(58, "message queue", "raw(68, 0, 0o1600)"),
    denied(59, "open_by_handle_at", "raw(304, -100, 0, 0)"),
    denied(60, "typing into a terminal", "raw(16, 0, 0x5412, b'x')"),
    denied(60, "console selection", "raw(16, 0, 0x541C, b'x')"),
    denied(61, "reboot", "raw(169, 0xfee1dead, 672274793, 0, 0)"),
    denied(62, "clock_settime", "raw(227, 0, ctypes.create_string_buffer(16))"),
    denied(63, "real-time scheduling", "raw(144, 0, 1, ctypes.create_string_buffer(b'\\1', 16))"),
    raises(
        64,
        "raise a limit",
        ValueError,
        "maximum limit",
        "import resource\nresource.setrlimit(resource.RLIMIT_NPROC, (9999, 9999))",
    ),
    denied(65, "kexec", "raw(246, 0, 0, 0, 0)"),
    denied(65, "init_module", "raw(175, b'', 0, b'')"),
    denied(65, "finit_module", "raw(313, 0, b'', 0)"),
    denied(65, "swapon", "raw(167, b'/box/x', 0)"),
    denied(66, "personality", "raw(135, 0x40000)"),
    denied(67, "execveat", "raw(322, os.open('/bin/sh', os.O_RDONLY), b'', 0, 0, 0x1000)"),
    denied(68, "pidfd_open", "raw(434, 1, 0)"),
    denied(68, "pidfd_getfd", "raw(438, 3, 0, 0)"),
    denied(68, "kcmp", "raw(312, 1, 1, 0, 0, 0)"),
    denied(69, "name_to_handle", "raw(303, -100, b'/', 0, 0, 0)"),
    denied(69, "quotactl", "raw(179, 0, 0, 0, 0)"),
    denied(70, "another filter", "raw(157, 22, 2, 0, 0, 0)"),
    denied(70, "seccomp call", "raw(317, 1, 0, 0)"),
    denied(70, "keep capabilities", "raw(157, 8, 1, 0, 0, 0)"),
    denied(70, "ambient capability", "raw(157, 47, 2, 21, 0, 0)"),
    denied(
        70,
        "capset",
        "raw(126, ctypes.create_string_buffer(b'\\x22\\x05\\x08\\x20', 8), ctypes.create_string_buffer(24))",
    ),
    denied(70, "limits of another process", "raw(302, 2, 6, 0, 0)"),
    gives(
        70,
        "status shows filter and no capability",
        {"CapInh": 0, "CapPrm": 0, "CapEff": 0, "CapBnd": 0, "CapAmb": 0, "NoNewPrivs": 1, "Seccomp": 2},
        "pairs = (line.split(':') for line in open('/proc/self/status'))\n"
        "{k: int(v, 16) for k, v in pairs if k.startswith('Cap') or k in ('NoNewPrivs', 'Seccomp')}",
    ),
]


def every_other_call(listed: set[int]) -> str:
    """Return a cell that tries every system call outside the list with senseless arguments.

    But for 335 and 336, the trampolines of uprobes: the kernel asks no filter there and, called by anybody else,
    ends the process with SIGILL.
    """
    left_out = sorted({*listed, 335, 336})
    return f"{RAW}\nsorted({{str(raw(n, *[-1] * 6)) for n in range(480) if n not in {left_out}}})"
