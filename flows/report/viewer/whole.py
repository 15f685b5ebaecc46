"""Whether the run directory still holds what its ledger was built from: a report of less would be a smaller report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows.ledger.snapshot import TRAJECTORY_TABLES
from flows.report.lookup import finished_stages
from flows.report.tables import query_table
from pipeline.engine.done import Finished
from pipeline.errors import InfrastructureError

_GATES = ("gate1", "gate2")
_READ: Mapping[str, tuple[tuple[str, ...], tuple[str, ...] | None]] = {
    "outcomes": (("outcomes",), None),
    "questions": (("questions",), ("screen",)),
    "trajectories": (TRAJECTORY_TABLES, (*_GATES, "synthesize")),
    "arms": (("arms",), _GATES),
    "suspicions": (("suspicions",), ("gate2", "synthesize")),
    "decisions": (("decisions",), ("validate",)),
}
"""Table of the ledger → those of parts that it holds row by row, and of which stages (None: of all)."""


def require_whole(run: Path) -> None:
    """Check that the parts of a run hold as many records as its ledger tells of.

    Raises:
        UsageError: `run` has no ledger.
        InfrastructureError: a stage, or a file of one, is gone or damaged.
    """
    stages = finished_stages(run)
    for stage, key in query_table(run, "SELECT stage, fingerprint FROM stages ORDER BY position").rows:
        if stage not in stages:
            raise InfrastructureError(
                f"{run / 'stages' / str(stage) / str(key)[:16]} is gone, though the ledger was built from it; {_ANEW}"
            )
    for table, (parts, names) in _READ.items():
        ((told,),) = query_table(run, f"SELECT count(*) FROM {table}").rows  # noqa: S608 - our names
        held = sum(_rows(stage, parts) for name, stage in stages.items() if names is None or name in names)
        if held != told:
            raise InfrastructureError(
                f"{run / 'stages'} holds {held:,} {table}, and the ledger tells of {told:,}: files of "
                f"{', '.join(names or stages)} are gone; {_ANEW}"
            )


_ANEW = "delete that stage directory and give the same `coldforge run` again: what models said is in the store"


def _rows(stage: Finished, tables: tuple[str, ...]) -> int:
    return sum(_rows_of(path) for table in tables for path in stage.paths(table))


def _rows_of(path: Path) -> int:
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowInvalid, OSError) as error:
        raise InfrastructureError(
            f"{path} cannot be read ({error}); delete its stage directory and run again"
        ) from error
