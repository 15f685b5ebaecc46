"""`coldforge trace`: one life under every id, and every rollout with who graded it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from filters.answers import grade
from flows.cli.main import make_app
from flows.report.tables import query_table
from tests.support.runs import attempt, marked, opened, row, small_run
from tests.unit.cli.test_cli import call, document, refused


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("trace") / "small")


def _of(run: Path, sql: str, question_id: str) -> list[tuple[Any, ...]]:
    """The rows that a query gives of one question, without its id, which stands first."""
    return [row[1:] for row in query_table(run, sql).rows if row[0] == question_id]


def test_a_life_is_the_same_under_the_id_of_its_row_its_questions_and_its_rollouts(run: Path) -> None:
    lives = [row(2).id, marked(2).id, opened(2).id, attempt(2, "gate", "plain", 0, "wrong").id]
    assert len({call("trace", run, identity).stdout for identity in lives}) == 1
    assert call("trace", run, lives[0]).stdout == call("show", run, lives[0]).stdout
    assert "no question or trajectory" in refused("trace", run, "0123456789ab")


def test_every_rollout_is_there_with_the_judge_or_the_rule_that_graded_it(run: Path) -> None:
    asked = opened(7)
    told = document("trace", run, asked.id, "--json")["attempts"]
    known = {str(row[0]) for row in _of(run, "SELECT question_id, trajectory_id FROM trajectories", asked.id)}
    judged = {str(row[0]) for row in _of(run, "SELECT question_id, record_id FROM votes", asked.id)}
    assert {line["id"] for line in told} == known
    for line in told:
        if line["id"] in judged:
            assert line["by"].startswith("judge: ")
        elif line["answer"] is not None:
            result = grade(line["answer"], asked.answers, asked.answer_type, question=asked.text)
            assert line["by"] == result.rule


def test_what_a_question_has_cost_is_what_its_rollouts_used(run: Path) -> None:
    told = document("trace", run, opened(7).id, "--json")["cost"]
    used = [tokens for (tokens,) in _of(run, "SELECT question_id, prompt_tokens FROM trajectories", opened(7).id)]
    assert sum(line["rollouts"] for line in told) == len(used)
    assert sum(line["prompt_tokens"] for line in told) == sum(used)


def test_a_row_of_which_no_question_was_made_is_told_with_what_it_held(run: Path) -> None:
    told = document("trace", run, row(0).id, "--json")
    assert told["question"] is None
    assert [line["outcome"] for line in told["life"]] == ["quarantined"]
    assert "no question was made of it" in call("trace", run, row(0).id).stdout


def test_json_holds_whole_ids_and_names_and_the_screen_says_a_model_once(run: Path) -> None:
    told = document("trace", run, opened(7).id, "--json")
    models = {str(row[0]) for row in _of(run, "SELECT question_id, model FROM trajectories", opened(7).id)}
    assert {line["model"] for line in told["attempts"]} == models
    ids = [line[name] for table, name in (("attempts", "id"), ("life", "record")) for line in told[table]]
    assert [one for one in ids if len(one) != 64 and one not in {"row", "question"}] == []
    printed = call("trace", run, opened(7).id).stdout
    assert [printed.count(f"model {model}\n") for model in models] == [1]
    assert opened(7).id in printed
    assert str(told["attempts"][0]["id"]) not in printed
    assert str(told["attempts"][0]["id"])[:12] in printed


def test_tables_and_hints_of_a_life_fit_a_narrow_terminal(run: Path) -> None:
    printed = CliRunner().invoke(make_app(), ["trace", str(run), opened(7).id], env={"COLUMNS": "80"}).stdout
    below = printed[printed.index("Stages\n") :].splitlines()
    assert [line for line in below if len(line) > 80] == []
