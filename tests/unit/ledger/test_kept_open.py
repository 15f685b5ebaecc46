"""Queries of one block ask one ledger over one connection; nothing of it stays open behind the block."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.ledger.query import answer, kept_open, query
from pipeline.errors import UsageError
from tests.support.runs import small_run

ROWS = "SELECT count(*) AS n, wilson_low(3, 4) > 0 AS formula FROM outcomes"
NAME = "SELECT name FROM runs"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("whole") / "small")


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ledgers that were opened."""
    paths = list[str]()
    connect: Callable[..., Any] = duckdb.connect

    def noted(path: str, **options: Any) -> Any:
        paths.append(path)
        return connect(path, **options)

    monkeypatch.setattr(duckdb, "connect", noted)
    return paths


def test_a_block_opens_a_ledger_once_and_its_queries_give_what_they_give_alone(
    whole: Path, connected: list[str]
) -> None:
    alone = [query(whole, ROWS), query(whole, NAME)]
    assert len(connected) == 2
    connected.clear()
    with kept_open(whole), kept_open(whole):
        assert [query(whole, ROWS), query(whole, NAME)] == alone
    assert connected == [str(whole / "ledger.duckdb")]
    query(whole, NAME)
    assert len(connected) == 2


def test_another_run_within_a_block_is_asked_itself(whole: Path, tmp_path: Path, connected: list[str]) -> None:
    other = shutil.copytree(whole, tmp_path / "other")
    with kept_open(whole), kept_open(other):
        query(whole, NAME)
        query(other, NAME)
    assert connected == [str(run / "ledger.duckdb") for run in (whole, other)]


def test_a_block_sees_one_state_and_who_comes_after_it_the_next(whole: Path, tmp_path: Path) -> None:
    run = shutil.copytree(whole, tmp_path / "run")
    with duckdb.connect(str(tmp_path / "new.duckdb")) as db:
        db.execute("CREATE TABLE runs AS SELECT 'another' AS name")
    with kept_open(run):
        before = query(run, NAME)
        (tmp_path / "new.duckdb").replace(run / "ledger.duckdb")
        assert query(run, NAME) == before
    assert query(run, NAME).to_pylist() == [{"name": "another"}]


def test_a_query_that_fails_is_nothing_to_the_next_and_nothing_stays_open(whole: Path) -> None:
    with kept_open(whole):
        with pytest.raises(UsageError, match="--sql"):
            answer(whole, "SELECT nothing")
        with pytest.raises(UsageError, match="--sql"):
            answer(whole, "BEGIN; SELECT 1")
        assert query(whole, NAME).num_rows == 1
    # Were it open, DuckDB would refuse another configuration in the same process.
    with duckdb.connect(str(whole / "ledger.duckdb")) as db:
        assert db.execute(NAME).fetchone() is not None


def test_without_a_ledger_a_block_fails_at_its_first_query(tmp_path: Path) -> None:
    with kept_open(tmp_path), pytest.raises(UsageError, match="does not exist"):
        query(tmp_path, NAME)
