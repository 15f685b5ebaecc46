"""The cell loop of one session. Guest side: whatever it says may be forged by the code it runs.

Everything it calls between cells is bound before the first one, so that code which patches the
standard library bends its own results at most, not the reply's form. `leftovers` undoes what a cell leaves behind.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import os
import random
import re
import socket
import sys
import types
from collections.abc import Coroutine
from typing import Any, NoReturn

from pipeline.sandbox.inside import display, leftovers, root, wire
from pipeline.sandbox.inside.describe import CELL, MESSAGE, WARNER, cut, describe, remember
from pipeline.sandbox.inside.display import SCREEN
from pipeline.sandbox.inside.policy import Limits

_repr, _str, _compile, _eval = repr, str, compile, eval
_send, _receive = wire.send, wire.receive
_getpid = os.getpid
_exit = os._exit  # ends without running what the guest registered
_Expr, _Expression = ast.Expr, ast.Expression
_AWAIT = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
_TREE = _AWAIT | ast.PyCF_ONLY_AST
_COROUTINE = inspect.CO_COROUTINE
_new_loop, _set_loop = asyncio.new_event_loop, asyncio.set_event_loop
_invalidate = importlib.invalidate_caches
_OURS = (globals(), vars(display))
"""Where warnings about what we call on a cell's behalf are kept."""

_is_magic = re.compile(r"\s*([\w.,\s\[\]]+=\s*)?[%!]|\s*\?+[\w.]+\s*$|\s*[\w.]+\?+\s*$").match
_NO_MAGIC = (
    "magics (%name), shell commands (!command) and help (name?) are not Python, and this notebook has none."
    " Leave '%matplotlib inline' out, figures are shown anyway; run programs with subprocess.run([...]), time code with"
    " time.perf_counter(), ask with help(name). Packages cannot be installed"
)


def refuse(host: socket.socket, reason: str, kind: str = "SetupError") -> None:
    """Tell the host that this session could not be set up."""
    _send(host, _reply(0, error={"type": kind, "message": reason, "traceback": ""}))


def serve(host: socket.socket, limits: Limits) -> NoReturn:
    """Prepare the session as the first request says, then run cells until the host hangs up."""
    SCREEN.limits = limits
    request, blob = _receive(host)
    try:
        names = _prepare(request, blob, limits)
    except Exception as error:  # noqa: BLE001 - whatever a damaged image makes Pillow raise
        refuse(host, f"{type(error).__name__}: {error}"[:MESSAGE], "ImageError")
        _exit(1)
    notebook = _Notebook(names, limits)
    _send(host, _reply(0))
    while True:
        try:
            request, _ = _receive(host)
        except (EOFError, OSError):
            _exit(0)  # closed by the host, or by the cell: there is nobody to answer
        pixels, reply = notebook.answer(request)
        if _getpid() != 1:
            _exit(0)  # a child that the cell forked and let run on; only the session itself answers
        try:
            _send(host, reply, pixels)
        except OSError:
            _exit(0)  # as above


def rehearse() -> None:
    """Do in the zygote what every session does first: modules that load late, pages that would be copied each time."""
    _seed(0)
    name = "<rehearsal>"
    _eval(_compile(_compile("1 + 1", name, "exec", _TREE, dont_inherit=True), name, "exec", dont_inherit=True), {})
    describe(ValueError(), MESSAGE)
    _forget_folders()


