"""Find a question or a trajectory of a run by its id or a prefix of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, get_args

from flows.ledger.journal import read_journal
from flows.ledger.snapshot import TRAJECTORY_TABLES
from flows.report.tables import Table, query_table
from pipeline.engine.done import Done, Finished, read_finished
from pipeline.engine.units import Range
from pipeline.errors import InfrastructureError, UsageError
from pipeline.records import Question, Record, SourceRow, Trajectory
from pipeline.store.shards import reading

R = TypeVar("R", bound=Record)

Kind = Literal["row", "question", "trajectory"]

SHORTEST_PREFIX = 4
"""Hexadecimal digits; fewer name too many records of any real run."""
LISTED = 8
"""Ids in a message: what fits on a screen beside the rest."""

_IDS = """(SELECT id, min(kind) AS kind FROM (
  SELECT trajectory_id AS id, 'trajectory' AS kind FROM trajectories
  UNION ALL SELECT record_id, unit FROM outcomes
  UNION ALL SELECT question_id, 'question' FROM questions
  UNION ALL SELECT parent, unit FROM edits
) GROUP BY id)"""


class Found(NamedTuple):
    """What an id names."""

    id: str
    kind: Kind


class Life(NamedTuple):
    """A question under each of its ids: as a source row, as ingested, and as it left the screen."""

    row: str | None
    ingested: Question | None
    screened: Question | None
    corrected: tuple[str, ...] = ()
    """Ids of what people corrected to come to it, and of their edits."""

    @property
    def ids(self) -> tuple[str, ...]:
        """Return all ids, each once."""
        questions = (self.ingested, self.screened)
        given = (self.row, *(question.id for question in questions if question is not None), *self.corrected)
        return tuple(dict.fromkeys(identity for identity in given if identity is not None))


def find(run: Path, prefix: str) -> Found:
    """Return the one record whose id begins with `prefix`.

    Raises:
        UsageError: no id does, or several do; the message lists them, or the ids that are nearest.
    """
    wanted = prefix.lower()
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST_PREFIX},64}}", wanted):
        raise UsageError(f"id {prefix}: give {SHORTEST_PREFIX} to 64 hexadecimal digits, the beginning of an id")
    # `wanted` holds nothing but hexadecimal digits, so it can stand in a query.
    matches = query_table(
        run,
        f"SELECT id, kind FROM {_IDS} WHERE starts_with(id, '{wanted}') ORDER BY id LIMIT {LISTED + 1}",  # noqa: S608 - as above
    )
    if len(matches.rows) == 1:
        return _found(matches)[0]
    if matches.rows:
        raise UsageError(f"id {prefix} is the beginning of several ids; give more digits:\n{_listed(matches)}")
    near = query_table(
        run,
        f"SELECT id, kind FROM {_IDS} ORDER BY levenshtein(left(id, {len(wanted)}), '{wanted}'), id LIMIT 3",  # noqa: S608 - as above
    )
    raise UsageError(f"no question or trajectory of {run} has the id {prefix}; nearest:\n{_listed(near)}")


def find_question(run: Path, prefix: str) -> Found:
    """Return the question or row that an id belongs to: its own under any of its names, or that of a rollout of it.

    Raises:
        UsageError: as `find`.
    """
    found = find(run, prefix)
    if found.kind == "trajectory":
        return Found(read_trajectory(run, found.id).question_id, "question")
    return found


def finished_stages(run: Path) -> Mapping[str, Finished]:
    """Return the stages that the run's ledger was built from, by name."""
    rows = query_table(run, "SELECT stage, fingerprint FROM stages ORDER BY position").rows
    read = ((str(stage), read_finished(run / "stages" / str(stage) / str(key)[:16])) for stage, key in rows)
    return {stage: manifest for stage, manifest in read if manifest is not None}


