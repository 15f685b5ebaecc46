"""The fork server: imports the image libraries once, then forks one isolated session per request.

Runs with the guest's interpreter inside the guest's root, as process 1. It talks to the host alone and
reads nothing that guest code wrote. One thread, always: a fork would copy a second one's locks as they stand.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import select
import socket
import sys
from typing import Any, NamedTuple, NoReturn

from pipeline.sandbox.inside import cells, display, linux, seccomp
from pipeline.sandbox.inside.isolate import CHANNEL, isolate
from pipeline.sandbox.inside.policy import Limits


class _World(NamedTuple):
    control: socket.socket
    limits: Limits
    proc: int
    own_processes: int
    """Descriptor of our process namespace, to come back to after each fork."""
    program: bytes


class _Child(NamedTuple):
    pid: int
    status: socket.socket


def main() -> NoReturn:
    """Serve sessions until the host closes its end."""
    config: dict[str, Any] = json.loads(sys.argv[1])
    control = socket.socket(fileno=config["control"])
    proc: int = config["proc"]
    for descriptor in (control.fileno(), proc):
        os.set_inheritable(descriptor, False)
    own = os.open("self/ns/pid", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)
    world = _World(control, Limits(**config["limits"]), proc, own, seccomp.build(linux.machine()))
    _warm()
    control.send(b'{"ready":true}')
    _serve(world)
    os._exit(0)


def _warm() -> None:
    """Import what nearly every cell uses. Rarer packages (scipy) are imported by the cells that want them."""
    display.install()
    cells.rehearse()
    gc.collect()
    gc.freeze()  # the collector must not touch, and so copy, what every session shares


def _serve(world: _World) -> None:
    children: dict[int, _Child] = {}
    poll = select.poll()
    poll.register(world.control, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor != world.control.fileno():
                poll.unregister(descriptor)
                _reap(children.pop(descriptor))
                os.close(descriptor)
                continue
            message, passed, _, _ = socket.recv_fds(world.control, 16, 4)
            if not message:
                return
            channel, stdout, stderr, status = passed
            report = socket.socket(fileno=status)
            try:
                pid = _fork(world, channel, stdout, stderr)
            except OSError as error:
                _tell(report, {"failed": str(error)})
                report.close()
                continue
            finally:
                for used in (channel, stdout, stderr):
                    os.close(used)
            handle = os.pidfd_open(pid)
            children[handle] = _Child(pid, report)
            poll.register(handle, select.POLLIN)
            _tell(report, {"started": True}, handle)


def _fork(world: _World, channel: int, stdout: int, stderr: int) -> int:
    """Start a session and return its process.

    Raises:
        OSError: the kernel refused, or another thread runs here.
    """
    tasks = os.open("self/task", os.O_RDONLY | os.O_CLOEXEC, dir_fd=world.proc)
    try:
        if len(os.listdir(tasks)) != 1:  # noqa: PTH208 - pathlib takes no descriptor
            raise OSError("the zygote has more than one thread and must not fork")
    finally:
        os.close(tasks)
    linux.unshare(linux.CLONE_NEWPID)
    pid = os.fork()
    if pid == 0:
        _session(world, channel, stdout, stderr)
    linux.setns(world.own_processes, linux.CLONE_NEWPID)
    return pid


def _session(world: _World, channel: int, stdout: int, stderr: int) -> NoReturn:
    try:
        nothing = os.open("/dev/null", os.O_RDONLY)
        # Out of the way first, then down to 0..3, so that no copy overwrites one still needed.
        spare = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, 16) for descriptor in (nothing, stdout, stderr, channel)]
        proc = fcntl.fcntl(world.proc, fcntl.F_DUPFD_CLOEXEC, 16)
        for target, descriptor in enumerate(spare):
            os.dup2(descriptor, target, inheritable=target != CHANNEL)
        host = socket.socket(fileno=CHANNEL)
        try:
            isolate(world.limits, proc, world.program)
        except OSError as error:
            cells.refuse(host, str(error))
            os._exit(1)
        cells.serve(host, world.limits)
    finally:
        os._exit(0)


def _reap(child: _Child) -> None:
    _, status, usage = os.wait4(child.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    _tell(child.status, {"exit": code, "cpu": usage.ru_utime + usage.ru_stime})
    child.status.close()


def _tell(status: socket.socket, message: dict[str, Any], *descriptors: int) -> None:
    try:
        socket.send_fds(status, [json.dumps(message).encode()], descriptors)
    except OSError:
        # The host has closed this session already and asks nobody.
        return
