"""The ledger: a DuckDB snapshot of a run, rebuilt from committed parts and swapped in by rename.

No worker ever writes it. Its tables and views are in `tables.sql`; this module only lays out what they read.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from filters.gates.rules import GateSettings
from flows.ledger.columns import comment
from flows.ledger.query import CONFIG, query
from pipeline.engine.done import Finished
from pipeline.errors import InfrastructureError
from pipeline.identity import parse_json
from pipeline.processes import turn
from pipeline.records import (
    AnswerConflict,
    ArmCount,
    BenchmarkHit,
    Cluster,
    Decision,
    DroppedHit,
    Edit,
    GateCount,
    ImageFacts,
    JudgeVotes,
    NearText,
    Outcome,
    PersonalData,
    Question,
    Record,
    ReplayResult,
    StockEnv,
    Suspicion,
    TemplateFacts,
    Trajectory,
    TrajectoryKey,
)
from pipeline.store.shards import require_readable, write_records

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
    prompt_tokens: int = 0
    """Of the model calls that were paid for, as are those below."""
    cached_tokens: int = 0
    """Of the prompt's: read from the provider's cache."""
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    """Of the completion's: thought that the provider kept to itself."""
    cut_characters: int = 0
    """Written by models after a complete action, and discarded."""
    cost: float = 0.0
    """By the recipe's prices."""


def stage_costs(journal: Mapping[str, Any]) -> list[StageCost]:
    """Return what stages have spent as a run's journal tells it, invocation by invocation, those that stopped, too."""
    return [StageCost(**stage) for entry in journal["invocations"] for stage in entry["stages"]]


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
    """Canonical JSON of `run.json`'s facts about machine, sandbox, backends and `prices`."""
    costs: Sequence[StageCost]
    shards: Sequence[Shard]
    gate: GateSettings
    deploy_pixels: int | None


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
    _Source("ingested", ("questions",), Question, frozenset({"ingest"})),
    _Source("questions", ("questions",), Question, frozenset({"screen"})),
    _Source("edits", ("edits",), Edit, frozenset({"ingest"})),
    _Source("trajectories", TRAJECTORY_TABLES, Trajectory, frozenset({"gate1", "gate2", "synthesize"})),
    _Source("gate1_counts", ("counts",), GateCount, frozenset({"gate1"})),
    _Source("gate2_counts", ("counts",), GateCount, frozenset({"gate2"})),
    _Source("arms", ("arms",), ArmCount, frozenset({"gate1", "gate2"})),
    _Source("suspicions", ("suspicions",), Suspicion, frozenset({"gate2", "synthesize"})),
    _Source("votes", ("votes",), JudgeVotes, frozenset({"gate1", "gate2", "synthesize"})),
    _Source("dropped_hits", ("dropped_hits",), DroppedHit, frozenset({"gate2", "synthesize"})),
    _Source("facts", ("facts",), ImageFacts, frozenset({"screen"})),
    _Source("clusters", ("clusters",), Cluster, frozenset({"dedup"})),
    _Source("conflicts", ("conflicts",), AnswerConflict, frozenset({"dedup"})),
    _Source("personal", ("personal",), PersonalData, frozenset({"screen", "validate"})),
    _Source("near_texts", ("near_texts",), NearText, frozenset({"dedup"})),
    _Source("hits", ("hits",), BenchmarkHit, frozenset({"decontaminate"})),
    _Source("templates", ("templates",), TemplateFacts, frozenset({"dedup"})),
    _Source("decisions", ("decisions",), Decision, frozenset({"validate"})),
    _Source("keys", ("keys",), TrajectoryKey, frozenset({"validate"})),
    _Source("replays", ("replays",), ReplayResult, frozenset({"validate"})),
    _Source("stock", ("stock",), StockEnv, frozenset({"validate"})),
)

