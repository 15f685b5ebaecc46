"""What `coldforge stats` tells of how rollouts ended: each of them once, with a cause and one of its kind."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from flows.ledger.snapshot import build_ledger
from flows.report.tables import query_table, records, run_tables
from pipeline.engine.done import Done
from pipeline.records import Finish, Question, Trajectory, Verdict
from tests.support.builders import trajectory, turn
from tests.support.runs import facts, marked, outcome, row, stage
from tests.support.staged import begun

BAD = turn("none", arguments="{}", status="bad_call", loss=False, labels=("two_actions",))
ENDS: tuple[tuple[Finish, Verdict, dict[str, Any], str], ...] = (
    ("answer", "right", {}, "right"),
    ("answer", "wrong", {}, "wrong"),
    ("answer", "unjudged", {}, "unjudged"),
    ("bad_call", "unknown", {"turns": (BAD,)}, "two_actions"),
    ("max_turns", "unknown", {"turns": (turn("python", "1"), BAD)}, "two_actions"),
    ("max_turns", "unknown", {"turns": (turn("python", "1"),)}, ""),
    ("refused", "unknown", {"turns": (), "detail": "Your prompt was flagged."}, ""),
    ("length", "unknown", {"turns": (BAD.model_copy(update={"labels": ()}),)}, ""),
)


def ended(number: int) -> Trajectory:
    """A rollout of one of the ends in turn, by one of two models, with tools or without."""
    finish, verdict, changes, _ = ENDS[number % len(ENDS)]
    turns = changes.get("turns", (turn("answer", "1"),))
    about: dict[str, Any] = {"purpose": "gate", "arm": "main", "mode": "tools", "model": f"m/{number // 8 % 2}"}
    about |= {"sample": number, "finish": finish, "verdict": verdict, "detail": changes.get("detail", "")}
    return trajectory(*turns, asked=marked(number % 3), **about)


MADE = [ended(number) for number in range(40)]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("ends") / "run"
    done: Done = begun(directory, map(row, range(3)))
    inputs = [(row(n).id, marked(n), outcome("gate2", marked(n), "sft")) for n in range(3)]
    gate2 = stage(
        done,
        "gate2",
        inputs=inputs,
        tables={"trajectories": Trajectory, "questions": Question},
        made=lambda root: [("trajectories", one) for one in MADE if one.question_id == questions()[root].id],
    )
    build_ledger(directory, [gate2], facts("ends"))
    return directory


def questions() -> dict[str, Question]:
    return {row(n).id: marked(n) for n in range(3)}


def test_every_rollout_is_told_once_under_its_cause_with_one_of_its_kind(run: Path) -> None:
    told = [record for record in records(query_table(run, "FROM endings")) if isinstance(record, dict)]
    causes = {one.id: ENDS[number % len(ENDS)][3] for number, one in enumerate(MADE)}
    expected = Counter((one.model, one.finish, causes[one.id]) for one in MADE)
    assert {(line["model"], line["finish"], line["cause"]): line["n"] for line in told} == expected
    by_id = {one.id: one for one in MADE}
    for line in told:
        example = by_id[str(line["example"])]
        assert (example.model, example.finish, causes[example.id]) == (line["model"], line["finish"], line["cause"])
        assert line["stage"] == "gate2"
    assert {line["detail"] for line in told} == {None, "Your prompt was flagged."}


def test_the_shares_of_a_model_in_a_stage_add_up(run: Path) -> None:
    (table,) = (table for table in run_tables(run) if table.name == "endings")
    lines = [dict(zip(table.columns, line, strict=True)) for line in table.rows]
    for model in ("m/0", "m/1"):
        assert sum(line["share"] for line in lines if line["model"] == model) == pytest.approx(1, abs=1e-3)  # type: ignore[misc]
