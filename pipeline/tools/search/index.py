"""The index of a local corpus: pages in SQLite FTS5, and features of pictures, in one file made once."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.errors import InfrastructureError, RowError, UsageError
from pipeline.images import decode
from pipeline.sources.kinds.lines import read_objects
from pipeline.tools.search.features import GRID, Many, features
from pipeline.tools.search.hits import TextHit
from pipeline.tools.search.words import TOKENIZE, any_word, spread, whole_phrase, without_seams

PAGES, GALLERY = "pages.jsonl", "gallery.jsonl"
SNIPPET_TOKENS = 32
"""About two lines, as web search engines show; a page says more than its snippet."""
TITLE_WEIGHT = 8.0
"""A word in a title counts as eight in the text: with 3 some long pages lose to short ones that mention them."""

_TABLES = f"""
CREATE VIRTUAL TABLE pages USING fts5(title, text, url UNINDEXED, date UNINDEXED, tokenize="{TOKENIZE}");
CREATE TABLE pictures(title TEXT NOT NULL, url TEXT NOT NULL, path TEXT NOT NULL);
CREATE TABLE features(dhash INTEGER NOT NULL, aspect REAL NOT NULL, layout BLOB NOT NULL);
"""
"""A picture has one `rowid` in both tables, from 1: features are read all at once, titles of the few that are found."""
# The rank is the order of equal scores too, so that equal queries have equal results.
_FIND = """
SELECT title, url, date, snippet(pages, 1, '', '', '…', ?) FROM pages WHERE pages MATCH ?
ORDER BY bm25(pages, ?, 1.0), rowid LIMIT ?
"""


class Picture(NamedTuple):
    """A picture of the gallery."""

    title: str
    url: str
    path: str
    """In the corpus."""


def build_index(corpus: Path, path: Path) -> None:
    """Write the index of `corpus` to `path`, which appears complete or not at all; an existing one is kept.

    Raises:
        UsageError: a file of the corpus is missing, or a line of it is wrong.
        InfrastructureError: the index cannot be written.
    """
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".tmp-index-") as name:
        made = Path(name) / "index"
        try:
            with closing(sqlite3.connect(made)) as db, db:
                db.executescript(_TABLES)
                db.executemany("INSERT INTO pages VALUES (?, ?, ?, ?)", _pages(corpus / PAGES))
                for picture, measured in _pictures(corpus):
                    db.execute("INSERT INTO pictures VALUES (?, ?, ?)", picture)
                    db.execute("INSERT INTO features VALUES (?, ?, ?)", measured)
        except sqlite3.Error as error:
            raise InfrastructureError(f"search index {path} cannot be written: {error}") from error
        made.replace(path)


def find_pages(path: Path, query: str, results: int) -> tuple[TextHit, ...]:
    """Return the pages of the index that have any word of `query`, best first.

    Raises:
        InfrastructureError: the index cannot be read.
    """
    match = any_word(query)
    if not match:
        return ()
    rows = _select(path, _FIND, (SNIPPET_TOKENS, match, TITLE_WEIGHT, results))
    return tuple(TextHit(title=without_seams(t), url=u, date=d, snippet=without_seams(s)) for t, u, d, s in rows)


def holds(path: Path, text: str) -> bool:
    """Return whether all words of `text` stand in a page of the index one after the other, by their stems.

    Raises:
        InfrastructureError: the index cannot be read.
    """
    match = whole_phrase(text)
    return bool(match) and bool(_select(path, "SELECT 1 FROM pages WHERE pages MATCH ? LIMIT 1", (match,)))


def read_features(path: Path) -> Many:
    """Return the features of all pictures of the index, in the order of the gallery.

    Raises:
        InfrastructureError: the index cannot be read.
    """
    import numpy as np

    rows = _select(path, "SELECT dhash, aspect, layout FROM features ORDER BY rowid", ())
    layout = np.frombuffer(b"".join(layout for _, _, layout in rows), dtype=np.uint8)
    return Many(
        np.array([dhash for dhash, _, _ in rows], dtype=np.int64).view(np.uint64),
        np.array([aspect for _, aspect, _ in rows], dtype=np.float64),
        layout.reshape(-1, GRID * GRID, 3),
    )


def read_picture(path: Path, place: int) -> Picture:
    """Return the picture at a place of the gallery, counted from 0.

    Raises:
        InfrastructureError: the index cannot be read.
    """
    (row,) = _select(path, "SELECT title, url, path FROM pictures WHERE rowid = ?", (place + 1,))
    return Picture(*row)


def _select(path: Path, sql: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
    try:
        # A connection of its own for each search: opening costs 0.1 ms, and any thread may search.
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as db:
            return db.execute(sql, values).fetchall()
    except sqlite3.Error as error:
        raise InfrastructureError(f"search index {path}: {error}; delete it and run again") from error


def _pages(file: Path) -> Iterator[tuple[str, str, str, str | None]]:
    for number, page in read_objects(file):
        title, text, url = (_text(page, field, file, number) for field in ("title", "text", "url"))
        yield spread(title), spread(text), url, _text(page, "date", file, number) if page.get("date") else None


def _pictures(corpus: Path) -> Iterator[tuple[Picture, tuple[int, float, bytes]]]:
    file = corpus / GALLERY
    for number, entry in read_objects(file):
        title, url, name = (_text(entry, field, file, number) for field in ("title", "url", "image"))
        path = (corpus / name).resolve()
        if not path.is_relative_to(corpus.resolve()):
            raise UsageError(f"{file}, line {number}: image {name} leads out of the corpus; give a path inside it")
        try:
            dhash, aspect, layout = features(decode(path.read_bytes()))
        except (OSError, RowError) as error:
            raise UsageError(f"{file}, line {number}: image {name} cannot be used: {error}") from error
        # SQLite has no unsigned 64-bit numbers.
        yield Picture(title, url, name), (dhash - (dhash >> 63 << 64), aspect, layout)


def _text(entry: dict[str, Any], field: str, file: Path, number: int) -> str:
    value = entry.get(field)
    if not isinstance(value, str):
        raise UsageError(f"{file}, line {number}: the field `{field}` is {value!r}; it has to be text")
    return value
