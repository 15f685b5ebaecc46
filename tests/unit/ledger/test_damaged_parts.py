"""A part that cannot be read is one sentence with its path, whoever reads it, and the ledger stays as it was."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.ledger.snapshot import build_ledger, read_facts, record_replays
from flows.report.lookup import finished_stages
from pipeline.errors import InfrastructureError
from tests.support.runs import marked, small_run
from tests.unit.cli.test_cli import refused


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("parts") / "small")


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "small")


def halved(run: Path, stage: str, table: str) -> Path:
    part = max((run / "stages" / stage).glob(f"*/*.{table}.parquet"))
    part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
    return part


def rebuild(run: Path) -> None:
    build_ledger(run, list(finished_stages(run).values()), read_facts(run))


def tell_replays(run: Path) -> None:
    record_replays(run, list(finished_stages(run).values()), [])


@pytest.mark.parametrize("write", [rebuild, tell_replays])
@pytest.mark.parametrize(
    ("stage", "table"), [("synthesize", "suspicions"), ("ingest", "outcomes"), ("gate1", "trajectories")]
)
def test_a_ledger_of_a_damaged_part_names_it_and_stays_as_it_was(
    run: Path, write: Callable[[Path], None], stage: str, table: str
) -> None:
    before = (run / "ledger.duckdb").read_bytes()
    part = halved(run, stage, table)
    with pytest.raises(InfrastructureError, match="delete its stage directory and run again") as raised:
        write(run)
    assert str(raised.value).startswith(f"{part} cannot be read")
    assert (run / "ledger.duckdb").read_bytes() == before


def test_who_looks_a_record_up_names_the_damaged_part(run: Path) -> None:
    part = halved(run, "screen", "questions")
    for command in ("show", "trace"):
        assert f"{part} cannot be read" in refused(command, run, marked(3).id, code=1)


def test_status_names_the_damaged_part_of_a_stage_that_is_not_done(run: Path) -> None:
    part = halved(run, "validate", "outcomes")
    (part.parent / "stage.json").unlink()
    assert f"{part} cannot be read" in refused("status", run, code=1)
