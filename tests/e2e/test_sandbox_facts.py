"""What isolated a cell is told where it may differ from host to host, and nowhere else."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows.ledger.query import query
from pipeline.sandbox import Pool, guest
from tests.support.command import DEMO, coldforge

LIMIT = "8"
"""Enough that some cells run and some trajectories are valid, in a few seconds."""
FACTS = {"kernel", "machine", "landlock_abi", "cgroup", "memory", "cpu", "seccomp", "started_as"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, prepared: Callable[[Path], Path]) -> Path:
    base = tmp_path_factory.mktemp("facts")
    prepared(base / "store")
    coldforge("run", DEMO, "--out", base / "run", "--store", base / "store", "--limit", LIMIT)
    return base


@pytest.fixture(scope="module")
def here() -> dict[str, Any]:
    guest.setup()
    with Pool(workers=1) as pool:
        return pool.facts()


def test_the_call_cache_tells_them_of_every_cell(base: Path, here: dict[str, Any]) -> None:
    with closing(sqlite3.connect(base / "store" / "calls.sqlite")) as db:
        facts = [json.loads(text) for (text,) in db.execute("SELECT facts FROM calls WHERE kind = 'cell'")]
    assert facts
    assert all(one == here for one in facts)
    assert here.keys() >= FACTS


def test_run_json_and_the_ledger_tell_them_of_the_run(base: Path, here: dict[str, Any]) -> None:
    assert json.loads((base / "run" / "run.json").read_text())["environment"]["sandbox"] == here
    (row,) = query(base / "run", "SELECT environment FROM runs").to_pylist()
    assert json.loads(row["environment"])["sandbox"] == here


def test_trajectories_tell_environment_and_policy_alone(base: Path, here: dict[str, Any]) -> None:
    with Pool(workers=1) as pool:
        identity = pool.identity
    rows = query(base / "run", "SELECT DISTINCT mode, sandbox FROM trajectories ORDER BY mode").to_pylist()
    assert rows == [{"mode": "plain", "sandbox": ""}, {"mode": "tools", "sandbox": identity}]
    texts = [str(here["kernel"]), here["seccomp"], "landlock", "cgroup", "seccomp"]
    parts = sorted((base / "run").glob("stages/**/*.parquet"))
    assert parts
    for path in parts:
        # Pages are compressed, so the decoded rows are searched.
        content = json.dumps(pq.read_table(path).to_pylist(), default=str).lower()
        assert [text for text in texts if text.lower() in content] == [], path


def test_every_replay_is_in_the_ledger(base: Path) -> None:
    kept = "SELECT record_id FROM outcomes WHERE stage = 'validate' AND unit = 'trajectory' AND outcome = 'kept'"
    valid = {row["record_id"] for row in query(base / "run", kept).to_pylist()}
    replays = query(base / "run", "FROM replays").to_pylist()
    assert valid
    assert valid <= {row["trajectory_id"] for row in replays if row["verdict"] in {"identical", "soft"}}
    assert {row["made_by"] for row in replays} == {"validate"}
