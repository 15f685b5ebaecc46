"""Tables about a run, read from its ledger and written for a terminal, or as JSON, CSV or Markdown.

What a ledger holds was written by models and by the web, so text goes to a terminal only through
`visible`: an escape sequence in an answer is shown, never obeyed.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flows.report.queries import COST_PER_ROW, FUNNEL, REPORTS, RIGHTS, UNJUDGED, Report
from pipeline.amounts import percent, rounded
from pipeline.errors import UsageError
from pipeline.identity import Json

if TYPE_CHECKING:
    import pyarrow as pa
    from rich.table import Table as RichTable


class Table(NamedTuple):
    """Rows of plain values under named columns."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Json, ...], ...]


def run_tables(run: Path) -> tuple[Table, ...]:
    """Return the tables that describe a run: funnel, reasons, gates, ends of rollouts, yield, ….

    A table of what a run did not ask, such as an arm beside the gates, has no rows.

    Raises:
        UsageError: `run` has no ledger.
    """
    from flows.ledger.query import kept_open

    with kept_open(run):
        return tuple(_table(run, report) for report in REPORTS)


def cost_per_row_table(run: Path) -> Table:
    """Return what each accepted row has cost, by teacher, source and category.

    Raises:
        UsageError: `run` has no ledger.
    """
    return _table(run, COST_PER_ROW)


def funnel_table(run: Path) -> Table:
    """Return one line per stage and unit: what went in, what became of it, and CPU seconds over all invocations.

    Raises:
        UsageError: `run` has no ledger.
    """
    return _table(run, FUNNEL)


def rights_table(run: Path) -> Table:
    """Return what was left out for the rights of others, by stage, reason and category; no rows where nothing was.

    Raises:
        UsageError: `run` has no ledger.
    """
    return _table(run, RIGHTS)


def unjudged_table(run: Path) -> Table:
    """Return by source how many answers no rule decided where no judge is named; no rows where there are none.

    Raises:
        UsageError: `run` has no ledger.
    """
    return _table(run, UNJUDGED)


def _table(run: Path, report: Report) -> Table:
    return query_table(run, report.sql, report.name, report.title)


def filled(table: Table) -> Table:
    """Return the table without the columns in which no row has a value, such as money where nothing has a price."""
    chosen = [index for index in range(len(table.columns)) if any(row[index] is not None for row in table.rows)]
    columns = tuple(table.columns[index] for index in chosen)
    return table._replace(columns=columns, rows=tuple(tuple(row[index] for index in chosen) for row in table.rows))


def by_value(table: Table, column: str) -> list[Table]:
    """Return a table for each value of a column, in their order, with the value in its title in place of the column.

    So a long name stands once, and not broken in every row.
    """
    if not table.rows:
        return []
    index = table.columns.index(column)
    values = dict.fromkeys(row[index] for row in table.rows)
    columns = (*table.columns[:index], *table.columns[index + 1 :])
    return [
        table._replace(
            title=f"{table.title}: {column} {value}",
            columns=columns,
            rows=tuple((*row[:index], *row[index + 1 :]) for row in table.rows if row[index] == value),
        )
        for value in values
    ]


def query_table(run: Path, sql: str, name: str = "query", title: str = "") -> Table:
    """Return the result of one query of ours on a run's ledger.

    Raises:
        UsageError, InfrastructureError: as `flows.ledger.query.query`.
    """
    from flows.ledger.query import query

    return _as_table(query(run, sql), name, title)


def answer_table(run: Path, sql: str) -> Table:
    """Return the result of a user's query on a run's ledger.

    Raises:
        UsageError, InfrastructureError: as `flows.ledger.query.answer`; or two columns have one name.
    """
    return _as_table(_answered(run, sql), "query", "")


def write_answer(run: Path, sql: str, path: Path) -> int:
    """Write the result of a user's query as Parquet, in the types of the query, and return how many rows it has.

    Raises:
        UsageError, InfrastructureError: as `answer_table`; or the file cannot be written.
    """
    import pyarrow.parquet as pq

    found = _answered(run, sql)
    try:
        pq.write_table(found, path)
    except OSError as error:
        raise UsageError(
            f"--out {path}: cannot be written ({error}); give a file in a directory that there is"
        ) from error
    return int(found.num_rows)


def _answered(run: Path, sql: str) -> pa.Table:
    from flows.ledger.query import answer

    found = answer(run, sql)
    twice = sorted({column for column in found.column_names if found.column_names.count(column) > 1})
    if twice:
        raise UsageError(f"--sql: several columns are named {', '.join(twice)}; rename them with AS")
    return found


def _as_table(found: pa.Table, name: str, title: str) -> Table:
    values = [column.to_pylist() for column in found.columns]
    rows = tuple(tuple(plain(value) for value in row) for row in zip(*values, strict=True))
    return Table(name, title, tuple(found.column_names), rows)


