"""What a person corrected, carried out: the row or the transcript that is made of the one that he saw.

Of a transcript only what was written is his to correct. Calls, and what came back, are those of its parent to the byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.dialects import by_name
from pipeline.dialects.bad_calls import BadCall
from pipeline.identity import Json, canonical_json, parse_json
from pipeline.records import Edit, SourceRow, Tokens, Trajectory, Turn

STALE = "stale_edit"
"""Reason of a correction whose parent is not what it was."""


class UneditedError(Exception):
    """No transcript can be made by a correction; the message says why."""


def edited_rows(rows: Sequence[SourceRow], edits: Mapping[str, Edit]) -> Iterator[SourceRow]:
    """Yield rows, and behind each what was made of it, and of that; `edits` are by the row that they change."""
    for row in rows:
        last = row
        yield last
        while (edit := edits.get(last.id)) is not None:
            last = edited_row(last, edit)
            yield last


def edited_row(row: SourceRow, edit: Edit) -> SourceRow:
    """Return the row that a correction makes: of the same place in its source, under an id of its own."""
    if row.reason:
        return row.model_copy(update={"id": edit.id})
    payload = {**parse_json(row.payload), **parse_json(edit.changes)}
    update = {"id": edit.id, "payload": canonical_json(payload), "category": str(payload.get("category", ""))}
    return row.model_copy(update=update)


def edited_from(edit: Edit) -> Mapping[str, Json]:
    """Return what a corrected question says of its parent; who corrected it stays in the ledger."""
    return {"id": edit.parent, "edit": edit.id, "fields": sorted(parse_json(edit.changes))}


def edited_trajectory(parent: Trajectory, edit: Edit) -> Trajectory:
    """Return the transcript that a correction makes, ungraded.

    Raises:
        UneditedError: the parent does not say what was corrected; or a message as corrected cannot be read back, as one
            whose thought holds a tag.
    """
    changes = parse_json(edit.changes)
    if written_in(parent, changes) != parse_json(edit.was):
        raise UneditedError(f"trajectory {parent.id} does not say what was corrected; correct it again")
    answer, thoughts = changes.get("answer"), changes.get("thoughts", {})
    turns = tuple(
        _edited_turn(parent, number, thoughts.get(str(number)), answer if number == len(parent.turns) else None)
        for number in range(1, len(parent.turns) + 1)
    )
    update = {
        "id": edit.id,
        "parent": parent.id,
        "turns": turns,
        "answer": parent.answer if answer is None else answer,
        "verdict": "unknown",
        "tokens": Tokens(prompt=0, completion=0),
    }
    return parent.model_copy(update=update)


def written_in(trajectory: Trajectory, changes: Mapping[str, Any]) -> dict[str, Json]:
    """Return what a trajectory has in place of some changes; null for a turn that it does not have."""
    thoughts = {str(number): turn.think for number, turn in enumerate(trajectory.turns, 1)}
    found: dict[str, Json] = {}
    if "answer" in changes:
        found["answer"] = trajectory.answer
    if "thoughts" in changes:
        found["thoughts"] = {number: thoughts.get(number) for number in changes["thoughts"]}
    return found


def _edited_turn(parent: Trajectory, number: int, thought: str | None, answer: str | None) -> Turn:
    turn = parent.turns[number - 1]
    if thought is None and answer is None:
        return turn
    if turn.action == "none":
        raise UneditedError(f"turn {number} is a message that calls no tool and gives no answer")
    think = turn.think if thought is None else thought
    arguments = turn.arguments if answer is None else canonical_json({"answer": answer})
    dialect = by_name(parent.dialect)
    message = dialect.render_turn(think, turn.action, arguments)
    read = dialect.parse(message, parent.mode)
    if isinstance(read, BadCall) or read != (think, turn.action, arguments):
        why = f" ({read.reason})" if isinstance(read, BadCall) else ""
        raise UneditedError(f"turn {number} as corrected is no message of the dialect {dialect.name}{why}")
    return turn.model_copy(update={"think": think, "arguments": arguments, "raw_text": message})
