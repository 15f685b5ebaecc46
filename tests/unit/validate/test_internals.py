"""Code that reaches for the inside of its session is found; code that looks at pictures is not."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from filters.validate.internals import reaches_inside
from filters.validate.rules import ValidatorSettings, replayed, session_internals
from flows.asking.replays import replay
from pipeline.sandbox import Sandbox
from pipeline.store.blobs import BlobStore
from pipeline.students.family import ViewRule
from tests.support.builders import question, trajectory, turn

REACHES = [
    "import os\nos.write(3, b'x')",
    "import os as o\no.write(4 - 1, b'x')",
    "import os\nm = os\nm.write(3, b'x')",
    "from os import write\nwrite(3, b'x')",
    "from os import *\nwrite(3, b'x')",
    "import posix\nposix.write(3, b'x')",
    "import os\ngetattr(os, 'wri' + 'te')(3, b'x')",
    "import os\ngetattr(os, 'write')(3, b'x')",
    "import os\nos.__dict__['write'](3, b'x')",
    "import os\nvars(os)['write'](3, b'x')",
    "import os\nos.dup2(os.open('/tmp/a', os.O_RDWR), 3)",
    "import os\nos.fdopen(3, 'wb').write(b'x')",
    "open(3, 'wb').write(b'x')",
    "import io\nio.open(3, 'wb')",
    "open('/proc/self/fd/3', 'wb')",
    "open('/proc/1/mem', 'r+b')",
    "open('/dev/fd/3', 'wb')",
    "import socket\nsocket.socket(fileno=3).send(b'x')",
    "from socket import socket as s\ns(1, 1, 0, 3)",
    "import multiprocessing.connection as c\nc.Connection(3, fileno = 3)",
    "import subprocess\nsubprocess.run(['sh'], pass_fds=[3])",
    "import gc\n[x for x in gc.get_objects()]",
    "import sys\nsys._getframe(1).f_locals",
    "import inspect\ninspect.currentframe().f_back",
    "try: 1 / 0\nexcept Exception as e: e.__traceback__.tb_frame",
    "import sys\nsys.modules['pipeline.sandbox.inside.cells']",
    "from pipeline.sandbox.inside import wire\nwire.send = None",
    "import pipeline",
    "__import__('pipe' + 'line')",
    "import importlib\nimportlib.import_module(name)",
    "import ctypes\nctypes.string_at(0)",
    "display.__globals__['SCREEN']",
    "object.__subclasses__()",
    "len.__self__.print = None",
    "import sys\nsys.settrace(f)",
    "exec(text)",
    "import base64\nexec(base64.b64decode('cHJpbnQoMSk='))",
    "eval(''.join(parts))",
    "open('helper.py', 'w').write('import os, ctypes')\nimport helper",
    "exec('import sys; sys._getframe()')",
    "exec('import os\\nos.write(3, b\"x\")')",
    "import importlib\nimportlib.import_module('pipeline' '.sandbox')",
    "__import__('os').write(3, b'x')",
    "import subprocess\nsubprocess.os.write(3, b'x')",
    "import os.path\nos.path.os.read(3, 1)",
]

HARMLESS = [
    "display(image_1.crop((0, 0, 300, 200)))",
    "import re\nprint(re.compile(pattern).findall(text))",
    "import cv2, numpy as np\na = cv2.imread('image_1.png')\ncv2.imshow('a', a[:9])\nnp.stack([a, a])",
    "import os\nprint(os.listdir('.'), os.path.exists('image_1.png'), os.getcwd())",
    "import gc\ngc.collect()",
    "with open('a.txt', 'w') as f: f.write('a')",
    "import subprocess\nprint(subprocess.run(['ls'], capture_output=True, text=True).stdout)",
    "import tempfile, os\nfd, path = tempfile.mkstemp()\nos.close(fd)",
    "eval('1 + 1')",
    "getattr(image_1, 'size')\nfor name in ('width', 'height'): print(getattr(image_1, name))",
    "import matplotlib.pyplot as plt\nplt.plot([1])\nplt.show()",
    "model.eval()\nre.compile(x)",
    "import threading, asyncio, multiprocessing, signal, builtins",
    "class A:\n    def __getattr__(self, name): return 1\nA().write(3)",
    "f.read(3)\nreader.write(3)",
    "import zipfile\nzipfile.ZipFile('a.zip', 'w').write('a.txt', 'b.txt')",
    "exec('x = 1')",
    "frame.eval(text)\nvars(image_1)\nimage_1.__dict__",
]


@pytest.mark.parametrize("code", REACHES)
def test_reaching_inside_is_found(code: str) -> None:
    assert reaches_inside(code)


@pytest.mark.parametrize("code", HARMLESS)
def test_looking_at_pictures_is_not(code: str) -> None:
    assert not reaches_inside(code)


@pytest.mark.parametrize(
    "code",
    [
        # Text that no reader of the code can follow to what it names.
        "n = range(3, 9)\nfor f in n: open(f, 'wb')",
        "import os\nw = list(filter(lambda n: n == 'wri' + 'te', dir(os)))",
    ],
)
def test_known_weakness_what_is_put_together_as_it_runs_is_not_found(code: str) -> None:
    assert not reaches_inside(code)


def test_a_replay_of_code_that_can_vouch_for_itself_is_not_made_and_does_not_bless(tmp_path: Path) -> None:
    made = trajectory(
        turn("python", REACHES[0], observation="1", status="ok"), turn("answer", "Lyon"), asked=question("Which?")
    )
    unused = cast(Sandbox, None)
    result = replay(made, unused, BlobStore(tmp_path), ViewRule("qwen2_5_vl", 262_144), 0)
    assert (result.verdict, result.cells) == ("failed", 1)
    assert replayed(made.id, result, ValidatorSettings()).reason == "replay_failed"
    assert session_internals(made).reason == "session_internals"
