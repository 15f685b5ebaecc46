"""Thousands of sessions, honest and hostile, on one pool: nothing may be left of them.

    make soak
    python -m tests.benchmarks.sandbox_soak --sessions 2000

Prints what there is of us on the machine before, at checkpoints when no session is open, and after the pool is
closed; then what every kind of cell came to. Exits 1 if something grew, or if a cell came to what it must not.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import NamedTuple

from pipeline.errors import InfrastructureError
from pipeline.sandbox import Policy, Pool, cgroup, usage
from tests.benchmarks.sandbox_cells import KINDS, LIMITS
from tests.benchmarks.sandbox_measure import memory, say, stocked

CHECKPOINTS = 5
WARM_UP = 100
"""Sessions before the first checkpoint: allocators and caches fill once."""
_GONE_SECONDS = 20.0
"""For the kernel to take the last processes and namespaces apart."""


class State(NamedTuple):
    """What there is of us on this machine while no session is open."""

    processes: int
    """Below us, zombies included: zygotes, their launchers and the sessions forked ahead."""
    descriptors: int
    mounts: int
    namespaces: int
    """Those that processes below us are in, and our own."""
    visible: int
    """Those that any process visible here is in."""
    groups: int
    """Control groups of sessions."""
    threads: int
    """Of this process."""
    anon: int
    """MB of this process that no file backs; its PSS would change with whoever else loads the same libraries."""
    blocks: int
    """Objects on this process's Python heap, in thousands."""
    below: int
    """MB (PSS) of the processes below us."""


TOLERANCE = State(
    processes=0,
    descriptors=0,
    mounts=0,
    namespaces=0,
    visible=1 << 30,  # shown, not judged: others on the machine come and go
    groups=0,
    threads=0,
    anon=4,  # the allocator's arenas; a leak of one session's buffers in each of 2,000 would be 16 MB and more
    blocks=2,  # caches of small size; a leak of ten objects per session would be 20
    below=8,  # what zygotes write to their own pages as they serve
)


def main() -> None:
    """Run the sessions; exit 1 on growth or on a wrong outcome."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sessions", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    names = _draw(options.sessions, options.seed)
    outcomes: dict[str, Counter[str]] = defaultdict(Counter)
    say(f"{'sessions':>9} " + " ".join(f"{name:>11}" for name in State._fields) + "  seconds")
    before, begin = _state(), time.monotonic()
    _print("before", before, begin)
    states = []
    with Pool(Policy(LIMITS), workers=options.workers) as pool:
        _run(pool, ["numpy", "opencv"] * (WARM_UP // 2), outcomes)
        stocked(pool)
        states.append(_settled(_state()))
        _print("warm", states[0], begin)
        for part in range(CHECKPOINTS):
            ends = [len(names) * number // CHECKPOINTS for number in (part, part + 1)]
            _run(pool, names[slice(*ends)], outcomes)
            stocked(pool)
            states.append(_settled(states[0]))
            _print(str(ends[1]), states[-1], begin)
    # What the host itself keeps (libraries it has loaded, its heap) was there when the pool was warm.
    closed = before._replace(anon=states[0].anon, blocks=states[0].blocks)
    after = _settled(closed)
    _print("after", after, begin)
    wrong = _report(outcomes)
    grown = [f"GREW while the pool ran: {line}" for line in _over(states[0], states[-1])]
    grown += [f"LEFT after it was closed: {line}" for line in _over(closed, after)]
    for line in (*wrong, *grown):
        say(line)
    say("nothing grew, and every cell came to what it may" if not wrong and not grown else "FAILED")
    sys.exit(1 if wrong or grown else 0)


def _draw(count: int, seed: int) -> list[str]:
    """Return names of kinds in a random order, each as often as its weight says."""
    names = [name for name, kind in KINDS.items() for _ in range(kind.weight)]
    Random(seed).shuffle(names)
    return list(islice(cycle(names), count))


def _run(pool: Pool, names: list[str], outcomes: dict[str, Counter[str]]) -> None:
    """Run one session per name, two at a time per worker: an honest cell, then the one that is meant."""
    lock = threading.Lock()

    def one(name: str) -> None:
        try:
            with pool.session() as session:
                if session.run("1 + 1").value != "2":
                    raise ValueError("a fresh session does not work")
                outcome: str = session.run(KINDS[name].code).status
        except InfrastructureError as error:
            outcome = str(error)
        with lock:
            outcomes[name][outcome] += 1

    with ThreadPoolExecutor(2 * pool.workers) as threads:
        for _ in threads.map(one, names):
            continue


def _state() -> State:
    gc.collect()
    below = [pid for pid in usage.tree(os.getpid()) if pid != os.getpid()]
    place = cgroup.find()
    parents = set() if place is None else set(place.parents.values())
    return State(
        processes=len(below),
        descriptors=sum(1 for _ in Path("/proc/self/fd").iterdir()),
        mounts=len(Path("/proc/self/mountinfo").read_text().splitlines()),
        namespaces=_namespaces(f"/proc/{pid}/ns" for pid in usage.tree(os.getpid())),
        visible=_namespaces(Path("/proc").glob("[0-9]*/ns")),
        groups=sum(1 for parent in parents for _ in parent.glob(f"coldforge-{os.getpid()}-*")),
        threads=threading.active_count(),
        anon=memory(os.getpid())["RssAnon"] >> 20,
        blocks=sys.getallocatedblocks() // 1000,
        below=_pss(below) >> 20,
    )


def _pss(pids: list[int]) -> int:
    total = 0
    for pid in pids:
        try:
            total += memory(pid)["Pss"]
        except (FileNotFoundError, ProcessLookupError, KeyError):
            continue  # it ended while we looked, or is a zombie, which has no memory
    return total


def _namespaces(directories: Iterable[str | Path]) -> int:
    found: set[Path] = set()
    for directory in map(Path, directories):
        try:
            found.update(link.readlink() for link in directory.iterdir())
        except OSError:
            continue  # it ended while we looked
    return len(found)


def _settled(wanted: State) -> State:
    """Return the state once it holds no more than `wanted`, or as it is when it should have long come down to that."""
    end = time.monotonic() + _GONE_SECONDS
    while _over(wanted, state := _state()) and time.monotonic() < end:
        time.sleep(0.1)
    return state


def _over(before: State, after: State) -> list[str]:
    return [
        f"{name} from {was} to {now}"
        for name, was, now, more in zip(State._fields, before, after, TOLERANCE, strict=True)
        if now > was + more
    ]


def _report(outcomes: dict[str, Counter[str]]) -> list[str]:
    wrong = []
    for name, counts in outcomes.items():
        say(f"  {name:<18} " + ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common()))
        wrong += [f"WRONG: {name} came to {outcome}" for outcome in counts if outcome not in KINDS[name].outcomes]
    return wrong


def _print(when: str, state: State, begin: float) -> None:
    say(f"{when:>9} " + " ".join(f"{value:>11,}" for value in state) + f"  {time.monotonic() - begin:7.1f}")


if __name__ == "__main__":
    main()
