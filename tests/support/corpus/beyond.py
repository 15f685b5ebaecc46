"""Items 123 and on: attacks and needs beyond the page."""

from __future__ import annotations

from errno import EACCES, ENAMETOOLONG, ENXIO, EPERM, EROFS, ESRCH

from tests.support.corpus.item import ENDLESS, RAW, Item, denied, dies, fails, gives, raises

# PR_SET_NAME takes any bytes, and the host reads the names of processes.
RENAME = "import ctypes, os, time\nname = lambda: ctypes.CDLL(None).prctl(15, b'\\xff) \\xff')\n"

IN_THREAD = f"""{RAW}
from concurrent.futures import ThreadPoolExecutor
ThreadPoolExecutor(1).submit(raw, 56, 0x10000000 | 17, 0, 0, 0, 0).result()
"""

# Of a message's parts only its control data is of interest here; the filter looks at none of them.
DESCRIPTOR = """
import array, socket
s = socket.socket(fileno=3)
try: s.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0, 1, 2]))])
except PermissionError as error: code = error.errno
s.detach()
code
"""

# A process that waits in vfork hears no signal but the one that kills it.
FROZEN = f"""{RAW}
import time
if raw(56, 0x4000 | 17, 0, 0, 0, 0) == 0:
    time.sleep(600)
"""

CHILD_STOPPED = """
import os, signal, time
child = os.fork()
if child == 0:
    while True: time.sleep(1)
os.kill(child, signal.SIGSTOP)
os.waitpid(child, 0)
"""

# Every process forks as fast as it can, and nobody waits for any. Python's own fork swallows interrupts.
FORK_BOMB = f"""{RAW}
import signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
while True: raw(57)
"""

# Sockets that the owner of no address may write to: an address in the message itself.
ADDRESSED = """
import socket
a, b = socket.socketpair(type=socket.SOCK_DGRAM)
a.sendto(b'x', '\\0OUTSIDE_NAME')
"""

LINKS = """
import os
made = 0
for n in range(64):
    try: os.symlink(f'/box/{n + 1}' if n < 63 else 'OUTSIDE_FILE', f'/box/{n}'); made += 1
    except PermissionError: pass
open('/box/0').read()
"""

# An ELF file that asks for a segment where no program may be: exec fails when there is no way back.
NO_WAY_BACK = """
import os, struct
head = b'\\x7fELF\\2\\1\\1' + bytes(9) + struct.pack('<HHIQQQIHHHHHH', 2, 62, 1, 0x400000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
part = struct.pack('<IIQQQQQQ', 1, 5, 0, 0xffff800000000000, 0, 0x1000, 0x1000, 0x1000)
open('/box/p', 'wb').write((head + part).ljust(4096, b'\\0'))
os.chmod('/box/p', 0o755)
os.execv('/box/p', ['p'])
"""

OWN_PROC = """
def tried(name):
    try: open(f'/proc/self/{name}', 'w')
    except OSError as error: return error.errno
{tried(n) for n in ('mem', 'oom_score_adj', 'coredump_filter', 'comm', 'setgroups', 'timens_offsets', 'clear_refs')}
"""

LOCK = "import fcntl, struct\nfcntl.fcntl(open('/etc/passwd'), fcntl.F_{}, struct.pack('hhqqi', 1, 0, 0, 0, 0))"

DATABASE = """
import sqlite3
with sqlite3.connect('/box/a.db') as one:
    one.execute('create table t (x)')
    one.execute('insert into t values (1)')
sqlite3.connect('/box/a.db').execute('select * from t').fetchall()
"""

# On some systems the interpreter is the system's own, and there is no such directory.
PREFIX = "import os\nset(os.listdir('/python') if os.path.exists('/python') else ()) - {'bin', 'lib', 'lib64'}"

