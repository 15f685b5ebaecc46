"""The physical limit of a session: a plain fork of the sandbox's warm image that serves the same frames, unisolated.

Run by `sandbox_rivals.py` with the guest's interpreter and packages. Takes `sessions N` or `forks N` from stdin and
answers with the CPU seconds of this process and its children, or `cells N`: the seconds of each round trip. What it
runs is `1 + 1`; it confines nothing.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
import time
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn


def main() -> None:
    """Warm up as a zygote does, then fork as told."""
    # The project's modules under their own names without its packages' `__init__`, which import the host's side.
    for name, path in (("pipeline", []), ("pipeline.sandbox", [sys.argv[1]])):
        package = sys.modules[name] = types.ModuleType(name)
        package.__path__ = path
    # The cell loop answers only as process 1 of a namespace; of the isolation it is the one part that it sees.
    os.getpid = lambda: 1
    from pipeline.sandbox.inside import zygote

    zygote._warm()
    _answer({"ready": True})
    for line in sys.stdin:
        what, count = line.split()
        if what == "cells":
            _answer(_cells(int(count)))
            continue
        work = {"sessions": _session, "forks": _fork}[what]
        before = _cpu_seconds()
        for _ in range(int(count)):
            work()
        _answer({"cpu": _cpu_seconds() - before})


def _session() -> None:
    """Fork, hand over a seed, run one cell, take its reply, end: what a pool's session does."""
    with _open() as channel:
        _run(channel, 1)


@contextmanager
def _open() -> Iterator[socket.socket]:
    from pipeline.sandbox.inside import wire

    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        _serve(theirs)
    theirs.close()
    with ours:
        wire.send(ours, {"seed": 0, "images": []})
        wire.receive(ours)
        yield ours
    os.waitpid(pid, 0)


def _run(channel: socket.socket, number: int) -> None:
    from pipeline.sandbox.inside import wire

    wire.send(channel, {"seq": number, "code": "1 + 1"})
    reply, _ = wire.receive(channel)
    if reply["value"] != "2":
        raise ValueError(reply)


def _cells(count: int) -> list[float]:
    times = []
    with _open() as channel:
        for number in range(1, count + 1):
            begin = time.monotonic()
            _run(channel, number)
            times.append(time.monotonic() - begin)
    return times


def _serve(channel: socket.socket) -> NoReturn:
    from pipeline.sandbox.inside import cells
    from pipeline.sandbox.inside.policy import Limits

    try:
        cells.serve(channel, Limits())
    finally:
        os._exit(1)


def _fork() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _cpu_seconds() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _answer(message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
