"""Conversations as LLaVA, ShareGPT and chat templates have them: each question with its answer is a row.

A file is a JSON list of objects, an object on every line, or a Parquet table. The turns are `conversations` or
`messages`; a turn says who speaks (`from` or `role`) and what (`value` or `content`, a text or a list of parts).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import RowError
from pipeline.records import LATER_TURN
from pipeline.sources.kinds.entries import Entry, Place
from pipeline.sources.kinds.items import object_entries, object_entries_at
from pipeline.sources.kinds.tables import parquet_entries, parquet_entries_at, shown
from pipeline.sources.manifest import Turns
from pipeline.sources.values.chats import ANSWERS, ASKS, pictures, said, unsaid
from pipeline.sources.values.columns import Column, Columns

COLUMNS = Columns(
    row=Column(from_=("id",)), text=Column(from_=("question",)), answers=Column(from_=("answer",)),
    images=Column(from_=("image", "images")),
)  # fmt: skip
"""The map of a conversation where a manifest has none: `question` and `answer` are those of its turns. One without an
`id`, as trainers do not ask for it, has the hash of what it holds for a key."""

TABLES = frozenset({".parquet"})
"""Files of conversations that are tables: a row holds one, as a list of turns in a column."""
TURNS = ("conversations", "messages", "conversation")


def conversation_entries(files: Sequence[Path], turns: Turns) -> Iterator[Entry]:
    """Yield each question of each conversation, with its answer as `answer` and its number in the row as `part`.

    Under `first` the later questions of a conversation are left out (`later_turn`). One that is no conversation, or
    in which speakers do not take turns, has the reason `row_turns`.

    Raises:
        UsageError: a file cannot be read.
    """
    for number, path in enumerate(files):
        for entry in _in_table(path, number) if path.suffix.lower() in TABLES else object_entries(path, number):
            yield from _questions(entry, turns)


def _in_table(path: Path, number: int) -> Iterator[Entry]:
    for entry in parquet_entries((path,), None):
        yield entry._replace(place=entry.place._replace(file=number))


def conversation_entries_at(files: Sequence[Path], turns: Turns, places: Iterable[Place]) -> Iterator[Entry]:
    """Yield each question of the conversation at each place, as `conversation_entries` gave them.

    Raises:
        UsageError: a file cannot be read.
    """
    for file, here in groupby(places, key=lambda place: place.file):
        if files[file].suffix.lower() in TABLES:
            found = parquet_entries_at(files, None, here)
        else:
            found = object_entries_at(files, here)
        for entry in found:
            yield from _questions(entry, turns)


def _questions(entry: Entry, turns: Turns) -> Iterator[Entry]:
    if isinstance(entry.found, RowError):
        yield entry
        return
    row = {name: value for name, value in entry.found.items() if name not in TURNS}
    try:
        rounds = _rounds(entry.where, entry.found)
    except RowError as error:
        yield entry._replace(found=error, line=entry.line or shown(entry.found).encode(errors="backslashreplace"))
        return
    for part, one in enumerate(rounds, 1):
        where = entry.where if part == 1 else f"{entry.where}, question {part}"
        # Pictures that its parts name, where none stand beside the turns.
        own = {"images": one.pictures} if one.pictures and not {"image", "images"} & row.keys() else {}
        found = {**own, **row, "question": one.text, "answer": one.answer}
        left_out = _later(where) if part > 1 and turns == "first" else None
        yield entry._replace(where=where, found=found, part=part, left_out=left_out)


def _later(where: str) -> RowError:
    told = "not taken (`turns: first`), for it may need what was said before; where each question of a conversation"
    return RowError(LATER_TURN, f"{where}: {told} stands alone, write `turns: each` into the manifest")


class _Round(NamedTuple):
    text: str
    answer: str | None
    """None where nobody answered."""
    pictures: list[str]


def _rounds(where: str, row: Mapping[str, Any]) -> list[_Round]:
    """Return each question of a conversation with its answer.

    Raises:
        RowError: `row_turns`.
    """
    turns = next((row[name] for name in TURNS if name in row), None)
    if not isinstance(turns, list) or not turns:
        raise RowError("row_turns", f"{where}: no turns; a row needs a list `conversations` or `messages`")
    rounds: list[_Round] = []
    for number, turn in enumerate(turns, 1):
        speaker, text = _turn(f"{where}, turn {number}", turn)
        if speaker in ASKS and (not rounds or rounds[-1].answer is not None):
            rounds.append(_Round(text, None, pictures(turn)))
        elif speaker in ANSWERS and rounds and rounds[-1].answer is None:
            rounds[-1] = rounds[-1]._replace(answer=text)
        elif speaker != "system" or rounds:
            raise RowError("row_turns", f"{where}, turn {number}: {speaker!r} speaks; question and answer take turns")
    if not rounds:
        raise RowError("row_turns", f"{where}: nobody asks; a turn of `human` or `user` is a question")
    return rounds


def _turn(where: str, turn: Any) -> tuple[str, str]:
    told = said(turn)
    if told is None:
        raise RowError("row_turns", f"{where}: {unsaid(turn)}")
    return told
