"""What a cell leaves behind never changes how a later cell ends, and the reply keeps its form whatever was patched."""

from __future__ import annotations

import builtins
import time
from collections.abc import Iterator

import pytest

from pipeline.sandbox import CellResult, Limits, Policy, Pool, guest


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    guest.setup()
    with Pool(Policy(Limits(cell_seconds=6.0, grace_seconds=0.5)), workers=1) as pool:
        yield pool


def run(pool: Pool, *codes: str, pause: float = 0.0, endless: int | None = None) -> list[CellResult]:
    """Run cells of one session; the one of number `endless` has no end and need not be waited for as long as others."""
    results = []
    with pool.session([]) as session:
        for number, code in enumerate(codes):
            time.sleep(pause if number else 0.0)
            results.append(session.run(code, seconds=1.0 if number == endless else None))
    return results


RAISES = "import signal, os, threading, time\ndef raises(*_): raise ValueError('late')\n"
LATER = {
    "alarm": "signal.signal(signal.SIGALRM, raises)\nsignal.alarm(1)",
    "real timer": "signal.signal(signal.SIGALRM, raises)\nsignal.setitimer(signal.ITIMER_REAL, 0.3, 0.05)",
    "fast timer": "signal.signal(signal.SIGALRM, raises)\nsignal.setitimer(signal.ITIMER_REAL, 0.001, 0.0005)",
    "virtual timer": "signal.signal(signal.SIGVTALRM, raises)\nsignal.setitimer(signal.ITIMER_VIRTUAL, 0.05, 0.05)",
    "profiling timer": "signal.signal(signal.SIGPROF, raises)\nsignal.setitimer(signal.ITIMER_PROF, 0.05, 0.05)",
    "handler of ended children": "signal.signal(signal.SIGCHLD, raises)\nos.system('sleep 0.3 &')",
    "signal sent later": "signal.signal(signal.SIGUSR1, raises)\n"
    "threading.Timer(0.4, os.kill, [os.getpid(), signal.SIGUSR1]).start()",
    "interrupt ignored": "signal.signal(signal.SIGINT, signal.SIG_IGN)",
    "signals blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
}
BUSY = "import time\nend = time.monotonic() + 0.8\nwhile time.monotonic() < end: x = sum(range(1000))\nprint('alive')"


@pytest.mark.parametrize("pause", [0.0, 0.6], ids=["at-once", "later"])
@pytest.mark.parametrize("name", LATER)
def test_a_signal_of_one_cell_is_over_with_it(pool: Pool, name: str, pause: float) -> None:
    first, second, third = run(pool, RAISES + LATER[name], BUSY, "while True: pass", pause=pause, endless=2)
    # A signal as fast as these may hit its own cell.
    assert first.status == "ok" or name in {"fast timer", "handler of ended children"}
    assert (second.status, second.stdout) == ("ok", "alive\n"), second
    # Interrupts still reach the session.
    assert (third.status, third.ended) == ("timeout", False), third


def test_a_limit_that_a_cell_sets_itself_works_within_it(pool: Pool) -> None:
    code = f"{RAISES}signal.signal(signal.SIGALRM, raises)\nsignal.alarm(1)\ntime.sleep(5)"
    first, second = run(pool, code, "1")
    assert first.error is not None
    assert (first.error.type, second.value) == ("ValueError", "1")