BEYOND = [
    gives(123, "scipy", 3, "import scipy.ndimage, numpy\nscipy.ndimage.label(numpy.eye(3))[1]"),
    gives(124, "fonts", 20, "from PIL import ImageFont\nImageFont.truetype('DejaVuSans.ttf', 20).size"),
    # A lowered limit would have the kernel kill the session in a way that looks like the host's doing.
    raises(
        125,
        "lower its own limit",
        ValueError,
        "",
        "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 1))\nwhile True: pass",
    ),
    denied(125, "setrlimit", "raw(160, 0, ctypes.create_string_buffer(16))"),
    gives(126, "read limits", (48, 48), "import resource\nresource.getrlimit(resource.RLIMIT_NPROC)"),
    gives(127, "name that is no text", 7, f"{RENAME}name(); time.sleep(0.3)\n7"),
    gives(
        127,
        "name that is no text of a child",
        8,
        f"{RENAME}if os.fork() == 0:\n    name(); time.sleep(60)\ntime.sleep(0.3)\n8",
    ),
    gives(128, "own files in proc take no writing", {EACCES}, OWN_PROC),
    fails(129, "control socket by its proc link", ENXIO, "import os\nos.open('/proc/1/fd/3', os.O_RDWR)"),
    denied(130, "trace me", "raw(101, 0, 0, 0, 0)"),
    gives(131, "clone with a namespace in a thread", "EPERM", IN_THREAD),
    gives(132, "descriptors beside the bytes", EPERM, DESCRIPTOR),
    denied(132, "sendmmsg", "raw(307, 3, 0, 0, 0)"),
    denied(132, "recvmsg", "raw(47, 3, 0, 0)"),
    denied(133, "splice", "raw(275, 0, 0, 1, 0, 1, 0)"),
    denied(133, "tee", "raw(276, 0, 1, 1, 0)"),
    denied(133, "vmsplice", "raw(278, 1, 0, 0, 0)"),
    fails(134, "a larger pipe to the host", EPERM, "import fcntl\nfcntl.fcntl(1, 1031, 1 << 20)"),
    fails(135, "signals of a descriptor to others", EPERM, "import fcntl\nfcntl.fcntl(3, fcntl.F_SETOWN, -1)"),
    fails(135, "another signal of a descriptor", EPERM, "import fcntl\nfcntl.fcntl(3, fcntl.F_SETSIG, 9)"),
    # Signals of the channel's own readiness would reach process 1 from the host's side of it.
    gives(
        135,
        "signals of the channel to itself",
        9,
        "import fcntl, os\nfcntl.fcntl(3, fcntl.F_SETFL, fcntl.fcntl(3, fcntl.F_GETFL) | os.O_ASYNC)",
        "9",
    ),
    gives(136, "stop itself", 10, "import os, signal\nos.kill(1, signal.SIGSTOP)\n10"),
    dies(136, "freeze itself", "SessionKilled", "did not stop", FROZEN, seconds=ENDLESS),
    Item(137, "wait for a stopped child", (CHILD_STOPPED,), "timeout", error="TimeoutError", seconds=ENDLESS),
    gives(
        138,
        "stdout closed while a child holds it",
        11,
        "import os, time\nif os.fork() == 0:\n    time.sleep(600)\nos.close(1)",
        "print('nowhere')\n11",
    ),
    fails(139, "priority", EPERM, "import os\nos.setpriority(os.PRIO_PROCESS, 0, -5)"),
    denied(139, "input priority", "raw(251, 1, 0, 1 << 13)"),
    denied(139, "processors", "raw(203, 0, 8, ctypes.create_string_buffer(b'\\1', 8))"),
    denied(140, "closed to the watchdog", "raw(157, 4, 0, 0, 0, 0)"),
    fails(142, "datagram to an address", EPERM, ADDRESSED),
    fails(142, "out-of-band data", EPERM, "import socket\na, b = socket.socketpair()\na.send(b'x', socket.MSG_OOB)"),
    denied(142, "packet filter", "raw(54, 3, 1, 26, ctypes.create_string_buffer(16), 16)"),
    denied(143, "inotify", "raw(294, 0)"),
    denied(143, "fanotify", "raw(300, 0, 0)"),
    denied(143, "timerfd", "raw(283, 1, 0)"),
    denied(143, "signalfd", "raw(289, -1, ctypes.create_string_buffer(8), 8, 0)"),
    fails(144, "long name", ENAMETOOLONG, "open('/box/' + 'n' * 256, 'w')"),
    fails(144, "long path", ENAMETOOLONG, "open('/box/' + './' * 2048 + 'n', 'w')"),
    raises(144, "sixty-four links", "FileNotFoundError", "", LINKS),
    gives(145, "a session of its own", (1, 1), "import os\nos.getpgrp(), os.getsid(0)"),
    gives(145, "kill the group", 12, "import os\nos.kill(0, 9)\n12"),
    fails(145, "kill by number", ESRCH, "import os\nfor n in range(2, 400): os.kill(n, 9)"),
    dies(146, "exec that fails half-way", "SessionDied", "ended by SIGSEGV", NO_WAY_BACK),
    dies(146, "another program in its place", "SessionDied", "", "import os\nos.execv('/bin/true', ['true'])"),
    # The channel is closed by exec, so nobody waits for an answer.
    dies(
        146,
        "a deaf program in its place",
        "SessionDied",
        "closed",
        "import os\nos.execv('/bin/sleep', ['sleep', '600'])",
    ),
    fails(147, "entropy", EACCES, "open('/dev/urandom', 'wb')"),
    denied(147, "new mounts", "raw(428, -100, b'/', 1)"),
    denied(147, "file system context", "raw(430, b'tmpfs', 0)"),
    # Its times are the host's: a touch would be seen there and in every other session.
    fails(148, "touch a device of the host", EROFS, "import os\nos.utime('/dev/null')"),
    fails(148, "mode of a device of the host", EROFS, "import os\nos.chmod('/dev/null', 0o600)"),
    gives(148, "devices still take writing", 1, "import os\nos.write(os.open('/dev/null', os.O_WRONLY), b'x')"),
    fails(149, "ask who holds a lock", EPERM, LOCK.format("GETLK")),
    gives(149, "database in a file", [(1,)], DATABASE),
    # At 0 the kernel would still start the host's program for core dumps.
    gives(150, "core dumps", (1, 1), "import resource\nresource.getrlimit(resource.RLIMIT_CORE)"),
    gives(151, "nothing else of the interpreter", set(), PREFIX),
]
