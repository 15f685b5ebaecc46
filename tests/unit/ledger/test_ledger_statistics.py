"""The ledger's own intervals, floors, labels and review queue."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from filters.intervals import newcombe, student95, wilson
from flows.ledger.query import query
from tests.support.runs import DEPLOY_PIXELS, opened, small_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("ledger") / "small")


def rows(run: Path, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = query(run, sql).to_pylist()
    return found


def test_sql_may_call_the_formulas_of_the_filters(run: Path) -> None:
    (row,) = rows(
        run,
        "SELECT wilson_low(3, 8) AS low, wilson_high(3, 8) AS high, newcombe_low(3, 8, 1, 7) AS worse, "
        "newcombe_high(3, 8, 1, 7) AS better, student95(7) AS t, more_often(3, 8, 1, 8, 2) AS more, "
        "wilson_low(NULL, 8) AS nothing",
    )
    assert (row["low"], row["high"]) == wilson(3, 8)
    assert (row["worse"], row["better"]) == newcombe(3, 8, 1, 7)
    assert (row["t"], row["more"], row["nothing"]) == (student95(7), True, None)


def test_every_rollout_belongs_to_the_stage_that_asked_it(run: Path) -> None:
    told = rows(run, "SELECT stage, arm, count(*) AS n FROM trajectories GROUP BY ALL ORDER BY ALL")
    assert told == [{"stage": "gate1", "arm": "main", "n": 20}, {"stage": "synthesize", "arm": "tools", "n": 13}]
    assert {row["arm"] for row in rows(run, "SELECT arm FROM attempts")} == {"main"}


def test_gates_and_arms_tell_their_intervals(run: Path) -> None:
    for row in rows(run, "SELECT * FROM gates"):
        assert (row["plain_low"], row["plain_high"]) == pytest.approx(wilson(row["plain_right"], row["plain_valid"]))
        assert (row["tools_low"], row["tools_high"]) == pytest.approx(wilson(row["tools_right"], row["tools_valid"]))
        assert (row["chance"], row["guess_floor"]) == (0, 1)
    arms = rows(run, "SELECT arm, stage, count(*) AS n FROM arms GROUP BY ALL ORDER BY ALL")
    assert arms == [
        {"arm": "blind", "stage": "gate1", "n": 10},
        {"arm": "fresh", "stage": "gate2", "n": 9},
        {"arm": "pixels", "stage": "gate1", "n": 9},
    ]


def test_the_settings_of_the_gates_are_those_of_the_run(run: Path) -> None:
    (settings,) = rows(run, "SELECT * FROM gate_settings")
    assert settings == {
        "k": 8,
        "max_plain_right": 2,
        "min_tools_right": 1,
        "min_valid": 4,
        "max_right_without_call": 2,
        "guess_floor": 0.05,
        "rule": "count",
        "fresh_share": 0.1,
        "early_stop": False,
        "deploy_pixels": DEPLOY_PIXELS,
    }


@pytest.fixture(scope="module")
def labels(run: Path) -> Callable[[int], dict[str, Any]]:
    found = {row["question_id"]: row for row in rows(run, "SELECT * FROM labels")}
    assert len(found) == 10
    return lambda number: found[opened(number).id]


def test_a_label_is_what_was_counted(labels: Callable[[int], dict[str, Any]]) -> None:
    label = labels(4)
    assert (label["difficulty"], label["plain_right"], label["plain_valid"]) == (7 / 8, 1, 8)
    assert label["benefit"] == 4 / 8 - 2 / 8
    assert (label["benefit_low"], label["benefit_high"]) == pytest.approx(newcombe(4, 8, 2, 8))
    assert (label["blind_right"], label["blind_valid"], label["answerable_blind"]) == (0, 8, False)
    assert (label["majority_answer"], label["majority_share"], label["is_majority"]) == ("Springfield", 1.0, True)


def test_what_was_not_asked_has_no_label(labels: Callable[[int], dict[str, Any]]) -> None:
    easy = labels(3)
    assert easy["difficulty"] == 0
    assert [easy[name] for name in ("benefit", "benefit_low", "benefit_high", "resolution_artifact")] == [None] * 4


def test_easy_at_the_pixels_of_deployment_is_an_artifact(labels: Callable[[int], dict[str, Any]]) -> None:
    assert [labels(n)["resolution_artifact"] for n in (2, 4, 7, 8)] == [False, False, True, False]


def test_a_suspected_answer_waits_for_a_person_with_all_that_is_needed(run: Path) -> None:
    (waiting,) = rows(run, "SELECT * FROM review_queue")
    assert waiting["question_id"] == opened(9).id
    assert (waiting["stored_answers"], waiting["suspected_answer"]) == (["Springfield"], "Shelbyville")
    assert (waiting["text"], waiting["agreeing"], waiting["single_family"]) == (opened(9).text, 5, True)
    (asked,) = rows(run, "SELECT * FROM votes")
    assert asked["record_id"] == asked["question_id"] == opened(8).id
