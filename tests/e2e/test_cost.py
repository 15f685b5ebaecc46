"""A pilot, the run after it, and what changes of the recipe would cost, on a sample of the demo."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows.cost.measure import compare
from flows.ledger.query import query
from flows.plan.diff import Again, diff
from flows.recipe.inputs import make_job
from tests.support.command import DEMO, coldforge, invocations, stored_calls

ROWS = 24
ASKING = {"gate1", "gate2", "synthesize"}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, prepared: Callable[[Path], Path]) -> Path:
    return prepared(tmp_path_factory.mktemp("cost") / ".store").parent


@pytest.fixture(scope="module")
def planned(base: Path) -> dict[str, Any]:
    done = coldforge("plan", DEMO, "--out", base / "full", "--pilot", str(ROWS), "--json")
    plan: dict[str, Any] = json.loads(done.stdout)
    return plan


@pytest.fixture(scope="module")
def pilot(planned: dict[str, Any]) -> Path:
    return Path(planned["pilot"]["run"])


def again(base: Path, pilot: Path, *changes: str, limit: int = ROWS) -> dict[str, Again]:
    job = make_job(DEMO, out=base / "full", limit=limit, changes=changes)
    return {line.stage: line for line in diff(job, pilot)}


def test_a_pilot_measures_what_a_plan_assumes(planned: dict[str, Any], pilot: Path) -> None:
    told = planned["pilot"]
    assert told["rows"] == ROWS
    # A sheet that no pixel budget shrinks is asked alike at all of them, and what is equal is paid for once.
    (sharp,) = query(pilot, "SELECT sum(n_turns)::BIGINT AS n FROM trajectories WHERE arm = 'pixels'")["n"].to_pylist()
    shared = sum(line.calls for line in compare(pilot)) - told["paid"]["calls"]
    assert 0 <= shared < sharp
    assert {line["basis"] for line in planned["stages"]} == {"measured"}
    for line, rate, between in zip(planned["stages"], told["measured"], told["between"], strict=True):
        records = planned["rows"] * rate["records"] / ROWS
        assert line["records"] == pytest.approx(records, abs=1)
        assert line["calls"] == pytest.approx(records * rate["calls_per_record"], rel=0.02)
        assert between["calls_low"] < line["calls"] <= between["calls_high"]  # equal where every row came so far
        assert rate["low"] <= rate["pass_rate"] <= rate["high"]
        assert rate["seconds_per_record"] > 0


def test_the_run_after_a_pilot_pays_only_for_what_the_pilot_did_not_ask(base: Path, pilot: Path) -> None:
    before = stored_calls(base / ".store")
    done = coldforge("run", DEMO, "--out", base / "full", "--limit", str(ROWS + 4))
    asked = {line.stage: line.calls for line in compare(pilot)}
    for line in compare(base / "full"):
        assert line.paid == line.calls - asked[line.stage]
    stages = invocations(base / "full")[-1]["stages"]
    spent = sum(stage["model_calls"] + stage["search_calls"] + stage["cells"] for stage in stages)
    assert stored_calls(base / ".store") - before == spent
    assert "Expected, and what came of it" in done.stdout
    assert "Cost per accepted row" in done.stdout


def test_the_same_recipe_does_nothing_again(base: Path, pilot: Path) -> None:
    assert not any(line.again or line.calls or line.calls_up_to for line in again(base, pilot).values())


def test_new_rows_are_paid_for(base: Path, pilot: Path) -> None:
    lines = again(base, pilot, limit=2 * ROWS)
    assert {line.why for line in lines.values()} == {f"{ROWS} new rows"}
    asked = {line.stage: line.calls for line in compare(pilot)}
    assert all(lines[stage].calls == pytest.approx(asked[stage], abs=1) for stage in ASKING)


def newly_hard(run: Path, pilot: Path) -> int:
    """Questions that pass gate 1 in a run and did not in the pilot."""
    sql = "SELECT question_id FROM outcomes WHERE stage = 'gate1' AND route = 'next'"
    now, before = (set(query(of, sql)["question_id"].to_pylist()) for of in (run, pilot))
    return len(now - before)


def test_a_threshold_asks_no_question_twice_and_tells_whom_it_lets_through(base: Path, pilot: Path) -> None:
    change = "gate.max_plain_right=4"
    lines = again(base, pilot, change)
    assert lines["gate1"].again
    assert lines["gate1"].why == "gate.max_plain_right: 2 → 4"
    assert lines["synthesize"].why == "gate1 runs again"
    assert not any(lines[stage].again for stage in ("ingest", "screen", "dedup", "decontaminate"))
    coldforge("run", DEMO, "--out", base / "looser", "--limit", str(ROWS), "--set", change)
    paid = {line.stage: line.paid for line in compare(base / "looser")}
    # No question is asked again; those that newly pass are asked at the other pixel budget.
    assert paid["gate1"] == lines["gate1"].calls == 8 * newly_hard(base / "looser", pilot)
    # As many questions as the counts told, each as long as the pilot's were on average.
    assert paid["gate2"] == pytest.approx(lines["gate2"].calls, rel=0.3)
    assert paid["gate2"] > 0


def test_a_stricter_selection_runs_its_own_stages_for_nothing(base: Path, pilot: Path) -> None:
    lines = again(base, pilot, "select.max_per_cluster=2")
    assert [stage for stage, line in lines.items() if line.again] == ["select", "publish"]
    assert not any(line.calls or line.calls_up_to for line in lines.values())


def test_another_guidance_asks_the_teachers_alone(base: Path, pilot: Path, tmp_path: Path) -> None:
    guidance = tmp_path / "guidance.md"
    guidance.write_text("Look twice before you answer.\n")
    lines = again(base, pilot, f"prompts.teacher_guidance={guidance}")
    assert [stage for stage, line in lines.items() if line.again] == ["synthesize", "validate", "select", "publish"]
    assert lines["synthesize"].why.startswith("prompts")
    ((calls, tokens),) = (
        row.values()
        for row in query(
            pilot,
            "SELECT sum(n_turns), sum(prompt_tokens)::BIGINT FROM trajectories "
            "WHERE purpose = 'synthesis' AND arm <> 'long_cot'",
        ).to_pylist()
    )
    assert (lines["synthesize"].calls, lines["synthesize"].prompt_tokens) == (calls, tokens)
    assert {stage for stage, line in lines.items() if line.calls} == {"synthesize"}


def test_another_sampling_of_the_base_asks_the_gates_again(base: Path, pilot: Path) -> None:
    lines = again(base, pilot, "models.base.sampling={temperature: 0.7}")
    asked = {line.stage: line.calls for line in compare(pilot)}
    assert lines["gate1"].why == "models.base.sampling.temperature: 1.0 → 0.7"
    assert (lines["gate1"].calls, lines["gate2"].calls) == (asked["gate1"], asked["gate2"])
    # The teachers are asked only about questions that come newly to them; which, nobody knows yet.
    assert lines["synthesize"].calls == 0
    assert lines["synthesize"].calls_up_to > 0
