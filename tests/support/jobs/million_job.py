"""A map stage over many small records, measured: `python -m tests.support.jobs.million_job ROWS DIRECTORY`.

Prints one JSON object: what came out, how long it took, and how much memory its largest process needed.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from flows.runners.local import local
from pipeline.engine.done import Done
from pipeline.engine.executor import Executor
from pipeline.engine.running import run_stage, run_unit
from pipeline.engine.stage import Declared
from pipeline.engine.units import Range, Reader, UnitInput, UnitOutput, UnitResult, unit_count
from pipeline.identity import canonical_json
from pipeline.records import SourceRow
from tests.support.jobs.engine_job import outcome
from tests.support.jobs.peak import peak_mb
from tests.support.staged import AnySettings, declared


def write_rows(run: Path, rows: int) -> None:
    """Lay the rows of a run out as the engine does, range by range: a million of them at once are no part of this."""
    units, directory = unit_count(rows), run / "rows"
    directory.mkdir(parents=True, exist_ok=True)
    for number in range(units):
        table = _rows_of(number, units, len(range(number, rows, units)))
        pq.write_table(table, directory / f"part-{Range(number, units)}.parquet")
    (directory / "rows.json").write_text(canonical_json({"rows": rows, "hash": str(rows)}))


def _rows_of(number: int, units: int, size: int) -> pa.Table:
    """Return rows whose ids begin with the bits of range `number`; made as columns, which is 20 times faster."""
    first = number * (2**32 // units)
    keys = [f"{first + index:08x}" for index in range(size)]
    columns = {
        "schema": [SourceRow.SCHEMA] * size,
        "id": [key * 8 for key in keys],
        "source": ["million"] * size,
        "source_revision": ["1"] * size,
        "source_row": keys,
        "category": ["reasoning"] * size,
        "payload": [f'{{"answers":["{key}"],"text":"Which number is this?"}}' for key in keys],
        "reason": [""] * size,
        "detail": [""] * size,
    }
    return pa.table(columns, schema=SourceRow.ARROW)


def keeping(run: Path) -> Declared[AnySettings, object]:
    """The stage."""
    return declared(run, "keep", tables={"rows": SourceRow})


def keep(unit: UnitInput) -> UnitOutput:
    """Keep nine rows of ten."""
    rows = [record for record in unit.records if isinstance(record, SourceRow)]
    kept = tuple(row for row in rows if not row.source_row.endswith("7"))
    outcomes = tuple(outcome("keep", row, kept=not row.source_row.endswith("7")) for row in rows)
    return UnitOutput(outcomes, {"rows": kept})


def keep_unit(run: Path, span: Range) -> UnitResult:
    """One unit, for a worker process."""
    done = Done(run, {})
    reader = Reader(done.row_count, lambda span: UnitInput(done.rows(span)))
    return run_unit(keeping(run), reader, span, keep)


def main(rows: int, directory: Path) -> None:
    """Write the input, run the stage, print what it took."""
    write_rows(directory, rows)
    done = Done(directory, {})
    began = time.monotonic()
    with Executor(2) as executor:
        result = run_stage(
            keeping(directory), done, partial(executor.cpu, keep_unit, directory), expected=rows, runner=local
        )
    report = {
        "rows": rows,
        "units": done.units,
        "counts": dict(result.counts),
        "reused": result.reused,
        "seconds": round(time.monotonic() - began, 1),
        "driver_mb": peak_mb(),
        # In kilobytes on Linux, of the largest of them.
        "worker_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
    }
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
