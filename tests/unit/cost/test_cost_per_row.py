"""What an accepted row has cost, counted by hand on the small run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flows.ledger.query import query
from flows.ledger.snapshot import build_ledger, read_facts
from flows.report.lookup import finished_stages
from pipeline.engine.done import Done, Finished
from pipeline.identity import canonical_json
from tests.support.runs import Given, attempt, opened, outcome, row, small_run, stage

PRICES = [
    {"purpose": "gate", "model": "m/1", "prompt": 1.0, "cached": 0.1, "completion": 2.0},
    {"purpose": "synthesis", "model": "m/1", "prompt": 10.0, "cached": 1.0, "completion": 20.0},
]


def selected(done: Done) -> Finished:
    """Questions 4 to 6 go to RL; of the right attempts at 2 and 7 to 11 the last one is not kept."""
    questions: list[Given] = [(row(n).id, opened(n), outcome("select", opened(n), "rl")) for n in (4, 5, 6)]
    right = {n: attempt(n, "synthesis", "tools", 1, "right") for n in (2, 7, 8, 9, 10, 11)}
    attempts: list[Given] = [
        (row(n).id, one, outcome("select", one, "sft", "duplicate" if n == 11 else "")) for n, one in right.items()
    ]
    return stage(done, "select", inputs=[*questions, *attempts], tables={})


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    run = small_run(tmp_path_factory.mktemp("priced") / "small")
    facts = read_facts(run)._replace(environment=canonical_json({"prices": PRICES}))
    done = Done(run, finished_stages(run))
    build_ledger(run, [*done.stages.values(), selected(done)], facts)
    return {row["grouped_by"]: row for row in query(run, "SELECT * FROM cost_per_row").to_pylist()}


ROLLOUT = 100 + 20
GATE, SYNTHESIS = (100 * 1 + 20 * 2) / 1e6, (100 * 10 + 20 * 20) / 1e6


@pytest.mark.parametrize("group", ["source", "category"])
def test_a_group_pays_for_all_its_rollouts_and_shares_them_among_its_rows(
    group: str, costs: dict[str, dict[str, Any]]
) -> None:
    # Ten questions with two gate rollouts each; six with two attempts each, and one unfinished attempt.
    row = costs[group]
    assert (row["sft_rows"], row["rl_rows"]) == (5, 3)
    assert (row["gate_tokens"], row["synthesis_tokens"]) == (20 * ROLLOUT, 13 * ROLLOUT)
    assert row["gate_cost"] == pytest.approx(20 * GATE)
    assert row["synthesis_cost"] == pytest.approx(13 * SYNTHESIS)
    assert row["cost_per_row"] == pytest.approx((20 * GATE + 13 * SYNTHESIS) / 8, abs=1e-6)
    assert row["tokens_per_row"] == round(33 * ROLLOUT / 8)


def test_a_teacher_pays_for_the_gates_of_what_it_was_asked(costs: dict[str, dict[str, Any]]) -> None:
    row = costs["teacher"]
    assert (row["name"], row["sft_rows"], row["rl_rows"]) == ("m/1", 5, 0)
    assert (row["gate_tokens"], row["synthesis_tokens"]) == (12 * ROLLOUT, 13 * ROLLOUT)
    assert row["cost_per_row"] == pytest.approx((12 * GATE + 13 * SYNTHESIS) / 5, abs=1e-6)


def test_without_a_price_tokens_are_told_and_no_money(tmp_path: Path) -> None:
    run = small_run(tmp_path / "free")
    rows = query(run, "SELECT * FROM cost_per_row").to_pylist()
    assert {row["gate_cost"] for row in rows} == {row["cost_per_row"] for row in rows} == {None}
    assert all(row["gate_tokens"] for row in rows)
    assert query(run, "SELECT * FROM prices").num_rows == 0
