"""Files of objects: the items of a JSON list, one held at a time, or an object on every line."""

from __future__ import annotations

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, TextIO

from pipeline.errors import RowError, UsageError
from pipeline.sources.kinds.entries import Entry, Place
from pipeline.sources.kinds.lines import bytes_at, line_entries, line_entries_at, require_text
from pipeline.sources.values.wording import kind_of, unread

_CHUNK = 1 << 20
"""Characters that are read at once, and again for as long as an item goes on: a list has a gigabyte, an item none."""
_FIRST_LINE = 1 << 26
"""Bytes of the first line that are looked at."""


def object_entries(path: Path, file: int = 0) -> Iterator[Entry]:
    """Yield what each item of a JSON list holds, each line of JSON lines, or the one object that a file is.

    An item that is no object is `row_json`. `file` is which of its source's files it is.

    Raises:
        UsageError: the file cannot be read, or begins as a list and is none.
    """
    require_text(path)
    if not _is_whole(path):
        yield from line_entries(path, file)
        return
    try:
        with path.open(encoding="utf-8", errors="surrogatepass", newline="") as opened:
            for number, (at, size, item) in enumerate(_items(_Text(opened)), 1):
                yield _item_entry(path, Place(file, at, size, number), item)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{path} cannot be read as a JSON list ({unread(error)}); get it again, or write lines, in UTF-8"
        ) from error


def object_entries_at(files: Sequence[Path], places: Iterable[Place]) -> Iterator[Entry]:
    """Yield the entry at each place, as `object_entries` gave it; places of one file stand together.

    Raises:
        UsageError: a file cannot be read, or has no such item.
    """
    for file, here in groupby(places, key=lambda place: place.file):
        if _is_whole(files[file]):
            for place, content in bytes_at(files, here):
                try:
                    item = json.loads(content)
                except (ValueError, RecursionError) as error:
                    raise UsageError(
                        f"{files[file]} has no row {place.row} any more ({unread(error)}); run again"
                    ) from error
                yield _item_entry(files[file], place, item)
        else:
            yield from line_entries_at(files, here)


def _item_entry(path: Path, place: Place, item: Any) -> Entry:
    where = f"{path.name}, row {place.row}"
    wrong = RowError("row_json", f"{where}: {kind_of(item)}; write a list of objects")
    return Entry(place.row, where, item if isinstance(item, dict) else wrong, place=place)


def _is_whole(path: Path) -> bool:
    """Return whether a file is one JSON value over several lines, and not an object on each."""
    try:
        with path.open("rb") as file:
            first = file.readline(_FIRST_LINE).removeprefix(BOM_UTF8).strip()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); a source needs this file") from error
    return path.suffix.lower() == ".json" and not (first.startswith(b"{") and first.endswith(b"}"))


def _items(text: _Text) -> Iterator[tuple[int, int, Any]]:
    """Yield first byte, number of bytes and value of each item of a list, or of the one value that is no list.

    Raises:
        ValueError: it is no JSON.
    """
    if text.peek() != "[":
        yield text.value()
    else:
        text.skip(1)
        if text.peek() != "]":
            yield text.value()
            while text.peek() == ",":
                text.skip(1)
                text.peek()
                yield text.value()
        if text.peek() != "]":
            raise ValueError(f"the list does not go on at byte {text.at}")
        text.skip(1)
    if text.peek():
        raise ValueError(f"there is more behind the value, at byte {text.at}")


_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


class _Text:
    """The text of a file, of which no more is held than the value at hand."""

    def __init__(self, file: TextIO) -> None:
        self._file, self._text, self._place = file, "", 0
        self.at = 0
        """The byte that is next."""

    def peek(self) -> str:
        """Pass over white space and the mark of a byte order; return the character that is next, none at the end."""
        while True:
            if not self.at and self._text.startswith("\ufeff"):
                self.skip(1)
            found = _SPACE.match(self._text, self._place)
            self.skip(found.end() - self._place if found else 0)
            if self._place < len(self._text) or not self._more():
                return self._text[self._place : self._place + 1]

    def value(self) -> tuple[int, int, Any]:
        """Pass over the value that is next, and return its first byte, its number of bytes and itself.

        Raises:
            ValueError: there is none.
        """
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._place)
            except json.JSONDecodeError as error:
                if not self._more():
                    raise ValueError(f"{error.msg}, in the value at byte {self.at}") from error
                continue
            # A number may go on behind what was read.
            if end < len(self._text) or not self._more():
                began = self.at
                self.skip(end - self._place)
                return began, self.at - began, value

    def skip(self, characters: int) -> None:
        """Pass over some characters that were read."""
        end = self._place + characters
        self.at += len(self._text[self._place : end].encode("utf-8", "surrogatepass"))
        self._place = end

    def _more(self) -> bool:
        more = self._file.read(max(_CHUNK, len(self._text) - self._place))
        if more:
            self._text, self._place = self._text[self._place :] + more, 0
        return bool(more)
