"""How fast the engine passes small records, what it needs in memory, and what a run costs that changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.command import ROOT

ROWS = 1_000_000


def measure(directory: Path) -> None:
    """Run the stage once in earnest and once to see everything reused; print a line for each."""
    for title in ("first run", "again"):
        command = [sys.executable, "-m", "tests.support.jobs.million_job", str(ROWS), str(directory)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        report = json.loads(done.stdout)
        rate = ROWS / report["seconds"]
        sys.stdout.write(
            f"{title}: {ROWS:,} records in {report['seconds']} s on 2 workers ({rate:,.0f} per second), "
            f"{report['reused']} of {report['units']} units reused; "
            f"largest worker {report['worker_mb']} MB, driver {report['driver_mb']} MB\n"
        )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        measure(Path(scratch))
