from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from filters.gates.rules import GateSettings
from flows.cli.main import make_app
from flows.ledger.regate import Thresholds
from tests.support.runs import opened, small_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("gates") / "small")


def call(*arguments: object) -> Result:
    return CliRunner().invoke(make_app(), ["gates", *(str(argument) for argument in arguments)])


def told(*arguments: object) -> Any:
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def routes(document: Any, column: str) -> dict[str, int]:
    return {f"{row['stage']} {row['route']}": row[column] for row in document["routes"] if row[column]}


OWN = {"gate1 too_easy": 1, "gate2 rl": 3, "gate2 sft": 6}


def test_every_threshold_that_is_shown_is_set_by_a_flag_of_its_own_name_in_the_recipe() -> None:
    flags = set(
        re.findall(r"--([a-z-]+) ", CliRunner(env={"COLUMNS": "200"}).invoke(make_app(), ["gates", "--help"]).stdout)
    )
    named = {name.replace("_", "-") for name in Thresholds._fields}
    assert flags - {"json", "help"} == named
    assert set(Thresholds._fields) <= set(GateSettings.model_fields)


def test_without_other_thresholds_a_run_is_told_as_it_is(run: Path) -> None:
    document = told(run)
    assert routes(document, "own") == routes(document, "given") == OWN
    assert document["own"] == document["given"]
    assert document["own"]["max_plain_right"] == 2
    assert document["moves"] == []
    assert "no question changes side" in call(run).stdout


def test_other_thresholds_are_told_beside_those_of_the_run(run: Path) -> None:
    document = told(run, "--max-plain-right", 0)
    assert (routes(document, "own"), routes(document, "given")) == (OWN, {"gate1 too_easy": 10})
    moves = {(move["was"], move["becomes"]): move for move in document["moves"]}
    assert moves["gate2 rl", "gate1 too_easy"]["n"] == 3
    assert moves["gate2 rl", "gate1 too_easy"]["examples"] == sorted(opened(n).id for n in (4, 5, 6))
    printed = call(run, "--max-plain-right", 0).stdout
    assert "max_plain_right 2" in printed
    assert "max_plain_right 0" in printed
    assert opened(4).id[:12] in printed
    assert max(map(len, printed.splitlines())) <= 120


def test_the_interval_asks_more_of_tools_than_the_counts(run: Path) -> None:
    # 4 of 8 with tools against 2 of 8 in the fresh arm may be chance.
    assert routes(told(run, "--rule", "interval"), "given") == {"gate1 too_easy": 1, "gate2 sft": 9}
    assert routes(told(run, "--min-tools-right", 5), "given") == {"gate1 too_easy": 1, "gate2 sft": 9}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--max-plain-right", "8"), "give 0 to 7"),
        (("--min-valid", "9"), "give 1 to k = 8"),
        (("--min-tools-right", "0"), "give 1 or more"),
    ],
)
def test_what_cannot_be_told_is_refused(words: tuple[str, ...], message: str, run: Path) -> None:
    result = call(run, *words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""


def test_a_directory_that_is_no_run_is_named(tmp_path: Path) -> None:
    result = call(tmp_path / "none")
    assert result.exit_code == 2
    assert "is not a run directory" in result.stderr
