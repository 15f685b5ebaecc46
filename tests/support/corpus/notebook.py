"""Items 88 to 122: output and protocol, the ends of sessions, and what must simply work."""

from __future__ import annotations

from errno import ESRCH

from tests.support.corpus.item import Item, dies, fails, gives, raises

# Files that exploit decoders, under names that a host might collect: an announced 60000x60000 PNG, a TIFF
# whose directory points at itself, an SVG that includes a file.
EXPLOITS = """
import struct
head = struct.pack('>I4sIIBBBBBI', 13, b'IHDR', 60000, 60000, 8, 6, 0, 0, 0, 0)
open('/box/out.png', 'wb').write(b'\\x89PNG\\r\\n\\x1a\\n' + head)
open('/box/out.tiff', 'wb').write(b'II*\\0\\x08\\0\\0\\0' + b'\\0\\0\\x08\\0\\0\\0' * 99)
open('/box/out.svg', 'w').write('<svg><image href="file://OUTSIDE_FILE"/></svg>')
"""

PICKLE_BOMB = """
import os
class P:
    def __reduce__(self): return os.system, ('echo ran',)
    def __repr__(self): return 'P'
P()
"""

# The text of a subclass whose methods lie about what it is.
LIAR = """
class Text(str):
    def __len__(self): return 1
    def __getitem__(self, at): return Text('x' * 10**6)
class A:
    def __repr__(self): return Text('y' * 10**6)
A()
"""

OUTPUT = [
    Item(
        88,
        "endless print",
        ("while True: print('x' * 1000)",),
        "killed_output",
        error="OutputLimit",
        says="printed over 8388608 bytes",
    ),
    Item(89, "long repr is cut in the guest", ("'x' * 50_000_000",), notes="text of 50000002 characters is shortened"),
    Item(89, "lengths that lie are cut all the same", (LIAR,)),
    Item(
        90,
        "bytes that are no text are replaced and controls escaped",
        ("import os\n_ = os.write(1, b'\\xff\\xe6\\x00\\x1b[2J\\x1b[H\\x07\\x9b\\n')",),
        stdout="\ufffd\ufffd\\x00\\x1b[2J\\x1b[H\\x07\ufffd\n",
    ),
    Item(91, "lone surrogate", ("print('\\ud800 \\udce6')",), stdout="\\ud800 \\udce6\n"),
    gives(92, "stdout closed", 2, "import os\nos.close(1)", "print('nowhere')\n2"),
    dies(93, "all descriptors closed", "SessionDied", "", "import os\nos.closerange(0, 256)"),
    raises(95, "repr that exits", SystemExit, "", "class A:\n    def __repr__(self): raise SystemExit\nA()"),
    raises(
        96,
        "exception that cannot be printed",
        "E",
        "cannot be printed",
        "class E(Exception):\n    def __str__(self): raise RuntimeError\nraise E",
    ),
    gives(97, "no repr", 3, "import builtins\ndel builtins.repr", "3"),
    gives(
        98,
        "patched library",
        4,
        "import json, socket, struct, sys\njson.dumps = json.loads = json.JSONEncoder.encode = None\n"
        "struct.pack = socket.socket.send = len\nsys.stdout = sys.stderr = None",
        "4",
    ),
    gives(
        98,
        "evil stdout",
        5,
        "import sys\nclass W:\n    def write(self, t): raise SystemExit\n    def flush(self): raise SystemExit\n"
        "sys.stdout = W()",
        "5",
    ),
    Item(
        99,
        "of a pickle bomb only its repr returns",
        (PICKLE_BOMB,),
        value="P",
        stdout="",
    ),
    Item(100, "exploit files are nobody's to decode", (EXPLOITS,)),
    Item(
        100,
        "five hundred images",
        ("from PIL import Image\nfor n in range(500): display(Image.new('L', (40, 40)))",),
        images=((40, 40),) * 10,
        notes="490 more images are not shown",
    ),
    Item(
        101,
        "enormous figure",
        ("import matplotlib.pyplot as plt\n_ = plt.figure(dpi=10000).gca()",),
        notes="64000x48000 pixels",
    ),
]

STACK = "import sys\nsys.setrecursionlimit(10**7)\nf = lambda x: [[f(x)]].sort(key=f)\nf(1)"

LIFECYCLE = [
    raises(103, "exit", SystemExit, "^3$", "import sys\nsys.exit(3)"),
    dies(104, "hard exit", "SessionDied", "with code 7", "import os\nos._exit(7)"),
    dies(105, "segfault", "SessionDied", "ended by SIGSEGV", "import ctypes\nctypes.string_at(0)"),
    # Process 1 does not hear SIGABRT; the C library then ends it by an instruction that faults.
    dies(106, "abort", "SessionDied", "ended by SIG(ABRT|SEGV)", "import os\nos.abort()"),
    dies(107, "stack overflow", "Session(Died|Killed)", "", STACK),
    fails(108, "kill everybody", ESRCH, "import os\nos.kill(-1, 9)"),
    gives(109, "kill itself", 6, "import os\nos.kill(1, 9)\n6"),
]

FORKED = """
import multiprocessing
with multiprocessing.get_context('fork').Pool(2) as p: x = p.map(abs, [-1, 2])
x
"""

SHARED_MEMORY = """
from multiprocessing import shared_memory
m = shared_memory.SharedMemory(create=True, size=1000)
m.buf[:3] = b'abc'
other = shared_memory.SharedMemory(m.name)
bytes(other.buf[:3])
"""

BENIGN = [
    Item(
        116,
        "plt.show gives one image",
        ("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()",),
        images=((640, 480),),
    ),
    Item(
        117,
        "window of OpenCV",
        ("import cv2, numpy\ncv2.imshow('x', numpy.zeros((9, 9), 'uint8'))\ncv2.waitKey(0)\ncv2.destroyAllWindows()",),
        value=None,
        images=((9, 9),),
    ),
    raises(118, "input", EOFError, "", "input()"),
    gives(
        119,
        "subprocess",
        "hi\n",
        "import subprocess\nsubprocess.run(['/bin/echo', 'hi'], capture_output=True, text=True).stdout",
    ),
    gives(
        120, "threads", [1, 2], "from concurrent.futures import ThreadPoolExecutor as T\nlist(T(4).map(abs, [-1, 2]))"
    ),
    gives(120, "processes", [1, 2], FORKED),
    gives(120, "shared memory", b"abc", SHARED_MEMORY),
    gives(120, "temporary file", 3, "import tempfile\ntempfile.TemporaryFile().write(b'abc')"),
    gives(120, "copy with attributes", "/box/p", "import shutil\nshutil.copy2('/etc/passwd', '/box/p')"),
    Item(121, "text that is not latin", ("print('地図 🗺 Карта خريطة')",), stdout="地図 🗺 Карта خريطة\n"),
    gives(
        122,
        "large image",
        ((6000, 8000), (80, 60), (255, 0, 0)),
        "from PIL import Image, ImageOps\nx = Image.new('RGB', (8000, 6000), 'red')\nx = ImageOps.flip(x)\n"
        "x = x.transpose(Image.Transpose.ROTATE_90)\nx.size, x.resize((80, 60)).size, x.getpixel((5999, 7999))",
    ),
]