def plain(value: object) -> Json:
    """Return a value of a query result as JSON can hold it.

    Dates become ISO 8601, binary becomes hexadecimal, whole decimals become integers; NaN and infinity,
    which JSON has no word for, become null.
    """
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case bytes():
            return value.hex()
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case dict():
            return {str(name): plain(item) for name, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return str(value)


def records(table: Table) -> list[Json]:
    """Return the rows as JSON objects."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


def visible(text: str) -> str:
    """Return `text` with everything a terminal would obey or hide written as an escape; line ends and tabs stay."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode() for char in text
    )


_HEADERS = {
    "n_in": "in",
    "pass_rate": "pass %",
    "executed_share": "executed %",
    "cpu_seconds": "CPU s",
    "funnel.cpu_seconds": "CPU s, all runs",
    "wall_seconds": "wall s",
    "gpu_hours": "GPU hours",
    "nbytes": "bytes",
    "gates.stopped_early": "of them stopped early",
    "low": "low %",
    "high": "high %",
    "share": "share %",
    "n_rows": "rows",
    "right_share": "right %",
    "placebo.passed": "to rl",
    "placebo.share": "to rl %",
    "arms.solved_share": "above threshold %",
    "benefit.net_benefit": "net benefit (share of rollouts)",
    "benefit.low": "low",
    "agreement.low": "low",
    "agreement.high": "high",
    "benefit.high": "high",
    "mix.token_share": "loss tokens %",
    "mix.loss_tokens": "loss tokens",
    "rates.pass_rate": "goes on %",
    "yield": "yield %",
    "selection_shift.questions": "kept",
    "selection_shift.by_chance": "by chance, at most",
    "selection_shift.most": "changed most",
    "selection_shift.change": "by",
    "answer_type": "type",
    "answered_right": "right",
    "first_failing": "first",
    "only_failing": "only",
    "questions_gained": "questions gained",
    "median_score": "median score",
    "gate2_rl": "gate2 rl",
    "gate2_sft": "gate2 sft",
    "tokens.at_least": "tokens from",
    "token_sums.prompt_tokens": "prompt",
    "token_sums.completion_tokens": "completion",
    "token_sums.median_completion": "median completion",
    "token_sums.most_completion": "longest completion",
    "cost.prompt_tokens": "prompt tokens",
    "cost.completion_tokens": "completion tokens",
    "way.ingested": "in",
    "way.screened": "screen",
    "way.validated": "valid",
    "gates.gate1": "gate 1",
    "gates.gate2": "gate 2",
    "ingested_share": "ingested %",
    "cost_per_row.grouped_by": "by",
    "cost_per_row.sft_rows": "SFT rows",
    "cost_per_row.rl_rows": "RL rows",
    "cost_per_row.gate_tokens": "gate tokens",
    "cost_per_row.synthesis_tokens": "synthesis tokens",
    "cost_per_row.tokens_per_row": "tokens per row",
    "cost_per_row.gate_cost": "gate cost",
    "cost_per_row.synthesis_cost": "synthesis cost",
    "cost_per_row.cost_per_row": "cost per row",
}
"""Of a column in every table, or in the one named; a header of several words is wrapped where it has to be."""


_SHARES = {
    *("yield", "pass_rate", "executed_share", "share", "right_share", "arms.solved_share", "mix.token_share"),
    "ingested_share",
    *(f"{table}.{end}" for table in ("rates", "placebo", "arms", "defects", "caught") for end in ("low", "high")),
    *(f"selection_shift.{name}" for name in ("source", "category", "answer_type", "by_chance", "change")),
}
"""Columns of numbers from 0 to 1, of every table or of the one named, which people read as percentages."""
_DECIMALS = {
    **dict.fromkeys(("cpu_seconds", "wall_seconds"), 1),
    **dict.fromkeys(("gate_cost", "synthesis_cost", "cost_per_row", "list_price"), 6),
    **dict.fromkeys(("net_benefit", "benefit.low", "benefit.high", "mean_share", "chance"), 4),
    **dict.fromkeys(("agreement.kappa", "agreement.low", "agreement.high"), 3),
    "median_score": 2,
    "tokens_per_row": 0,
}
"""Decimals of other columns; of what stands nowhere, what six significant digits take."""
_SIGNED = {"selection_shift.change"}
_LONGEST = {
    # By its first words a person knows a question.
    **dict.fromkeys(("examples.question", "examples.detail"), 60),
    **dict.fromkeys(("examples.said", "examples.stored"), 32),
    "endings.detail": 80,
}
"""Characters after which a text is cut where it is printed; JSON holds it whole."""
_CODES = {"phash", "dhash", "seed"}
"""Columns of whole numbers that count nothing."""
_DASHED = {"way"}
"""Tables in which null is a stage that has not run, and not a number that there is none of."""

