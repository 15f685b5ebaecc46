"""What a run saves: gate 1 stops early, and synthesis stops when it has enough."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from tests.support.command import DEMO, coldforge

LIMIT = "24"


def query(run: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(run / "ledger.duckdb"), read_only=True) as ledger:
        return ledger.execute(sql).fetchall()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, prepared: Callable[[Path], Path]) -> tuple[Path, Path]:
    """Return a run that stops early and then one that asks all k times, with one store."""
    base = tmp_path_factory.mktemp("runs")
    prepared(base / ".store")
    for name, early in (("early", "true"), ("full", "false")):
        arguments = ("run", DEMO, "--limit", LIMIT, "--out", base / name, "--set", f"gate.early_stop={early}")
        more = ("gate.early_stop_exempt=0.0", "synthesize.accept=2", "select.max_per_cluster=2")
        done = coldforge(*arguments, *(part for change in more for part in ("--set", change)))
        assert ("early stop:" in done.stdout) == (early == "true")
    return base / "early", base / "full"


OUTCOMES = "SELECT stage, record_id, outcome, route, reason FROM outcomes WHERE stage LIKE 'gate%' ORDER BY ALL"


def test_early_stopping_changes_no_outcome_and_no_route(runs: tuple[Path, Path]) -> None:
    early, full = runs
    assert query(early, OUTCOMES) == query(full, OUTCOMES)
    assert query(early, OUTCOMES)


def test_the_rollouts_that_were_not_asked_for_are_counted_and_were_not_paid(runs: tuple[Path, Path]) -> None:
    early, full = runs
    ((censored,),) = query(early, "SELECT sum(censored) FROM gates")
    ((paid,),) = query(full, "SELECT model_calls FROM cost WHERE stage = 'gate1'")
    assert isinstance(censored, int)
    # The full run pays for these alone, but for those that two questions share.
    assert 0 < paid <= censored  # type: ignore[operator]


def test_synthesis_goes_on_until_enough_attempts_are_accepted(runs: tuple[Path, Path]) -> None:
    per_question = """
    SELECT o.question_id, count(*) FROM outcomes o WHERE stage = 'validate' AND outcome = 'kept' GROUP BY 1
    """
    counts = [count for _, count in query(runs[0], per_question)]
    assert counts
    assert max(counts) == 2  # type: ignore[type-var]
