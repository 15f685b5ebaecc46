"""Hostile, faulty and harmless cells, each with the outcome it must have; numbered as in the threat corpus.

After every one a fresh session on the same zygote must work.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from pipeline.records import CellStatus
from pipeline.sandbox import CellResult, Limits, Policy, Pool, guest
from pipeline.sandbox.policy import MIB

LIMITS = Limits(
    cell_seconds=5.0,  # on a busy machine a harmless cell waits for its turn
    grace_seconds=0.5,
    cell_cpu_seconds=2.0,
    memory=600 * MIB,
    data=500 * MIB,
    address_space=1024 * MIB,
    processes=48,
    disk=32 * MIB,
)


class Item(NamedTuple):
    number: int
    name: str
    code: str
    status: CellStatus = "ok"
    value: str | None = None
    """`repr` of the last expression."""
    error: str | None = None
    """Type of the exception, or what ended the session."""


# Raw system calls, by their x86_64 numbers; each gives (result, errno).
RAW = """
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def raw(number, *words):
    ctypes.set_errno(0)
    words = [ctypes.c_long(w) if isinstance(w, int) else w for w in words]
    result = libc.syscall(ctypes.c_long(number), *words)
    return errno.errorcode[ctypes.get_errno()] if result < 0 else result
"""

SOCKETS = "import socket, errno\n"


def denied(number: int, name: str, call: str, answer: str = "EPERM") -> Item:
    return Item(number, name, f"{RAW}\n{call}", value=repr(answer))


NETWORK = [
    Item(1, "tcp", f"{SOCKETS}socket.create_connection(('127.0.0.1', PORT))", "exception", error="PermissionError"),
    Item(2, "udp", f"{SOCKETS}socket.socket(type=socket.SOCK_DGRAM)", "exception", error="PermissionError"),
    Item(3, "abstract unix", f"{SOCKETS}socket.socket(socket.AF_UNIX)", "exception", error="PermissionError"),
    Item(4, "netlink", f"{SOCKETS}socket.socket(16, 3)", "exception", error="PermissionError"),
    Item(5, "vsock", f"{SOCKETS}socket.socket(40, 1)", "exception", error="PermissionError"),
    Item(6, "name service", f"{SOCKETS}socket.getaddrinfo('example.org', 80)", "exception", error="gaierror"),
    Item(
        7,
        "urllib",
        "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:PORT')",
        "exception",
        error="URLError",
    ),
    denied(9, "raw socket call", "raw(41, 2, 1, 0)"),
    Item(
        10,
        "no inherited socket",
        "import os, stat\n[n for n in range(256) if n != 3 and os.path.exists(f'/proc/self/fd/{n}')"
        " and stat.S_ISSOCK(os.fstat(n).st_mode)]",
        value="[]",
    ),
    Item(11, "socketpair", f"{SOCKETS}a, b = socket.socketpair()\na.send(b'x'), b.recv(1)", value="(1, b'x')"),
    Item(
        12,
        "cloud metadata",
        f"{SOCKETS}socket.create_connection(('169.254.169.254', 80), 1)",
        "exception",
        error="PermissionError",
    ),
]

READS = [
    Item(14, "shadow", "open('/etc/shadow')", "exception", error="FileNotFoundError"),
    Item(15, "root's home", "import os\nos.listdir('/root')", "exception", error="FileNotFoundError"),
    Item(16, "another project", "import os\n[p for p in ('/work', '/home', '/srv') if os.path.exists(p)]", value="[]"),
    Item(
        17,
        "environment",
        "import os\nsorted(os.environ.keys() & {'PATH', 'USER', 'SECRET', 'SSH_AUTH_SOCK', 'CANARY'})",
        value="['PATH']",
    ),
    Item(18, "environment of process 1", "b'CANARY' in open('/proc/1/environ', 'rb').read()", value="False"),
    Item(19, "processes", "import os\n[p for p in os.listdir('/proc') if p.isdigit()]", value="['1']"),
    Item(20, "root link", "import os\nsorted(os.listdir('/proc/1/root')) == sorted(os.listdir('/'))", value="True"),
    Item(
        22,
        "descriptors",
        "import os\n[n for n in range(256) if os.path.exists(f'/proc/self/fd/{n}')]",
        value="[0, 1, 2, 3]",
    ),
    Item(24, "no sys", "import os\nos.path.exists('/sys')", value="False"),
    Item(
        26,
        "no other session",
        "import os\n[d for d in ('/box', '/tmp', '/dev/shm', '/mnt') if os.listdir(d)]",
        value="[]",
    ),
    denied(25, "dmesg", "raw(103, 3, ctypes.create_string_buffer(100), 100)"),
]

WRITES = [
    Item(28, "usr", "open('/usr/lib/x', 'w')", "exception", error="OSError"),
    Item(
        29,
        "packages",
        "import numpy, os\nos.access(numpy.__file__, os.W_OK), os.access(os.path.dirname(numpy.__file__), os.W_OK)",
        value="(False, False)",
    ),
    Item(
        30,
        "proc sys",
        "import os\n[p for p in ('kernel/hostname', 'kernel/core_pattern') if os.path.exists('/proc/sys/' + p)]",
        value="[]",
    ),
    Item(32, "sysrq", "open('/proc/sysrq-trigger', 'w')", "exception", error="FileNotFoundError"),
    Item(33, "map again", "open('/proc/self/uid_map', 'w').write('0 0 1')", "exception", error="PermissionError"),
    Item(
        36,
        "hard link of a system file",
        "import os\nos.link('/bin/sh', '/box/sh')",
        "exception",
        error="OSError",
    ),
    Item(
        34,
        "symbolic link",
        "import os\nos.symlink('/etc/shadow', '/box/s')\nopen('/box/s')",
        "exception",
    ),
    Item(
        38,
        "odd names",
        "import os\nfor n in ('../../x', '/../x', b'\\xff\\n', 'a\\nb'):\n"
        "    try: open(n, 'w').close()\n    except OSError: pass\n"
        "sorted(os.listdir(b'/box'))",
        value="[b'a\\nb', b'\\xff\\n']",
    ),
    Item(37, "device", "import os\nos.mknod('/box/d', 0o60600, 1)", "exception", error="PermissionError"),
    Item(39, "chroot", "import os\nos.chroot('/box')", "exception", error="PermissionError"),
    denied(40, "mount", "raw(165, b'none', b'/box', b'tmpfs', 0, 0)"),
    denied(40, "umount", "raw(166, b'/box', 2)"),
    Item(41, "delete everything", "import shutil\nshutil.rmtree('/box', ignore_errors=True)"),
    Item(
        42,
        "working directory gone",
        "import os\nos.mkdir('/tmp/d'); os.chdir('/tmp/d'); os.rmdir('/tmp/d')\n1 + 1",
        value="2",
    ),
]

KERNEL = [
    denied(43, "unshare", "raw(272, 0x10000000)"),
    denied(44, "clone with a namespace", "raw(56, 0x10000000 | 17, 0, 0, 0, 0)"),
    denied(45, "clone3", "raw(435, 0, 0)", "ENOSYS"),
    denied(46, "setns", "raw(308, 3, 0)"),
    Item(47, "setuid", "import os\nos.setuid(0)", "exception", error="PermissionError"),
    denied(48, "ptrace", "raw(101, 0, 0, 0, 0)"),
    denied(49, "process_vm_readv", "raw(310, 1, 0, 0, 0, 0, 0)"),
    denied(50, "io_uring", "raw(425, 1, 0)"),
    denied(51, "keyctl", "raw(250, 0, 0)"),
    denied(52, "bpf", "raw(321, 0, 0, 0)"),
    denied(53, "perf_event_open", "raw(298, 0, 0, 0, 0, 0)"),
    denied(54, "userfaultfd", "raw(323, 0)"),
    denied(55, "x32", "raw(0x40000000 + 39)", "ENOSYS"),
    Item(
        56,
        "32-bit call",
        "import ctypes, mmap\nm = mmap.mmap(-1, 4096, prot=7)\nm.write(bytes.fromhex('b814000000cd80c3'))\n"
        "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))()",
        "died",
        error="SessionDied",
    ),
    denied(57, "memfd", "raw(319, b'x', 0)"),
    denied(58, "shmget", "raw(29, 0, 4096, 0o1600)"),
    denied(59, "open_by_handle_at", "raw(304, -100, 0, 0)"),
    denied(60, "typing into a terminal", "raw(16, 0, 0x5412, b'x')"),
    denied(61, "reboot", "raw(169, 0, 0, 0, 0)"),
    denied(62, "clock_settime", "raw(227, 0, 0)"),
    denied(63, "real-time scheduling", "raw(144, 0, 1, 0)"),
    Item(
        64,
        "raise a limit",
        "import resource\nresource.setrlimit(resource.RLIMIT_NPROC, (9999, 9999))",
        "exception",
        error="ValueError",
    ),
    denied(65, "kexec", "raw(246, 0, 0, 0, 0)"),
    denied(66, "personality", "raw(135, 0x40000)"),
    denied(68, "pidfd_getfd", "raw(438, 3, 0, 0)"),
    denied(69, "quotactl", "raw(179, 0, 0, 0, 0)"),
    denied(70, "another filter", "raw(157, 22, 2, 0, 0, 0)"),
    denied(70, "keep capabilities", "raw(157, 8, 1, 0, 0, 0)"),
    denied(70, "limits of another process", "raw(302, 2, 6, 0, 0)"),
    # A lowered limit would have the kernel kill the session in a way that looks like the host's doing.
    Item(
        125,
        "lower its own limit",
        "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass",
        "exception",
        error="ValueError",
    ),
    denied(125, "setrlimit", "raw(160, 0, ctypes.create_string_buffer(16))"),
    Item(126, "read limits", "import resource\nresource.getrlimit(resource.RLIMIT_NPROC)", value="(48, 48)"),
]

RESOURCES = [
    Item(71, "one large block", "bytearray(3 << 30)", "exception", error="MemoryError"),
    Item(72, "growing list", "x = []\nwhile True: x.append(bytearray(10**7))", "exception", error="MemoryError"),
    Item(
        73,
        "decompression bomb",
        "import io, struct, zlib\nfrom PIL import Image\n"
        "chunk = lambda k, d: struct.pack('>I', len(d)) + k + d + struct.pack('>I', zlib.crc32(k + d))\n"
        "head = chunk(b'IHDR', struct.pack('>IIBBBBB', 30000, 30000, 8, 2, 0, 0, 0))\n"
        "body = chunk(b'IDAT', zlib.compress(bytes(1000))) + chunk(b'IEND', b'')\n"
        "Image.open(io.BytesIO(b'\\x89PNG\\r\\n\\x1a\\n' + head + body)).load()",
        "exception",
        error="DecompressionBombError",
    ),
    Item(74, "fill the disk", "open('/tmp/a', 'wb').write(bytes(40 << 20))", "exception", error="OSError"),
    Item(
        75,
        "many files",
        "for n in range(5000): open(f'/box/{n}', 'w').close()",
        "exception",
        error="OSError",
    ),
    Item(
        76,
        "many processes",
        "import os, time\nfor n in range(200):\n    if os.fork() == 0: time.sleep(60)",
        "exception",
        error="BlockingIOError",
    ),
    Item(
        77,
        "many threads",
        "import threading, time\nfor n in range(300):\n"
        "    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        "exception",
        error="RuntimeError",
    ),
    Item(78, "many descriptors", "x = [open('/dev/null') for n in range(300)]", "exception", error="OSError"),
    Item(79, "endless loop", "while True: pass", "timeout", error="TimeoutError"),
    Item(80, "loop in C", "sum(range(10**12))", "died", error="SessionKilled"),
    Item(
        81,
        "interrupt ignored",
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
        "died",
        error="SessionKilled",
    ),
    Item(
        82,
        "full pipe",
        "import os\nr, w = os.pipe()\nwhile True: os.write(w, bytes(65536))",
        "timeout",
        error="TimeoutError",
    ),
    Item(
        84,
        "shared memory over the quota",
        "import mmap\nf = open('/dev/shm/a', 'w+b')\nf.truncate(30 << 20)\nm = mmap.mmap(f.fileno(), 0)\n"
        "open('/box/b', 'wb').write(bytes(20 << 20))\nm[:] = bytes(30 << 20)",
        "died",
        error="SessionDied",
    ),
    Item(83, "sparse file", "f = open('/box/s', 'wb')\nf.truncate(1 << 50)", "exception", error="OSError"),
    Item(
        85,
        "deep directories",
        "import os\nfor n in range(1000):\n    os.mkdir('d'); os.chdir('d')\nopen('x', 'w').close()",
    ),
]

OUTPUT = [
    Item(88, "endless print", "while True: print('x' * 1000)", "killed_output", error="OutputLimit"),
    Item(89, "long repr", "'x' * 50_000_000"),
    Item(92, "stdout closed", "import os\nos.close(1)\n2", value="2"),
    Item(93, "all descriptors closed", "import os\nos.closerange(0, 256)", "died", error="SessionDied"),
    Item(
        95,
        "repr that exits",
        "class A:\n    def __repr__(self): raise SystemExit\nA()",
        "exception",
        error="SystemExit",
    ),
    Item(
        96,
        "exception that cannot be printed",
        "class E(Exception):\n    def __str__(self): raise RuntimeError\nraise E",
        "exception",
        error="E",
    ),
    Item(97, "no repr", "import builtins\ndel builtins.repr\n3", value="3"),
    Item(
        98,
        "patched library",
        "import json, sys\njson.dumps = json.loads = None\nsys.stdout = None\n4",
        value="4",
    ),
    Item(
        98,
        "evil stdout",
        "import sys\nclass W:\n    def write(self, t): raise SystemExit\n    def flush(self): raise SystemExit\n"
        "sys.stdout = W()\n5",
        value="5",
    ),
    Item(
        99,
        "pickle bomb",
        "import os\nclass P:\n    def __reduce__(self): return os.system, ('x',)\n"
        "    def __repr__(self): return 'P'\nP()",
        value="P",
    ),
]

# PR_SET_NAME takes any bytes, and the host reads the names of processes.
RENAME = "import ctypes, os, time\nname = lambda: ctypes.CDLL(None).prctl(15, b'\\xff) \\xff')\n"

LIFECYCLE = [
    Item(127, "name that is no text", f"{RENAME}name(); time.sleep(0.3)\n7", value="7"),
    Item(
        127,
        "name that is no text of a child",
        f"{RENAME}if os.fork() == 0:\n    name(); time.sleep(60)\ntime.sleep(0.3)\n8",
        value="8",
    ),
    Item(103, "exit", "import sys\nsys.exit(3)", "exception", error="SystemExit"),
    Item(104, "hard exit", "import os\nos._exit(7)", "died", error="SessionDied"),
    Item(105, "segfault", "import ctypes\nctypes.string_at(0)", "died", error="SessionDied"),
    Item(106, "abort", "import os\nos.abort()", "died", error="SessionDied"),
    Item(
        107,
        "stack overflow",
        "import sys\nsys.setrecursionlimit(10**7)\nf = lambda x: [[f(x)]].sort(key=f)\nf(1)",
        "died",
    ),
    Item(108, "kill everybody", "import os\nos.kill(-1, 9)", "exception", error="ProcessLookupError"),
    Item(109, "kill itself", "import os\nos.kill(1, 9)\n6", value="6"),
]

BENIGN = [
    Item(
        117,
        "window of OpenCV",
        "import cv2, numpy\ncv2.imshow('x', numpy.zeros((9, 9), 'uint8'))",
        "exception",
        error="error",
    ),
    Item(118, "input", "input()", "exception", error="EOFError"),
    Item(
        119,
        "subprocess",
        "import subprocess\nsubprocess.run(['/bin/echo', 'hi'], capture_output=True, text=True).stdout",
        value="'hi\\n'",
    ),
    Item(
        120,
        "threads",
        "from concurrent.futures import ThreadPoolExecutor as T\nlist(T(4).map(abs, [-1, 2]))",
        value="[1, 2]",
    ),
    Item(
        120,
        "processes",
        "import multiprocessing\nwith multiprocessing.get_context('fork').Pool(2) as p: x = p.map(abs, [-1, 2])\nx",
        value="[1, 2]",
    ),
    Item(120, "temporary file", "import tempfile\ntempfile.TemporaryFile().write(b'abc')", value="3"),
    Item(120, "copy with attributes", "import shutil\nshutil.copy2('/etc/passwd', '/box/p')", value="'/box/p'"),
    Item(
        122,
        "large image",
        "from PIL import Image\nImage.new('RGB', (8000, 6000)).resize((80, 60)).size",
        value="(80, 60)",
    ),
    Item(123, "scipy", "import scipy.ndimage, numpy\nscipy.ndimage.label(numpy.eye(3))[1]", value="3"),
    Item(124, "fonts", "from PIL import ImageFont\nImageFont.truetype('DejaVuSans.ttf', 20).size", value="20"),
]

CORPUS = [*NETWORK, *READS, *WRITES, *KERNEL, *RESOURCES, *OUTPUT, *LIFECYCLE, *BENIGN]


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    guest.setup()
    with Pool(Policy(LIMITS), workers=1) as pool:
        yield pool


@pytest.fixture(scope="module")
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server


def run(pool: Pool, code: str) -> CellResult:
    with pool.session(seed=1) as session:
        return session.run(code)


@pytest.mark.parametrize("item", CORPUS, ids=lambda item: f"{item.number}-{item.name.replace(' ', '-')}")
def test_corpus(pool: Pool, listener: socket.socket, item: Item) -> None:
    result = run(pool, item.code.replace("PORT", str(listener.getsockname()[1])))
    assert result.status == item.status, result
    assert result.ended == (item.status not in {"ok", "exception", "timeout"})
    if item.value is not None:
        assert result.value == item.value
    if item.error is not None:
        assert result.error is not None
        assert result.error.type == item.error
    with pytest.raises(BlockingIOError):
        listener.accept()
    assert run(pool, "1 + 1").value == "2"
