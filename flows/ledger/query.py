"""Asking a ledger: read-only SQL, with the formulas of the filters as its functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from filters.gates.rules import more_often
from filters.intervals import newcombe, student95, wilson
from pipeline.errors import UsageError

CONFIG: dict[str, str | bool | int | float | list[str]] = {
    # Nothing is ever fetched: extensions come from a network that this tool must not need.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}

FORMULAS: Mapping[str, tuple[Callable[..., Any], tuple[str, ...], str]] = {
    "wilson_low": (lambda hits, of: wilson(hits, of).low, ("BIGINT",) * 2, "DOUBLE"),
    "wilson_high": (lambda hits, of: wilson(hits, of).high, ("BIGINT",) * 2, "DOUBLE"),
    "newcombe_low": (lambda a, a_of, b, b_of: newcombe(a, a_of, b, b_of).low, ("BIGINT",) * 4, "DOUBLE"),
    "newcombe_high": (lambda a, a_of, b, b_of: newcombe(a, a_of, b, b_of).high, ("BIGINT",) * 4, "DOUBLE"),
    "student95": (student95, ("BIGINT",), "DOUBLE"),
    "more_often": (more_often, ("BIGINT",) * 5, "BOOLEAN"),
}
"""By name in SQL: the function, what it takes and what it gives; of null it gives null."""


def query(run: Path, sql: str) -> pa.Table:
    """Run one read-only query on a run's ledger and return its result; it may call the functions of `FORMULAS`.

    Raises:
        UsageError: there is no ledger, `sql` is more than one statement, or DuckDB refuses it; then the message is
            DuckDB's own.
    """
    import duckdb

    path = run / "ledger.duckdb"
    if not path.exists():
        raise UsageError(f"{path} does not exist; give a run directory, such as runs/demo, that `coldforge run` made")
    # External access off: a query reads the ledger and nothing else on this machine.
    with duckdb.connect(str(path), read_only=True, config={**CONFIG, "enable_external_access": False}) as db:
        for name, (formula, takes, gives) in FORMULAS.items():
            db.create_function(name, formula, list(takes), gives)
        try:
            # DuckDB would run them all and return the last result alone.
            if (given := len(db.extract_statements(sql))) > 1:
                raise UsageError(f"--sql: these are {given} statements; give one SELECT")
            relation = db.sql(sql)
        except duckdb.Error as error:
            raise UsageError(f"--sql: {error}") from error
        if relation is None:
            raise UsageError("--sql: the statement returns no rows; give a SELECT")
        return relation.to_arrow_table()
