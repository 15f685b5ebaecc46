"""A zygote as the host sees it: start it, ask it for sessions, end it."""

from __future__ import annotations

import errno
import json
import os
import select
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections import deque
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from pipeline.errors import InfrastructureError
from pipeline.sandbox import cgroup, probe, usage
from pipeline.sandbox.inside import root
from pipeline.sandbox.inside.policy import Limits
from pipeline.sandbox.roundtrip import Handles
from pipeline.sandbox.session import Session, host_failures

_WARM_SECONDS = 120.0
"""Importing the image libraries from a cold disk takes several seconds, on a loaded machine many more."""
_START_SECONDS = 30.0
"""For one fork of a warm zygote."""
_SPARES = 2
"""Sessions forked ahead. One takes about 10 ms to fork and isolate, a cell of a teacher seconds to write."""

_CODE = Path(__file__).parent
# The project's modules under their own names, without its packages' `__init__`: these import the host side.
_BOOT = """
import sys, types
for name, path in (("pipeline", []), ("pipeline.sandbox", [sys.argv.pop(1)])):
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = path
from pipeline.sandbox.launcher import main
main()
"""


class ZygoteProcess:
    """One zygote process and what hangs below it."""

    def __init__(self, guest: Path, limits: Limits, groups: cgroup.Place | None) -> None:
        """Start the zygote and wait until it is warm.

        Raises:
            IsolationError: this machine does not allow the isolation.
            InfrastructureError: it did not start for another reason.
        """
        self._limits = limits
        self._groups = groups
        self.started = 0
        """Sessions asked for so far."""
        self._spares: deque[Session] = deque()
        self._lock = threading.Lock()
        self._lost = False
        with host_failures(), tempfile.TemporaryFile() as errors:
            self._start(guest, errors)
            try:
                self._wait_until_warm(errors)
            except BaseException:
                self.close()
                raise

    def _start(self, guest: Path, errors: IO[bytes]) -> None:
        with ExitStack() as ours, ExitStack() as theirs:
            self._control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.callback(self._control.close)
            theirs.callback(control.close)
            lifeline, self._lifeline = os.pipe()
            ours.callback(os.close, self._lifeline)
            theirs.callback(os.close, lifeline)
            config = _config(guest, self._limits, control, lifeline)
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", "-c", _BOOT, str(_CODE), config],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={},
                pass_fds=(control.fileno(), lifeline),
                cwd="/",
                start_new_session=True,  # Ctrl-C is the host's to handle
            )
            ours.pop_all()  # kept until `close`

    def _wait_until_warm(self, errors: IO[bytes]) -> None:
        self._control.settimeout(_WARM_SECONDS)
        try:
            message = self._control.recv(4096)
        except TimeoutError as error:
            raise InfrastructureError(f"sandbox: no zygote within {_WARM_SECONDS:g} seconds") from error
        answer: dict[str, Any] = json.loads(message) if message else {}
        if "failed" in answer:
            raise probe.refusal(answer["failed"], answer["errno"])
        if not answer:
            self._process.wait()
            errors.seek(0)
            last = errors.read().decode(errors="replace").strip().splitlines()[-1:]
            raise InfrastructureError(f"sandbox: the zygote ended while it started: {' '.join(last)}")

    @property
    def alive(self) -> bool:
        """Whether the zygote can still be asked for sessions."""
        return not self._lost and self._process.poll() is None

    def session(self) -> Session:
        """Return an isolated session that waits for its images: one forked ahead, else a new one.

        Raises:
            InfrastructureError: the zygote is gone or refuses.
        """
        return self._spare() or self._fork()

    def stock(self) -> None:
        """Fork sessions ahead.

        Raises:
            InfrastructureError: as `session`.
        """
        while self.alive and len(self._spares) < _SPARES:
            spare = self._fork()
            with self._lock:
                if self._lifeline >= 0:
                    self._spares.append(spare)
                    continue
            spare.close()  # the zygote was ended meanwhile

    def lose(self) -> None:
        """Take the zygote for lost: its process may take a while to end, and nobody should ask it again."""
        self._lost = True

    def _spare(self) -> Session | None:
        try:
            return self._spares.popleft()
        except IndexError:
            return None

    def _fork(self) -> Session:
        with host_failures():  # which are not the zygote's
            try:
                handles = self._forked()
                try:
                    return Session(handles, self._grouped(handles), self._limits)
                except BaseException:
                    handles.close()
                    raise
            except InfrastructureError:
                self.lose()
                raise

    def _forked(self) -> Handles:
        self.started += 1
        with ExitStack() as ours, ExitStack() as theirs:
            channel, channel_end = socket.socketpair()
            ours.callback(channel.close)
            theirs.callback(channel_end.close)
            status, report = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.callback(status.close)
            theirs.callback(report.close)
            pipes = []
            for _ in ("stdout", "stderr"):
                pipes.append(os.pipe())
                ours.callback(os.close, pipes[-1][0])
                theirs.callback(os.close, pipes[-1][1])
            (stdout, stdout_end), (stderr, stderr_end) = pipes
            handed = [channel_end.fileno(), stdout_end, stderr_end, report.fileno()]
            try:
                with self._lock:
                    socket.send_fds(self._control, [b"session"], handed)
            except OSError as error:
                raise InfrastructureError(f"sandbox: the zygote is gone: {error}") from error
            theirs.close()  # else nobody would notice if the zygote is lost now
            handles = Handles(channel, stdout, stderr, status, _started(status))
            ours.pop_all()
            return handles

    def _grouped(self, handles: Handles) -> cgroup.Group | None:
        """Return the session's control group, with the session in it."""
        if self._groups is None:
            return None
        try:
            group = cgroup.Group.make(self._groups, self._limits)
        except OSError as error:
            raise InfrastructureError(f"sandbox: no control group could be made: {error}") from error
        try:
            group.join(usage.host_pid(handles.process))
        except OSError as error:
            group.remove()
            raise InfrastructureError(f"sandbox: a control group refused a session: {error}") from error
        return group

    def close(self) -> None:
        """End the zygote and every session below it, and wait for that."""
        with self._lock:
            if self._lifeline < 0:
                return
            os.close(self._lifeline)
            self._lifeline = -1
            self._control.close()
        self._process.wait()
        with ExitStack() as ends:  # all of them, also if one does not go away
            while (spare := self._spare()) is not None:
                ends.callback(spare.close)


