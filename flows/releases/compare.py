"""What differs between two releases, row by row, and why where a run can tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Self

from flows.releases.rows import PARTS, ReleasedRow
from flows.report.tables import query_table

_STOPPED = """
SELECT question_id, arg_max(stage, position), arg_max(reason, position), arg_max(outcome, position)
FROM outcomes JOIN stages USING (stage) WHERE outcome <> 'kept' GROUP BY question_id
"""
_QUESTIONS = "SELECT question_id FROM questions"


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
    old: Sequence[ReleasedRow], new: Sequence[ReleasedRow], old_fate: Mapping[str, str], new_fate: Mapping[str, str]
) -> list[Difference]:
    """Return the rows that were added, removed or changed, by shard and id.

    A fate says what became of a question in that run, for those that it did not ship (`fates`); empty where only a
    release is at hand.
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


def fates(run: Path) -> Mapping[str, str]:
    """Return what became of each question that a run stopped; of those that it knows and did not stop, nothing."""
    stopped = {
        str(question): f"{stage} {outcome} it ({reason})" if reason else f"{stage} {outcome} it"
        for question, stage, reason, outcome in query_table(run, _STOPPED).rows
    }
    known = {str(question): "it was not selected" for (question,) in query_table(run, _QUESTIONS).rows}
    return {**known, **stopped}


class _Index(NamedTuple):
    """The rows of one release, by what could make another row of theirs needless."""

    questions: Mapping[str, ReleasedRow]
    asked: Mapping[tuple[str, tuple[str, ...]], ReleasedRow]
    """By question key and pictures."""

    @classmethod
    def of(cls, rows: Iterable[ReleasedRow]) -> Self:
        """Return the index of some rows."""
        some = list(rows)
        return cls({row.question_id: row for row in some}, {(row.question_key, row.images): row for row in some})

    def why_not(self, row: ReleasedRow, fate: Mapping[str, str]) -> str:
        """Return why a row is not among these, as far as they and their run tell."""
        other = self.questions.get(row.question_id)
        if other is not None:
            moved = other.shard != row.shard
            return f"the question is in {other.shard} there" if moved else "another transcript answers it there"
        same = self.asked.get((row.question_key, row.images))
        if same is not None:
            return f"the same question comes from {same.source} {same.source_row} there"
        if fate:
            return (
                f"there, {fate[row.question_id]}"
                if row.question_id in fate
                else "that run took no such row (`--limit`, or another source)"
            )
        return "it is not there"


def _difference(kind: Literal["added", "removed", "changed"], row: ReleasedRow, reason: str) -> Difference:
    return Difference(kind, row.shard, row.record_id, row.question_id, row.source, row.source_row, reason)
