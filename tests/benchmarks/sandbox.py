"""What a sandbox session costs, beside a Jupyter kernel, a cold interpreter and a plain fork.

    make bench-sandbox

All that is compared is measured in turns (A B C A B C …), so that a busy moment of the machine meets everything;
medians with the 10th and 90th percentile, and ratios round by round, beside the targets of the project. Nothing is
asserted. A pool's first session also starts its zygote: that is measured once and stands apart.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pipeline.processes import cores, tree_cpu_seconds
from pipeline.sandbox import Pool, Session, zygote_process
from tests.benchmarks.sandbox_measure import (
    kernel_seconds,
    kernel_times,
    memory,
    say,
    settle,
    show,
    show_ratio,
    stocked,
)
from tests.benchmarks.sandbox_rivals import Helper, cold_python, jupyter, plain_fork

FIRST = """\
import numpy as np
import cv2
int(cv2.GaussianBlur(np.arange(4096, dtype=np.uint8).reshape(64, 64), (5, 5), 0).sum())"""
"""The first cell. Its imports are of what the zygote has loaded already, and everybody else has not."""
OUR_CELLS, THEIR_CELLS = 300, 30
"""Round trips per round: theirs take tens of milliseconds."""
SESSIONS = 150
"""Per round of CPU time: the kernel reports it in steps of 10 ms, one session takes about that."""
OPEN = (1, 8, 32)
RATE_SECONDS = 3.0


def main() -> None:
    """Measure all of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    load = os.getloadavg()[0]
    say(f"Linux {platform.release()}, Python {platform.python_version()}, {cores()} cores, load before {load:.1f}")
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        with Pool(workers=1, sessions=max(OPEN)) as pool:
            begin = time.monotonic()
            _first(pool)
            say(f"first session of a new pool, which starts its zygote: {time.monotonic() - begin:.2f} s")
            with jupyter(home) as kernels, plain_fork(home) as forks:
                _starts(pool, kernels, home, rounds)
                _round_trips(pool, kernels, forks, rounds)
                _memory(pool, kernels)
            with plain_fork(home) as forks:
                _cpu(pool, forks, rounds)
    _rates(rounds)


def _starts(pool: Pool, kernels: Helper, home: Path, rounds: int) -> None:
    say(f"\nsession start to the first numpy + OpenCV result, {rounds} rounds")
    times: dict[str, list[float]] = defaultdict(list)
    question = json.dumps(FIRST)
    kernels.ask(f"start {question}")
    cold_python(FIRST, home)  # from a warm disk cache, all of them
    for _ in range(rounds):
        stocked(pool)
        times["session, forked ahead"].append(_first(pool))
        with _no_spares(pool):
            times["session, forked on request"].append(_first(pool))
        times["Jupyter kernel"].append(kernels.ask(f"start {question}"))
        times["Jupyter kernel, readiness not awaited"].append(kernels.ask(f"lean {question}"))
        times["cold python -I"].append(cold_python(FIRST, home))
    for name, values in times.items():
        show(name, _milli(values), "ms")
    ours, slow = times["session, forked ahead"], times["session, forked on request"]
    kernel, lean, cold = (times[name] for name in list(times)[2:])
    show_ratio("Jupyter kernel / session", kernel, ours, "target >= 25")
    show_ratio("the same, session forked on request", kernel, slow, "")
    show_ratio("Jupyter without awaiting readiness / session", lean, ours, "")
    show_ratio("cold python / session", cold, ours, "target >= 15")
    show_ratio("the same, session forked on request", cold, slow, "")


def _round_trips(pool: Pool, kernels: Helper, forks: Helper, rounds: int) -> None:
    say(f"\nround trip of a cell `1+1`, {rounds} rounds, the median of each")
    ours, theirs, limit = [], [], []
    with pool.session() as session:
        for _ in range(rounds):
            ours.append(_median([_timed(session, "1+1") for _ in range(OUR_CELLS)]))
            theirs.append(_median(kernels.ask(f"cells {THEIR_CELLS}")))
            limit.append(_median(forks.ask(f"cells {OUR_CELLS}")))
    show("session", _milli(ours), "ms")
    show("Jupyter kernel", _milli(theirs), "ms")
    show("plain fork, unwatched: the two processes alone", _milli(limit), "ms")
    show_ratio("Jupyter kernel / session", theirs, ours, "target >= 50")