LEFT = {
    "recursion limit": "import sys\nsys.setrecursionlimit(sys.getrecursionlimit() // 12)",
    "trace": "import sys\ndef f(*_): raise ValueError('late')\nsys.settrace(f)",
    "profile": "import sys\ndef f(*_): raise ValueError('late')\ntry: sys.setprofile(f)\nexcept ValueError: pass",
    "audit hook": "import sys\ndef f(*_): raise ValueError\ntry: sys.addaudithook(f)\nexcept RuntimeError: pass",
    "stdout gone": "import sys\nsys.stdout = sys.stderr = None",
    "stdout closed": "import sys\nsys.stdout.close()\nsys.stderr.close()",
    "stdout detached": "import sys\nsys.stdout.detach()",
    "stdout wrapped": "import io, sys\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='ascii')",
    "stdout redirected": "import io, sys\nsys.stdout = io.StringIO()",
    "descriptors led elsewhere": "import os\nf = open('o', 'w')\nos.dup2(f.fileno(), 1)\nos.dup2(f.fileno(), 2)",
    "main interrupted": "import _thread\n_thread.interrupt_main()",
    "main interrupted by a thread": "import _thread, threading, time\n"
    "threading.Timer(0.1, _thread.interrupt_main).start()\ntime.sleep(0.3)",
    "stdin closed": "import os\nos.close(0)\nf = open('/etc/passwd')",
    "directory gone": "import os\nos.mkdir('/tmp/d')\nos.chdir('/tmp/d')\nos.rmdir('/tmp/d')",
    "no modules": "import sys\nsys.modules.clear()",
    "no main": "import sys\ndel sys.modules['__main__']",
    "no path": "import sys\nsys.path[:] = []\nsys.meta_path[:] = []\nsys.path_importer_cache.clear()",
    "no sources": "import linecache\nlinecache.cache = None",
    "no environment": "import os\nos.environ.clear()",
    "collector off": "import gc\ngc.disable()",
    "event loop closed": "import asyncio\nawait asyncio.sleep(0)\nasyncio.get_running_loop().call_soon(lambda: 1 / 0)\n"
    "asyncio.get_event_loop_policy().get_event_loop().stop()",
    "task left": "import asyncio\nt = asyncio.ensure_future(asyncio.sleep(9))\nawait asyncio.sleep(0)",
    "warnings shown by nobody": "import warnings\nwarnings.showwarning = None",
    "threads": "import threading, time\nfor n in range(8): threading.Thread(target=time.sleep, args=[9]).start()",
    "many ended children": "import os\nfor n in range(60):\n    if os.fork() == 0: os._exit(0)",
    "many processes of others": "import os, time\nfor n in range(50): os.system('(sleep 0.1 &)')\ntime.sleep(0.5)",
    "Popen without wait": "import subprocess, time\nx = [subprocess.Popen('true') for n in range(50)]\ntime.sleep(0.5)",
    "exception of a long name": "raise type('E' * 1_000_000, (Exception,), {})('x' * 1_000_000)",
    "exception with long notes": "e = ValueError('x')\nfor n in range(99): e.add_note('n' * 100_000)\nraise e",
    "exception without end": "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E",
    "name that is no name": "class M(type):\n    __name__ = property(lambda c: 1 / 0)\n"
    "class E(Exception, metaclass=M): pass\nraise E",
    "figure that cannot be drawn": "import matplotlib.pyplot as plt\nE = type('E' * 100_000, (Exception,), {})\n"
    "def f(*_): raise E\nplt.gca().draw = f",
    "numpy taken apart": "import numpy as np\nfor n in ('ndarray', 'dtype', 'uint8', 'asarray'): setattr(np, n, None)",
    "matplotlib taken apart": "import matplotlib.pyplot as plt, matplotlib.figure as f\n"
    "plt.close = plt.figure = f.Figure = None",
    "Pillow taken apart": "from PIL import Image\nImage.Image = Image.open = Image.new = None",
}


@pytest.mark.parametrize("name", LEFT)
def test_what_is_left_behind_does_not_change_how_a_later_cell_ends(pool: Pool, name: str) -> None:
    endless = 0 if name == "exception without end" else None
    _, printed, failed, last = run(pool, LEFT[name], "print('alive')", "1 / 0", "x = 2\nx", endless=endless)
    assert (printed.status, printed.stdout) == ("ok", "alive\n"), printed
    assert failed.error is not None
    assert (failed.status, failed.error.type) == ("exception", "ZeroDivisionError")
    assert '<cell 3>", line 1' in failed.error.traceback
    assert (last.status, last.value) == ("ok", "2")


CHILDREN = {
    "waited for later": ("import subprocess\np = subprocess.Popen('exit 3', shell=True)", "p.wait()", "3"),
    "forked and waited for later": (
        "import os\np = os.fork()\nif p == 0: os._exit(4)",
        "os.waitstatus_to_exitcode(os.waitpid(p, 0)[1])",
        "4",
    ),
    "joined later": (
        "import multiprocessing as m\np = m.get_context('fork').Process(target=exit, args=[5])\np.start()",
        "p.join()\np.exitcode",
        "5",
    ),
    "system": ("import os", "os.waitstatus_to_exitcode(os.system('true & exit 6'))", "6"),
}


