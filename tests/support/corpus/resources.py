"""Items 71 to 86: memory, disk, processes, time."""

from __future__ import annotations

from errno import EFBIG, EMFILE, ENOSPC

from tests.support.corpus.item import ENDLESS, Item, dies, fails, gives, raises

# Returns how far the loop came and the errno that stopped it.
COUNT = """
def count(step):
    for n in range(10**6):
        try: step(n)
        except OSError as error: return n, error.errno
"""

BOMB = """
import io, struct, zlib
from PIL import Image
chunk = lambda k, d: struct.pack('>I', len(d)) + k + d + struct.pack('>I', zlib.crc32(k + d))
head = chunk(b'IHDR', struct.pack('>IIBBBBB', 30000, 30000, 8, 2, 0, 0, 0))
body = chunk(b'IDAT', zlib.compress(bytes(1000))) + chunk(b'IEND', b'')
Image.open(io.BytesIO(b'\\x89PNG\\r\\n\\x1a\\n' + head + body)).load()
"""

FORKS = """
import os, time
def fork(n):
    if os.fork() == 0:
        time.sleep(600); os._exit(0)
forks, code = count(fork)
40 <= forks < 48, code
"""

THREADS = """
import threading, time
started = 0
try:
    for n in range(300):
        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()
        started += 1
except RuntimeError as error: why = str(error)
0 < started < 48, why
"""

# Many processes, each with less than the limit of one.
TOGETHER = """
import os, time
for n in range(4):
    if os.fork() == 0:
        x = b'1' * (250 << 20)
        time.sleep(600)
time.sleep(600)
"""

SHARED = """
import mmap
f = open('/dev/shm/a', 'w+b')
f.truncate(30 << 20)
m = mmap.mmap(f.fileno(), 0)
open('/box/b', 'wb').write(bytes(20 << 20))
m[:] = bytes(30 << 20)
"""

# Every pipe and socket this process may have, filled.
BUFFERS = """
import os, socket
def fill(n):
    a, b = socket.socketpair() if n % 2 else os.pipe()
    kept.append((a, b))
    write = a.send if n % 2 else lambda part: os.write(b, part)
    a.setblocking(False) if n % 2 else os.set_blocking(b, False)
    try:
        while True: write(bytes(65536))
    except BlockingIOError: pass
kept = []
pairs, code = count(fill)
pairs, code
"""

RESOURCES = [
    raises(71, "one large block", MemoryError, "", "bytearray(3 << 30)"),
    raises(72, "growing list", MemoryError, "", "x = []\nwhile True: x.append(bytearray(10**7))"),
    Item(72, "memory of many processes", (TOGETHER,), "killed_memory", error="MemoryLimit", says="600 MiB"),
    raises(73, "decompression bomb", "DecompressionBombError", "exceeds limit", BOMB),
    fails(74, "fill the disk", ENOSPC, "for n in range(3): open(f'/tmp/{n}', 'wb').write(bytes(20 << 20))"),
    fails(74, "a file as large as the disk", EFBIG, "open('/tmp/a', 'wb').write(bytes(40 << 20))"),
    # Of 4096 inodes the root and three directories take some.
    gives(75, "many files", (4092, ENOSPC), f"{COUNT}count(lambda n: open(f'/box/{{n}}', 'w').close())"),
    gives(76, "many processes", (True, 11), COUNT + FORKS),
    gives(77, "many threads", (True, "can't start new thread"), THREADS),
    # The first is 4, the last 255.
    gives(78, "many descriptors", (252, EMFILE), f"{COUNT}x = []\ncount(lambda n: x.append(open('/dev/null')))"),
    Item(79, "endless loop", ("x = 1\nwhile True: pass",), "timeout", error="TimeoutError", says="variables are kept"),
    dies(80, "loop in C", "SessionKilled", "did not stop", "sum(range(10**12))"),
    # The page has it killed; since Python 3.11 matching asks for signals now and then.
    Item(
        80,
        "catastrophic regex",
        ("import re\nre.match('(a*)*b', 'a' * 64)",),
        "timeout",
        error="TimeoutError",
        seconds=ENDLESS,
    ),
    dies(
        81,
        "interrupt ignored",
        "SessionKilled",
        "did not stop",
        "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
        seconds=ENDLESS,
    ),
    Item(
        82,
        "full pipe",
        ("import os\nr, w = os.pipe()\nwhile True: os.write(w, bytes(65536))",),
        "timeout",
        error="TimeoutError",
        seconds=ENDLESS,
    ),
    gives(82, "all buffers filled", (126, EMFILE), COUNT + BUFFERS),
    fails(83, "sparse file", EFBIG, "f = open('/box/s', 'wb')\nf.truncate(1 << 50)"),
    dies(84, "shared memory over the quota", "SessionDied", "ended by SIGBUS", SHARED),
    gives(
        85,
        "deep directories",
        1000,
        "import os\nfor n in range(1000):\n    os.mkdir('d'); os.chdir('d')\nopen('x', 'w').close()",
        "n + 1",
    ),
]

# Kernel memory, of which a process's own counters know nothing: pairs of sockets, each full, of many processes.
SOCKETS_OF_MANY = f"""{COUNT}
import os, socket, time
def fill(n):
    pair = socket.socketpair()
    kept.append(pair)
    for end in pair:
        end.setblocking(False)
        try:
            while True: end.send(bytes(65536))
        except BlockingIOError: pass
kept = []
for n in range(40):
    if os.fork() == 0:
        count(fill)
        time.sleep(60)
time.sleep(60)
"""

# Likewise page tables: 4 KiB for each 2 MiB of address space of which one byte was read.
TABLES = """
import mmap, os, time
for n in range(60):
    if os.fork() == 0:
        m = mmap.mmap(-1, 7 << 30, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        for at in range(0, 7 << 30, 2 << 20): m[at]
        time.sleep(60)
time.sleep(60)
"""