def read_trajectory(run: Path, identity: str) -> Trajectory:
    """Return a trajectory of the run in full.

    Raises:
        UsageError: the ledger knows it, but its stage directory is gone.
    """
    for stage in finished_stages(run).values():
        for table in TRAJECTORY_TABLES:
            for trajectory in _read(stage, table, Trajectory, {"id": identity}):
                return trajectory
    raise UsageError(f"trajectory {identity} is in the ledger but not in {run}/stages; run `coldforge run` again")


def read_life(run: Path, found: Found) -> Life:
    """Return the question that an id belongs to, whichever of its ids that is."""
    stages = finished_stages(run)
    question = None if found.kind == "row" else _question(stages, found.id)
    if question is None:
        # A row, or what somebody corrected: what was made of it stands in its place.
        row = _root(run, found.id)
        question = _row_question(stages, row)
        if question is None:
            return Life(row if found.kind == "row" or row != found.id else None, None, None)
    key = {name: getattr(question, name) for name in ("source", "source_revision", "source_row")}
    ingested = _first(stages, "ingest", key)
    return Life(question.root_id, ingested, _first(stages, "screen", key), _corrected(run, question.root_id))


def _root(run: Path, identity: str) -> str:
    """Return the source row that a corrected question, or an edit, is of; else the id itself."""
    sql = f"SELECT row_id FROM edits WHERE unit = 'question' AND '{identity}' IN (parent, edit_id)"  # noqa: S608 - ours
    rows = query_table(run, sql).rows
    return str(rows[0][0]) if rows else identity


def _corrected(run: Path, row: str) -> tuple[str, ...]:
    sql = f"SELECT parent, edit_id FROM edits WHERE unit = 'question' AND row_id = '{row}' ORDER BY ALL"  # noqa: S608
    return tuple(str(one) for pair in query_table(run, sql).rows for one in pair)


def read_row(run: Path, identity: str) -> SourceRow | None:
    """Return a source row of the run; None where the run holds others by now."""
    done = Done(run, {})
    try:
        rows = done.rows(Range.of(identity, done.units))
    except (InfrastructureError, OSError):
        return None
    return next((row for row in rows if row.id == identity), None)


def source_directory(run: Path, source: str) -> Path | None:
    """Return where a source of the run was when it was read last, as `run.json` tells."""
    directory = (read_journal(run) or {}).get("sources", {}).get(source)
    return Path(directory) if directory is not None else None


def _question(stages: Mapping[str, Finished], identity: str) -> Question | None:
    return _first(stages, "screen", {"id": identity}) or _first(stages, "ingest", {"id": identity})


def _row_question(stages: Mapping[str, Finished], row: str) -> Question | None:
    """Return the question made of a source row: it is in the row's own part of ingest."""
    stage = stages.get("ingest")
    if stage is None:
        return None
    total = len(stage.parts)
    own = replace(stage, parts=tuple(part for part in stage.parts if part.range == Range.of(row, total)))
    return next((question for question in _read(own, "questions", Question, {}) if question.root_id == row), None)


def _first(stages: Mapping[str, Finished], stage: str, key: Mapping[str, str]) -> Question | None:
    manifest = stages.get(stage)
    return next(iter(_read(manifest, "questions", Question, key)), None) if manifest is not None else None


def _read(stage: Finished, table: str, kind: type[R], key: Mapping[str, str]) -> list[R]:
    """Return the records of one table whose fields equal `key`; Arrow filters, so few rows become records.

    Raises:
        InfrastructureError: a part is damaged.
    """
    import pyarrow.parquet as pq

    filters: list[tuple[str, str, Any]] | None = [(name, "==", value) for name, value in key.items()] or None
    found: list[R] = []
    for path in stage.paths(table):
        with reading(path):
            found += [kind.from_row(row) for row in pq.read_table(path, filters=filters).to_pylist()]
    return found


def _found(table: Table) -> list[Found]:
    kinds: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}
    return [Found(str(identity), kinds[str(kind)]) for identity, kind in table.rows]


def _listed(table: Table) -> str:
    found = _found(table)
    lines = [f"  {item.id}  {item.kind}" for item in found[:LISTED]]
    return "\n".join([*lines, "  …"] if len(found) > LISTED else lines) or "  (the run has no records)"
