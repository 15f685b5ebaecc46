"""The page `docs/ledger.md`, made from the ledger's own comments: `coldforge schema ledger` prints it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from filters.gates.rules import GateSettings
from flows.ledger.query import FORMULAS
from flows.ledger.snapshot import STORAGE_VERSION, RunFacts, build_ledger

_HEAD = """# The ledger

<!-- Made by `coldforge schema ledger`: change the comments in flows/ledger/, not this page. -->

`runs/<name>/ledger.duckdb` is a DuckDB file (storage {version}: DuckDB 1.5 and later read it) that tells everything
about a run. It is a snapshot of what is committed, made anew whenever `coldforge run` ends.

```
coldforge stats runs/demo --sql "select stage, reason, n from reasons" --format csv    # or json, markdown, parquet
duckdb -readonly runs/demo/ledger.duckdb                                               # .tables, describe gates
```

```python
from flows.api import open_run

run = open_run("runs/demo")
run.tables()  # names and what they hold
run.table("gates")  # polars; kind="pandas" for pandas
run.sql("select model, count(*) as n from trajectories group by model")
run.dataset("sft")  # the shard as `datasets` loads it
```

Comments stand in the file as well: `select table_name, column_name, comment from duckdb_columns()`. Under
`stats --sql` and `flows.api` there are these functions beside DuckDB's own, of whole numbers: {functions}.
"""


class _Shape(NamedTuple):
    name: str
    kind: str
    comment: str
    columns: list[tuple[str, str, str]]
    """Name, type and meaning."""


def ledger_page() -> str:
    """Return the page: every table and view with its comment, and every column with type and meaning."""
    functions = ", ".join(f"`{name}` ({len(takes)})" for name, (_, takes, _) in FORMULAS.items())
    parts = [_HEAD.format(version=STORAGE_VERSION, functions=functions)]
    for shape in _shapes():
        lines = [f"| `{name}` | {_cell(type_)} | {_cell(told)} |" for name, type_, told in shape.columns]
        table = "\n".join(["| column | type | |", "|---|---|---|", *lines])
        parts.append(f"\n## {shape.name}\n\n{shape.comment} ({shape.kind})\n\n{table}\n")
    return "".join(parts)


def _shapes() -> list[_Shape]:
    import duckdb

    gate = GateSettings()
    facts = RunFacts("", "", "", "{}", (), (), gate, None)
    with TemporaryDirectory() as place:
        path = build_ledger(Path(place), [], facts)
        with duckdb.connect(str(path), read_only=True) as db:
            tables = db.execute(
                "SELECT table_name, 'table', comment FROM duckdb_tables() WHERE NOT internal UNION ALL "
                "SELECT view_name, 'view', comment FROM duckdb_views() WHERE NOT internal ORDER BY 2, 1"
            ).fetchall()
            columns = db.execute(
                "SELECT table_name, column_name, data_type, coalesce(comment, '') FROM duckdb_columns() "
                "WHERE NOT internal ORDER BY table_name, column_index"
            ).fetchall()
    own = {
        name: [(column, type_, told) for table, column, type_, told in columns if table == name] for name, *_ in tables
    }
    return [_Shape(name, kind, told or "", own[name]) for name, kind, told in tables]


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
