"""What a cell leaves behind must not decide how a later one ends: it is undone here, between cells. Guest side.

Everything is bound when the zygote starts, before any guest code: a cell may put anything in the place of any
function of the standard library. Two of the private C modules stand in for their public wrappers, which look up by
name what a cell may have replaced.
"""

from __future__ import annotations

import _posixsubprocess
import _signal  # type: ignore[import-not-found]  # unknown to its types
import builtins
import functools
import io
import os
import subprocess
import sys
import types
from collections.abc import Callable
from typing import Any

_CATCHABLE = tuple(sorted(_signal.valid_signals() - {_signal.SIGKILL, _signal.SIGSTOP}))
_QUIET = tuple(number for number in _CATCHABLE if number not in {_signal.SIGINT, _signal.SIGCHLD})
"""What is ignored between cells: a thread that a cell left has no part in our mask, and may still get one whose
default would end the session. Children are waited for by SIGCHLD, and SIGINT has a handler of ours."""
_TIMERS = (_signal.ITIMER_REAL, _signal.ITIMER_VIRTUAL, _signal.ITIMER_PROF)  # the first is that of `alarm`, too
_DEPTH = sys.getrecursionlimit()
_KEPT = 16
"""Ended children of a cell that somebody may still ask about: of more, the oldest are collected."""
_CHILD_ENDED = os.WEXITED | os.WNOHANG | os.WNOWAIT

_builtins = dict(vars(builtins))
_restore_builtins = vars(builtins).update
_get_handler, _set_handler, _set_timer = _signal.getsignal, _signal.signal, _signal.setitimer
_set_mask, _pending = _signal.pthread_sigmask, _signal.sigpending
_BLOCK, _IGNORE = _signal.SIG_SETMASK, _signal.SIG_IGN
_handlers: dict[int, Any] = {}
_trace, _profile = sys.settrace, sys.setprofile
_depth, _set_depth = sys.getrecursionlimit, sys.setrecursionlimit
_fstat, _open, _dup, _copy, _close = os.fstat, os.open, os.dup2, os.dup, os.close
_READ, _WRITE = os.O_RDONLY, os.O_WRONLY
_wait_id, _wait_pid, _list, _system = os.waitid, os.waitpid, os.listdir, os.system
_ALL, _ONE, _NO_HANG = os.P_ALL, os.P_PID, os.WNOHANG
_Text, _Raw = io.TextIOWrapper, io.FileIO

_awaited: dict[int, None] = {}
"""Children that Python started and may wait for, oldest first. Whoever else is ours now was left by one of them."""
_led: dict[int, tuple[int, tuple[int, int] | None]] = {}
"""Standard streams that a cell has led elsewhere: a descriptor of where each led, and which file that is."""
_starting: list[None] = []
"""One entry per child that is about to be noted."""


def install(on_interrupt: Callable[[int, object], None]) -> types.ModuleType:
    """Prepare this session, and return the `builtins` of its cells.

    That is a copy, so what a cell rebinds there is seen by cells alone, not by the libraries that they use nor by us.
    """
    _set_handler(_signal.SIGINT, on_interrupt)
    _handlers.update((number, _get_handler(number)) for number in _CATCHABLE)
    for module, names in (
        (os, ("fork", "forkpty", "posix_spawn", "posix_spawnp")),
        (_posixsubprocess, ("fork_exec",)),
        (subprocess, ("_fork_exec",)),
    ):
        for name in names:
            setattr(module, name, _noting(getattr(module, name)))
    os.system = _collecting_system
    os.dup2 = _keeping_dup2
    # A hook that raises could never be taken back; a real one is ended by another that raises, too.
    setattr(sys, "addaudithook", _no_hooks)  # noqa: B010 - replaced on purpose
    own = types.ModuleType("builtins")
    vars(own).update(_builtins)
    sys.modules["builtins"] = own
    return own


def enter() -> None:
    """Let signals in, for a cell begins; those that came for the last one are forgotten."""
    for number in _pending():
        _set_handler(number, _IGNORE)
        _set_handler(number, _handlers[number])
    for number in _QUIET:
        _set_handler(number, _handlers[number])
    _set_mask(_BLOCK, ())


def settle() -> None:
    """Undo what a cell did to what the next one, and we, rely on. Never raises what a cell's handler does."""
    while True:
        try:
            # From here on no handler of the cell interrupts us.
            _set_mask(_BLOCK, _CATCHABLE)
            _restore_builtins(_builtins)
            _undo()
        except BaseException:  # noqa: BLE001, S112 - a handler of the cell, for a signal that came before the block
            continue
        return


