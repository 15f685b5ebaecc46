"""Running the command as a user does."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("coldforge")
DEMO = ROOT / "manifests" / "recipes" / "demo.yaml"
DEMO_ROWS = "32"
"""Of a run of the demo: enough that every category reaches a shard, few enough for half a minute."""


def start(
    arguments: Sequence[str | Path], extra: Mapping[str, str] | None = None, *, group: bool = False
) -> subprocess.Popen[str]:
    """Start the command, in a process group of its own if wanted, and return the process."""
    return subprocess.Popen(
        [str(COMMAND), *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "120", **(extra or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=group,
        # A shell starts what it runs in the background with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread of ours forks
    )


def coldforge(
    *arguments: str | Path, code: int = 0, extra: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command to its end and require its exit code."""
    process = start(arguments, extra)
    stdout, stderr = process.communicate(timeout=600)
    done = subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)
    assert done.returncode == code, f"exit {done.returncode}, expected {code}\n{stdout[-3000:]}\n{stderr[-3000:]}"
    return done


def tree(directory: Path, pattern: str = "**/*") -> dict[str, bytes]:
    """The files below a directory."""
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.glob(pattern)) if p.is_file()}


def results(run: Path) -> dict[str, bytes]:
    """The files that must be equal between equal runs."""
    return {**tree(run, "stages/**/part-*"), **tree(run, "export/**/*")}


def invocations(run: Path) -> list[dict[str, Any]]:
    """What run.json says of each invocation that got as far as the stages."""
    found: list[dict[str, Any]] = json.loads((run / "run.json").read_text())["invocations"]
    return found


def paid(run: Path) -> int:
    """Calls of any kind that the last invocation paid for."""
    stages = invocations(run)[-1]["stages"]
    return sum(stage["model_calls"] + stage["search_calls"] + stage["cells"] for stage in stages)


def stored_calls(store: Path) -> int:
    """Calls in the store."""
    if not (store / "calls.sqlite").exists():
        return 0
    with sqlite3.connect(store / "calls.sqlite", timeout=60) as db:
        # A run that has just begun has made the file, but not yet the table.
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'calls'").fetchone():
            return 0
        (count,) = db.execute("SELECT count(*) FROM calls").fetchone()
        return int(count)
