"""Every shape of a table gives the same rows: Parquet by row group, CSV, TSV, JSON, over one file or several."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.errors import UsageError
from pipeline.identity import parse_json
from pipeline.records import SourceRow
from pipeline.sources import open_source, read_source
from pipeline.sources.questions import to_question
from pipeline.store.blobs import BlobStore

COLUMNS = "columns: {row: id, text: question, answers: answer, images: image}\n"
ROWS = [{"id": f"r{number}", "question": f"How many {number}?", "answer": str(number)} for number in range(5)]


def png(shade: int = 0) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 30), (shade, 90, 10)).save(out, "PNG")
    return out.getvalue()


def read(place: Path, kind: str, columns: str = COLUMNS, path: str = "data") -> list[SourceRow]:
    manifest = f"key: own\nkind: {kind}\nrevision: v1\npath: {path}\nlicence: CC0-1.0\n{columns}"
    (place / "own.yaml").write_text(manifest)
    return [*read_source(open_source("own.yaml", place / "store", base=place))]


def payload(row: SourceRow) -> dict[str, Any]:
    value: dict[str, Any] = parse_json(row.payload)
    return value


def write(place: Path, kind: str, parts: Sequence[Sequence[Mapping[str, object]]]) -> None:
    (place / "data").mkdir(exist_ok=True)
    for number, rows in enumerate(parts):
        file = place / "data" / f"part-{number}.{kind}"
        match kind:
            case "parquet":
                pl.DataFrame(rows).write_parquet(file, row_group_size=2)
            case "csv" | "tsv":
                pl.DataFrame(rows).write_csv(file, separator="," if kind == "csv" else "\t")
            case _:
                file.write_text(json.dumps(rows))


@pytest.mark.parametrize("kind", ["parquet", "csv", "tsv", "json"])
@pytest.mark.parametrize("cut", [5, 3, 1])
def test_one_table_and_its_parts_are_the_same_rows(tmp_path: Path, kind: str, cut: int) -> None:
    rows = [{**row, "image": None} for row in ROWS]
    write(tmp_path, kind, [rows[:cut], rows[cut:]] if cut < len(rows) else [rows])
    found = read(tmp_path, kind)
    assert [row.source_row for row in found] == [f"r{number}" for number in range(5)]
    assert [payload(row)["answers"] for row in found] == [str(number) for number in range(5)]
    assert not any(row.reason for row in found)


@pytest.mark.parametrize("kind", ["parquet", "csv", "json"])
def test_a_row_without_a_key_is_known_by_what_it_holds(tmp_path: Path, kind: str) -> None:
    columns = "columns: {text: question, answers: answer}\n"
    write(tmp_path, kind, [[*ROWS, ROWS[0]]])
    rows = read(tmp_path, kind, columns)
    assert len({row.id for row in rows}) == len(rows)
    assert [row.reason for row in rows] == ["", "", "", "", "", "duplicate_row"]
    # Where a row stands says nothing about what it is.
    write(tmp_path, kind, [ROWS[::-1]])
    assert {row.id for row in read(tmp_path, kind, columns)} == {row.id for row in rows[:5]}


@pytest.mark.parametrize(
    "image",
    [
        png(),
        {"bytes": png(), "path": "x.png"},
        {"bytes": png(), "path": None},
        {"bytes": None, "path": "pics/a.png"},
        "pics/a.png",
    ],
)
@pytest.mark.parametrize("many", [False, True])
def test_pictures_in_a_table_are_those_of_the_question(tmp_path: Path, image: Any, many: bool) -> None:
    (tmp_path / "data" / "pics").mkdir(parents=True)
    (tmp_path / "data" / "pics" / "a.png").write_bytes(png())
    held = {**ROWS[0], "image": [image, image] if many else image}
    pq.write_table(pa.Table.from_pylist([held]), tmp_path / "data" / "part.parquet")
    (row,) = read(tmp_path, "parquet")
    source = open_source("own.yaml", tmp_path / "store", base=tmp_path)
    question = to_question(row, source.directory, BlobStore(tmp_path / "store" / "blobs"), source.others)
    assert [(shown.width, shown.height) for shown in question.images] == [(40, 30)] * (2 if many else 1)
    assert len({shown.sha256 for shown in question.images}) == 1


def test_values_of_tables_become_what_json_has(tmp_path: Path) -> None:
    held = {
        **ROWS[0],
        "when": datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "day": date(2026, 1, 2), "price": Decimal("1.50"),
        "gap": float("nan"), "nested": {"a": [1, float("inf")]}, "raw": b"bytes",
    }  # fmt: skip
    (tmp_path / "data").mkdir()
    pq.write_table(pa.Table.from_pylist([held]), tmp_path / "data" / "part.parquet")
    (row,) = read(tmp_path, "parquet", "columns: {row: id, text: question, answers: answer}\n")
    made = payload(row)
    assert (made["when"], made["day"], made["price"]) == ("2026-01-02T03:04:00+00:00", "2026-01-02", "1.50")
    assert made["nested"] == {"a": [1, None]}
    assert not {"gap", "raw"} & made.keys()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("r1,How many?", "row_cells"),
        ("r1,How many?,3,4", "row_cells"),
        ('r1,"How\nmany, if any?",3', ""),
        ('r1,"say ""two""",2', ""),
        ("r1,How many \udce4 are there?,3", "row_json"),
    ],
)
def test_a_line_that_fits_no_header_is_a_bad_row_alone(tmp_path: Path, line: str, reason: str) -> None:
    (tmp_path / "data").mkdir()
    text = f"id,question,answer\r\nr0,Which?,a\r\n{line}\r\nr2,Which one?,b\r\n\r\n"
    (tmp_path / "data" / "rows.csv").write_bytes(text.encode("utf-8-sig", errors="surrogateescape"))
    rows = read(tmp_path, "csv", "columns: {row: id, text: question, answers: answer}\n")
    assert [row.reason for row in rows] == ["", reason, ""]


