"""What a file of a source holds, row by row: the form in which every kind of file is read."""

from __future__ import annotations

from typing import NamedTuple

from pipeline.errors import RowError
from pipeline.sources.values.columns import Record


class Place(NamedTuple):
    """Where a row stands, so that it can be read again without those before it."""

    file: int = 0
    """Which of the source's files."""
    at: int = 0
    """Of lines, items and samples of an archive: the byte at which they begin. Of Parquet: the row group. Else: which
    row, from 0."""
    size: int = 0
    """Bytes; of Parquet: which row of its group, from 0."""
    row: int = 0
    """Which line or row of its file, from 1, for messages."""


class Entry(NamedTuple):
    """One row as its file has it."""

    number: int
    """Of the line or row, from 1; of several files they are counted through."""
    where: str
    """File and place, for messages."""
    found: Record | RowError
    """Its columns, or why there are none."""
    line: bytes = b""
    """As it stands in a file of text; empty for tables."""
    part: int = 1
    """Which question of the row; a conversation may hold several."""
    left_out: RowError | None = None
    """Why it is not taken, though nothing is wrong with it."""
    place: Place = Place()