def _started(status: socket.socket) -> int:
    """Return the pidfd of a session that the zygote has forked.

    Raises:
        InfrastructureError: it has not.
        OSError: this process can open no more files.
    """
    poll = select.poll()
    poll.register(status, select.POLLIN)
    if not poll.poll(_START_SECONDS * 1000):
        raise InfrastructureError("sandbox: the zygote does not answer")
    message, passed, _, _ = socket.recv_fds(status, 4096, 1)
    if not message:
        raise InfrastructureError("sandbox: the zygote was lost")
    answer: dict[str, Any] = json.loads(message)
    if "failed" in answer:
        raise InfrastructureError(f"sandbox: the zygote could not fork: {answer['failed']}")
    if not passed:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))  # what came could not be taken
    return passed[0]


def _config(guest: Path, limits: Limits, control: socket.socket, lifeline: int) -> str:
    prefix = str(Path(sys.base_prefix).resolve())
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    inside = prefix if prefix == "/usr" else root.PREFIX
    place = root.Place(
        prefix=prefix,
        python=f"{inside}/bin/{version}",
        version=version,
        site=str(guest / "lib" / version / "site-packages"),
    )
    return json.dumps(
        {
            "control": control.fileno(),
            "lifeline": lifeline,
            "place": asdict(place),
            "zygote": {"control": control.fileno(), "limits": asdict(limits)},
            "environment": _environment(inside),
        }
    )


def _environment(prefix: str) -> dict[str, str]:
    """Return every variable a guest sees."""
    environment = {
        "PATH": f"{prefix}/bin:/usr/bin:/bin",
        "HOME": root.BOX,
        "TMPDIR": root.TEMPORARY,
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONPATH": root.SITE,
        "PYTHONHASHSEED": "0",
        "PYTHONIOENCODING": "utf-8:backslashreplace",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MPLBACKEND": "Agg",
        "MPLCONFIGDIR": f"{root.TEMPORARY}/matplotlib",
        "XDG_CACHE_HOME": f"{root.TEMPORARY}/cache",
        # One thread: a second one could not survive the fork, and results must not depend on the machine.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OPENCV_OPENCL_RUNTIME": "disabled",
        # Two arenas: each reserves 64 MB of address space per thread otherwise.
        "MALLOC_ARENA_MAX": "2",
    }
    if sysconfig.get_config_var("Py_ENABLE_SHARED") and prefix == root.PREFIX:
        environment["LD_LIBRARY_PATH"] = f"{prefix}/lib"
    return environment
