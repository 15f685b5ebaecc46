"""Exceptions and warnings as text, without a path of ours, whatever a cell did to what prints them. Guest side."""

from __future__ import annotations

import linecache
import sys
import traceback
import types
import warnings
from typing import Any, TextIO

from pipeline.sandbox.inside import root

NAME = 200
"""Characters kept of an exception's type."""
MESSAGE = 2048
"""Characters kept of an exception's own message."""
CELL = "<cell "
"""How the names of cells begin, as files."""

_str = str
_type_name = vars(type)["__name__"].__get__
_from_exception = traceback.TracebackException.from_exception
_Summary = traceback.StackSummary
_format_warning = warnings.formatwarning
_frame = sys._getframe  # noqa: SLF001 - the way to the running frame
_lines: dict[str, list[str]] = {}


def remember(name: str, code: str) -> None:
    """Keep a cell's source, for tracebacks."""
    _lines[name] = lines = code.splitlines(keepends=True)
    try:
        linecache.cache[name] = (len(code), None, lines, name)
    except Exception:  # noqa: BLE001 - replaced by a cell
        return


def describe(error: BaseException, most: int) -> dict[str, str]:
    """Return type, message and trimmed traceback as text, whatever the exception's own methods do.

    Args:
        error: as it was caught.
        most: characters of the traceback.
    """
    kind = cut(_type_name(type(error)), NAME)
    try:
        message = _str(error)
    except BaseException:  # noqa: BLE001 - guest code runs in `__str__`
        message = "<the exception cannot be printed>"
        # It is not tried again: it may have been interrupted.
        text = _plainly(error, f"{kind}: {message}")
        return {"type": kind, "message": message, "traceback": cut(text, most)}
    message = cut(message, MESSAGE)
    try:
        described = _from_exception(error)
        _trim(described, set())
        # Code that does not compile has no frames; Python then prints no heading either.
        text = "".join(described.format() if described.stack else described.format_exception_only())
    except BaseException:  # noqa: BLE001 - guest code runs in `__str__` and `__repr__`, or has changed what formats
        text = _plainly(error, f"{kind}: {message}" if message else kind)
    return {"type": kind, "message": message, "traceback": cut(without_paths(text), most)}


def cut(text: str, most: int) -> str:
    """Return a text of at most about `most` characters: its head and tail around a visible mark."""
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]}\n... [{len(text) - 2 * half} characters omitted] ...\n{text[-half:]}"


def without_paths(text: str) -> str:
    """Return a text in which files are named from where a reader knows them."""
    return text.replace(f"{root.SITE}/", "").replace(f"{root.PREFIX}/lib/", "")


def _trim(described: traceback.TracebackException, seen: set[int]) -> None:
    """Keep the cells' own frames and the innermost one of a library, here and in what led to it."""
    if id(described) in seen:
        return
    seen.add(id(described))
    frames = [frame for frame in described.stack if not frame.filename.startswith(root.CODE)]
    cells = [at for at, frame in enumerate(frames) if frame.filename.startswith(CELL)]
    innermost = [len(frames) - 1] if cells and cells[-1] != len(frames) - 1 else []
    described.stack = _Summary.from_list([frames[at] for at in (*cells, *innermost)])
    for other in (described.__cause__, described.__context__, *(getattr(described, "exceptions", None) or ())):
        if other is not None:
            _trim(other, seen)


def _plainly(error: BaseException, last: str) -> str:
    """Return a traceback of the cells' frames alone, made of nothing that a cell can have changed."""
    text, at = "Traceback (most recent call last):\n", error.__traceback__
    while at is not None:
        name, number = at.tb_frame.f_code.co_filename, at.tb_lineno
        if name.startswith(CELL):
            lines = _lines.get(name, [])
            source = lines[number - 1].strip() if 0 < number <= len(lines) else ""
            text += f'  File "{name}", line {number}, in {at.tb_frame.f_code.co_name}\n    {source}\n'
        at = at.tb_next
    return f"{text}{last}\n"


class Warner:
    """Prints warnings of which a cell can make something: what we do on its behalf is said to come of its line."""

    def __init__(self) -> None:
        self.place = ("", 1)
        """Name and last line of the running cell."""

    def install(self) -> None:
        """Take over from Python; `warnings.catch_warnings` works as ever."""
        warnings.showwarning = self._show

    def begin(self, name: str, code: str, *namespaces: dict[str, Any]) -> None:
        """Name the running cell, and forget what was warned of in the last one, as a notebook does."""
        self.place = (name, max(1, len(code.rstrip().splitlines())))
        for namespace in namespaces:
            namespace.pop("__warningregistry__", None)

    def _show(  # noqa: PLR0917 - Python's signature of `showwarning`
        self,
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if filename.startswith(root.CODE):
            filename, lineno = self._cell(_frame())
        if line is None and filename.startswith(CELL):
            lines = _lines.get(filename, [])
            line = lines[lineno - 1] if 0 < lineno <= len(lines) else ""
        stream = file or sys.stderr
        if stream is not None:
            stream.write(without_paths(_format_warning(message, category, filename, lineno, line)))

    def _cell(self, frame: types.FrameType | None) -> tuple[str, int]:
        while frame is not None:
            if frame.f_code.co_filename.startswith(CELL):
                return frame.f_code.co_filename, frame.f_lineno
            frame = frame.f_back
        return self.place


WARNER = Warner()
