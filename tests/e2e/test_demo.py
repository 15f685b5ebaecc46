"""The whole path on a small sample of the demo, started and read as a user does."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from flows.cli.run import print_summary
from flows.recipe.inputs import make_job
from flows.report.tables import query_table
from flows.run.curate import RunSummary, open_run, run_groups
from flows.run.progress import SilentProgress
from flows.runners.local import local
from pipeline.errors import UsageError
from pipeline.export.layout import RlFormat, SftFormat
from pipeline.models.samples import Spent
from pipeline.store.calls import CallCounts
from tests.support.command import DEMO, DEMO_ROWS, ROOT, coldforge, invocations, paid, results, start, stored_calls
from tests.support.drawn import drawn, require_fit


def run(base: Path, name: str = "run", *more: str) -> Path:
    coldforge("run", DEMO, "--out", base / name, "--store", base / "store", "--limit", DEMO_ROWS, *more)
    return base / name


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, demo_run: Callable[[Path], Path]) -> Path:
    return demo_run(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture(scope="module")
def prefect_home(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A home of Prefect's of our own: to make its database anew takes 7 seconds of processor time."""
    return str(tmp_path_factory.mktemp("prefect"))


def test_nothing_is_lost_in_any_stage(undisturbed: Path) -> None:
    funnel = json.loads(
        coldforge("stats", undisturbed / "run", "--sql", "select * from funnel", "--format", "json").stdout
    )
    assert funnel
    assert all(row["n_in"] == row["kept"] + row["rejected"] + row["quarantined"] for row in funnel)


def test_both_shards_hold_rows_and_pass_their_checks(undisturbed: Path) -> None:
    report = json.loads(coldforge("verify", undisturbed / "run" / "export", "--json").stdout)
    assert report["problems"] == []
    rows = {(export["shard"], export["format"]): export["rows"] for export in report["exports"]}
    assert set(rows) == {
        *(("sft", kind) for kind in get_args(SftFormat)),
        *(("rl", kind) for kind in get_args(RlFormat)),
    }
    assert min(rows.values()) > 0


def test_the_demo_may_be_published_as_it_is(undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed / "run", tmp_path / "run")
    coldforge("card", tmp_path / "run")
    assert "is the card of these exports" in coldforge("card", tmp_path / "run", "--check").stdout
    assert (
        "would send to hf://me/demo" in coldforge("push", tmp_path / "run", "--to", "hf://me/demo", "--dry-run").stdout
    )
    assert json.loads(coldforge("verify", tmp_path / "run", "--json").stdout)["problems"] == []


def test_an_export_that_was_published_and_is_gone_is_a_problem_of_the_run(undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "export" / "rl" / "trl")
    told = coldforge("verify", tmp_path / "run", code=3)
    assert "rl/trl/manifest.json: is not there; the run has published" in told.stdout
    # Of the files alone nobody knows it.
    coldforge("verify", tmp_path / "run" / "export")


def test_the_same_command_again_pays_nothing_and_changes_no_byte(undisturbed: Path) -> None:
    before = results(undisturbed / "run")
    run(undisturbed)
    assert results(undisturbed / "run") == before
    assert paid(undisturbed / "run") == 0
    last = invocations(undisturbed / "run")[-1]["stages"]
    assert all(stage["reused_units"] == stage["units"] for stage in last)


def test_stages_and_exports_deleted_come_back_from_the_store_alone(undisturbed: Path) -> None:
    before = results(undisturbed / "run")
    shutil.rmtree(undisturbed / "run" / "stages")
    shutil.rmtree(undisturbed / "run" / "export")
    run(undisturbed)
    assert results(undisturbed / "run") == before
    assert paid(undisturbed / "run") == 0


def test_another_teacher_prompt_pays_for_no_gate_call_again(undisturbed: Path, tmp_path: Path) -> None:
    guidance = tmp_path / "guidance.md"
    guidance.write_text("Look twice before you answer.\n")
    other = run(undisturbed, "other", "--set", f"prompts.teacher_guidance={guidance}")
    spent = {stage["stage"]: stage["model_calls"] for stage in invocations(other)[-1]["stages"]}
    assert spent["gate1"] == spent["gate2"] == 0
    assert spent["synthesize"] > 0