def _prepare(request: dict[str, Any], blob: bytearray, limits: Limits) -> dict[str, Any]:
    _seed(request["seed"])
    contents, start = [], 0
    for size in request["images"]:
        contents.append(bytes(blob[start : start + size]))
        start += size
    names = [f"image_{number}" for number in range(1, len(contents) + 1)]
    # Half of the disk is left to the cells.
    return display.preload(names, contents, root.BOX, limits.disk // 2)


def _seed(seed: int) -> None:
    import cv2
    import numpy as np

    random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002 - guest code uses the global generator
    cv2.setRNGSeed(seed % 2**31)


def _reply(
    seq: int,
    value: str | None = None,
    error: dict[str, str] | None = None,
    images: list[tuple[str, int, int]] | None = None,
    notes: list[str] | None = None,
) -> dict[str, Any]:
    kept = [cut(note, wire.MAX_NOTE) for note in (notes or [])[: wire.MAX_NOTES]]
    return {"seq": seq, "value": value, "error": error, "images": images or [], "notes": kept}


class _Notebook:
    """The state that cells share."""

    def __init__(self, names: dict[str, Any], limits: Limits) -> None:
        self._most = min(limits.value, wire.MAX_TEXT)
        self._running = False
        self._interrupted = False
        """The host has ended the running cell."""
        self._loop: asyncio.AbstractEventLoop | None = None
        """Of cells that await, made by the first one."""
        self._streams = leftovers.Streams()
        own = leftovers.install(self._on_interrupt)
        module = types.ModuleType("__main__")
        self._namespace = vars(module)
        self._namespace.update(names, display=display.display, __builtins__=own)
        sys.modules["__main__"] = module
        sys.path.insert(0, "")  # as in a notebook: the working directory, for modules that a cell wrote
        leftovers.settle()

    def _on_interrupt(self, _number: int, _frame: object) -> None:
        # The host interrupts a cell, never what comes after it.
        if self._running:
            self._interrupted = True
            raise KeyboardInterrupt

    def answer(self, request: dict[str, Any]) -> tuple[list[bytes], dict[str, Any]]:
        """Run one cell and return pixels and reply, in any case."""
        value, failure = None, None
        try:
            value, failure = self._run(request["number"], request["code"])
        except BaseException as error:  # noqa: BLE001 - a signal between the cell's end and the undoing of its handlers
            leftovers.settle()
            failure = describe(error, self._most)
        notes = SCREEN.notes
        if value is not None and len(value) > self._most:
            notes.append(f"The value's text of {len(value)} characters is shortened.")
            value = cut(value, self._most)
        return SCREEN.pixels, _reply(request["seq"], value, failure, SCREEN.shapes, notes)

    def _run(self, number: int, code: str) -> tuple[str | None, dict[str, str] | None]:
        name = f"{CELL}{number}>"
        SCREEN.clear()
        remember(name, code)
        WARNER.begin(name, code, self._namespace, *_OURS)
        self._streams.restore()
        self._interrupted = False
        try:
            self._running = True
            leftovers.enter()
            try:
                return self._execute_and_draw(code, name), None
            except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt end a cell, not the session
                # Within the cell's time: methods of the exception are the cell's code.
                return None, describe(error, self._most)
            finally:
                self._streams.flush()
        finally:
            self._running = False
            leftovers.settle()

    def _execute_and_draw(self, code: str, name: str) -> str | None:
        try:
            return self._execute(code, name)
        finally:
            # Drawing may take as long as anything else, so it belongs to the cell's time, also after an exception.
            SCREEN.finish(draw=not self._interrupted)

    def _execute(self, code: str, name: str) -> str | None:
        tree = _parse(code, name)
        _forget_folders()  # of which a cell may just have written a module into one
        # As in a notebook: the last expression's value is shown. The statements stay as they are.
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], _Expr) else None
        parts = [_compile(tree, name, "exec", _AWAIT, dont_inherit=True)]
        if isinstance(last, _Expr):
            parts.append(_compile(_Expression(last.value), name, "eval", _AWAIT, dont_inherit=True))
        value = None
        if any(part.co_flags & _COROUTINE for part in parts):
            value = self._wait_for(self._awaiting(parts))
        else:
            for part in parts:
                value = _eval(part, self._namespace)
        if value is None or SCREEN.show(value):
            return None
        return _str(_repr(value))

    async def _awaiting(self, parts: list[types.CodeType]) -> Any:
        value = None
        for part in parts:
            value = _eval(part, self._namespace)
            if part.co_flags & _COROUTINE:
                value = await value
        return value

    def _wait_for(self, cell: Coroutine[Any, Any, Any]) -> Any:
        """Run a cell with an `await` outside functions, on an event loop that all such cells share."""
        if self._loop is None or self._loop.is_closed():
            self._loop = _new_loop()
        _set_loop(self._loop)
        task = self._loop.create_task(cell)
        try:
            return self._loop.run_until_complete(task)
        except (KeyboardInterrupt, SystemExit):
            # It stands where it was interrupted, and its loop with it.
            task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001 - nor is it worth a word
            self._loop = None
            raise


def _forget_folders() -> None:
    """Have folders read anew by the next import."""
    try:
        _invalidate()
    except Exception:  # noqa: BLE001 - taken apart by a cell
        return


def _parse(code: str, name: str) -> ast.Module:
    """Return the syntax tree.

    Raises:
        SyntaxError: as Python says it, but for what only IPython reads.
    """
    try:
        tree: ast.Module = _compile(code, name, "exec", _TREE, dont_inherit=True)
    except SyntaxError as error:
        lines = code.splitlines()
        if error.lineno and error.lineno <= len(lines) and _is_magic(lines[error.lineno - 1]):
            error.msg, error.args = _NO_MAGIC, (_NO_MAGIC, *error.args[1:])
        raise
    return tree
