"""The ledger: a DuckDB snapshot of a run, rebuilt from committed parts and swapped in by rename.

No worker ever writes it. Its tables and views are in `ledger.sql`; this module only lays out what
they read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow as pa

from pipeline.errors import UsageError
from pipeline.records import Cluster, Decision, GateCount, Outcome, Question, Record, Trajectory
from pipeline.stage import Manifest

if TYPE_CHECKING:
    import duckdb

STORAGE_VERSION = "v1.5.0"
"""The oldest DuckDB format that current tools share; files of 2.0's own format do not open in 1.x tools."""


class StageCost(NamedTuple):
    """What one invocation of `run` spent in one stage."""

    invocation: int
    stage: str
    wall_seconds: float
    cpu_seconds: float
    """Of the whole process tree."""
    units: int
    reused_units: int
    model_calls: int
    search_calls: int
    cells: int
    cached_calls: int


class Shard(NamedTuple):
    """One export of the run."""

    shard: str
    format: str
    n_rows: int
    nbytes: int


class RunFacts(NamedTuple):
    """What the ledger tells about a run beside its parts."""

    name: str
    recipe: str
    """sha256 of the recipe's identity."""
    version: str
    """Of coldforge."""
    environment: str
    """Canonical JSON of `run.json`'s facts about machine, sandbox and backends."""
    costs: Sequence[StageCost]
    shards: Sequence[Shard]


TRAJECTORY_TABLES = ("trajectories", "unfinished")
"""Tables of a stage that hold rollouts: those that go on, and those that ended without an answer."""


class _Source(NamedTuple):
    """A view over the parts of some stages."""

    view: str
    tables: tuple[str, ...]
    kind: type[Record]
    stages: frozenset[str] | None
    """None takes the tables from every stage that has them."""


_SOURCES = (
    _Source("outcomes", ("outcomes",), Outcome, None),
    _Source("questions", ("questions",), Question, frozenset({"screen"})),
    _Source("trajectories", TRAJECTORY_TABLES, Trajectory, frozenset({"gate1", "gate2", "synthesize"})),
    _Source("gate1_counts", ("counts",), GateCount, frozenset({"gate1"})),
    _Source("gate2_counts", ("counts",), GateCount, frozenset({"gate2"})),
    _Source("clusters", ("clusters",), Cluster, frozenset({"dedup"})),
    _Source("decisions", ("decisions",), Decision, frozenset({"validate"})),
)

_RUNS = pa.schema([(name, pa.string()) for name in ("name", "recipe", "version", "environment")])
_STAGES = pa.schema([("position", pa.int32()), *((name, pa.string()) for name in ("stage", "fingerprint", "model"))])
_COST = pa.schema(
    [
        ("invocation", pa.int32()),
        ("stage", pa.string()),
        ("wall_seconds", pa.float64()),
        ("cpu_seconds", pa.float64()),
        *((name, pa.int64()) for name in StageCost._fields[4:]),
    ]
)
_SHARDS = pa.schema([("shard", pa.string()), ("format", pa.string()), ("n_rows", pa.int64()), ("nbytes", pa.int64())])

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    # Nothing is ever fetched: extensions come from a network that this tool must not need.
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
}


def build_ledger(run: Path, stages: Sequence[Manifest], facts: RunFacts) -> Path:
    """Rebuild `run/ledger.duckdb` from the finished `stages`, in their order, and return its path.

    Stages that did not run leave their tables empty.
    """
    import duckdb

    path, new = run / "ledger.duckdb", run / ".ledger.new.duckdb"
    for leftover in (new, Path(f"{new}.wal")):
        leftover.unlink(missing_ok=True)
    with duckdb.connect(":memory:", config=_CONFIG) as db:
        db.execute("CREATE SCHEMA part")
        for source in _SOURCES:
            _view_parts(db, source, stages)
        _view_facts(db, stages, facts)
        db.execute(f"ATTACH {_literal(str(new))} AS ledger (STORAGE_VERSION {_literal(STORAGE_VERSION)})")
        db.execute("USE ledger")
        script = Path(__file__).with_suffix(".sql").read_text()
        db.execute(script.replace("part.", "memory.part."))
        db.execute("CHECKPOINT ledger")
        db.execute("USE memory")
        db.execute("DETACH ledger")
    new.replace(path)
    return path


def query(run: Path, sql: str) -> pa.Table:
    """Run one read-only query on a run's ledger and return its result.

    Raises:
        UsageError: there is no ledger, `sql` is more than one statement, or DuckDB refuses it; then the message is
            DuckDB's own.
    """
    import duckdb

    path = run / "ledger.duckdb"
    if not path.exists():
        raise UsageError(f"{path} does not exist; give a run directory, such as runs/demo, that `coldforge run` made")
    # External access off: a query reads the ledger and nothing else on this machine.
    with duckdb.connect(str(path), read_only=True, config={**_CONFIG, "enable_external_access": False}) as db:
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


def _view_parts(db: duckdb.DuckDBPyConnection, source: _Source, stages: Sequence[Manifest]) -> None:
    chosen = [stage for stage in stages if source.stages is None or stage.name in source.stages]
    paths = [str(path) for stage in chosen for table in source.tables for path in stage.paths(table)]
    if paths:
        listed = ", ".join(_literal(path) for path in paths)
        db.execute(f"CREATE VIEW part.{source.view} AS SELECT * FROM read_parquet([{listed}])")  # noqa: S608 - our names
    else:
        _view_table(db, source.view, source.kind.ARROW.empty_table())


def _view_facts(db: duckdb.DuckDBPyConnection, stages: Sequence[Manifest], facts: RunFacts) -> None:
    names = [
        {"position": position, "stage": stage.name, "fingerprint": stage.fingerprint, "model": stage.model}
        for position, stage in enumerate(stages)
    ]
    run = {"name": facts.name, "recipe": facts.recipe, "version": facts.version, "environment": facts.environment}
    rows: Mapping[str, tuple[Sequence[Mapping[str, object]], pa.Schema]] = {
        "runs": ([run], _RUNS),
        "stages": (names, _STAGES),
        "cost": ([cost._asdict() for cost in facts.costs], _COST),
        "shards": ([shard._asdict() for shard in facts.shards], _SHARDS),
    }
    for name, (values, schema) in rows.items():
        _view_table(db, name, pa.Table.from_pylist(values, schema=schema))


def _view_table(db: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    db.register("given", table)
    db.execute(f"CREATE TABLE part.{name} AS SELECT * FROM given")  # noqa: S608 - our names
    db.unregister("given")


def _literal(text: str) -> str:
    """Return `text` as a single-quoted SQL literal."""
    return "'" + text.replace("'", "''") + "'"
