"""Gather over more rows is killed half-way: what stands of fewer rows must not be taken for all of them."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from tests.support.command import ROOT, tree
from tests.support.curated import RECIPE, curated, write_corpus

FEW, MORE = 20, 60


def killed_in(stage: str, place: Path, group: str, limit: int) -> None:
    command = [sys.executable, "-m", "tests.support.jobs.group_job", str(place), group, str(limit), stage]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert process.returncode == -signal.SIGKILL, process.stderr


def test_a_gate_goes_on_with_all_rows_that_gather_was_given_or_not_at_all(tmp_path: Path) -> None:
    place = write_corpus(tmp_path / "place", texts=32)
    few = curated(place, RECIPE, "run", groups=("gather",), limit=FEW)
    assert sum(few["ingest"].counts.values()) == FEW
    manifests = tree(place / "run", "stages/*/*/stage.json")

    killed_in("screen", place, "gather", MORE)
    # What gather made of the few rows is still there, and would do for whoever asked for nothing but a manifest.
    later = {path for path in manifests if "/dedup/" in path or "/decontaminate/" in path}
    assert len(later) == 2
    assert later <= tree(place / "run", "stages/*/*/stage.json").keys()

    with pytest.raises(UsageError, match=r"stage screen has not finished .*; run `gather` first") as refused:
        curated(place, RECIPE, "run", groups=("gate",), limit=MORE)
    assert refused.value.exit_code == 2
    assert not (place / "run" / "stages" / "gate1").exists()

    whole = curated(place, RECIPE, "run", groups=("gather",), limit=MORE)
    gated = curated(place, RECIPE, "run", groups=("gate",), limit=MORE)
    assert sum(gated["ingest"].counts.values()) == MORE
    assert gated["decontaminate"].content == whole["decontaminate"].content
    assert sum(gated["gate1"].counts.values()) == whole["decontaminate"].counts["kept"] > FEW
