"""Starts a zygote: namespaces and root first, then the guest's interpreter within them. Stdlib only.

Runs in its own process, started by the host's interpreter with an empty environment. Able to mount, it builds
the root before it gives up its user id (an interpreter below a private home must stay readable) and
then goes the way of an ordinary user: namespaces that belong to a user namespace of its own.

The first process stays outside and watches. When the host process ends, however it ends, or closes its
end of the lifeline, it kills process 1 of the zygote's process namespace, and the kernel everything in it.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import socket
import sys
from typing import Any, NoReturn

from pipeline.sandbox.inside import linux, root

NOBODY = 65534
_INNER = linux.CLONE_NEWNS | linux.CLONE_NEWPID | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
_BOOT = f"import sys; sys.path.insert(0, {root.CODE!r}); from pipeline.sandbox.inside.zygote import main; main()"


def main() -> NoReturn:
    """Start the zygote that `sys.argv[1]` (JSON) describes; report a failure on its control socket."""
    config = json.loads(sys.argv[1])
    host = os.pidfd_open(os.getppid())
    proc = os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    control = socket.socket(fileno=config["control"])
    try:
        child = _start(config, proc, control)
    except OSError as error:
        _report(control, error)
        os._exit(1)
    control.close()
    _watch(child, host, config["lifeline"])
    os._exit(0)


def _start(config: dict[str, Any], proc: int, control: socket.socket) -> int:
    """Return the process to watch, whose death ends everything below it."""
    place = root.Place(**config["place"])
    if os.geteuid() == 0 and linux.maps_user(NOBODY):
        if linux.has_capability(linux.CAP_SYS_ADMIN):
            linux.unshare(linux.CLONE_NEWNS | linux.CLONE_NEWPID)
            return _fork(control, lambda: _from_root(config, proc, place, control))
        _become_nobody()  # root of a container without the capability is an ordinary user who may read too much
    linux.unshare_user(proc, 0, _INNER | linux.CLONE_NEWCGROUP)
    return _fork(control, lambda: _become_zygote(config, proc, place))


def _from_root(config: dict[str, Any], proc: int, place: root.Place, control: socket.socket) -> NoReturn:
    root.build(place)
    # The one capability outlives the change of user: some systems let nobody else make a user namespace.
    linux.prctl(linux.PR_SET_KEEPCAPS, 1)
    _become_nobody()
    linux.keep_capability(linux.CAP_SYS_ADMIN)
    linux.unshare_user(proc, 0, _INNER | linux.CLONE_NEWCGROUP)
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)  # a change of credentials cleared it
    zygote = _fork(control, lambda: _become_zygote(config, proc, None))
    control.close()
    os.waitpid(zygote, 0)
    os._exit(0)


def _become_nobody() -> None:
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    linux.prctl(linux.PR_SET_DUMPABLE, 1)  # else /proc/self belongs to root and we cannot map ourselves


def _become_zygote(config: dict[str, Any], proc: int, place: root.Place | None) -> NoReturn:
    if place is not None:
        root.build(place)
    else:
        root.mount_proc()
    linux.mount("tmpfs", root.TEMPORARY, "tmpfs", linux.MS_NOSUID | linux.MS_NODEV, "mode=1777,size=64m")
    for descriptor in (config["control"], proc):
        os.set_inheritable(descriptor, True)
    # A pair of descriptors per live session.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    python = config["place"]["python"]
    arguments = [python, "-B", "-P", "-s", "-c", _BOOT, json.dumps({**config["zygote"], "proc": proc})]
    os.execve(python, arguments, config["environment"])  # noqa: S606 - what a launcher is for


def _fork(control: socket.socket, child: Any) -> int:
    pid = os.fork()
    if pid:
        return pid
    try:
        linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
        child()
    except OSError as error:
        _report(control, error)
    finally:
        os._exit(1)


def _report(control: socket.socket, error: OSError) -> None:
    # Our own messages name the step; one of Python's names a file.
    step = f"{error.filename}: {error.strerror}" if error.filename else error.strerror or str(error)
    control.send(json.dumps({"failed": step, "errno": error.errno or 0}).encode())


def _watch(child: int, host: int, lifeline: int) -> None:
    """Return when the child has ended, after ending it if the host is gone or let go."""
    ended = os.pidfd_open(child)
    poll = select.poll()
    for descriptor in (ended, host, lifeline):
        poll.register(descriptor, select.POLLIN)
    if all(descriptor != ended for descriptor, _ in poll.poll()):
        signal.pidfd_send_signal(ended, signal.SIGKILL)
    os.waitpid(child, 0)
