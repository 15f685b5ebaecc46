"""Every table and column of the ledger says what it is, and docs/ledger.md is made from that."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from flows.ledger.columns import COLUMNS
from flows.ledger.page import ledger_page
from flows.ledger.snapshot import STORAGE_VERSION
from tests.support.command import ROOT
from tests.support.runs import small_run


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("page") / "small") / "ledger.duckdb"


def test_every_table_and_every_column_has_its_comment_in_the_file(ledger: Path) -> None:
    with duckdb.connect(str(ledger), read_only=True) as db:
        columns = db.execute(
            "SELECT table_name, column_name, comment FROM duckdb_columns() WHERE NOT internal"
        ).fetchall()
        tables = db.execute(
            "SELECT table_name, comment FROM duckdb_tables() WHERE NOT internal "
            "UNION ALL SELECT view_name, comment FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
    assert [(table, column) for table, column, told in columns if not told] == []
    assert [table for table, told in tables if not told] == []
    names = {name for table, column, _ in columns for name in (column, f"{table}.{column}")}
    assert set(COLUMNS) - names == set()


def test_the_page_in_docs_is_what_the_command_prints() -> None:
    assert (ROOT / "docs" / "ledger.md").read_text() == ledger_page()


def test_the_file_is_of_the_storage_version_that_tools_share(ledger: Path) -> None:
    with duckdb.connect() as db:
        db.execute(f"ATTACH '{ledger}' AS ledger (READ_ONLY)")
        (tags,) = db.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'ledger'").fetchone() or ({},)
    assert str(tags["storage_version"]).startswith(STORAGE_VERSION)