def _memory(pool: Pool, kernels: Helper) -> None:
    say("\nmemory of an idle session after one cell, shared pages divided among those who share them")
    for cell, what in (("1+1", "`1+1`"), (FIRST, "numpy + OpenCV")):
        for count in OPEN:
            with ExitStack() as stack:
                sessions = [stack.enter_context(pool.session()) for _ in range(count)]
                for session in sessions:
                    session.run(cell)
                stocked(pool)
                used = [memory(session._pid) for session in sessions]
            mean = {name: sum(one[name] for one in used) / count / 2**20 for name in used[0]}
            say(
                f"  {count:>3} open, after {what:<15} PSS {mean['Pss']:5.2f} MB, of it private and written "
                f"{mean['Private_Dirty']:5.2f} MB; page tables {mean['VmPTE']:.2f} MB   target PSS <= 8 MB"
            )
    kernel = memory(kernels.ask("pid"))
    say(f"  Jupyter kernel with numpy and cv2 imported: PSS {kernel['Pss'] / 2**20:.0f} MB")


def _cpu(pool: Pool, forks: Helper, rounds: int) -> None:
    say(f"\nCPU time per session of one cell, {rounds} rounds of {SESSIONS}: host, launcher, zygote and session")
    used: dict[str, list[float]] = defaultdict(list)
    outside: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name in ("session", "plain fork of the warm image, same frames", "bare fork and exit"):
            stocked(pool)
            settle()
            before = kernel_times()
            if name == "session":
                seconds = _sessions_cpu(pool)
            else:
                what = "sessions" if name.startswith("plain") else "forks"
                seconds = forks.ask(f"{what} {SESSIONS}")["cpu"]
            settle()
            used[name].append(seconds / SESSIONS)
            outside[name].append(kernel_seconds(before) / SESSIONS)
    for name, values in used.items():
        show(name, _milli(values), "ms")
    ours, plain, bare = used.values()
    show_ratio("session / plain fork", ours, plain, "target <= 1.5")
    show_ratio("session / bare fork", ours, bare, "")
    say("  beside it, in the kernel's own threads (those of the whole machine):")
    for name, values in outside.items():
        show(name, _milli(values), "ms")
    whole = [sum(pair) for pair in zip(ours, outside["session"], strict=True)]
    limit = [sum(pair) for pair in zip(plain, list(outside.values())[1], strict=True)]
    show_ratio("session / plain fork, with the kernel's threads", whole, limit, "")


def _rates(rounds: int) -> None:
    say(f"\nsessions per second, each with one numpy + OpenCV cell, {rounds} rounds of {RATE_SECONDS:g} s")
    rates: dict[int, list[float]] = defaultdict(list)
    with Pool(workers=1) as one, Pool(workers=2) as two:
        for _ in range(rounds):
            for pool in (one, two):
                stocked(pool)
                rates[pool.workers].append(_rate(pool))
    for workers, values in rates.items():
        show(f"{workers} worker{'s' * (workers > 1)}, {2 * workers} threads asking", values, "/s")
    show_ratio("2 workers / 1 worker", rates[2], rates[1], "")


def _first(pool: Pool) -> float:
    begin = time.monotonic()
    with pool.session() as session:
        result = session.run(FIRST)
        seconds = time.monotonic() - begin
    if not result.value:
        raise ValueError(result)
    return seconds


def _timed(session: Session, code: str) -> float:
    begin = time.monotonic()
    session.run(code)
    return time.monotonic() - begin


def _sessions_cpu(pool: Pool) -> float:
    """Return the CPU seconds of `SESSIONS` sessions; as many are forked ahead after as were before."""
    (zygote,) = (slot._current for slot in pool._slots)
    assert zygote is not None
    launcher = zygote._process.pid
    before = time.process_time() + tree_cpu_seconds(launcher)
    for _ in range(SESSIONS):
        with pool.session() as session:
            session.run("1 + 1")
    stocked(pool)
    return time.process_time() + tree_cpu_seconds(launcher) - before


def _rate(pool: Pool) -> float:
    end = time.monotonic() + RATE_SECONDS
    counts: list[int] = []

    def work() -> None:
        done = 0
        while time.monotonic() < end:
            _first(pool)
            done += 1
        counts.append(done)

    threads = [threading.Thread(target=work) for _ in range(2 * pool.workers)]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / (time.monotonic() - begin)


@contextmanager
def _no_spares(pool: Pool) -> Iterator[None]:
    """Have sessions forked when they are asked for, as when more are wanted at once than were forked ahead."""
    ahead, zygote_process._SPARES = zygote_process._SPARES, 0
    try:
        for _ in range(ahead):
            with pool.session():
                pass
        yield
    finally:
        zygote_process._SPARES = ahead


def _milli(seconds: list[float]) -> list[float]:
    return [value * 1e3 for value in seconds]


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


if __name__ == "__main__":
    main()
