"""One row of each shard to show on the card, with its pictures made small enough for a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from flows.publishing.exports import Config, DataFile, readable
from pipeline.images import decode, encode_png
from pipeline.records import IMAGE_MARK

_LOOKED_AT = 2_000
"""Rows that one is chosen among: enough for a short one, and bounded whatever the size of the set."""
_SIDES = (640, 320)
"""Longest side in pixels, of the question's picture and of those that tools showed."""
_PICTURES = 3


class Example(NamedTuple):
    """A row to show."""

    id: str
    messages: tuple[tuple[str, str], ...]
    """(role, content)."""
    pictures: tuple[bytes, ...]
    """PNG: the first ones of the row."""
    all_pictures: int
    row: Mapping[str, Any]
    """Its other columns."""


class _Place(NamedTuple):
    rank: tuple[bool, bool, int, str]
    file: DataFile
    group: int
    row: int
    """Within its group."""


def example_of(config: Config) -> Example:
    """Return the shortest row that shows most: one in which a tool showed a picture, else one with a picture.

    A row of a configuration is chosen by what it says alone, so that equal sets have equal cards.

    Raises:
        UsageError: a file cannot be read.
    """
    with readable(config):
        return _example_of(config, "messages" if config.shard == "sft" else "prompt")


def _example_of(config: Config, column: str) -> Example:
    best = min(islice(_places(config, column), _LOOKED_AT), key=lambda place: place.rank)
    table = pq.ParquetFile(best.file.local).read_row_group(best.group).slice(best.row, 1)
    row = table.to_pylist()[0]
    images = [image["bytes"] for image in row.pop("images")]
    messages = tuple((message["role"], message["content"]) for message in row.pop(column))
    shown = images[:_PICTURES]
    sides = (_SIDES[0], *(_SIDES[1] for _ in shown[1:]))
    small = tuple(_small(content, side) for content, side in zip(shown, sides, strict=False))
    return Example(row["id"], messages, small, len(images), row)


def _places(config: Config, column: str) -> Iterator[_Place]:
    for file in (file for files in config.splits.values() for file in files):
        parquet = pq.ParquetFile(file.local)
        for group in range(parquet.num_row_groups):
            for index, row in enumerate(parquet.read_row_group(group, columns=["id", column]).to_pylist()):
                texts = [message["content"] for message in row[column]]
                asked, later = IMAGE_MARK in "".join(texts[:2]), IMAGE_MARK in "".join(texts[2:])
                yield _Place((not later, not asked, sum(map(len, texts)), row["id"]), file, group, index)


def _small(content: bytes, side: int) -> bytes:
    picture = decode(content)
    picture.thumbnail((side, side))
    return encode_png(picture)