@pytest.mark.parametrize("name", CHILDREN)
def test_a_child_that_is_waited_for_is_not_collected(pool: Pool, name: str) -> None:
    first, second, value = CHILDREN[name]
    _, result = run(pool, first, second, pause=0.3)
    assert result.value == value, result


@pytest.mark.parametrize("name", sorted(vars(builtins)))
def test_a_builtin_may_be_rebound(pool: Pool, name: str) -> None:
    rebound = f"import builtins\nif {name!r} != '__debug__': setattr(builtins, {name!r}, None)"
    first, second, third = run(pool, rebound, f"{name}\n", "x = 1")
    assert (first.status, third.status) == ("ok", "ok")
    assert second.status in {"ok", "exception"}
    assert not second.ended


ALL = "import builtins\nfor n in list(vars(builtins)):\n    if n != '__debug__': {}"
WHOLESALE = {
    "all of them": ALL.format("setattr(builtins, n, None)"),
    "all of them deleted": ALL.format("delattr(builtins, n)"),
    "by a function's own module": "b = len.__self__\nfor n in list(vars(b)):\n    vars(b)[n] = None",
    "by a library's": "import os\nb = os.__builtins__\nb.clear()",
}


@pytest.mark.parametrize("name", WHOLESALE)
def test_all_builtins_may_be_rebound(pool: Pool, name: str) -> None:
    results = run(pool, WHOLESALE[name], "len([1])", "x = 3", "x")
    assert [result.ended for result in results] == [False] * 4
    assert results[2].status == "ok"
    assert {results[1].status, results[3].status} <= {"ok", "exception"}


# Of each every function is replaced, and each works for the libraries no more.
MODULES = (
    "_posixsubprocess", "_signal", "ast", "asyncio", "codecs", "contextlib", "enum", "functools", "gc", "importlib",
    "inspect", "io", "json", "json.decoder", "json.encoder", "linecache", "logging", "matplotlib.pyplot", "numpy", "os",
    "os.path", "pathlib", "PIL.Image", "posix", "random", "re", "select", "signal", "socket", "struct", "subprocess",
    "sys", "threading", "time", "tokenize", "traceback", "types", "typing", "warnings",
)  # fmt: skip


@pytest.mark.parametrize("name", MODULES)
def test_what_a_cell_patches_in_a_module_is_not_what_we_use(pool: Pool, name: str) -> None:
    code = (
        f"import importlib\nm = importlib.import_module({name!r})\nfor n in list(vars(m)):\n"
        "    if not n.startswith('__'): setattr(m, n, None)\nNone"
    )
    first, second, third, last = run(pool, code, "print('alive')", "1 / 0", "3")
    assert not first.ended, first
    assert (second.status, second.stdout) == ("ok", "alive\n"), second
    assert third.error is not None
    assert (third.status, third.error.type) == ("exception", "ZeroDivisionError"), third
    assert last.value == "3"


