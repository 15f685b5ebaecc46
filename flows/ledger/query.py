"""Asking a ledger: read-only SQL, with the formulas of the filters as its functions."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from filters.gates.rules import more_often
from filters.intervals import newcombe, student95, wilson
from pipeline.errors import InfrastructureError, UsageError

if TYPE_CHECKING:
    import duckdb

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
    """Run one read-only query of ours on a run's ledger and return its result; it may call the functions of `FORMULAS`.

    Raises:
        UsageError: there is no ledger.
        InfrastructureError: it cannot be read: damaged, locked, or written by a version that this one does not know.
    """
    import duckdb

    with _opened(run) as db:
        try:
            return db.sql(sql).to_arrow_table()
        except (duckdb.CatalogException, duckdb.BinderException) as error:
            raise InfrastructureError(
                f"{_path(run)} is of another version of coldforge ({_first_line(error)}); {_ANEW}"
            ) from error
        except duckdb.Error as error:
            raise _unreadable(run, error) from error


def answer(run: Path, sql: str) -> pa.Table:
    """Run one query of a user's, as `query`.

    Raises:
        UsageError: there is no ledger, `sql` is more than one statement, or DuckDB refuses it; then the message is
            DuckDB's own.
        InfrastructureError: the ledger cannot be read.
    """
    import duckdb

    with _opened(run) as db:
        try:
            # DuckDB would run them all and return the last result alone.
            if (given := len(db.extract_statements(sql))) > 1:
                raise UsageError(f"--sql: these are {given} statements; give one SELECT")
            relation = db.sql(sql)
            if relation is None:
                raise UsageError("--sql: the statement returns no rows; give a SELECT")
            return relation.to_arrow_table()
        except duckdb.Error as error:
            if _DAMAGED in str(error) or isinstance(error, duckdb.IOException):
                raise _unreadable(run, error) from error
            raise UsageError(f"--sql: {error}") from error


_DAMAGED = "Corrupt database file"
"""How DuckDB begins on a block whose checksum is wrong, which it looks at no sooner than a query needs it."""
_ANEW = "the same `coldforge run` again writes it anew, from what is committed"


class _Kept(NamedTuple):
    run: Path
    stack: ExitStack
    opened: list[duckdb.DuckDBPyConnection]
    """None before the first query, then one."""


_KEPT: ContextVar[_Kept | None] = ContextVar("_KEPT", default=None)


@contextmanager
def kept_open(run: Path) -> Iterator[None]:
    """Open the ledger of a run once for all queries of this block, which see it as it is at the first of them.

    To open it takes 20 ms of processor time, more than most queries; a report asks fifty.
    """
    kept = _KEPT.get()
    if kept is not None and kept.run == run:
        yield
        return
    with ExitStack() as stack:
        before = _KEPT.set(_Kept(run, stack, []))
        try:
            yield
        finally:
            _KEPT.reset(before)


@contextmanager
def _opened(run: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    kept = _KEPT.get()
    if kept is None or kept.run != run:
        with _connected(run) as db:
            yield db
        return
    if not kept.opened:
        kept.opened.append(kept.stack.enter_context(_connected(run)))
    # A cursor has no transaction but its own: what one query broke is nothing to the next.
    with kept.opened[0].cursor() as db:
        yield db


@contextmanager
def _connected(run: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    path = _path(run)
    if not path.exists():
        raise UsageError(f"{path} does not exist; give a run directory, such as runs/demo, that `coldforge run` made")
    try:
        # External access off: a query reads the ledger and nothing else on this machine.
        db = duckdb.connect(str(path), read_only=True, config={**CONFIG, "enable_external_access": False})
    except duckdb.Error as error:
        raise _unreadable(run, error) from error
    with db:
        for name, (formula, takes, gives) in FORMULAS.items():
            db.create_function(name, formula, list(takes), gives)
        yield db


def _path(run: Path) -> Path:
    return run / "ledger.duckdb"


def _unreadable(run: Path, error: Exception) -> InfrastructureError:
    """Return one sentence about a ledger that DuckDB does not open or read."""
    path, said = _path(run), _first_line(error)
    if "Could not set lock" in said:
        holder = re.search(r"\(PID \d+\)", said)
        return InfrastructureError(
            f"{path} is open for writing in another process{' ' + holder[0] if holder else ''}; close it there"
        )
    if "storage version number" in said:
        return InfrastructureError(
            f"{path} was written by a DuckDB that is newer than the one here ({importlib.metadata.version('duckdb')}); "
            f"{_ANEW}"
        )
    return InfrastructureError(f"{path} is damaged ({said}); {_ANEW}")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
