"""One session as the host sees it: send a cell, drain its output while it runs, hold it to its limits.

Nothing that arrives is trusted; how a session died is asked of the zygote and the kernel, never of the guest.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.errors import InfrastructureError, RowError
from pipeline.sandbox import usage
from pipeline.sandbox.cgroup import Group
from pipeline.sandbox.inside import wire
from pipeline.sandbox.inside.policy import Limits
from pipeline.sandbox.result import CellError, CellResult, Stop, build_result
from pipeline.sandbox.roundtrip import Handles, RoundTrip, clean
from pipeline.sandbox.usage import Usage

if TYPE_CHECKING:
    from pipeline.records import CellStatus

_TICK = 0.1  # seconds between two looks at a running cell's memory and CPU time
_LONGEST_STEP = 1.0
"""Seconds of a step that count as the cell's: when the host itself was stopped, the cell was too."""
_START_SECONDS = 60.0
"""For isolation and images; a session that takes longer is taken to be lost."""
_DEATH_SECONDS = 60.0
"""From a kill until the kernel has taken the session apart: milliseconds, on a starved host over ten seconds."""


_SEQ_BITS = 63


@contextlib.contextmanager
def host_failures() -> Iterator[None]:
    """Take an error of a system call that this process makes for what it is: no outcome of anybody's code.

    Raises:
        InfrastructureError: there was one, such as no descriptors or no memory left.
    """
    try:
        yield
    except OSError as error:
        raise InfrastructureError(f"sandbox: this host failed: {error}") from error


