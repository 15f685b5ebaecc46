"""What the sandbox is measured against: a Jupyter kernel, a cold interpreter, and a plain fork without isolation."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pipeline.sandbox import guest, zygote_process

_HERE = Path(__file__).parent
BENCH_PYTHON = _HERE.parents[1] / ".venv-bench/bin/python"
"""Has the guest's packages, and Jupyter; made by `make bench-sandbox`."""


class Helper:
    """A process that answers each line with a line of JSON."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def answer(self) -> Any:
        """Return the next line.

        Raises:
            ValueError: the process has ended.
        """
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def ask(self, line: str) -> Any:
        """Send a line and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self.answer()


def jupyter(home: Path) -> Helper:
    """Return the process of `sandbox_jupyter.py`."""
    return Helper([str(BENCH_PYTHON), "-I", str(_HERE / "sandbox_jupyter.py")], _environment(home))


def plain_fork(home: Path) -> Helper:
    """Return the process of `sandbox_fork.py`, warm."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = guest.require() / "lib" / version / "site-packages"
    command = [
        f"{sys.base_prefix}/bin/{version}",
        "-B",
        "-P",
        "-s",
        str(_HERE / "sandbox_fork.py"),
        str(zygote_process._CODE),
    ]
    helper = Helper(command, {**_environment(home), "PYTHONPATH": str(site)})
    helper.answer()
    return helper


def cold_python(code: str, home: Path) -> float:
    """Return the seconds from starting an interpreter to the last line's value on its stdout."""
    *statements, last = code.splitlines()
    program = "\n".join([*statements, f"print({last}, flush=True)"])
    begin = time.monotonic()
    command = [str(BENCH_PYTHON), "-I", "-c", program]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=_environment(home)) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        seconds = time.monotonic() - begin
    if not line:
        raise ValueError("a cold interpreter returned nothing")
    return seconds


def _environment(home: Path) -> dict[str, str]:
    """Return the guest's variables, with a home on the host."""
    places = dict.fromkeys(("HOME", "TMPDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME"), str(home))
    return {**zygote_process._environment(sys.base_prefix), **places}
