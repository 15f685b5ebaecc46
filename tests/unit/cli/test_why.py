"""`coldforge why`, and what `stats` says of large losses."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from flows.cli.main import make_app
from flows.cli.why import _hits
from flows.report.causes import LARGE_ROWS, LARGE_SHARE
from flows.report.tables import query_table
from flows.report.why import Hit, losses
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


def test_json_holds_whole_texts_that_the_screen_cuts(run: Path) -> None:
    (loss,) = document("why", run, "--stage", "validate", "--json")["losses"]
    (example, *_) = loss["examples"]
    ((text, answer),) = query_table(
        run,
        f"SELECT q.text, t.answer FROM trajectories t JOIN questions q USING (question_id) "  # noqa: S608 - an id of ours
        f"WHERE t.trajectory_id = '{example['record_id']}'",
    ).rows
    assert (example["question"], example["said"]) == (text, answer)
    assert len(str(answer)) > 32
    assert str(answer)[31:] not in call("why", run, "--stage", "validate").stdout


def test_an_example_of_the_gates_says_how_many_were_right(run: Path) -> None:
    (loss,) = losses(run, "gate1")
    ((right, valid),) = query_table(
        run,
        f"SELECT plain_right, plain_valid FROM gates WHERE question_id = '{loss.examples[0].record_id}'",  # noqa: S608 - as above
    ).rows
    assert loss.examples[0].detail == f"{right} of {valid} right"


def test_what_was_too_easy_shows_a_right_rollout_where_there_is_one(tmp_path: Path) -> None:
    run = small_run(tmp_path / "small")
    (loss,) = losses(run, "gate1")
    easy = loss.examples[0].record_id
    with duckdb.connect(str(run / "ledger.duckdb")) as db:
        rows = db.execute("SELECT count(*) FROM trajectories WHERE question_id = ? AND arm = 'main'", [easy]).fetchone()
        db.execute(
            "UPDATE trajectories SET verdict = 'right', answer = 'the right one' WHERE question_id = ? AND sample = 1",
            [easy],
        )
    assert rows is not None
    assert rows[0] > 1
    assert losses(run, "gate1")[0].examples[0].said == "the right one"


def test_groups_that_are_not_named_are_counted() -> None:
    hits = [Hit(f"source_{n}", "text", "", 10 - n, 20) for n in range(5)]
    told = _hits(hits)
    assert "source_2 text 8 of 20" in told
    assert told.endswith("; 13 in 2 other groups")
    assert "other" not in _hits(hits[:3])


def test_tables_of_why_fit_80_columns_with_names_of_usual_length(run: Path) -> None:
    printed = CliRunner().invoke(make_app(), ["why", str(run)], env={"COLUMNS": "80"}).stdout
    # Above stand examples, whose words are as long as a model makes them.
    below = printed[printed.index("Questions that each stage kept") :].splitlines()
    assert [line for line in below if len(line) > 80] == []


def test_tables_of_why_fit_100_columns_when_piped(run: Path) -> None:
    assert max(map(len, call("why", run).stdout.splitlines())) <= 100
