from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InfrastructureError
from pipeline.records import SourceRow
from pipeline.store import shards
from pipeline.store.shards import RecordColumns, read_columns, read_records, write_records

text = st.text(st.characters(codec="utf-8"))
rows_of_text = st.lists(
    st.builds(SourceRow, id=text, source=text, source_revision=text, source_row=text, category=text, payload=text),
    max_size=8,
)


def rows(count: int) -> list[SourceRow]:
    return [
        SourceRow(
            id=str(number),
            source="s",
            source_revision="1",
            source_row=str(number),
            category=f"c{number % 2}",
            payload="{}",
        )
        for number in range(count)
    ]


@settings(max_examples=30)
@given(rows_of_text)
def test_equal_records_give_equal_bytes_and_come_back(
    tmp_path_factory: pytest.TempPathFactory, records: list[SourceRow]
) -> None:
    base = tmp_path_factory.mktemp("shards")
    write_records(base / "a.parquet", SourceRow, records)
    write_records(base / "b.parquet", SourceRow, [SourceRow.from_row(record.to_row()) for record in records])
    assert (base / "a.parquet").read_bytes() == (base / "b.parquet").read_bytes()
    assert list(read_records(base / "a.parquet", SourceRow)) == records


def test_a_part_is_read_one_row_group_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    write_records(path, SourceRow, rows(shards.ROW_GROUP + 1))
    with pq.ParquetFile(path) as file:
        assert [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)] == [shards.ROW_GROUP, 1]
    assert sum(1 for _ in read_records(path, SourceRow)) == shards.ROW_GROUP + 1


@pytest.mark.parametrize("count", [0, 1, shards.ROW_GROUP, shards.ROW_GROUP + 1])
def test_columns_and_records_that_come_one_by_one_give_equal_bytes(count: int, tmp_path: Path) -> None:
    write_records(tmp_path / "a.parquet", SourceRow, iter(rows(count)))
    write_records(tmp_path / "b.parquet", SourceRow, RecordColumns.of(SourceRow, rows(count)))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_some_columns_of_several_parts_are_one_table(tmp_path: Path) -> None:
    write_records(tmp_path / "a.parquet", SourceRow, rows(3))
    write_records(tmp_path / "b.parquet", SourceRow, [])
    table = read_columns([tmp_path / "a.parquet", tmp_path / "b.parquet"], SourceRow, ["id", "category"])
    assert table.column_names == ["id", "category"]
    assert table.to_pydict() == {"id": ["0", "1", "2"], "category": ["c0", "c1", "c0"]}
    assert read_columns([], SourceRow, ["id"]).num_rows == 0


@pytest.mark.parametrize("damage", ["cut", "missing", "not_parquet"])
def test_a_damaged_part_is_named_and_never_read_in_part(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    write_records(path, SourceRow, rows(100))
    content = path.read_bytes()
    match damage:
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "missing":
            path.unlink()
        case _:
            path.write_bytes(b"hello")
    with pytest.raises(InfrastructureError, match=r"part\.parquet.*run again"):
        list(read_records(path, SourceRow))


def test_a_flipped_byte_in_a_page_never_changes_a_record(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    write_records(path, SourceRow, rows(100))
    content = path.read_bytes()
    # The file ends with its footer, the footer's length in 4 bytes, and a 4-byte mark.
    pages = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    seen = 0
    for place in range(4, pages, 5):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            assert list(read_records(path, SourceRow)) == rows(100)
        except InfrastructureError:
            seen += 1
    assert seen > 0.8 * (pages - 4) / 5  # the rest are fields of page headers that no reader needs


def test_nothing_but_the_part_is_left_behind(tmp_path: Path) -> None:
    write_records(tmp_path / "deep" / "part.parquet", SourceRow, rows(2))
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["part.parquet"]