_RUNS = pa.schema([(name, pa.string()) for name in ("name", "recipe", "version", "environment")])
_STAGES = pa.schema([("position", pa.int32()), *((name, pa.string()) for name in ("stage", "fingerprint", "model"))])
_COST = pa.schema(
    [
        ("invocation", pa.int32()),
        ("stage", pa.string()),
        ("wall_seconds", pa.float64()),
        ("cpu_seconds", pa.float64()),
        *((name, pa.int64()) for name in StageCost._fields[4:-1]),
        ("cost", pa.float64()),
    ]
)
_PRICES = pa.schema(
    [
        ("purpose", pa.string()),
        ("model", pa.string()),
        *((name, pa.float64()) for name in ("prompt", "cached", "completion")),
    ]
)
_GATE_SETTINGS = pa.schema(
    [
        *(
            (name, pa.int32())
            for name in ("k", "max_plain_right", "min_tools_right", "min_valid", "max_right_without_call")
        ),
        ("guess_floor", pa.float64()),
        ("rule", pa.string()),
        ("fresh_share", pa.float64()),
        ("early_stop", pa.bool_()),
        ("deploy_pixels", pa.int32()),
    ]
)
_SHARDS = pa.schema([("shard", pa.string()), ("format", pa.string()), ("n_rows", pa.int64()), ("nbytes", pa.int64())])


def build_ledger(run: Path, stages: Sequence[Finished], facts: RunFacts) -> Path:
    """Rebuild `run/ledger.duckdb` from the finished `stages`, in their order, and return its path.

    Stages that did not run leave their tables empty.

    Raises:
        InfrastructureError: a part of theirs is damaged, or the disk does not take it; the ledger stays as it was.
    """
    import duckdb

    # Readers see the old file until the new one is whole; who rebuilds it at the same time waits.
    with turn(run / ".ledger.lock", wait=True):
        path, new = run / "ledger.duckdb", run / ".ledger.new.duckdb"
        for leftover in (new, Path(f"{new}.wal")):
            leftover.unlink(missing_ok=True)
        try:
            _write(new, run, stages, facts)
        except duckdb.Error as error:
            # It says that a file is damaged, and not always which.
            require_readable([*_parts(stages), *_replayed(run, stages)])
            if isinstance(error, duckdb.IOException | duckdb.FatalException | duckdb.OutOfMemoryException):
                said = str(error).splitlines()[0]
                raise InfrastructureError(
                    f"{new} cannot be written ({said}); make space there, and run again"
                ) from error
            raise
        new.replace(path)
    return path


_MEMORY = "512MB"
"""Of DuckDB while it builds: a ledger of a million questions has 750 MB."""


def _write(path: Path, run: Path, stages: Sequence[Finished], facts: RunFacts) -> None:
    import duckdb

    # What does not fit goes to the disk: a million rows would else take what the machine has.
    spill = path.with_suffix(".spill")
    limits = {"memory_limit": _MEMORY, "temp_directory": str(spill)}
    with duckdb.connect(":memory:", config={**CONFIG, **limits}) as db:
        db.execute("CREATE SCHEMA part")
        for source in _SOURCES:
            chosen = [stage for stage in stages if source.stages is None or stage.name in source.stages]
            paths = [path for stage in chosen for table in source.tables for path in stage.paths(table)]
            _view_parts(db, source.view, source.kind, paths)
        _view_parts(db, "repeated", ReplayResult, _replayed(run, stages))
        _view_facts(db, stages, facts)
        db.execute(f"ATTACH {_literal(str(path))} AS ledger (STORAGE_VERSION {_literal(STORAGE_VERSION)})")
        db.execute("USE ledger")
        script = Path(__file__).with_name("tables.sql").read_text()
        db.execute(script.replace("part.", "memory.part."))
        comment(db, "ledger")
        db.execute("CHECKPOINT ledger")
        db.execute("USE memory")
        db.execute("DETACH ledger")
    shutil.rmtree(spill, ignore_errors=True)


def record_replays(run: Path, stages: Sequence[Finished], results: Sequence[ReplayResult]) -> None:
    """Put into the ledger what `coldforge replay` found, in place of what it found before.

    Args:
        run: a run directory with a ledger.
        stages: all that its ledger was built from; the file stands beside them, for those trajectories alone.
        results: one per trajectory that was executed again.
    """
    path = _repeated(run, stages)
    if path is None:
        return  # nothing was synthesized, so there was nothing to repeat
    path.parent.mkdir(exist_ok=True)
    write_records(path, ReplayResult, results)
    build_ledger(run, stages, read_facts(run))


