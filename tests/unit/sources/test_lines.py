"""A line that is no row is one bad row; only a file that cannot be read stops a source."""

from __future__ import annotations

import gzip
import json
import re
from codecs import BOM_UTF8
from pathlib import Path

import pytest

from pipeline.errors import UsageError
from pipeline.records import SourceRow
from pipeline.sources import Source, read_source
from pipeline.sources.kinds.lines import read_objects
from pipeline.sources.manifest import SourceKind

GOOD = b'{"row": "a", "text": "Why?"}'


def read(place: Path, *lines: bytes, end: bytes = b"\n") -> list[SourceRow]:
    (place / "rows.jsonl").write_bytes(end.join((*lines, b"")))
    return [*read_source(Source("own", "1", place, "CC0-1.0"))]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (b'{"row": "b"', "not JSON"),
        (b'{"row": "b"} {"row": "c"}', "not JSON"),
        (b"row,text", "not JSON"),
        (b'["row"]', "list"),
        (b"null", "null"),
        (b"7", "a number"),
        (b'{"row": "b", "row": "b"}', "duplicate key"),
        (b'{"row": "b", "tolerance": NaN}', "NaN"),
        (b'{"row": "b", "tolerance": -Infinity}', "Infinity"),
        (b'{"row": "b", "tolerance": 1e999}', "inf"),
        (b'{"row": "b", "text": "\\ud83d"}', "half of a character"),
        (b'{"row": "b", "\\ud83d": 1}', "half of a character"),
        (b'{"row": "\\ud83d"}', "half of a character"),
        (b'{"row": "b", "text": "\xff\xfe"}', "UTF-8"),
        (b'{"row": "b", "n": ' + b"9" * 5000 + b"}", "digits"),
        (b"[" * 100_000, "nested"),
        (b'{"row": "b", "x": ' + b"[" * 70 + b"]" * 70 + b"}", "nested"),
        (b"\x00\x01\x1f\x8b", "UTF-8"),
    ],
)
def test_a_line_that_is_no_object_is_one_bad_row_with_number_and_payload(
    tmp_path: Path, line: bytes, named: str
) -> None:
    first, bad, last = read(tmp_path, GOOD, line, b'{"row": "c"}')
    assert (first.reason, last.reason) == ("", "")
    assert bad.reason == "row_json"
    assert "rows.jsonl, line 2" in bad.detail
    assert named in bad.detail
    assert bad.payload.encode().decode("unicode_escape" if b"\xff" in line or b"\x8b" in line else "utf-8") == (
        line.decode("latin-1")
    )
    assert len({first.id, bad.id, last.id}) == 3


def test_key_and_category_of_a_bad_line_are_kept_where_they_can_be_read(tmp_path: Path) -> None:
    told, untold = read(
        tmp_path, b'{"row": "b", "category": "search", "tolerance": NaN}', b'{"row": "b", "category": "search"'
    )
    assert (told.source_row, told.category) == ("b", "search")
    assert (untold.source_row, untold.category) == ("line 2", "")


@pytest.mark.parametrize("key", [None, "", True, [], {}, ...])
def test_a_row_without_a_key_is_one_bad_row(tmp_path: Path, key: object) -> None:
    row = {"text": "Why?"} | ({} if key is ... else {"row": key})
    first, bad = read(tmp_path, GOOD, json.dumps(row).encode())
    assert (first.reason, bad.reason) == ("", "row_key")
    assert "line 2: the field `row`" in bad.detail


@pytest.mark.parametrize(("key", "text"), [("8", "8"), ("8.0", "8"), ("-0.5", "-0.5"), ("1e-7", "0.0000001")])
def test_a_number_is_a_key(tmp_path: Path, key: str, text: str) -> None:
    (row,) = read(tmp_path, f'{{"row": {key}}}'.encode())
    assert (row.source_row, row.reason) == (text, "")


def test_the_same_row_again_is_a_duplicate_and_another_under_its_key_is_not(tmp_path: Path) -> None:
    rows = read(tmp_path, GOOD, b'{"text": "Why?",  "row": "a"}', b'{"row": "a", "text": "How?"}', GOOD)
    assert [row.reason for row in rows] == ["", "duplicate_row", "row_key_reused", "duplicate_row"]
    assert all("'a' is also in line 1" in row.detail for row in rows[1:])
    assert len({row.id for row in rows}) == 4


def test_a_bad_line_does_not_take_the_key_of_a_good_one(tmp_path: Path) -> None:
    rows = read(tmp_path, b'{"row": "a", "tolerance": NaN}', GOOD)
    assert [row.reason for row in rows] == ["row_json", ""]


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_byte_order_marks_and_line_ends_of_windows_are_no_part_of_a_row(tmp_path: Path, end: bytes) -> None:
    plain = read(tmp_path, GOOD, b'{"row": "b"}')
    marked = read(tmp_path, BOM_UTF8 + GOOD, b"", b"  ", BOM_UTF8, BOM_UTF8 + b'{"row": "b"}', end=end)
    assert marked == plain


def test_a_row_that_moves_within_its_file_stays_the_same(tmp_path: Path) -> None:
    (alone,) = read(tmp_path, GOOD)
    assert read(tmp_path, b"{", b'{"row": "b"}', GOOD)[-1] == alone


def test_only_a_file_that_cannot_be_read_stops_a_source(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").mkdir()
    with pytest.raises(UsageError, match=r"rows\.jsonl cannot be read"):
        [*read_source(Source("own", "1", tmp_path, "CC0-1.0"))]


@pytest.mark.parametrize("line", [b"{", b"[]", b"\xff"])
def test_files_in_which_no_line_may_be_wrong_are_refused_by_number(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "pages.jsonl").write_bytes(BOM_UTF8 + b"{}\r\n" + line + b"\n")
    with pytest.raises(UsageError, match=r"pages\.jsonl, line 2"):
        [*read_objects(tmp_path / "pages.jsonl")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (GOOD.decode().encode("utf-16"), "is in UTF-16; save it as UTF-8"),
        (gzip.compress(GOOD, mtime=0), "is packed with gzip; unpack it"),
        (b"PAR1" + GOOD, "is Parquet"),
    ],
)
@pytest.mark.parametrize("kind", ["jsonl", "json", "csv"])
def test_a_file_of_another_encoding_or_a_packed_one_is_named_and_no_line_of_it_read(
    content: bytes, told: str, kind: SourceKind, tmp_path: Path
) -> None:
    (file := tmp_path / "rows.jsonl").write_bytes(content)
    with pytest.raises(UsageError, match=re.escape(f"{file} {told}")):
        list(read_source(Source("own", "1", tmp_path, "CC0-1.0", kind=kind, files=(file,))))
