"""The cells of the soak: honest, faulty and hostile ones, what each may come to, and the limits that they meet."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.records import CellStatus
from pipeline.sandbox import Limits
from pipeline.sandbox.inside.policy import MIB

LIMITS = Limits(
    cell_seconds=1.0,
    grace_seconds=0.3,
    cell_cpu_seconds=1.0,
    session_cpu_seconds=5,
    memory=256 * MIB,
    data=224 * MIB,
    processes=32,
    disk=16 * MIB,
    files=512,
    output_killed=1 * MIB,
)


class Kind(NamedTuple):
    weight: int
    """Share of the sessions, in parts of the sum."""
    outcomes: tuple[CellStatus, ...]
    """Where work is bounded by more than time, the second that a cell has may still be over first on a busy machine."""
    code: str


_FIGURE = """
import matplotlib.pyplot as plt
plt.plot([1, 3, 2])
plt.show()
"""
_FILES = """
open('/box/a', 'wb').write(bytes(1 << 20))
open('/dev/shm/b', 'wb').write(bytes(99))
"""
_THREADS = """
import threading, time
while True:
    threading.Thread(target=time.sleep, args=(99,)).start()
"""
_GRANDCHILD = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(99)
    os._exit(0)
"""
_MANY = """
import os, time
for _ in range(4):
    if os.fork() == 0:
        x = b'1' * (120 << 20)
        time.sleep(99)
time.sleep(99)
"""
_DISK = """
with open('/box/a', 'wb') as file:
    while True:
        file.write(bytes(1 << 20))
"""
_DEAF = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
while True:
    time.sleep(99)
"""

KINDS = {
    "numpy": Kind(30, ("ok",), "import numpy as np\nfloat(np.arange(100_000.0).sum())"),
    "opencv": Kind(20, ("ok",), "import cv2, numpy as np\ncv2.Canny(np.zeros((300, 400), np.uint8), 50, 150).shape"),
    "figure": Kind(5, ("ok",), _FIGURE),
    "files": Kind(5, ("ok",), _FILES),
    "exception": Kind(10, ("exception",), "1 / 0"),
    "exit": Kind(4, ("died",), "import os\nos._exit(7)"),
    "segfault": Kind(4, ("died",), "import ctypes\nctypes.string_at(1)"),
    "abort": Kind(2, ("died",), "import os\nos.abort()"),
    "fork bomb": Kind(4, ("exception", "timeout", "died"), "import os\nwhile True:\n    os.fork()"),
    "threads": Kind(2, ("exception",), _THREADS),
    "daemon grandchild": Kind(5, ("ok",), _GRANDCHILD),
    "memory": Kind(
        4, ("exception", "killed_memory", "timeout"), "x = []\nwhile True:\n    x.append(bytearray(1 << 20))"
    ),
    "memory of many": Kind(2, ("killed_memory", "timeout"), _MANY),
    "output flood": Kind(4, ("killed_output",), "while True:\n    print('x' * 4096)"),
    "descriptors": Kind(3, ("exception",), "x = []\nwhile True:\n    x.append(open('/dev/null'))"),
    "disk": Kind(3, ("exception",), _DISK),
    "inodes": Kind(2, ("exception",), "for i in range(10 ** 6):\n    open(f'/box/{i}', 'w').close()"),
    "forged reply": Kind(3, ("protocol_error",), "import os\nos.write(3, b'\\xff' * 64)"),
    "channel closed": Kind(2, ("died",), "import os\nos.closerange(0, 256)"),
    "sleep": Kind(2, ("timeout",), "import time\ntime.sleep(99)"),
    "spin": Kind(2, ("timeout",), "while True: pass"),
    "no interrupt": Kind(2, ("died",), _DEAF),
}
