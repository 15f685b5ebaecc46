"""What differs between two releases, row by row, and why where a run can tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Self

from flows.releases.record import RELEASE, left_out_in
from flows.releases.rows import PARTS, ReleasedRow
from flows.report.tables import query_table
from pipeline.records import root_id

_LAST = """
SELECT id, stage, outcome, reason FROM (
  SELECT record_id AS id, * FROM outcomes UNION ALL SELECT question_id AS id, * FROM outcomes
) JOIN stages USING (stage)
QUALIFY row_number() OVER (PARTITION BY id ORDER BY position DESC, outcome = 'kept' DESC, reason) = 1
"""
"""What became last of each record, and of each question by the record of it that came furthest."""
_QUESTIONS = "SELECT question_id FROM questions"
_TAKEN = """
SELECT source, source_row, question_id FROM ingested
UNION ALL SELECT source, source_row, question_id FROM questions
"""
_REVISIONS = "SELECT DISTINCT source, source_revision FROM ingested ORDER BY ALL"


class Fates(NamedTuple):
    """What became of rows that a run or a release does not hold, by the id of the row or of its question."""

    left_out: Mapping[str, str] = {}
    """Why the exports left it out, as they say themselves."""
    known: Mapping[str, str] = {}
    """What the run did with it; empty where only a release is at hand."""
    taken: Mapping[tuple[str, str], tuple[str, ...]] = {}
    """Ids of the questions that the run has made of a row, by source and key of the row."""
    revisions: Sequence[tuple[str, str]] = ()
    """Source and revision of what the run has read."""

    def of_row(self, source: str, key: str) -> str | None:
        """Return what the run did with the row that it read under a key, whatever stood in it; None if it read none."""
        questions = self.taken.get((source, key), ())
        # A row that is no question has an id of its own.
        names = (*questions, *(root_id(source, revision, key) for name, revision in self.revisions if name == source))
        told = [self.known[name] for name in names if name in self.known]
        return next((one for one in told if one != _UNSELECTED), told[0] if told else None)

    def of(self, row: ReleasedRow) -> str | None:
        """Return what became of a row, or else of its question."""
        names = (row.record_id, row.question_id)
        return next((told[name] for told in (self.left_out, self.known) for name in names if name in told), None)


_UNSELECTED = "it was not selected"


class Difference(NamedTuple):
    """A row that is not the same in both."""

    kind: Literal["added", "removed", "changed"]
    shard: str
    record_id: str
    question_id: str
    source: str
    source_row: str
    reason: str


def differences(
    old: Sequence[ReleasedRow], new: Sequence[ReleasedRow], old_fate: Fates, new_fate: Fates
) -> list[Difference]:
    """Return the rows that were added, removed or changed, by shard and id.

    Fates say what became of what the other does not hold (`fates`).
    """
    before = {(row.shard, row.record_id): row for row in old}
    after = {(row.shard, row.record_id): row for row in new}
    there, here = _Index.of(new), _Index.of(old)
    gone, come = (before[name] for name in before.keys() - after), (after[name] for name in after.keys() - before)
    told = [_difference("removed", row, there.why_not(row, new_fate)) for row in gone]
    told += [_difference("added", row, here.why_not(row, old_fate)) for row in come]
    for name in before.keys() & after.keys():
        changed = [part for part in PARTS if getattr(before[name], part) != getattr(after[name], part)]
        if changed:
            told.append(_difference("changed", after[name], ", ".join(changed).replace("cluster_id", "cluster")))
    return sorted(told, key=lambda one: (one.shard, one.kind, one.record_id))


def fates(place: Path) -> Fates:
    """Return what became of each row and question of a run, and what the exports of a run or a release left out.

    Raises:
        UsageError: as `left_out_in`; or a run has no ledger.
    """
    rows = left_out_in(place)
    reasons = {
        name: f"its export left it out ({row.reason})" for row in rows for name in (row.question_id, row.record_id)
    }
    if (place / RELEASE).exists():
        return Fates(reasons)
    known = {str(question): _UNSELECTED for (question,) in query_table(place, _QUESTIONS).rows}
    for name, stage, outcome, reason in query_table(place, _LAST).rows:
        known[str(name)] = _told(str(stage), str(outcome), str(reason or ""))
    taken: dict[tuple[str, str], tuple[str, ...]] = {}
    for source, key, question in query_table(place, _TAKEN).rows:
        taken[str(source), str(key)] = (*taken.get((str(source), str(key)), ()), str(question))
    revisions = [(str(source), str(revision)) for source, revision in query_table(place, _REVISIONS).rows]
    return Fates(reasons, known, taken, revisions)


def _told(stage: str, outcome: str, reason: str) -> str:
    if outcome == "kept":
        # `coldforge export` writes exports again, and no ledger.
        return "its exports were written without it" if stage in {"select", "publish"} else _UNSELECTED
    return f"{stage} {outcome} it ({reason})" if reason else f"{stage} {outcome} it"


class _Index(NamedTuple):
    """The rows of one release, by what could make another row of theirs needless."""

    questions: Mapping[str, ReleasedRow]
    asked: Mapping[tuple[str, tuple[str, ...]], ReleasedRow]
    """By question key and pictures."""
    keys: Mapping[tuple[str, str], ReleasedRow]
    """By source and key of the row."""

    @classmethod
    def of(cls, rows: Iterable[ReleasedRow]) -> Self:
        """Return the index of some rows."""
        some = list(rows)
        return cls(
            {row.question_id: row for row in some},
            {(row.question_key, row.images): row for row in some},
            {(row.source, row.source_row): row for row in some},
        )

    def why_not(self, row: ReleasedRow, fate: Fates) -> str:
        """Return why a row is not among these, as far as they and their run tell."""
        if row.record_id in fate.left_out:
            return f"there, {fate.left_out[row.record_id]}"
        other = self.questions.get(row.question_id)
        if other is not None:
            moved = other.shard != row.shard
            return f"the question is in {other.shard} there" if moved else "another transcript answers it there"
        edited = self.keys.get((row.source, row.source_row))
        if edited is not None and (parts := _edited(row, edited)):
            return f"the row with this key is another one there: its {' and its '.join(parts)} changed"
        same = self.asked.get((row.question_key, row.images))
        if same is not None:
            return f"the same question comes from {same.source} {same.source_row} there"
        told = fate.of(row)
        if told is not None:
            return f"there, {told}"
        read = fate.of_row(row.source, row.source_row)
        if read is not None:
            return f"the row with this key is another one there (its question, or its picture, changed): {read}"
        if fate.known:
            return "that run took no such row (`--limit`, or another source)"
        return "it is not there"


def _edited(row: ReleasedRow, other: ReleasedRow) -> list[str]:
    """Return what was changed in a row of a source that two releases have under one key."""
    said = {"question": (row.question, other.question), "picture": (row.images, other.images)}
    return [part for part, (one, another) in said.items() if one != another]


def _difference(kind: Literal["added", "removed", "changed"], row: ReleasedRow, reason: str) -> Difference:
    return Difference(kind, row.shard, row.record_id, row.question_id, row.source, row.source_row, reason)
