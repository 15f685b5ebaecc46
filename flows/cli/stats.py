"""`coldforge stats`: tables about a run, or the result of a query on its ledger."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flows.cli.console import JsonFlag, print_json, print_line, print_table, print_wrapped, require_ledger
from flows.cli.status import RunDir

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flows.report.tables import Table

Format = Literal["table", "json", "csv", "markdown", "parquet"]

ROW_WIDTH = 500
"""Where the result of a query is piped, a row stays a line; only longer texts are folded."""


def stats(
    run: RunDir,
    sql: Annotated[str | None, typer.Option(metavar="QUERY", help="One SELECT on the ledger (DuckDB).")] = None,
    format_: Annotated[Format, typer.Option("--format", help="How to print.")] = "table",
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where --format parquet is written, with the types of the query."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Print funnel, reasons, gates, ends of rollouts, yield, tools and cost of RUN, or the result of a query."""
    require_ledger(run)
    wanted: Format = "json" if as_json else format_
    _require_file(wanted, sql, out)
    if sql is None:
        _print_all(run, wanted)
    elif out is not None:
        _write_query(run, sql, out)
    else:
        _print_query(run, sql, wanted)


def _require_file(wanted: Format, sql: str | None, out: Path | None) -> None:
    """Refuse a file where none is written, and its format where none is named.

    Raises:
        UsageError: as said.
    """
    from pipeline.errors import UsageError

    if (wanted == "parquet") != (out is not None):
        raise UsageError("--format parquet and --out FILE go together; other formats are printed, such as > FILE")
    if wanted in {"csv", "parquet"} and sql is None:
        raise UsageError(f"--format {wanted} is of one table; choose it: --sql, such as `from funnel`")


def _write_query(run: Path, sql: str, out: Path) -> None:
    from flows.report.tables import write_answer

    rows = write_answer(run, sql, out)
    print_line(f"{out}: {rows:,} rows")


def _print_all(run: Path, wanted: Format) -> None:
    from flows.cli.ended import stopped
    from flows.report.tables import filled, query_table, records, run_tables
    from flows.report.why import large_losses

    funnel, *others = run_tables(run)
    tables, where = (funnel, large_losses(run), *others), stopped(run)
    if wanted == "json":
        by_source = query_table(run, "SELECT * FROM funnel", "funnel_by_source")
        print_json(
            {"run": str(run), "stopped": where, **{table.name: records(table) for table in (*tables, by_source)}}
        )
    else:
        if where is not None:
            print_wrapped(where)
            print_line("")
        _print_tables([filled(table) for table in tables if table.rows], wanted)


def _print_query(run: Path, sql: str, wanted: Format) -> None:
    from flows.report.tables import answer_table, csv_text, records

    table = answer_table(run, sql)
    if wanted == "json":
        print_json(records(table))
    elif wanted == "csv":
        sys.stdout.write(csv_text(table))
    else:
        _print_tables([table], wanted, width=ROW_WIDTH)


def _print_tables(tables: Sequence[Table], wanted: Format, width: int | None = None) -> None:
    from flows.report.tables import markdown_text

    for number, table in enumerate(tables):
        if wanted == "markdown":
            sys.stdout.write(("\n" if number else "") + markdown_text(table))
        elif width is None:
            print_table(table)
        else:
            print_table(table, width=width, short_ids=False)
