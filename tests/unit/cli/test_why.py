"""`coldforge why`, and what `stats` says of large losses."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.report.causes import LARGE_ROWS, LARGE_SHARE
from flows.report.why import losses
from tests.support.runs import small_run
from tests.unit.cli.test_cli import call, document, refused


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("why") / "small")


def test_every_record_that_was_lost_is_in_one_loss_with_an_example(run: Path) -> None:
    funnel = document("stats", run, "--json")["funnel"]
    lost = {line["stage"]: line["rejected"] + line["quarantined"] for line in funnel}
    told = losses(run)
    assert {stage: sum(loss.n for loss in told if loss.stage == stage) for stage in lost} == lost
    for loss in told:
        assert len(loss.examples) == min(loss.n, 3)
        assert sum(hit.n for hit in loss.hits) == loss.n
        assert all(hit.n_in >= hit.n for hit in loss.hits)
    assert [loss.n for loss in told] == sorted((loss.n for loss in told), reverse=True)


def test_a_stage_is_told_alone_and_one_that_is_none_is_named_with_those_there_are(run: Path) -> None:
    assert {loss["stage"] for loss in document("why", run, "--stage", "validate", "--json")["losses"]} == {"validate"}
    assert "gate1" in refused("why", run, "--stage", "gate3")


def test_examples_hold_what_was_said_beside_what_is_stored_and_how_to_look(run: Path) -> None:
    (loss,) = losses(run, "validate")
    example = loss.examples[0]
    assert example.said
    assert example.stored
    shown = call("why", run, "--stage", "validate").stdout
    assert f"coldforge show {run} {example.record_id[:12]}" in shown
    assert "\x1b" not in shown


def test_stats_tells_what_usually_causes_each_large_loss_and_no_other(run: Path) -> None:
    told = document("stats", run, "--json")
    large = {(row["stage"], row["reason"]) for row in told["large_losses"]}
    went = {line["stage"]: line["n_in"] for line in told["funnel"]}
    expected = {
        (row["stage"], row["reason"])
        for row in told["reasons"]
        if row["n"] >= LARGE_ROWS and row["n"] / went[row["stage"]] >= LARGE_SHARE
    }
    assert large == expected
    assert expected


def test_tables_of_why_fit_100_columns_when_piped(run: Path) -> None:
    assert max(map(len, call("why", run).stdout.splitlines())) <= 100
