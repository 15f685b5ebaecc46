"""The cell loop of one session. Guest side: whatever it says may be forged by the code it runs.

Everything it calls between cells is bound before the first one, so that code which patches the
standard library bends its own results at most, not the reply's form.
"""

from __future__ import annotations

import ast
import builtins
import io
import linecache
import os
import random
import signal
import socket
import sys
import traceback
import types
from typing import Any, NoReturn

from pipeline.sandbox.inside import display, root, wire
from pipeline.sandbox.inside.display import SCREEN
from pipeline.sandbox.inside.policy import Limits

_MESSAGE = 2048
"""Characters kept of an exception's own message."""
_repr, _str, _compile, _exec, _eval = repr, str, compile, exec, eval
_send, _receive = wire.send, wire.receive
_getpid = os.getpid
_exit = os._exit  # ends without running what the guest registered


def refuse(host: socket.socket, reason: str, kind: str = "SetupError") -> None:
    """Tell the host that this session could not be set up."""
    _send(host, _reply(0, error={"type": kind, "message": reason, "traceback": ""}))


def serve(host: socket.socket, limits: Limits) -> NoReturn:
    """Prepare the session as the first request says, then run cells until the host hangs up."""
    SCREEN.limits = limits
    request, blob = _receive(host)
    try:
        names = _prepare(request, blob)
    except Exception as error:  # noqa: BLE001 - whatever a damaged image makes Pillow raise
        refuse(host, f"{type(error).__name__}: {error}"[:_MESSAGE], "ImageError")
        _exit(1)
    notebook = _Notebook(names, limits)
    _send(host, _reply(0))
    while True:
        try:
            request, _ = _receive(host)
            pixels, reply = notebook.run(request["seq"], request["code"])
            if _getpid() != 1:
                _exit(0)  # a child that the cell forked and let run on; only the session itself answers
            _send(host, reply, pixels)
        except (EOFError, OSError):
            # Closed by the host, or by the cell: there is nobody to answer.
            _exit(0)


def rehearse() -> None:
    """Do in the zygote what every session does first: modules that load late, pages that would be copied each time."""
    _seed(0)
    name = "<rehearsal>"
    _exec(_compile(ast.parse("1 + 1", name), name, "exec", dont_inherit=True), {})
    _describe(ValueError(), _MESSAGE)


def _prepare(request: dict[str, Any], blob: bytearray) -> dict[str, Any]:
    _seed(request["seed"])
    contents, start = [], 0
    for size in request["images"]:
        contents.append(bytes(blob[start : start + size]))
        start += size
    names = [f"image_{number}" for number in range(1, len(contents) + 1)]
    return display.preload(names, contents, root.BOX)


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
    return {"seq": seq, "value": value, "error": error, "images": images or [], "notes": notes or []}


