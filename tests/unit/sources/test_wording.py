"""What is told of a row that is stopped: where it stands or which field it is, its value, and what it has to be."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from flows.stages import ingest
from flows.stages.ingest import IngestSettings, SourceRead
from pipeline.engine.units import UnitInput
from pipeline.images import encode_png
from pipeline.records import Outcome
from pipeline.sources import open_source, read_source
from pipeline.sources.values.columns import Columns
from pipeline.sources.values.transforms import Transform
from pipeline.sources.values.wording import HOLDS
from pipeline.store import Store
from tests.support.internal_names import internal_names

PNG = encode_png(Image.linear_gradient("L").resize((300, 200)).convert("RGB"))
GOOD: Mapping[str, Any] = {
    "category": "perception", "text": "How many dots?", "images": ["a.png"], "answers": ["3"], "answer_type": "number"
}  # fmt: skip
ODD: tuple[Any, ...] = (None, 3, 3.5, True, "", "  ", "odd", [], [None], [None, "a"], {}, {"a": 1}, [{"a": 1}], [["a"]])


def stopped(place: Path, manifest: str) -> list[Outcome]:
    """Return what becomes of the rows of a source that are no questions."""
    (place / "own.yaml").write_text(f"key: own\nrevision: v1\nlicence: MIT\n{manifest}\n")
    source = open_source("own.yaml", place / "store", base=place)
    read = SourceRead(key="own", revision="v1", directory=source.directory, others=source.others)
    with Store(place / "store") as store:
        made = ingest.run(UnitInput(tuple(read_source(source))), IngestSettings(sources=(read,)), store)
    return [outcome for outcome in made.outcomes if outcome.outcome == "quarantined"]


def require_plain(outcomes: list[Outcome], *, least: int) -> None:
    assert len(outcomes) >= least
    for outcome in outcomes:
        assert not internal_names(outcome.detail), outcome.detail
        assert any(sign in outcome.detail for sign in ";:"), outcome.detail


def pictures(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, content in (("a.png", PNG), ("page.png", b"<html>"), ("cut.png", PNG[:200]), ("head.png", PNG[:20])):
        (folder / name).write_bytes(content)


def test_of_every_field_it_is_said_what_it_holds() -> None:
    assert HOLDS.keys() == Columns.model_fields.keys() - {"meta"}


@pytest.mark.parametrize("field", HOLDS)
def test_of_a_field_with_a_wrong_value_its_name_its_value_and_what_it_has_to_be_are_told(
    field: str, tmp_path: Path
) -> None:
    pictures(tmp_path / "data")
    rows = [{**GOOD, "row": f"r{number}", field: value} for number, value in enumerate(ODD)]
    (tmp_path / "data" / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = stopped(tmp_path, "kind: jsonl\npath: data")
    require_plain(found, least=1)
    assert all(field in outcome.detail for outcome in found if outcome.reason == "row_field")


LINES = [
    b'{"row": 1', b"[1]", b"null", b"3", b"true", b'"x"', b'{"row":"a","row":"b"}', b'{"x": NaN}', b"\xff{}",
    b'{"row":"h","x":"\\ud800"}', b'{"row":"i","x":[{"y":"\\ud800"}]}', b"[" * 100 + b"]" * 100,
    b'{"row":"j","x":1e999}', b"{}{}", b'{"n": ' + b"9" * 5000 + b"}",
]  # fmt: skip
PATHS = [
    "file:///a.png",
    "s3://b/a.png",
    "data:image/png;base64,iVBO",
    "/9j/" + "A" * 9999,
    "page.png",
    "cut.png",
    "head.png",
    "no.png",
    "../x.png",
    "http://x/a.png",
    "a\0b.png",
    ".",
    "/etc/passwd",
]


def test_lines_and_pictures_that_cannot_be_read_are_told_in_words(tmp_path: Path) -> None:
    pictures(tmp_path / "data")
    rows = [json.dumps({**GOOD, "row": path, "images": [path]}).encode() for path in PATHS]
    (tmp_path / "data" / "rows.jsonl").write_bytes(b"\n".join([*LINES, *rows]))
    found = stopped(tmp_path, "kind: jsonl\npath: data")
    require_plain(found, least=len(LINES) + len(PATHS))
    assert all("line " in outcome.detail for outcome in found if outcome.reason == "row_json")


@pytest.mark.parametrize("transform", get_args(Transform))
def test_a_value_that_a_transform_does_not_fit_is_told_with_the_field(transform: str, tmp_path: Path) -> None:
    more = {"cut": ", after: z", "drop_lines": ", lines: [z]"}.get(transform, "")
    rows = [{"id": str(number), "q": "Which?", "ch": ["x", "y"], "a": value} for number, value in enumerate(ODD)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    columns = f"{{row: id, text: q, choices: ch, answers: {{from: a, as: {transform}{more}}}}}"
    found = stopped(tmp_path, f"kind: json\npath: rows.json\ncolumns: {columns}")
    require_plain(found, least=1)
    assert all("answers" in outcome.detail for outcome in found)


def _json(place: Path) -> str:
    rows = [
        3,
        None,
        True,
        "x",
        [1],
        {"id": 1, "q": 3, "a": "x"},
        *({"id": n, "q": "?", "a": "x", "im": v} for n, v in enumerate(ODD)),
    ]
    (place / "rows.json").write_text(json.dumps(rows))
    return "kind: json\npath: rows.json\ncolumns: {row: id, text: q, answers: a, images: im}"


def _csv(place: Path) -> str:
    (place / "rows.csv").write_bytes(b'id,q,a\n1,x\n2,x?,y,z\n3,ok,\xff\n4,"open,\nand on,x\n')
    return "kind: csv\npath: rows.csv\ncolumns: {row: id, text: q, answers: a}"


def _parquet(place: Path) -> str:
    held = [{"bytes": b"xx", "path": "a"}, {"bytes": None, "path": "no.png"}, {"bytes": PNG[:200], "path": None}]
    rows = {"id": [1, 2, 3], "q": ["a?", None, "d?"], "a": [[1.5, None], [None], []], "im": held}
    pq.write_table(pa.table(rows), place / "rows.parquet")
    return "kind: parquet\npath: rows.parquet\ncolumns: {row: id, text: q, answers: a, images: im}"


def _chats(place: Path) -> str:
    def turns(*said: tuple[str, Any]) -> list[dict[str, Any]]:
        return [{"from": speaker, "value": text} for speaker, text in said]

    asked = [
        *(None, [], "x", [3], turns(("gpt", "x")), turns(("human", None)), turns(("human", "q?"))),
        *(turns(("human", "q"), ("human", "r")), turns(("alien", "q")), turns(("human", ""), ("gpt", ""))),
    ]
    rows = [*({"id": str(number), "conversations": one} for number, one in enumerate(asked)), 3, {"id": "none"}]
    (place / "rows.json").write_text(json.dumps(rows))
    return "kind: llava\npath: rows.json"


def _archive(place: Path) -> str:
    files = {
        "a.json": b"{bad",
        "b.txt": b"\xff",
        "c.json": b"[1]",
        "d.json": b'{"q": 3}',
        "e.json": b'{"q": "?", "a": "x"}',
    }
    with tarfile.open(place / "rows.tar", "w") as archive:
        for name, content in {**files, "e.png": b"no"}.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return "kind: webdataset\npath: rows.tar\ncolumns: {row: __key__, text: json.q, answers: json.a, images: png}"


def _folder(place: Path) -> str:
    pictures(place / "data")
    for name, content in (("a", b"{bad"), ("page", b'{"q": "?", "a": "x"}'), ("cut", b"[1]"), ("head", b"\xff")):
        (place / "data" / f"{name}.json").write_bytes(content)
    return "kind: folder\npath: data\ncolumns: {text: q, answers: a, images: image}"


@pytest.mark.parametrize("write", [_json, _csv, _parquet, _chats, _archive, _folder])
def test_what_is_wrong_with_a_row_of_any_kind_of_file_is_told_in_words(
    write: Callable[[Path], str], tmp_path: Path
) -> None:
    require_plain(stopped(tmp_path, write(tmp_path)), least=3)


def test_a_picture_that_stands_in_the_row_is_not_called_by_its_place_in_the_store(tmp_path: Path) -> None:
    found = [one.detail for one in stopped(tmp_path, _parquet(tmp_path)) if one.reason.startswith("image_format")]
    assert all("the picture that stands in the row" in detail for detail in found)
    assert found


def test_a_quote_that_is_not_closed_is_asked_for(tmp_path: Path) -> None:
    details = [one.detail for one in stopped(tmp_path, _csv(tmp_path)) if one.reason == "row_cells"]
    assert ["is a quote not closed?" in detail for detail in details] == [False, False, True]