@pytest.mark.parametrize(
    ("kind", "content"),
    [("parquet", b"PAR1 no"), ("csv", b""), ("csv", b"id,id\n1,2\n"), ("json", b"[1, "), ("json", b"[{]")],
)
def test_a_file_that_cannot_be_read_is_refused_by_name(tmp_path: Path, kind: str, content: bytes) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / f"part.{kind}").write_bytes(content)
    with pytest.raises(UsageError, match=rf"part\.{kind}"):
        read(tmp_path, kind, "columns: {text: question}\n")


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_column_that_is_not_there_is_refused_before_any_row(tmp_path: Path, kind: str) -> None:
    write(tmp_path, kind, [ROWS])
    with pytest.raises(UsageError, match=r"no column image, problem, .* it has id, question, answer"):
        read(tmp_path, kind, "columns: {text: problem, images: image, answers: answer}\n")


@pytest.mark.parametrize("path", ["data/part-0.csv", "data", "data/part-*.csv"])
def test_a_path_is_a_file_a_folder_or_a_pattern(tmp_path: Path, path: str) -> None:
    write(tmp_path, "csv", [[{**row, "image": None} for row in ROWS]])
    assert len(read(tmp_path, "csv", path=path)) == len(ROWS)


@pytest.mark.parametrize("path", ["nowhere", "data/none-*.csv", "empty"])
def test_a_path_with_nothing_is_refused(tmp_path: Path, path: str) -> None:
    write(tmp_path, "csv", [ROWS])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"own\.yaml"):
        read(tmp_path, "csv", path=path)


def test_a_table_needs_a_map(tmp_path: Path) -> None:
    write(tmp_path, "csv", [ROWS])
    with pytest.raises(UsageError, match="a source of kind csv needs columns"):
        read(tmp_path, "csv", "")


@pytest.mark.parametrize("kind", ["parquet", "hf"])
def test_numbers_of_classes_are_read_by_their_names(kind: str, tmp_path: Path) -> None:
    from datasets import ClassLabel, Dataset, Features, List, Value

    animals = ClassLabel(names=["cat", "dog"])
    features = Features(
        {
            "q": Value("string"),
            "label": animals,
            "seen": List(animals),
            "at": List({"kind": animals, "x": Value("int32")}),
        }
    )
    at = [[{"kind": 1, "x": 1}], [], [{"kind": 0, "x": 0}]]
    told = {"q": ["a", "b", "c"], "label": [1, 0, -1], "seen": [[0, 1], [], [1]], "at": at}
    rows = Dataset.from_dict(told, features=features)
    if kind == "hf":
        rows.save_to_disk(tmp_path / "data")
    else:
        rows.to_parquet(tmp_path / "data.parquet")
    path = "data" if kind == "hf" else "data.parquet"
    said = f"key: own\nkind: {kind}\nrevision: v1\npath: {path}\nlicence: CC0-1.0\n"
    (tmp_path / "own.yaml").write_text(f"{said}columns: {{text: q, answers: label}}\n")
    read = [parse_json(row.payload) for row in read_source(open_source("own.yaml", tmp_path / "store", base=tmp_path))]
    assert [row.get("answers") for row in read] == ["dog", "cat", None]
    assert [row.get("seen") for row in read] == [["cat", "dog"], [], ["dog"]]
    assert [row.get("at") for row in read] == [[{"kind": "dog", "x": 1}], [], [{"kind": "cat", "x": 0}]]
