"""Runs a command that must not outlive whoever asked for it. Stdlib only: started by its path.

vLLM is several processes, and one that loses its parent keeps a GPU's memory. This process stands between
the two: standard input is a pipe that the host holds open, and when the host closes it, or ends in
whatever way, the command's process group is asked to end, and then ended.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run `sys.argv[2:]` until it or the host ends, and exit as it did; `sys.argv[1]`: seconds it has to end itself."""
    grace, command = float(sys.argv[1]), sys.argv[2:]
    signal.signal(signal.SIGTERM, _exit)
    try:
        # A session of its own: its process group is then everything it starts, and Ctrl-C is the host's to handle.
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")
    ended = os.pidfd_open(child.pid)
    poll = select.poll()
    poll.register(ended, select.POLLIN)
    poll.register(sys.stdin.fileno(), 0)  # the end of a pipe is reported unasked
    try:
        poll.poll()
    finally:
        _end(child.pid, ended, grace)
    status = child.wait()
    sys.exit(status if status >= 0 else 128 - status)


def _exit(*_: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


def _end(group: int, leader: int, grace: float) -> None:
    """End a process group; its leader is not reaped yet, so that the number is still its own."""
    poll = select.poll()
    poll.register(leader, select.POLLIN)
    if not poll.poll(0):
        os.killpg(group, signal.SIGTERM)
        poll.poll(grace * 1000)
    os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
