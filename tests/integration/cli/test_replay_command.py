"""`coldforge replay`: every trajectory it speaks of is executed, and the ledger is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows.cli.main import make_app
from flows.ledger.query import query
from flows.ledger.snapshot import build_ledger, read_facts, record_replays
from flows.report.lookup import finished_stages
from flows.run.held import held
from pipeline.engine.done import Finished
from pipeline.errors import InfrastructureError
from pipeline.records import ReplayResult
from pipeline.store.blobs import BlobStore
from tests.support.command import start
from tests.support.runs import PIXELS, small_run

RECIPE = """
name: tiny
sources: [{source: own.yaml}]
search: {corpus: own}
student: {family: qwen2_5_vl, revision: r1, max_pixels: 262144}
models:
  base: {backend: reader, policy: naive}
  teachers: [{backend: reader, policy: careful}]
"""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    run = small_run(tmp_path / "runs" / "small")
    (run / "recipe.yaml").write_text(RECIPE)
    BlobStore(tmp_path / "runs" / ".store" / "blobs").put(PIXELS.getvalue())
    return run


def call(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(make_app(), [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.output


def rows(run: Path, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = query(run, sql).to_pylist()
    return found


def stages(run: Path) -> list[Finished]:
    return list(finished_stages(run).values())


def test_the_command_executes_all_valid_trajectories_and_tells_the_ledger(run: Path) -> None:
    valid = "SELECT record_id FROM outcomes WHERE stage = 'validate' AND outcome = 'kept'"
    told = json.loads(call("replay", run, "--json", code=3))
    assert told["verdicts"] == {"nondeterministic": 6}  # the recorded text is made up
    assert (told["executed"], told["executed_share"]) == (6, 1.0)
    assert told["recorded_elsewhere"] == 6  # by hand, so under no sandbox at all
    assert {one["trajectory_id"] for one in told["trajectories"]} == {row["record_id"] for row in rows(run, valid)}
    expected = [{"made_by": "replay", "verdict": "nondeterministic", "cells": 1, "n": 6}]
    assert rows(run, "SELECT made_by, verdict, cells, count(*) AS n FROM replays GROUP BY ALL") == expected
    text = call("replay", run, code=3)
    assert "6 of 6 (100.0 %) executed at least one cell" in text
    assert len(rows(run, "FROM replays")) == 6, "the second replay takes the place of the first"


def test_the_rest_of_the_ledger_stays_and_a_rebuild_keeps_what_replay_found(run: Path) -> None:
    before = {name: rows(run, f"FROM {name} ORDER BY ALL") for name in ("runs", "cost", "shards", "outcomes", "turns")}
    results = [ReplayResult(trajectory_id="a", verdict="soft", cells=2, detail="d")]
    record_replays(run, stages(run), results)
    assert {name: rows(run, f"FROM {name} ORDER BY ALL") for name in before} == before
    build_ledger(run, stages(run), read_facts(run))
    told = {"trajectory_id": "a", "made_by": "replay", "verdict": "soft", "cells": 2, "detail": "d"}
    assert rows(run, "FROM replays") == [told]


def test_what_replay_found_of_other_trajectories_is_not_told(run: Path) -> None:
    record_replays(run, stages(run), [ReplayResult(trajectory_id="a", verdict="soft", cells=2, detail="d")])
    without = [stage for stage in stages(run) if stage.name != "synthesize"]
    build_ledger(run, without, read_facts(run))
    assert rows(run, "FROM replays") == []


def test_stats_tells_the_share_that_executed_a_cell(run: Path) -> None:
    record_replays(
        run,
        stages(run),
        [
            ReplayResult(trajectory_id=name, verdict="identical", cells=cells, detail="")
            for name, cells in (("a", 2), ("b", 0), ("c", 1), ("d", 1))
        ],
    )
    told = json.loads(call("stats", run, "--json"))
    # Two attempts with a cell for each of six questions, and one that never made a call.
    assert told["execution"] == [
        {"purpose": "synthesis", "trajectories": 13, "executed": 12, "executed_share": 12 / 13, "cells": 12}
    ]
    assert told["replays"] == [
        {"made_by": "replay", "verdict": "identical", "trajectories": 4, "executed": 3, "executed_share": 0.75}
    ]
    assert "92.3" in call("stats", run)


def test_a_trajectory_that_cannot_be_read_is_not_passed_over(run: Path) -> None:
    shutil.rmtree(run / "stages" / "synthesize")
    assert "no longer holds synthesize" in call("replay", run, code=2)


def test_replay_takes_its_turn_after_whoever_works_in_the_run(run: Path) -> None:
    with held(run):
        replaying = start(["replay", run, "--json"])
        assert replaying.stderr is not None
        assert replaying.stderr.readline() == f"{run} is in use; waiting for its `coldforge run` to end\n"
        assert replaying.poll() is None
        with pytest.raises(InfrastructureError, match="is in use by another"), held(run):
            pass
    told, _ = replaying.communicate(timeout=120)
    assert json.loads(told)["verdicts"] == {"nondeterministic": 6}