class _Notebook:
    """The state that cells share."""

    def __init__(self, names: dict[str, Any], limits: Limits) -> None:
        self._limits = limits
        self._running = False
        self._interrupted = False
        """The host has ended the running cell."""
        self._module = types.ModuleType("__main__")
        self._module.__dict__.update(names, display=display.display, __builtins__=builtins)
        sys.modules["__main__"] = self._module
        self._interrupt = self._on_interrupt

    def _on_interrupt(self, _number: int, _frame: object) -> None:
        # The host interrupts a cell, never what comes after it.
        if self._running:
            self._interrupted = True
            raise KeyboardInterrupt

    def run(self, number: int, code: str) -> tuple[list[bytes], dict[str, Any]]:
        """Run one cell and return pixels and reply."""
        self._restore()
        SCREEN.clear()
        name = f"<cell {number}>"
        linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
        value, failure = None, None
        self._interrupted = False
        try:
            try:
                self._running = True
                value = self._execute_and_draw(code, name)
            finally:
                self._running = False
        except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt end a cell, not the session
            failure = _describe(error, self._limits.value)
        notes = SCREEN.notes
        if value is not None and len(value) > self._limits.value:
            notes.append(f"The value's text of {len(value)} characters is shortened.")
            value = _cut(value, self._limits.value)
        self._flush()
        return SCREEN.pixels, _reply(number, value, failure, SCREEN.shapes, notes[:_NOTES])

    def _execute_and_draw(self, code: str, name: str) -> str | None:
        try:
            return self._execute(code, name)
        finally:
            # Drawing may take as long as anything else, so it belongs to the cell's time, also after an exception.
            SCREEN.finish(draw=not self._interrupted)

    def _execute(self, code: str, name: str) -> str | None:
        tree = ast.parse(code, name)
        # As in a notebook: the last expression's value is shown. The statements stay as they are.
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        _exec(_compile(tree, name, "exec", dont_inherit=True), self._module.__dict__)
        if not isinstance(last, ast.Expr):
            return None
        value = _eval(_compile(ast.Expression(last.value), name, "eval", dont_inherit=True), self._module.__dict__)
        if value is None or SCREEN.show(value):
            return None
        return _str(_repr(value))

    def _restore(self) -> None:
        """Undo what the last cell did to what cells rely on."""
        for number in (1, 2):
            try:
                os.fstat(number)
            except OSError:
                # The cell closed it. Keep the number taken, or the next file opened would become the output.
                nothing = os.open("/dev/null", os.O_WRONLY)
                if nothing != number:
                    os.dup2(nothing, number)
                    os.close(nothing)
        sys.stdout, sys.stderr = self._streams = (_stream(1), _stream(2))
        signal.signal(signal.SIGINT, self._interrupt)

    def _flush(self) -> None:
        for stream in (*self._streams, sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BaseException:  # noqa: BLE001, S112 - closed or replaced by the cell, whose own text is lost
                continue


_NOTES = 16


def _stream(number: int) -> io.TextIOWrapper:
    """Return a new text stream on a descriptor; wrapping and dropping the last cell's one has closed that.

    By line: what was printed survives a kill, and keeps its order with what children print.
    """
    raw = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
    return io.TextIOWrapper(raw, "utf-8", "backslashreplace", line_buffering=True)


def _cut(text: str, most: int) -> str:
    half = most // 2
    return f"{text[:half]}\n... [{len(text) - 2 * half} characters omitted] ...\n{text[-half:]}"


def _describe(error: BaseException, most: int) -> dict[str, str]:
    """Return type, message and trimmed traceback as text, whatever the exception's own methods do."""
    kind = _str(type(error).__name__)
    try:
        described = traceback.TracebackException.from_exception(error)
        _trim(described, set())
        # Code that does not compile has no frames; Python then prints no heading either.
        text = "".join(described.format() if described.stack else described.format_exception_only())
    except BaseException:  # noqa: BLE001 - guest code runs in `__str__` and `__repr__`
        text = f"Traceback (most recent call last):\n{kind}: <the exception cannot be printed>\n"
    try:
        message = _str(error)
    except BaseException:  # noqa: BLE001 - as above
        message = "<the exception cannot be printed>"
    text = text.replace(f"{root.SITE}/", "").replace(f"{root.PREFIX}/lib/", "")
    return {
        "type": kind,
        "message": message if len(message) <= _MESSAGE else _cut(message, _MESSAGE),
        "traceback": text if len(text) <= most else _cut(text, most),
    }


def _trim(described: traceback.TracebackException, seen: set[int]) -> None:
    """Keep the cells' own frames and the innermost one of a library, here and in what led to it."""
    if id(described) in seen:
        return
    seen.add(id(described))
    frames = described.stack
    cells = [at for at, frame in enumerate(frames) if frame.filename.startswith("<cell ")]
    innermost = [len(frames) - 1] if cells and cells[-1] != len(frames) - 1 else []
    described.stack = traceback.StackSummary.from_list([frames[at] for at in (*cells, *innermost)])
    for other in (described.__cause__, described.__context__, *(getattr(described, "exceptions", None) or ())):
        if other is not None:
            _trim(other, seen)
