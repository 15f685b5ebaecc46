from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from pipeline.demo.corpus.build import generate_demo
from pipeline.errors import RowError, UsageError
from pipeline.images import encode_png
from pipeline.records import Question, root_id
from pipeline.sources import Source, open_source, read_source
from pipeline.sources.manifest import load_manifest
from pipeline.sources.questions import MAX_SOLUTION, check_row, to_question
from pipeline.store.blobs import BlobStore

ROW: dict[str, Any] = {
    "row": "meadow-1",
    "category": "perception",
    "text": "How many sheep are in the meadow?",
    "images": ["images/meadow.png"],
    "choices": [],
    "answers": ["7", "seven"],
    "answer_type": "number",
    "tolerance": None,
    "licence": "CC-BY-4.0",
    "derivation": {"package": "none"},
}
MANIFEST = {"key": "own", "kind": "jsonl", "revision": "v1", "path": "data", "licence": "CC0-1.0"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A directory with a manifest and a source of one good row."""
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "images" / "meadow.png").write_bytes(encode_png(Image.new("RGB", (40, 30), "green")))
    write_rows(tmp_path, ROW)
    write_manifest(tmp_path)
    return tmp_path


def write_rows(place: Path, *rows: object) -> None:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (place / "data" / "rows.jsonl").write_text("\n".join(lines) + "\n")


def write_manifest(place: Path, **changes: object) -> None:
    (place / "own.yaml").write_text(yaml.safe_dump({**MANIFEST, **changes}))


def opened(place: Path) -> Source:
    return open_source("own.yaml", place / "store", base=place)


def refused(place: Path) -> str:
    with pytest.raises(UsageError) as error:
        list(read_source(opened(place)))
    return str(error.value)


def imported(place: Path, **changes: object) -> Question:
    write_rows(place, {name: value for name, value in {**ROW, **changes}.items() if value is not ...})
    source = opened(place)
    (row,) = read_source(source)
    return to_question(row, source.directory, BlobStore(place / "blobs"))


def reason(place: Path, **changes: object) -> str:
    with pytest.raises(RowError) as error:
        imported(place, **changes)
    return error.value.reason


def test_a_row_becomes_a_question_with_its_image_in_the_store(place: Path) -> None:
    made = imported(place)
    assert (made.source, made.source_revision, made.source_row) == ("own", "v1", "meadow-1")
    assert made.root_id == root_id("own", "v1", "meadow-1")
    assert (made.text, made.answers, made.answer_type) == (ROW["text"], ("7", "seven"), "number")
    assert json.loads(made.meta) == {"derivation": {"package": "none"}}
    assert BlobStore(place / "blobs").get(made.images[0].sha256) == (place / "data/images/meadow.png").read_bytes()


def test_a_row_without_licence_has_that_of_the_source(place: Path) -> None:
    assert imported(place, licence=...).licence == "CC0-1.0"
    assert imported(place).licence == "CC-BY-4.0"


def test_blank_lines_are_no_rows(place: Path) -> None:
    write_rows(place, ROW, "", {**ROW, "row": "meadow-2"})
    assert [row.source_row for row in read_source(opened(place))] == ["meadow-1", "meadow-2"]


def test_a_source_without_rows_file_is_refused(place: Path) -> None:
    (place / "data" / "rows.jsonl").unlink()
    assert "rows.jsonl" in refused(place)


def test_a_file_with_another_hash_is_refused_before_any_work(place: Path) -> None:
    write_manifest(place, sha256={"rows.jsonl": "0" * 64})
    message = refused(place)
    assert "rows.jsonl" in message
    assert "own.yaml" in message
    write_manifest(place, sha256={"rows.txt": "0" * 64})
    assert "missing" in refused(place)
    write_manifest(place, sha256={"../own.yaml": "0" * 64})
    assert "outside" in refused(place)


def test_a_description_beside_the_rows_is_checked_too(place: Path) -> None:
    description = {"key": "own", "revision": "v1", "files": {"images/meadow.png": "0" * 64}}
    (place / "data" / "source.json").write_text(json.dumps(description))
    assert "meadow.png" in refused(place)
    (place / "data" / "source.json").write_text("{")
    assert "source.json" in refused(place)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"revison": "v1"}, "revison"),
        ({"kind": "parquet"}, "kind"),
        ({"revision": None}, "revision"),
        ({"path": None}, "path"),
        ({"key": "Own Source"}, "key"),
    ],
)
def test_a_wrong_manifest_names_file_and_field(place: Path, changes: dict[str, object], named: str) -> None:
    write_manifest(place, **changes)
    message = refused(place)
    assert "own.yaml" in message
    assert named in message


def test_an_unknown_source_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="demo"):
        open_source("nowhere", tmp_path)
    (tmp_path / "broken.yaml").write_text("key: [")
    with pytest.raises(UsageError, match=r"broken\.yaml"):
        open_source("broken.yaml", tmp_path, base=tmp_path)


def test_a_missing_directory_is_refused(place: Path) -> None:
    write_manifest(place, path="elsewhere")
    assert "elsewhere" in refused(place)


def test_a_generated_source_is_refused_where_nothing_generates_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"source demo .* is generated"):
        open_source("demo", tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"category": "riddle"},
        {"category": ...},
        {"answer_type": "essay"},
        {"answers": []},
        {"answers": None},
        {"answers": [""]},
        {"answers": {"answer": "7"}},
        {"answers": ["7", None, "8"]},
        {"text": ""},
        {"text": " "},
        {"text": 7},
        {"tolerance": "a tenth"},
        {"tolerance": -0.1},
        {"tolerance": True},
        {"tolerance": "inf"},
        {"tolerance": 10**400},
        {"images": [None, "images/meadow.png"]},
        {"derivation": "counted"},
        {"kept_from": {}},
    ],
)
def test_a_row_with_a_wrong_field_is_a_row_error(place: Path, changes: dict[str, object]) -> None:
    assert reason(place, **changes) == "row_field"


def test_a_bad_row_keeps_its_place_and_payload(place: Path) -> None:
    write_rows(place, {**ROW, "category": ["x"], "text": None})
    (row,) = read_source(opened(place))
    assert json.loads(row.payload)["text"] is None


@pytest.mark.parametrize("path", ["../own.yaml", "/etc/hostname", "images/../../own.yaml", "images/link.png", "a\0b"])
def test_an_image_path_that_leaves_the_source_is_refused(place: Path, path: str) -> None:
    (place / "data" / "images" / "link.png").symlink_to(place / "own.yaml")
    assert reason(place, images=[path]) == "image_path"


def test_an_image_that_is_missing_or_broken_is_a_row_error(place: Path) -> None:
    assert reason(place, images=["images/none.png"]) == "image_missing"
    assert reason(place, images=["images"]) == "image_missing"
    assert reason(place, images=["rows.jsonl"]) == "image_format"
    whole = (place / "data/images/meadow.png").read_bytes()
    (place / "data/images/half.png").write_bytes(whole[: len(whole) // 2])
    assert reason(place, images=["images/half.png"]) == "image_undecodable"


SOLVED: dict[str, Any] = {**ROW, "images": [], "solution": "Seven sheep. \\boxed{7}"}


def solved(place: Path, **changes: object) -> Question:
    write_manifest(place, lane="long_cot")
    return imported(place, **{**SOLVED, **changes})


def test_a_source_of_the_lane_long_cot_brings_its_solutions_along(place: Path) -> None:
    made = solved(place)
    assert made.images == ()
    assert json.loads(made.meta) == {"derivation": {"package": "none"}, "solution": "Seven sheep. \\boxed{7}"}
    (row,) = read_source(opened(place))
    assert check_row(row, opened(place).directory) is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"solution": ...}, "solution_missing"),
        ({"solution": " \n"}, "solution_missing"),
        ({"solution": "x" * (MAX_SOLUTION + 1)}, "solution_too_long"),
        ({"images": ["images/meadow.png"]}, "long_cot_images"),
        ({"choices": ["6", "7"], "answers": ["B"], "answer_type": "choice"}, "long_cot_choices"),
        ({"solution": 7}, "row_field"),
        ({"answers": []}, "row_field"),
    ],
)
def test_what_does_not_fit_the_lane_is_a_row_error_that_names_row_and_field(
    place: Path, changes: dict[str, object], expected: str
) -> None:
    with pytest.raises(RowError) as error:
        solved(place, **changes)
    assert error.value.reason == expected
    assert next(iter(changes)) in error.value.detail
    assert expected == "row_field" or "'meadow-1'" in error.value.detail


def test_a_solution_that_would_be_ignored_is_refused(place: Path) -> None:
    assert reason(place, solution="Seven. \\boxed{7}") == "solution_without_lane"


def test_only_a_manifest_names_a_lane(place: Path) -> None:
    write_rows(place, {**SOLVED, "lane": "long_cot"})
    (row,) = read_source(opened(place))
    assert row.reason == "row_lane"
    assert "line 1: the field `lane`" in row.detail
    write_manifest(place, lane="tools")
    assert "lane" in refused(place)


def test_the_embedded_manifests_are_complete() -> None:
    for name, kind in (
        ("demo", "demo"),
        ("generic_jsonl", "jsonl"),
        ("generic_long_cot", "jsonl"),
        ("demo_cot", "jsonl"),
    ):
        manifest, _ = load_manifest(name)
        assert (manifest.key, manifest.kind) == (name, kind)


def test_the_demo_is_built_once_and_damage_is_refused(tmp_path: Path) -> None:
    source = open_source("demo", tmp_path, generate=partial(generate_demo, questions=20, seed=3))
    assert source.directory.parent == tmp_path / "sources"
    rows = source.directory / "rows.jsonl"
    before = rows.stat().st_mtime_ns
    assert open_source("demo", tmp_path, generate=partial(generate_demo, questions=20, seed=3)) == source
    assert rows.stat().st_mtime_ns == before
    with rows.open("a") as file:
        file.write("{}\n")
    os.utime(rows, ns=(before, before))
    with pytest.raises(UsageError, match=r"rows\.jsonl"):
        open_source("demo", tmp_path, generate=partial(generate_demo, questions=20, seed=3))