def _undo() -> None:
    _trace(None)
    _profile(None)
    for timer in _TIMERS:
        _set_timer(timer, 0)
    for number, handler in _handlers.items():
        if number in _QUIET:
            _set_handler(number, _IGNORE)
        elif _get_handler(number) is not handler:
            _set_handler(number, handler)
    if _depth() < _DEPTH:
        _set_depth(_DEPTH)
    collect(keep=_KEPT)


def reopen() -> None:
    """Keep the numbers of the standard streams taken, or the next file that is opened becomes the output."""
    for number, mode in ((0, _READ), (1, _WRITE), (2, _WRITE)):
        try:
            _fstat(number)
        except OSError:
            nothing = _open("/dev/null", mode)
            if nothing != number:
                _dup(nothing, number)
                _close(nothing)


def _leads_to(number: int) -> tuple[int, int] | None:
    """Return which file a descriptor is of, None for none."""
    try:
        found = _fstat(number)
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Streams:
    """`sys.stdout` and `sys.stderr`: the same objects in every cell, since loggers and default arguments keep them."""

    def __init__(self) -> None:
        self._streams = [_stream(1), _stream(2)]

    def restore(self) -> None:
        """Put them back, new ones for those that a cell has taken apart, and lead them where they led."""
        while _led:
            number, (other, own) = _led.popitem()
            if _leads_to(other) == own:
                _dup(other, number)
                _close(other)
        reopen()
        for at, stream in enumerate(self._streams):
            if stream.buffer is None:  # detached
                self._streams[at] = _stream(at + 1)
        sys.stdout, sys.stderr = self._streams

    def flush(self) -> None:
        """Write what is still held, also by what a cell has put in their place."""
        for stream in (*self._streams, sys.stdout, sys.stderr):
            try:
                stream.flush()
            except BaseException:  # noqa: BLE001, S112 - closed or replaced by the cell, whose own text is lost
                continue


class _Buffer(io.BufferedWriter):
    """Stays open: a stream that a cell wraps around it would close it, at whatever time that stream is forgotten."""

    def close(self) -> None:
        self.flush()


def _stream(number: int) -> io.TextIOWrapper:
    # By line: what was printed survives a kill, and keeps its order with what children print.
    return _Text(_Buffer(_Raw(number, "w", closefd=False)), "utf-8", "backslashreplace", line_buffering=True)


def collect(keep: int | None = None) -> None:
    """Collect ended children that nobody waits for: process 1 is left those of others, and each counts as a process.

    Args:
        keep: how many of those that somebody may wait for stay uncollected; None is all.
    """
    if _starting:
        return  # who ends before it is noted would be taken for somebody else's
    while True:
        try:
            ended = _wait_id(_ALL, 0, _CHILD_ENDED)
        except OSError:
            return  # there are no children
        if ended is None:
            return
        if ended.si_pid in _awaited:
            break
        _wait_for(ended.si_pid)
    # The first to be told of is awaited; others may stand behind it.
    try:
        for name in _list("/proc"):
            if name.isdigit() and int(name) not in _awaited:
                _wait_for(int(name))
    except OSError:
        pass  # below a masked /proc there is none
    ours = [pid for pid in _awaited if _has_ended(pid)]
    for pid in ours[: -keep or None] if keep else ():
        _wait_for(pid)
        del _awaited[pid]


def _wait_for(pid: int) -> None:
    try:  # noqa: SIM105 - a cell can patch `contextlib`
        _wait_pid(pid, _NO_HANG)
    except OSError:
        pass  # no child of this process


def _has_ended(pid: int) -> bool:
    try:
        return _wait_id(_ONE, pid, _CHILD_ENDED) is not None
    except OSError:
        return False


def _noting(start: Callable[..., int]) -> Callable[..., int]:
    """Wrap a function that starts a child: make room first, and note who must not be collected."""

    @functools.wraps(start)
    def started(*arguments: Any, **options: Any) -> int:
        collect()
        _starting.append(None)
        try:
            pid = start(*arguments, **options)
            if pid:
                _awaited[pid] = None
        finally:
            _starting.pop()
        return pid

    return started


def _collecting_system(command: Any) -> int:
    """As `os.system`."""
    collect()
    return _system(command)


def _keeping_dup2(fd: int, fd2: int, inheritable: bool = True) -> int:
    """As `os.dup2`."""
    if fd2 in {1, 2} and fd2 not in _led and _leads_to(fd2) is not None:
        _led[fd2] = (_copy(fd2), _leads_to(fd2))
    return _dup(fd, fd2, inheritable)


def _no_hooks(_hook: object) -> None:
    """Stand in for `sys.addaudithook`."""
    raise RuntimeError("audit hooks cannot be taken back, so there are none in this sandbox")