def test_five_kills_at_random_moments_lose_and_double_nothing(
    undisturbed: Path, tmp_path: Path, prepared: Callable[[Path], Path]
) -> None:
    prepared(tmp_path / "store")
    dice = random.Random(7)
    arguments: list[str | Path] = [
        "run",
        DEMO,
        "--out",
        tmp_path / "run",
        "--store",
        tmp_path / "store",
        "--limit",
        DEMO_ROWS,
    ]
    total = stored_calls(undisturbed / "store")
    for _ in range(5):
        process = start(arguments)
        goal = stored_calls(tmp_path / "store") + dice.randrange(1, total // 6)
        while stored_calls(tmp_path / "store") < goal and process.poll() is None:
            time.sleep(0.02)
        process.kill()
        process.communicate()
    before = stored_calls(tmp_path / "store")
    coldforge(*arguments)
    assert results(tmp_path / "run") == results(undisturbed / "run")
    # What a killed process had stored was found: the last one paid for what was missing, and no more.
    assert paid(tmp_path / "run") == stored_calls(tmp_path / "store") - before


def test_prefect_gives_the_same_bytes(undisturbed: Path, prefect_home: str) -> None:
    quiet = {"PREFECT_HOME": prefect_home, "PREFECT_LOGGING_TO_API_ENABLED": "false"}
    arguments: list[str | Path] = [
        "--out",
        undisturbed / "scheduled",
        "--store",
        undisturbed / "store",
        "--limit",
        DEMO_ROWS,
    ]
    coldforge("run", DEMO, *arguments, "--runner", "prefect", extra=quiet)
    assert results(undisturbed / "scheduled") == results(undisturbed / "run")


def test_replay_comes_out_as_recorded(undisturbed: Path) -> None:
    report = json.loads(coldforge("replay", undisturbed / "run", "--store", undisturbed / "store", "--json").stdout)
    assert report["wrong"] == []
    assert sum(report["verdicts"].values()) > 0


GROUPS = """
import sys
from flows import prefect_flows
recipe, out, store, limit = sys.argv[1:]
for flow in (prefect_flows.gather, prefect_flows.gate, prefect_flows.synthesize, prefect_flows.publish):
    flow(recipe=recipe, out=out, store=store, limit=int(limit))
"""


def test_groups_of_stages_as_flows_of_their_own_give_the_same_bytes(undisturbed: Path, prefect_home: str) -> None:
    out, store = undisturbed / "grouped", undisturbed / "store"
    quiet = {**os.environ, "PREFECT_HOME": prefect_home, "PREFECT_LOGGING_TO_API_ENABLED": "false"}
    arguments = [str(argument) for argument in (DEMO, out, store, DEMO_ROWS)]
    subprocess.run([sys.executable, "-c", GROUPS, *arguments], cwd=ROOT, env=quiet, check=True, timeout=600)
    assert results(out) == results(undisturbed / "run")


def test_a_group_whose_inputs_are_not_there_is_refused(undisturbed: Path, tmp_path: Path) -> None:
    job = make_job(DEMO, out=tmp_path / "new", store=undisturbed / "store", limit=int(DEMO_ROWS))
    with (
        open_run(job, SilentProgress(), local) as new,
        pytest.raises(UsageError, match="run `gather` first"),
    ):
        run_groups(new, ["gate"])


def test_every_table_fits_a_terminal_of_80_and_loses_nothing(
    undisturbed: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = undisturbed / "run"
    ((question, trajectory),) = query_table(
        run, "SELECT question_id, trajectory_id FROM trajectories WHERE arm = 'tools' ORDER BY 2 LIMIT 1"
    ).rows
    commands: list[tuple[object, ...]] = [
        ("status", run),
        ("stats", run),
        ("why", run),
        ("why", run, "--stage", "synthesize"),
        ("gates", run, "--max-plain-right", "1"),
        ("trace", run, question),
        ("show", run, question),
        ("show", run, trajectory),
        ("plan", DEMO, "--offline", "--out", run, "--store", undisturbed / "store"),
        ("plan", DEMO, "--offline", "--diff", run, "--store", undisturbed / "store"),
        ("replay", run, "--store", undisturbed / "store"),
        ("sources", "list"),
        ("benchmarks", "list"),
    ]
    for command in commands:
        assert require_fit(drawn(80, *command), drawn(400, *command), 80), command
    told = list[str]()
    for columns in ("80", "400"):
        monkeypatch.setenv("COLUMNS", columns)
        print_summary(RunSummary(run, (), (), 1.0, CallCounts(Counter(model=1)), Spent()))
        told.append(capsys.readouterr().out)
    narrow, wide = told
    assert require_fit(narrow, wide, 80) >= 3