def _repeated(run: Path, stages: Sequence[Finished]) -> Path | None:
    """Return where the results of `coldforge replay` for these stages' trajectories are or would be."""
    keys = [stage.fingerprint for stage in stages if stage.name == "synthesize"]
    return run / "replay" / f"{keys[0]}.parquet" if keys else None


def _replayed(run: Path, stages: Sequence[Finished]) -> list[Path]:
    return [path for path in (_repeated(run, stages),) if path is not None and path.exists()]


def _parts(stages: Sequence[Finished]) -> Iterator[Path]:
    for stage in stages:
        for source in _SOURCES:
            if source.stages is None or stage.name in source.stages:
                yield from (path for table in source.tables for path in stage.paths(table))


def read_facts(run: Path) -> RunFacts:
    """Return the facts that the present ledger was built with."""
    (about,) = query(run, "SELECT name, recipe, version, environment FROM runs").to_pylist()
    costs = [StageCost(**row) for row in query(run, "SELECT * FROM cost").to_pylist()]
    shards = [Shard(**row) for row in query(run, "SELECT * FROM shards").to_pylist()]
    (gate,) = query(run, "SELECT * FROM gate_settings").to_pylist() or [{}]
    deploy_pixels = gate.pop("deploy_pixels", None)
    return RunFacts(**about, costs=costs, shards=shards, gate=GateSettings(**gate), deploy_pixels=deploy_pixels)


def _view_parts(db: duckdb.DuckDBPyConnection, view: str, kind: type[Record], paths: Sequence[Path]) -> None:
    if paths:
        listed = ", ".join(_literal(str(path)) for path in paths)
        db.execute(f"CREATE VIEW part.{view} AS SELECT * FROM read_parquet([{listed}])")  # noqa: S608 - our names
    else:
        _view_table(db, view, kind.ARROW.empty_table())


def _view_facts(db: duckdb.DuckDBPyConnection, stages: Sequence[Finished], facts: RunFacts) -> None:
    names = [
        {"position": position, "stage": stage.name, "fingerprint": stage.fingerprint, "model": stage.model}
        for position, stage in enumerate(stages)
    ]
    run = {"name": facts.name, "recipe": facts.recipe, "version": facts.version, "environment": facts.environment}
    rows: Mapping[str, tuple[Sequence[Mapping[str, object]], pa.Schema]] = {
        "runs": ([run], _RUNS),
        "stages": (names, _STAGES),
        "cost": ([cost._asdict() for cost in facts.costs], _COST),
        "prices": (parse_json(facts.environment).get("prices", []), _PRICES),
        "shards": ([shard._asdict() for shard in facts.shards], _SHARDS),
        # Nothing is to be told of gates that have not asked yet.
        "gate_settings": ([_gate_row(facts) for stage in stages if stage.name == "gate1"], _GATE_SETTINGS),
    }
    for name, (values, schema) in rows.items():
        _view_table(db, name, pa.Table.from_pylist(values, schema=schema))


def _gate_row(facts: RunFacts) -> Mapping[str, object]:
    """Return what the gates of a run go by; a threshold left to its default is worked out."""
    gate = facts.gate
    own = {
        "min_valid": gate.enough,
        "max_right_without_call": gate.most_without_call,
        "deploy_pixels": facts.deploy_pixels,
    }
    return {name: own[name] if name in own else getattr(gate, name) for name in _GATE_SETTINGS.names}


def _view_table(db: duckdb.DuckDBPyConnection, name: str, table: pa.Table) -> None:
    db.register("given", table)
    db.execute(f"CREATE TABLE part.{name} AS SELECT * FROM given")  # noqa: S608 - our names
    db.unregister("given")


def _literal(text: str) -> str:
    """Return `text` as a single-quoted SQL literal."""
    return "'" + text.replace("'", "''") + "'"
