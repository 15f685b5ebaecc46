"""A run that stopped: what is said of it, and that nothing is told of stages that did not run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flows.ledger.snapshot import StageCost, build_ledger, read_facts
from flows.report.lookup import finished_stages
from flows.report.tables import query_table, records
from tests.support.runs import small_run
from tests.unit.cli.test_cli import call, document, refused

COUNTS_OF = {
    "clean": "decontaminate",
    "gate1": "gate1",
    "gate2_rl": "gate2",
    "gate2_sft": "gate2",
    "validated": "validate",
    "valid": "validate",
    "yield": "validate",
    "selected": "select",
    "sft": "select",
    "rl": "select",
    "sft_rows": "select",
    "rl_rows": "select",
}
"""Column → the stage whose work it counts."""


def stopped_after(run: Path, last: str) -> Path:
    """Leave what an invocation writes that did not come further."""
    stages = [*finished_stages(run).values()]
    names = [stage.name for stage in stages]
    build_ledger(run, stages[: names.index(last) + 1], read_facts(run))
    return run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("stopped") / "small")


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return shutil.copytree(whole, tmp_path / "small")


@pytest.mark.parametrize(("last", "told"), [("screen", 1), ("gate1", 2), ("synthesize", 4), ("validate", 4)])
def test_of_a_stage_that_has_not_run_there_is_no_count_and_of_others_there_is(run: Path, last: str, told: int) -> None:
    stopped_after(run, last)
    ran = {name for (name,) in query_table(run, "SELECT stage FROM stages").rows}
    views = ("way", "cost_per_row", "teacher_yield", "yield_by_teacher")
    rows: dict[str, list[Any]] = {view: records(query_table(run, f"SELECT * FROM {view}")) for view in views}  # noqa: S608 - our names
    assert [view for view in views if rows[view]] == list(views[:told])
    for row in (row for found in rows.values() for row in found):
        for column in COUNTS_OF.keys() & row.keys():
            assert (row[column] is not None) == (COUNTS_OF[column] in ran), column


@pytest.mark.parametrize("command", ["why", "stats"])
def test_tables_say_first_where_the_run_stopped(run: Path, command: str) -> None:
    stopped_after(run, "dedup")
    assert call(command, run).stdout.startswith("stopped before decontaminate: nothing of it, or of what follows")
    (run / "stages" / "decontaminate" / "0123456789abcdef").mkdir(parents=True)
    assert call(command, run).stdout.startswith("stopped in decontaminate: nothing of it, or of what follows")
    assert document(command, run, "--json")["stopped"].startswith("stopped in decontaminate")


def test_a_stage_that_has_not_run_is_a_dash_in_the_way_of_questions(run: Path) -> None:
    stopped_after(run, "screen")
    (line,) = [line for line in call("why", run).stdout.splitlines() if line.startswith("hand    text ")]
    assert line.split()[2:] == ["11", "10", *"-------"]


def journal(run: Path, *costs: StageCost) -> Mapping[str, Any]:
    content = {"invocations": [{"stages": [cost._asdict() for cost in costs]}]}
    (run / "run.json").write_text(json.dumps(content))
    return content


def test_status_tells_what_a_stage_that_stopped_has_paid_for(run: Path) -> None:
    spent = StageCost(0, "decontaminate", 1.0, 1.0, 0, 0, 376, 0, 0, 0, prompt_tokens=157_000, completion_tokens=858)
    journal(run, spent)
    told = "decontaminate has paid for 376 model calls (157,858 tokens): they are in the store, and not paid for again"
    assert told in call("status", run).stdout
    journal(run)
    assert "paid" not in call("status", run).stdout


def test_the_cost_of_a_stage_that_stopped_is_told(run: Path) -> None:
    stopped_after(run, "screen")
    assert {"ingest", "gate1", "validate"} <= {line["stage"] for line in document("stats", run, "--json")["cost"]}


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"invocations": 3}'])
@pytest.mark.parametrize("command", ["stats", "why", "status", "report"])
def test_a_damaged_journal_is_noticed_by_whatever_reads_the_run(run: Path, command: str, damage: str) -> None:
    (run / "run.json").write_text(damage)
    message = refused(command, run, code=1)
    assert f"{run / 'run.json'} is damaged" in message
    assert "remove it" in message


def test_only_runs_are_named_as_runs_that_are_near(run: Path, tmp_path: Path) -> None:
    (tmp_path / "flows" / "stages").mkdir(parents=True)
    (tmp_path / "flows" / "stages" / "gate.py").touch()
    (tmp_path / "docs").mkdir()
    assert "flows" not in refused("stats", tmp_path / "docs")
    assert f"runs there: {run}" in refused("stats", tmp_path / "docs")
