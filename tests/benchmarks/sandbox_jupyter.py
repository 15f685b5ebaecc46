"""Jupyter kernels, timed from within their own environment: `sandbox_rivals.py` starts this and asks for samples.

Takes lines from stdin and answers each with one line of JSON:
    start CODE   a kernel started as jupyter_client's documentation does, CODE (JSON text), end: seconds
    lean CODE    the same without waiting for its readiness: the least a client can do
    cells N      seconds of each of N executions of `1+1` in a kernel that stays; CODE of the first `start` ran in it
    pid          process of that kernel
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

from jupyter_client.manager import KernelManager, start_new_kernel  # type: ignore[import-not-found] # in .venv-bench

_SECONDS = 120
"""For any one answer of a kernel; then it hangs. (What kernels print to stderr is a warning at each start.)"""


class _Kernel:
    """A kernel that stays, for cells."""

    def __init__(self, code: str) -> None:
        self.manager, self.client = start_new_kernel(stderr=subprocess.DEVNULL)
        _run(self.client, code)

    def close(self) -> None:
        _end(self.manager, self.client)


def main() -> None:
    """Answer until stdin ends."""
    kernel: _Kernel | None = None
    for line in sys.stdin:
        what, _, rest = line.strip().partition(" ")
        answer: Any
        if what == "start":
            answer = _start(json.loads(rest))
        elif what == "lean":
            answer = _lean(json.loads(rest))
        else:
            kernel = kernel or _Kernel("import numpy, cv2")
            answer = _cells(kernel, int(rest)) if what == "cells" else kernel.manager.provisioner.pid
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    if kernel is not None:
        kernel.close()


def _start(code: str) -> float:
    begin = time.monotonic()
    manager, client = start_new_kernel(stderr=subprocess.DEVNULL)
    value = _run(client, code)
    seconds = time.monotonic() - begin
    _end(manager, client)
    if not value:
        raise ValueError("the kernel returned nothing")
    return seconds


def _lean(code: str) -> float:
    """Send the code at once; the reply itself carries the value, so that no published output can be missed."""
    begin = time.monotonic()
    manager = KernelManager()
    manager.start_kernel(stderr=subprocess.DEVNULL)
    client = manager.client()
    client.start_channels()
    *statements, last = code.splitlines()
    message = client.execute("\n".join(statements), user_expressions={"value": last})
    while (reply := client.get_shell_msg(timeout=_SECONDS))["parent_header"].get("msg_id") != message:
        continue
    seconds = time.monotonic() - begin
    _end(manager, client)
    if not reply["content"]["user_expressions"]["value"]["data"]:
        raise ValueError("the kernel returned nothing")
    return seconds


def _cells(kernel: _Kernel, count: int) -> list[float]:
    times = []
    for _ in range(count):
        begin = time.monotonic()
        value = _run(kernel.client, "1+1")
        times.append(time.monotonic() - begin)
        if value != "2":
            raise ValueError(value)
    return times


def _run(client: Any, code: str) -> str:
    """Run one cell and return its value's text: all that belongs to it has arrived."""
    message, value = client.execute(code), ""
    while True:
        heard = client.get_iopub_msg(timeout=_SECONDS)
        if heard["parent_header"].get("msg_id") != message:
            continue
        if heard["msg_type"] == "execute_result":
            value = heard["content"]["data"]["text/plain"]
        elif heard["msg_type"] == "status" and heard["content"]["execution_state"] == "idle":
            break
    client.get_shell_msg(timeout=_SECONDS)
    return value


def _end(manager: Any, client: Any) -> None:
    client.stop_channels()
    manager.shutdown_kernel(now=True)


if __name__ == "__main__":
    main()