class Session:
    """A live notebook; cells run one after the other."""

    def __init__(self, handles: Handles, group: Group | None, limits: Limits) -> None:
        self._handles = handles
        self._group = group
        self._limits = limits
        self._bounds = wire.Bounds(limits.images, limits.image_pixels, limits.cell_pixels)
        self._pid = usage.host_pid(handles.process)
        self._number = 0
        """Of the running cell, as tracebacks have it."""
        self._seq = 0
        """Of the last request, which its reply repeats. Nobody can answer a request before it was read."""
        self._lock = threading.Lock()
        self._ended = False
        self._meter = usage.CpuMeter()
        self._fate: Stop | None = None
        """Why it was killed between two cells: what its background work used."""
        self._closed = False
        self._last_used = 0.0
        handles.channel.setblocking(False)
        for descriptor in (handles.stdout, handles.stderr):
            os.set_blocking(descriptor, False)

    def prepare(self, images: Sequence[bytes], seed: int) -> None:
        """Hand over seed and images; it may have waited for them.

        Raises:
            InfrastructureError: it could not be set up.
            RowError: `image_undecodable`.
        """
        request = wire.frame({"seed": seed, "images": [len(image) for image in images]}, images)
        trip = self._round_trip(request)
        deadline = time.monotonic() + _START_SECONDS
        try:
            with host_failures():
                while not trip.decoder.complete:
                    if trip.hung_up or time.monotonic() > deadline:
                        raise InfrastructureError("sandbox: a session was lost while it started")
                    trip.pump(_TICK)
        except wire.WireError as error:
            raise InfrastructureError(f"sandbox: a session did not start: {error}") from error
        self._last_used = time.monotonic()
        failure = _reply(trip).error
        if failure is None:
            return
        if failure.type == "ImageError":
            raise RowError("image_undecodable", clean(failure.message))
        raise InfrastructureError(f"sandbox: a session did not start: {clean(failure.message)}")

    def run(self, code: str, seconds: float | None = None) -> CellResult:
        """Execute one cell and return its outcome, whatever the code did.

        Args:
            code: Python, executed as it is.
            seconds: a limit for this cell that is shorter than the policy's; a longer one changes nothing.

        Raises:
            InfrastructureError: the sandbox failed, or the session had ended; no outcome of the code.
        """
        with self._lock:
            if self._ended:
                raise InfrastructureError("sandbox: the session has ended")
            try:
                with host_failures():
                    return self._run(code, self._limits.within(seconds))
            except BaseException:
                # A cell that nobody saw the end of would answer in the place of the next one.
                self._end()
                raise
            finally:
                self._last_used = time.monotonic()

    def close(self) -> None:
        """Kill everything the session started and let go of it; a second call does nothing.

        Raises:
            InfrastructureError: the kernel did not take it apart in time.
        """
        if not self._lock.acquire(blocking=False):
            # A cell runs in another thread, which is to see this end now and not at the cell's limit.
            self._signal(signal.SIGKILL)
            self._lock.acquire()
        try:
            if not self._closed:
                self._closed = True
                self._take_apart()
        finally:
            self._lock.release()

    def _take_apart(self) -> None:
        try:
            self._end()
            # The zygote reports, or is gone itself: either way no process is left in the group.
            _readable(self._handles.status.fileno(), _DEATH_SECONDS)
        finally:
            self._handles.close()
            if self._group is not None:
                self._group.remove()

    def check_idle(self) -> None:
        """End the session if it has waited too long for a cell, or if its background work takes too much."""
        if not self._lock.acquire(blocking=False):
            return  # a cell runs and is watched by its own thread
        try:
            if self._ended or self._fate is not None:
                return
            if time.monotonic() - self._last_used > self._limits.idle_seconds:
                self._end()
                return
            try:
                with host_failures():
                    self._hold(self._cpu_seconds())
            except Stop as stop:
                # The next cell finds it dead and is told why: this was the guest's doing.
                self._fate = stop
                self._signal(signal.SIGKILL)
        finally:
            self._lock.release()

    def _run(self, code: str, limits: Limits) -> CellResult:
        background = self._round_trip([])
        background.drain()
        self._number += 1
        self._seq = secrets.randbits(_SEQ_BITS)
        trip = self._round_trip(wire.frame({"seq": self._seq, "number": self._number, "code": code}))
        begin, cpu = time.monotonic(), self._cpu_seconds()
        try:
            background.check_quiet()
            self._hold_cpu(cpu)
            interrupted = self._watch(trip, cpu, limits)
            # Also asked after the reply: the host may have been kept from looking, and a cell that has used too
            # much has done so whether it was caught at it or not.
            used = self._cpu_seconds()
            self._hold_cpu(used)
            if self._group is not None and self._group.memory_kills():
                raise self._memory_stop()
            overran = not interrupted and used - cpu > limits.cell_cpu_seconds
            status, error = _judge(trip, limits, interrupted=interrupted, overran=overran)
        except wire.WireError as violation:
            stop = Stop("protocol_error", "ProtocolError", f"the session broke the protocol: {violation}")
            status, error = self._stopped(stop)
        except Stop as stop:
            status, error = self._stopped(stop)
        trip.drain()
        spent = Usage(
            wall=time.monotonic() - begin,
            cpu=self._cpu_seconds() - cpu,
            max_rss=usage.max_rss(self._pid),
        )
        return build_result(
            trip, status, error, spent, background=background.printed, ended=self._ended, most=self._limits.value
        )

    def _watch(self, trip: RoundTrip, cpu_before: float, limits: Limits) -> bool:
        """Wait for the reply; return whether the cell had to be interrupted for it.

        Raises:
            Stop: the session is over.
            wire.WireError: what arrived is no reply.
        """
        waited, since_interrupt, interrupted = 0.0, 0.0, False
        last = looked = time.monotonic()
        while not trip.decoder.complete:
            trip.pump(_TICK)
            if trip.decoder.complete:
                break
            if trip.hung_up:
                raise self._death()
            if trip.printed > limits.output_killed:
                break
            now = time.monotonic()
            step, last = min(now - last, _LONGEST_STEP), now
            waited += step
            since_interrupt += step if interrupted else 0.0
            if since_interrupt > limits.grace_seconds:
                raise Stop("died", "SessionKilled", f"{_exceeded(limits)} and did not stop when interrupted")
            if now - looked < _TICK:
                continue
            looked = now
            cpu = self._cpu_seconds()
            self._hold(cpu)
            if not interrupted and (waited > limits.cell_seconds or cpu - cpu_before > limits.cell_cpu_seconds):
                self._signal(signal.SIGINT)
                interrupted = True
        trip.drain()
        # Also asked after the reply, so that it does not depend on who was faster.
        if trip.printed > limits.output_killed:
            raise Stop("killed_output", "OutputLimit", f"the cell printed over {limits.output_killed} bytes")
        return interrupted

    def _stopped(self, stop: Stop) -> tuple[CellStatus, CellError]:
        self._end()
        return stop.status, stop.as_error()

    def _death(self) -> Stop:
        """Return why the session hung up by itself.

        Raises:
            InfrastructureError: it was not the cell's doing.
        """
        # A cell may also just have closed the channel; then the kill below is what ends the session.
        if not _readable(self._handles.process, 1.0):
            return Stop("died", "SessionDied", "the cell closed the session's channel")
        report = self._report()
        if self._fate is not None:
            return self._fate
        if self._group is not None and self._group.memory_kills():
            return self._memory_stop()
        code = int(report["exit"])
        if code >= 0:
            return Stop("died", "SessionDied", f"the cell ended the session's process with code {code}")
        if report["cpu"] >= self._limits.session_cpu_seconds - 1:
            return self._cpu_stop()
        name = signal.Signals(-code).name
        if name == "SIGKILL":
            # Process 1 cannot be killed from inside and cannot change its limits; of these only the one on CPU
            # time kills so, as does the group's on memory: somebody on the host did, perhaps for its own memory.
            raise InfrastructureError("sandbox: a session was killed from outside")
        return Stop("died", "SessionDied", f"the session's process ended by {name}")

    def _memory_stop(self) -> Stop:
        return Stop("killed_memory", "MemoryLimit", f"the session used over {self._limits.memory >> 20} MiB of memory")

    def _cpu_stop(self) -> Stop:
        return Stop("died", "SessionDied", "the session used up its CPU time")

    def _cpu_seconds(self) -> float:
        counted = None if self._group is None else self._group.cpu_seconds()
        return self._meter.seconds(usage.tree(self._pid)) if counted is None else counted

    def _hold(self, cpu: float) -> None:
        """Raise `Stop` if the session has used too much of anything."""
        if self._over_memory():
            raise self._memory_stop()
        self._hold_cpu(cpu)

    def _hold_cpu(self, cpu: float) -> None:
        if cpu > self._limits.session_cpu_seconds:
            raise self._cpu_stop()

    def _over_memory(self) -> bool:
        if self._group is None:
            return usage.memory(usage.tree(self._pid)) > self._limits.memory
        # The kernel watches and kills one process; which one is chance, so the session ends as a whole.
        return self._group.memory_kills() > 0

    def _round_trip(self, request: list[bytes]) -> RoundTrip:
        return RoundTrip(self._handles, request, wire.Decoder(self._seq, self._bounds), self._limits.output_kept)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has just ended; the next look sees that
            signal.pidfd_send_signal(self._handles.process, number)

    def _end(self) -> None:
        """Kill process 1, and with it the kernel all others of the session; return when they are gone."""
        self._ended = True
        self._signal(signal.SIGKILL)
        if not _readable(self._handles.process, _DEATH_SECONDS):
            raise InfrastructureError("sandbox: a killed session does not go away")

    def _report(self) -> dict[str, Any]:
        """Return what the zygote says about the end of the session's process."""
        if not _readable(self._handles.status.fileno(), _DEATH_SECONDS):
            raise InfrastructureError("sandbox: the zygote does not answer")
        message = self._handles.status.recv(4096)
        if not message:
            raise InfrastructureError("sandbox: the zygote was lost")
        report: dict[str, Any] = json.loads(message)
        return report


def _judge(trip: RoundTrip, limits: Limits, *, interrupted: bool, overran: bool) -> tuple[CellStatus, CellError | None]:
    """Return status and error of a cell that replied."""
    failure = _reply(trip).error
    if interrupted or overran:
        how = "and was interrupted" if interrupted else "of processor time"
        text = f"{_exceeded(limits)} {how}; the session's variables are kept"
        return "timeout", CellError("TimeoutError", text, f"TimeoutError: {text}")
    if failure is None:
        return "ok", None
    # The guest shortens these; the bound holds also for one that does not.
    texts = (clean(text[: 2 * limits.value]) for text in failure)
    return "exception", CellError(*texts)


def _exceeded(limits: Limits) -> str:
    return f"the cell exceeded {limits.cell_seconds:g} seconds"


def _reply(trip: RoundTrip) -> wire.Reply:
    reply = trip.decoder.reply
    if reply is None:
        raise InfrastructureError("sandbox: a session answered nothing")
    return reply


def _readable(descriptor: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