_ID = re.compile(r"[0-9a-f]{64}")
_SHORT_ID = 12
"""Digits of an id that suffice: among a million ids two share them in 2 of 1,000 runs, and `show` then says so."""


def rich_table(table: Table, *, width: int, short_ids: bool) -> RichTable:
    """Return the table, without its title, for a terminal: numbers right-aligned, with equal decimals in a column.

    It takes `width` characters or less by breaking cells as `flows.report.widths` says; where that does not suffice it
    is wider. `short_ids` cuts cells that are an id to a prefix that is still unique; without it names stay whole, too.
    """
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    from flows.report.widths import GAP, fitted

    # One space of padding and rich's one between columns: GAP.
    shown = RichTable(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    columns = _columns(table)
    if short_ids:
        columns = [[cell[:_SHORT_ID] if _ID.fullmatch(cell) else cell for cell in cells] for cells in columns]
    named = [visible(header) for header in headers(table)]
    named, columns, widths = fitted(named, columns, width, whole=not short_ids)
    for index, header in enumerate(named):
        numeric = _is_numeric(row[index] for row in table.rows)
        shown.add_column(Text(header), justify="right" if numeric else "left", width=widths[index])
    for cells in zip(*columns, strict=True):
        shown.add_row(*(Text(cell, overflow="fold") for cell in cells))
    shown.width = sum(widths) + GAP * (len(widths) - 1)
    return shown


def headers(table: Table) -> list[str]:
    """Return what people read above each column."""
    return [_HEADERS.get(f"{table.name}.{name}", _HEADERS.get(name, name)) for name in table.columns]


def printed(table: Table) -> list[list[str] | None]:
    """Return each column of numbers, or of texts that are cut, as every table of ours shows it; None of others."""
    cells = _columns(table)
    return [
        cells[index] if f"{table.name}.{name}" in _LONGEST or _is_numeric(row[index] for row in table.rows) else None
        for index, name in enumerate(table.columns)
    ]


def csv_text(table: Table) -> str:
    """Return the table as CSV with a header (RFC 4180); null is an empty field, nested values are JSON."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(["" if value is None else _flat(value) for value in row] for row in table.rows)
    return buffer.getvalue()


def markdown_text(table: Table) -> str:
    """Return the table as a pipe table of GitHub Markdown, with its title as a heading."""
    columns = _columns(table)
    marks = ["---:" if _is_numeric(row[index] for row in table.rows) else "---" for index in range(len(columns))]
    lines = [headers(table), marks, *(list(cells) for cells in zip(*columns, strict=True))]
    body = "".join("| " + " | ".join(_markdown_cell(cell) for cell in line) + " |\n" for line in lines)
    return f"### {table.title}\n\n{body}" if table.title else body


def _markdown_cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", "<br>")


def _columns(table: Table) -> list[list[str]]:
    """Return the columns as text."""
    return [_cells([row[index] for row in table.rows], table.name, name) for index, name in enumerate(table.columns)]


def _cells(values: Sequence[Json], table: str, column: str) -> list[str]:
    """Return one column as text."""
    called, nothing = (column, f"{table}.{column}"), "-" if table in _DASHED else ""
    if not _SHARES.isdisjoint(called) and _is_numeric(values):
        signed = not _SIGNED.isdisjoint(called)
        return [nothing if value is None else percent(float(str(value)), signed=signed) for value in values]
    if not _CODES.isdisjoint(called):
        return [nothing if value is None else visible(_flat(value)) for value in values]
    longest = next((_LONGEST[name] for name in called if name in _LONGEST), None)
    if longest is not None:
        return [nothing if value is None else visible(_cut(_flat(value), longest)) for value in values]
    stated = next((_DECIMALS[name] for name in called if name in _DECIMALS), None)
    decimals = stated if stated is not None else max((_decimals(value) for value in values), default=0)
    return [nothing if value is None else _cell(value, decimals) for value in values]


def _cut(text: str, longest: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= longest else f"{flat[: longest - 1]}…"


def _cell(value: Json, decimals: int) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int():
            return f"{value:,}"
        case float():
            return rounded(value, decimals)
        case _:
            return visible(_flat(value))


def _decimals(value: Json) -> int:
    """Return how many decimals show a float to six significant digits (none for other values)."""
    if not isinstance(value, float):
        return 0
    fixed = f"{value:.6g}"
    return 0 if "e" in fixed else len(fixed.partition(".")[2])


def _is_numeric(values: Iterable[Json]) -> bool:
    given = [value for value in values if value is not None]
    return bool(given) and all(isinstance(value, int | float) and not isinstance(value, bool) for value in given)


def _flat(value: Json) -> str:
    from pipeline.identity import canonical_json

    return value if isinstance(value, str) else canonical_json(value)
