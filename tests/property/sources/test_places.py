"""A row read at its place is the row that stands in the stream, of whatever kind and whichever rows are read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.recipe.rows import RowIndex
from pipeline.errors import UsageError
from pipeline.records import SourceRow
from pipeline.sources import read_source
from pipeline.sources.index import index_of, rows_at
from pipeline.sources.rows import placed_rows
from pipeline.store.blobs import BlobStore
from tests.support.kinds import Shape, opened

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12) | st.sampled_from(
    ["a,b", 'say "two"', "two\nlines", "tab\there", "é", "\U0001f600", "<image> what?"]
)
RECORDS = st.lists(st.tuples(st.sampled_from("abcdef"), TEXTS, TEXTS, st.binary(min_size=1, max_size=9)), min_size=1)


def records(found: Sequence[tuple[str, str, str, bytes]]) -> list[dict[str, Any]]:
    """Few ids and pictures, so that rows repeat and keys are used again."""
    return [{"id": name, "question": asked, "answer": said, "image": shown} for name, asked, said, shown in found]


@pytest.mark.parametrize("shape", get_args(Shape))
@settings(max_examples=8)
@given(parts=st.lists(RECORDS, min_size=1, max_size=3), data=st.data(), keyed=st.booleans())
def test_a_row_at_its_place_is_the_row_of_the_stream(
    shape: Shape, parts: list[Any], data: st.DataObject, keyed: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    place = tmp_path_factory.mktemp("kinds")
    source = opened(place, shape, [records(part) for part in parts], keyed=keyed)
    index = index_of(source, place / "store")
    assert not (place / "store" / "blobs").exists()
    stream = [*read_source(source)]
    assert [name.hex() for name in index["id"].to_pylist()] == [row.id for row in stream]
    assert len({row.id for row in stream}) == len(stream)
    assert [*rows_at(source, index)] == stream
    taken = data.draw(st.lists(st.booleans(), min_size=len(stream), max_size=len(stream)))
    some = [row for row, is_taken in zip(stream, taken, strict=True) if is_taken]
    assert [*rows_at(source, index.filter(pa.array(taken, pa.bool_())))] == some


@pytest.mark.parametrize("shape", ["parquet", "webdataset", "webdataset-gz", "hf-disk", "hf-parquet"])
def test_only_pictures_of_rows_that_are_read_are_stored(tmp_path: Path, shape: Shape) -> None:
    rows = [{"id": f"r{n}", "question": "How many?", "answer": "1", "image": b"%d" % n} for n in range(9)]
    source = opened(tmp_path, shape, [rows])
    index = RowIndex.of((source,), tmp_path / "store")
    blobs = BlobStore(tmp_path / "store" / "blobs")
    first = index.first(3)
    assert first.lacks_pictures(blobs)
    assert len([*first.read()]) == len([*blobs.root.rglob("*/*")]) == 3
    assert not first.lacks_pictures(blobs)
    assert index.lacks_pictures(blobs)


def written(place: Path, shape: Shape, answer: str = "1") -> RowIndex:
    rows = [{"id": f"r{n}", "question": "How many?", "answer": answer, "image": b"%d" % n} for n in range(9)]
    return RowIndex.of((opened(place, shape, [rows[:5], rows[5:]]),), place / "store")


@pytest.mark.parametrize("shape", sorted({*get_args(Shape)} - {"json-object"}))
def test_a_row_that_changed_since_it_was_indexed_is_an_error_that_names_the_source(
    tmp_path: Path, shape: Shape
) -> None:
    index = written(tmp_path / "a", shape)
    written(tmp_path / "b", shape, answer="2")
    (tmp_path / "a" / "data").rename(tmp_path / "old")
    (tmp_path / "b" / "data").rename(tmp_path / "a" / "data")
    with pytest.raises(UsageError, match=r"source own: .*run again"):
        [*index.read()]


@pytest.mark.parametrize("shape", sorted({*get_args(Shape)} - {"json-object", "hf-disk"}))
def test_a_row_that_is_gone_since_it_was_indexed_is_an_error(tmp_path: Path, shape: Shape) -> None:
    index = written(tmp_path / "a", shape)
    rows = [{"id": "r0", "question": "How many?", "answer": "1", "image": b"0"}]
    opened(tmp_path / "b", shape, [rows, rows])
    (tmp_path / "a" / "data").rename(tmp_path / "old")
    (tmp_path / "b" / "data").rename(tmp_path / "a" / "data")
    with pytest.raises(UsageError):
        [*index.read()]


def test_an_index_is_made_once_for_as_long_as_size_and_time_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[Path] = []

    def counted(source: Any, blobs: Any) -> Any:
        reads.append(source.directory)
        return placed_rows(source, blobs)

    monkeypatch.setattr("pipeline.sources.index.placed_rows", counted)
    rows = [{"id": f"r{n}", "question": "How many?", "answer": "1", "image": b""} for n in range(9)]
    source = opened(tmp_path, "csv", [rows])
    first = index_of(source, tmp_path / "store")
    assert index_of(source, tmp_path / "store").equals(first)
    assert len(reads) == 1
    # Another revision, licence or map makes other rows of the same file.
    assert not index_of(source._replace(revision="2"), tmp_path / "store").equals(first)
    index_of(source._replace(licence="MIT"), tmp_path / "store")
    assert len(reads) == 3
    (path,) = source.files
    os.utime(path, ns=(0, 0))
    assert index_of(source, tmp_path / "store").equals(first)
    assert len(reads) == 4


def test_an_index_that_is_damaged_is_made_again(tmp_path: Path) -> None:
    index = written(tmp_path, "parquet")
    (path,) = (tmp_path / "store" / "indexes").iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    assert [*RowIndex.of([source for source, _ in index.indexes], tmp_path / "store").ids()] == [*index.ids()]
    assert len([*index.read()]) == 9


def test_a_file_that_changes_while_it_is_indexed_makes_no_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = opened(tmp_path, "csv", [[{"id": "r", "question": "How many?", "answer": "1", "image": b""}]])

    def changing(source: Any, blobs: Any) -> Any:
        yield from placed_rows(source, blobs)
        source.files[0].write_text("id,question,answer\nr,How many?,2\n")

    monkeypatch.setattr("pipeline.sources.index.placed_rows", changing)
    with pytest.raises(UsageError, match="changes while it is read"):
        index_of(source, tmp_path / "store")
    assert not (tmp_path / "store").exists()


def strata(place: Path, sizes: Sequence[int]) -> RowIndex:
    rows = [
        {"id": f"{stratum}-{n}", "question": "How many?", "answer": "1", "image": b"", "category": str(stratum)}
        for stratum, size in enumerate(sizes)
        for n in range(size)
    ]
    return RowIndex.of((opened(place, "jsonl", [rows]),), place / "store")


@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=4), limits=st.tuples(st.integers(1, 50), st.integers(1, 50))
)
@settings(max_examples=25)
def test_a_sample_is_nested_and_proportional(
    sizes: list[int], limits: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    index = strata(tmp_path_factory.mktemp("strata"), sizes)
    few, many = (index.limited(limit) for limit in sorted(limits))
    assert len(few) == min(*limits, sum(sizes))
    assert {*few.ids()} <= {*many.ids()} <= {*index.ids()}

    def kept(rows: Sequence[SourceRow]) -> list[int]:
        return [sum(row.category == str(stratum) for row in rows) for stratum in range(len(sizes))]

    share = len(few) / len(index)
    assert all(abs(n - share * size) <= 1 for n, size in zip(kept([*few.read()]), sizes, strict=True))
