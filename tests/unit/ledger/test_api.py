"""`flows.api`: a run's tables as data frames."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from flows.api import open_run
from flows.ledger.query import query
from pipeline.errors import UsageError
from tests.support.command import ROOT
from tests.support.runs import small_run
from tests.unit.cli.test_cli import call, refused


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("api") / "small")


def test_every_table_is_read_by_polars_and_pandas_with_equal_rows_and_columns(run: Path) -> None:
    opened = open_run(run)
    assert {"outcomes", "gates", "funnel", "validators"} <= set(opened.tables())
    assert all(opened.tables().values())
    for name in opened.tables():
        polars, pandas = opened.table(name), opened.table(name, kind="pandas")
        assert (polars.height, polars.columns) == (len(pandas), list(pandas.columns))
    assert opened.table("outcomes").height == query(run, "SELECT 1 FROM outcomes").num_rows
    assert opened.sql("select count(*) as n from outcomes").item() == opened.table("outcomes").height


def test_what_is_not_there_is_named_with_what_is(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no table gate;.* gates"):
        open_run(run).table("gate")
    with pytest.raises(UsageError, match="has no ledger"):
        open_run(tmp_path)
    with pytest.raises(UsageError, match="has no shard sft"):
        open_run(run).dataset("sft")


def test_the_surface_loads_no_frame_library_before_one_is_asked_for() -> None:
    heavy = "{'datasets', 'duckdb', 'pandas', 'polars', 'transformers'} & set(sys.modules)"
    script = f"import sys, flows.api; print(sorted({heavy}))"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_parquet_keeps_the_types_of_a_query(run: Path, tmp_path: Path) -> None:
    file, sql = tmp_path / "some.parquet", "select question_id, answers, tolerance from questions"
    told = call("stats", run, "--sql", sql, "--format", "parquet", "--out", file)
    assert told.exit_code == 0, told.output
    assert pq.read_table(file).equals(query(run, sql))
    assert pl.read_parquet(file)["answers"].dtype == pl.List(pl.String)
    for words in (["--format", "parquet"], ["--format", "csv", "--out", file]):
        assert "--out FILE" in refused("stats", run, "--sql", sql, *words)
    assert "--sql" in refused("stats", run, "--format", "parquet", "--out", file)
    assert "cannot be written" in refused(
        "stats", run, "--sql", sql, "--format", "parquet", "--out", tmp_path / "none" / "x"
    )


def test_the_page_shows_calls_that_there_are() -> None:
    shown = (ROOT / "docs" / "ledger.md").read_text()
    named = set(re.findall(r"^run\.(\w+)\(", shown, re.MULTILINE))
    assert named
    assert all(hasattr(sys.modules["flows.api"].Run, name) for name in named)
