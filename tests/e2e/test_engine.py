from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.engine.units import MAX_UNITS, unit_count
from tests.support.command import ROOT
from tests.support.jobs.engine_job import ROWS, SAMPLES, run_job


def part_bytes(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.glob("stages/**/*")) if path.is_file()}


def start(base: Path) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "tests.support.jobs.engine_job",
        *(str(base / name) for name in ("run", "store", "calls.log")),
    ]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def calls(base: Path) -> list[str]:
    return (base / "calls.log").read_text().split() if (base / "calls.log").exists() else []


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("undisturbed")
    run_job(base / "run", base / "store", base / "calls.log")
    return base


def test_a_second_run_reuses_every_unit_and_pays_nothing(undisturbed: Path) -> None:
    before, paid = part_bytes(undisturbed / "run"), calls(undisturbed)
    results = run_job(undisturbed / "run", undisturbed / "store", undisturbed / "calls.log")
    assert all(result.reused == len(result.parts) for result in results)
    assert part_bytes(undisturbed / "run") == before
    assert calls(undisturbed) == paid


def test_stages_deleted_and_store_kept_gives_the_same_bytes_without_a_call(undisturbed: Path, tmp_path: Path) -> None:
    paid = calls(undisturbed)
    run_job(tmp_path / "again", undisturbed / "store", undisturbed / "calls.log")
    assert part_bytes(tmp_path / "again") == part_bytes(undisturbed / "run")
    assert calls(undisturbed) == paid


def test_five_kills_at_random_moments_lose_and_double_nothing(undisturbed: Path, tmp_path: Path) -> None:
    dice = random.Random(5)
    kept = len(set(calls(undisturbed)))
    in_flight = unit_count(ROWS)  # the job asks one question per unit at a time
    for _ in range(5):
        process = start(tmp_path)
        target = len(calls(tmp_path)) + dice.randrange(0, kept // 6)
        while len(calls(tmp_path)) < target and process.poll() is None:
            time.sleep(0.005)
        process.kill()
        process.communicate()
    process = start(tmp_path)
    output, _ = process.communicate()
    assert output.strip() == b"finished"
    assert part_bytes(tmp_path / "run") == part_bytes(undisturbed / "run")
    paid = calls(tmp_path)
    assert set(paid) == set(calls(undisturbed))
    assert len(paid) - len(set(paid)) <= 5 * in_flight


def test_every_question_was_asked_once_per_sample(undisturbed: Path) -> None:
    paid = calls(undisturbed)
    assert len(paid) == len(set(paid)) == sum(1 for row in range(ROWS) if row % 7) * SAMPLES


def test_the_number_of_units_depends_on_the_rows_alone() -> None:
    assert [unit_count(rows) for rows in (0, 128, 129, 257, 10**7)] == [4, 4, 8, 16, MAX_UNITS]
