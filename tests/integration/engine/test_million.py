from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.command import ROOT

GROWTH_MB = 150
"""A worker holds one unit: 1,000,000 / 128 = 7,813 records, as rows, as records and as the file it writes, about
8 KB each in all. Measured: 70 MB above a worker that saw 1,000 records."""


def measure(rows: int, directory: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.support.jobs.million_job", str(rows), str(directory)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_a_million_records_pass_a_map_stage_in_bounded_memory(tmp_path: Path) -> None:
    few = measure(1_000, tmp_path / "few")
    many = measure(1_000_000, tmp_path / "many")
    assert sum(many["counts"].values()) == 1_000_000
    assert many["worker_mb"] - few["worker_mb"] < GROWTH_MB
    assert many["driver_mb"] - few["driver_mb"] < GROWTH_MB
