"""What a sandbox session may use: the limits. Read on both sides: stdlib only."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """Bounds of one session. Times are seconds, sizes bytes, pictures pixels.

    A model sees what they do to its code, so they belong to the identity of every cached cell.
    """

    cell_seconds: float = 20.0
    """Wall time of a cell; then an interrupt that keeps the session's state."""
    grace_seconds: float = 1.5
    """Time to answer the interrupt; then the session is killed."""
    cell_cpu_seconds: float = 20.0
    """CPU time of a cell over all its processes; many processes must not buy more than one would get."""
    session_cpu_seconds: int = 120
    """CPU time of all processes over the whole session, background work included."""
    memory: int = 2048 * MIB
    """Of all processes together. One process meets `data` first and so a MemoryError it can handle."""
    data: int = 1792 * MIB
    """Private memory of one process (RLIMIT_DATA), an eighth below `memory`."""
    address_space: int = 8192 * MIB
    """Only a backstop (RLIMIT_AS): thread stacks and arenas reserve far more than they use."""
    processes: int = 64
    """Processes and threads together, per session."""
    disk: int = 256 * MIB
    """Working directory, temporary files and shared memory together."""
    files: int = 4096
    """How many files these may hold."""
    descriptors: int = 256
    """Open files of one process."""
    output_kept: int = 8 * 1024
    """Of each of stdout and stderr: half from the head and half from the tail."""
    output_killed: int = 8 * MIB
    """Stdout and stderr of a cell together; a cell that prints more is stopped."""
    value: int = 8 * 1024
    """Characters kept of a value's text, and of a traceback."""
    images: int = 10
    """Pictures per cell."""
    image_pixels: int = 16_000_000
    """Of one picture."""
    cell_pixels: int = 64_000_000
    """Of all pictures of a cell."""
    idle_seconds: float = 900.0
    """A session that waits longer than this between cells is ended."""

    def within(self, seconds: float | None) -> Limits:
        """Return these limits with at most `seconds` of wall time, and of CPU time, per cell."""
        if seconds is None:
            return self
        cpu = min(self.cell_cpu_seconds, seconds)
        return replace(self, cell_seconds=min(self.cell_seconds, seconds), cell_cpu_seconds=cpu)


@dataclass(frozen=True)
class Policy:
    """Everything about the sandbox that a recipe may set."""

    limits: Limits = field(default_factory=Limits)
