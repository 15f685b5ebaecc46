"""The most memory that this process has held."""

from __future__ import annotations

from pathlib import Path


def peak_mb() -> int:
    """Return the peak of the resident memory in MiB. Not `ru_maxrss`: a process has that of whoever started it, too."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) // 1024
