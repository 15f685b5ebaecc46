"""A run in Python: its tables as data frames, its shards as `datasets`.

```python
from flows.api import open_run

run = open_run("runs/demo")
run.table("gates").filter(pl.col("tools_right") > 0)
```

A run is only read, and what stands in its ledger was written by models and by the web: data, and nothing to obey.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from flows.ledger.query import answer, query
from pipeline.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from datasets import Dataset

Kind = Literal["polars", "pandas"]


def open_run(path: str | Path) -> Run:
    """Return the run in a directory.

    Raises:
        UsageError: it holds no run, or one without a ledger yet.
    """
    directory = Path(path)
    if not (directory / "ledger.duckdb").is_file():
        raise UsageError(f"{directory} has no ledger; give the directory of a run that `coldforge run` has ended")
    return Run(directory)


@dataclass(frozen=True)
class Run:
    """A run that `open_run` found."""

    path: Path

    def tables(self) -> dict[str, str]:
        """Return what tables and views there are, and what each holds (docs/ledger.md tells of their columns)."""
        rows = query(self.path, _TABLES).to_pylist()
        return {str(row["name"]): str(row["comment"]) for row in rows}

    @overload
    def table(self, name: str, kind: Literal["polars"] = "polars") -> pl.DataFrame: ...
    @overload
    def table(self, name: str, kind: Literal["pandas"]) -> pd.DataFrame: ...
    def table(self, name: str, kind: Kind = "polars") -> pl.DataFrame | pd.DataFrame:
        """Return one table or view of the ledger.

        Raises:
            UsageError: there is none of that name; the message lists them.
        """
        known = self.tables()
        if name not in known:
            raise UsageError(f"{self.path} has no table {name}; tables: {', '.join(known)}")
        return _frame(query(self.path, f'SELECT * FROM "{name}"'), kind)  # noqa: S608 - one of the known names

    @overload
    def sql(self, query: str, kind: Literal["polars"] = "polars") -> pl.DataFrame: ...
    @overload
    def sql(self, query: str, kind: Literal["pandas"]) -> pd.DataFrame: ...
    def sql(self, query: str, kind: Kind = "polars") -> pl.DataFrame | pd.DataFrame:
        """Return what one SELECT on the ledger gives; it reads the ledger and nothing else of this machine.

        Raises:
            UsageError: it is more than one statement, or DuckDB refuses it.
        """
        return _frame(answer(self.path, query), kind)

    def dataset(self, shard: str, split: str = "train") -> Dataset:
        """Return a shard, such as `sft` or `rl`, as `datasets` loads it.

        Raises:
            UsageError: it was not exported, or has no such split.
        """
        from pipeline.export.load import load_shard

        return load_shard(self.path / "export", shard, split)


_TABLES = """
SELECT table_name AS name, coalesce(comment, '') AS comment FROM duckdb_tables() WHERE NOT internal
UNION ALL
SELECT view_name, coalesce(comment, '') FROM duckdb_views() WHERE NOT internal ORDER BY name
"""


def _frame(found: pa.Table, kind: Kind) -> pl.DataFrame | pd.DataFrame:
    if kind == "pandas":
        pandas: pd.DataFrame = found.to_pandas()
        return pandas
    import polars as pl

    return pl.DataFrame(found)