STREAMS = {
    "default argument": ("import sys\ndef f(m, file=sys.stdout): print(m, file=file)", "f('a')"),
    "method": ("import sys\nw = sys.stdout.write", "_ = w('a\\n')"),
    "logging": (
        "import logging, sys\nlogging.basicConfig(stream=sys.stdout, format='%(message)s')",
        "logging.error('a')",
    ),
    "without a newline": ("import sys\no = sys.stdout", "_ = o.write('a')\nprint()"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_of_an_earlier_cell_still_works(pool: Pool, name: str) -> None:
    first, second = STREAMS[name]
    assert [result.stdout for result in run(pool, first, "1", second)] == ["", "", "a\n"]


AWAITED = {
    "value": ("async def f(): return 5\nawait f()", "5"),
    "statement": ("import asyncio\nx = await asyncio.gather(asyncio.sleep(0, 1), asyncio.sleep(0, 2))\nx", "[1, 2]"),
    "async for": ("async def g():\n    yield 1\n    yield 2\nx = [n async for n in g()]\nx", "[1, 2]"),
    "async with": (
        "import contextlib\n@contextlib.asynccontextmanager\nasync def c(): yield 7\nasync with c() as x: pass\nx",
        "7",
    ),
    "asyncio.run": ("import asyncio\nasync def f(): return 6\nasyncio.run(f())", "6"),
    "thread": ("import asyncio\nawait asyncio.to_thread(abs, -4)", "4"),
}


@pytest.mark.parametrize("name", AWAITED)
def test_await_works_outside_functions(pool: Pool, name: str) -> None:
    code, value = AWAITED[name]
    results = run(pool, code, code)
    assert [result.value for result in results] == [value, value], results


def test_a_task_goes_on_in_the_next_cell_that_awaits(pool: Pool) -> None:
    first = "import asyncio\nasync def f():\n    await asyncio.sleep(0.01)\n    return 8\nt = asyncio.create_task(f())"
    started = f"{first}\nawait asyncio.sleep(0)"
    assert [result.value for result in run(pool, started, "x = 1", "await t")] == [None, None, "8"]


def test_an_await_is_interrupted_like_any_cell(pool: Pool) -> None:
    cells = ("import asyncio\nx = 1\nawait asyncio.sleep(99)", "x", "await asyncio.sleep(0, 2)")
    slow, after, again = run(pool, *cells, endless=0)
    assert (slow.status, slow.ended) == ("timeout", False)
    assert (after.value, again.value, again.stderr) == ("1", "2", "")


MAGICS = {
    "line": "%matplotlib inline",
    "line later": "x = 1\n%time x\n",
    "cell": "%%time\nx = 1",
    "indented": "if True:\n    %pylab",
    "assigned": "x = %pwd",
    "shell": "!ls -l",
    "pip": "!pip install ultralytics",
    "shell assigned": "files = !ls",
    "help": "len?",
    "source": "len??",
    "help before": "?len",
}


@pytest.mark.parametrize("name", MAGICS)
def test_magics_are_an_error_that_says_what_to_write(pool: Pool, name: str) -> None:
    first, second = run(pool, MAGICS[name], "y = 3\ny")
    assert first.error is not None
    assert (first.status, first.error.type, second.value) == ("exception", "SyntaxError", "3")
    assert "subprocess.run" in first.error.message
    assert first.error.traceback.count("subprocess.run") == 1


def test_prose_in_a_cell_is_no_magic(pool: Pool) -> None:
    error = run(pool, "What is the man holding?")[0].error
    assert error is not None
    assert "magics" not in error.message


@pytest.mark.parametrize("code", ["x = 5 % 3", "x = (7\n  % 4)", "x = 'a?'", "# %magic\n# !ls\nx = 1"])
def test_what_looks_like_a_magic_is_python(pool: Pool, code: str) -> None:
    assert run(pool, code)[0].status == "ok"


MODULE = {
    "in one cell": ("open('helper.py', 'w').write('x = 1')\nimport helper\nprint(helper.x)",),
    "after another import": (
        "import colorsys\nopen('helper.py', 'w').write('x = 1')",
        "import helper\nprint(helper.x)",
    ),
    "package": (
        "import os\nos.mkdir('pack')\nopen('pack/__init__.py', 'w').write('')\nopen('pack/a.py', 'w').write('x = 1')",
        "from pack.a import x\nprint(x)",
    ),
    "written anew": (
        "open('helper.py', 'w').write('x = 0')\nimport helper",
        "open('helper.py', 'w').write('x = 1')\nimport importlib\nimportlib.reload(helper)\nprint(helper.x)",
    ),
    "missed before": (
        "try: import helper\nexcept ImportError: open('helper.py', 'w').write('x = 1')",
        "import helper\nprint(1)",
    ),
    "of another folder": (
        "import os, sys\nos.mkdir('src')\nsys.path.append('src')\nopen('src/helper.py', 'w').write('x = 1')",
        "import helper\nprint(helper.x)",
    ),
}


@pytest.mark.parametrize("name", MODULE)
def test_a_module_that_a_cell_wrote_can_be_imported(pool: Pool, name: str) -> None:
    assert run(pool, *MODULE[name])[-1].stdout == "1\n"
