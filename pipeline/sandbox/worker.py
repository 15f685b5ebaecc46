"""A zygote as the host sees it: start it, ask it for sessions, end it."""

from __future__ import annotations

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
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from pipeline.errors import InfrastructureError
from pipeline.sandbox import cgroup, probe, root, usage
from pipeline.sandbox.exchange import Handles
from pipeline.sandbox.policy import Limits
from pipeline.sandbox.session import Session

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


class Worker:
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
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        lifeline, self._lifeline = os.pipe()
        with tempfile.TemporaryFile() as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", "-c", _BOOT, str(_CODE), _config(guest, limits, theirs, lifeline)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env={},
                pass_fds=(theirs.fileno(), lifeline),
                cwd="/",
                start_new_session=True,  # Ctrl-C is the host's to handle
            )
            theirs.close()
            os.close(lifeline)
            try:
                self._wait_until_warm(errors)
            except BaseException:
                self.close()
                raise

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
        try:
            return self._spares.popleft()
        except IndexError:
            return self._fork()

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

    def _fork(self) -> Session:
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
        channel, theirs = socket.socketpair()
        status, report = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        stdout, stdout_end = os.pipe()
        stderr, stderr_end = os.pipe()
        try:
            handed = [theirs.fileno(), stdout_end, stderr_end, report.fileno()]
            with self._lock:
                socket.send_fds(self._control, [b"session"], handed)
        except OSError as error:
            _close(channel, status, stdout, stderr)
            raise InfrastructureError(f"sandbox: the zygote is gone: {error}") from error
        finally:
            _close(theirs, report, stdout_end, stderr_end)
        try:
            return Handles(channel, stdout, stderr, status, _started(status))
        except InfrastructureError:
            _close(channel, status, stdout, stderr)
            raise

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
        for spare in self._spares:
            spare.close()
        self._spares.clear()


def _started(status: socket.socket) -> int:
    """Return the pidfd of a session that the zygote has forked."""
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
    return passed[0]


def _close(*ends: socket.socket | int) -> None:
    for end in ends:
        if isinstance(end, int):
            os.close(end)
        else:
            end.close()


def _config(guest: Path, limits: Limits, control: socket.socket, lifeline: int) -> str:
    prefix = str(Path(sys.base_prefix).resolve())
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    inside = prefix if prefix == "/usr" else root.PREFIX
    place = root.Place(
        prefix=prefix,
        python=f"{inside}/bin/{version}",
        version=version,
        site=str(guest / "lib" / version / "site-packages"),
        code=str(_CODE),
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
