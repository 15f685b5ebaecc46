"""What the sandbox benchmark reads off the kernel, and how it prints a measurement."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pipeline.sandbox import Pool, zygote_process

_KTHREADD = "2"
"""Process number of the kernel's own parent: its children are the kernel's threads."""
_QUIET_SECONDS = 2.0
_STOCK_SECONDS = 20.0


def kernel_times() -> dict[str, int]:
    """Return the CPU time that each of the kernel's own threads has used so far, nanoseconds.

    They take namespaces and control groups apart after a session. Other users of the machine keep them busy too.
    Source: the first field of /proc/<pid>/schedstat (Documentation/scheduler/sched-stats.rst).
    """
    times = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[1] == _KTHREADD:
                times[entry.name] = int((entry / "schedstat").read_text().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    return times


def kernel_seconds(before: dict[str, int]) -> float:
    """Return the CPU seconds that the kernel's threads have used since; what has ended meanwhile is missed."""
    return sum(now - before.get(thread, 0) for thread, now in kernel_times().items()) / 1e9


def settle() -> None:
    """Wait until the kernel's threads rest, so that no measurement pays for the one before."""
    end = time.monotonic() + _QUIET_SECONDS
    while time.monotonic() < end:
        before = kernel_times()
        time.sleep(0.05)
        if kernel_seconds(before) < 0.0005:  # one per cent of the time looked at
            return


def stocked(pool: Pool) -> None:
    """Wait until every zygote of a pool has its sessions forked ahead, as it has in use.

    Raises:
        TimeoutError: it does not get there.
    """
    end = time.monotonic() + _STOCK_SECONDS
    zygotes = [slot._current for slot in pool._slots if slot._current is not None]
    while any(len(zygote._spares) < zygote_process._SPARES for zygote in zygotes):
        if time.monotonic() > end:
            raise TimeoutError("the pool forks no sessions ahead")
        time.sleep(0.001)


def memory(pid: int) -> dict[str, int]:
    """Return bytes of a process: `Pss`, `Private_Dirty`, `RssAnon` and its page tables, `VmPTE`."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text() + Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":", 1) for line in lines.splitlines() if ":" in line)
    return {name: int(fields[name].split()[0]) * 1024 for name in ("Pss", "Private_Dirty", "RssAnon", "VmPTE")}


def say(text: str = "") -> None:
    """Print a line now: the whole takes minutes."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def show(name: str, values: Sequence[float], unit: str) -> None:
    """Print median and the 10th and 90th percentile of a measurement."""
    low, middle, high = _spread(values)
    say(f"  {name:<46} {_number(middle):>9} {unit:<5} ({_number(low)} to {_number(high)})")


def show_ratio(name: str, above: Sequence[float], below: Sequence[float], target: str) -> None:
    """Print the ratio of two measurements, round by round, so that a busy moment of the machine meets both."""
    low, middle, high = _spread([a / b for a, b in zip(above, below, strict=True)])
    say(f"  {name:<46} {_number(middle):>9} x     ({_number(low)} to {_number(high)})   {target}")


def _spread(values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) == 1:
        return (values[0],) * 3
    tenths = statistics.quantiles(values, n=10, method="inclusive")
    return tenths[0], statistics.median(values), tenths[-1]


def _number(value: float) -> str:
    """Return three significant digits."""
    for bound, digits in ((1, 3), (10, 2), (100, 1)):
        if value < bound:
            return f"{value:.{digits}f}"
    return f"{value:,.0f}"
