"""Folders of pictures, tar archives and what `datasets` writes are sources as tables are."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from random import Random
from typing import Literal

import datasets
import pytest
from PIL import Image

from pipeline.errors import UsageError
from pipeline.identity import parse_json
from pipeline.records import SourceRow
from pipeline.sources import open_source, read_source
from pipeline.sources.guessing.guess import manifest_for
from pipeline.sources.questions import to_question
from pipeline.store.blobs import BlobStore


def png(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40 + shade, 30), (shade, 90, 10)).save(out, "PNG")
    return out.getvalue()


def read(place: Path, kind: str, columns: str, path: str = "data", more: str = "") -> list[SourceRow]:
    manifest = f"key: own\nkind: {kind}\nrevision: v1\npath: {path}\nlicence: CC0-1.0\ncolumns: {columns}\n{more}"
    (place / "own.yaml").write_text(manifest)
    return [*read_source(open_source("own.yaml", place / "store", base=place))]


def widths(place: Path, rows: list[SourceRow], manifest: str = "own.yaml") -> list[int]:
    source = open_source(manifest, place / "store", base=place)
    blobs = BlobStore(place / "store" / "blobs")
    return [to_question(row, source.directory, blobs, source.others).images[0].width for row in rows]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, animal in enumerate(("cat", "dog")):
        (tmp_path / "data" / animal).mkdir(parents=True)
        (tmp_path / "data" / animal / "a.png").write_bytes(png(number))
        held = {"question": f"How many of animal {number}?", "answer": number}
        (tmp_path / "data" / animal / "a.json").write_text(json.dumps(held))
    (tmp_path / "data" / "notes.txt").write_text("beside no picture")
    return tmp_path


def test_a_folder_is_a_row_for_each_picture_with_what_stands_beside_it(folder: Path) -> None:
    rows = read(folder, "folder", "{row: image, text: question, answers: answer, images: image, meta: folder}")
    assert [row.source_row for row in rows] == ["cat/a.png", "dog/a.png"]
    assert [parse_json(row.payload)["folder"] for row in rows] == ["cat", "dog"]
    assert widths(folder, rows) == [40, 41]


def test_folders_may_be_classes_and_the_question_the_same_for_all(folder: Path) -> None:
    columns = '{row: image, text: {value: "Which animal is this?"}, answers: folder, images: image}'
    assert [parse_json(row.payload)["answers"] for row in read(folder, "folder", columns)] == ["cat", "dog"]


@pytest.mark.parametrize("content", [b"{", b"[1]", b"\xff\xfe"])
def test_a_file_beside_a_picture_that_cannot_be_read_is_a_bad_row_alone(folder: Path, content: bytes) -> None:
    (folder / "data" / "cat" / "a.json").write_bytes(content)
    rows = read(folder, "folder", "{row: image, text: question, answers: answer, images: image}")
    assert [row.reason for row in rows] == ["row_json", ""]


def tar(path: Path, samples: list[dict[str, bytes]], mode: Literal["w:", "w:gz"] = "w:") -> None:
    with tarfile.open(path, mode) as archive:
        for number, sample in enumerate(samples):
            for extension, content in sample.items():
                member = tarfile.TarInfo(f"part/{number:03}.{extension}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


SAMPLES = [
    {"json": json.dumps({"question": f"How many {number}?", "answer": str(number)}).encode(), "png": png(number)}
    for number in range(3)
]
WEB = "{row: __key__, text: json.question, answers: json.answer, images: png}"


@pytest.mark.parametrize("mode", ["w:", "w:gz"])
def test_an_archive_is_a_row_for_each_sample(tmp_path: Path, mode: Literal["w:", "w:gz"]) -> None:
    (tmp_path / "data").mkdir()
    tar(tmp_path / "data" / "a.tar", SAMPLES[:2], mode)
    tar(tmp_path / "data" / "b.tar", [{}, {}, SAMPLES[2]], mode)
    rows = read(tmp_path, "webdataset", WEB)
    assert [row.source_row for row in rows] == ["part/000", "part/001", "part/002"]
    assert widths(tmp_path, rows) == [40, 41, 42]


def test_a_sample_that_cannot_be_read_is_a_bad_row_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    tar(tmp_path / "data" / "a.tar", [SAMPLES[0], {"json": b"{"}, {"txt": b"\xff"}, SAMPLES[2]])
    assert [row.reason for row in read(tmp_path, "webdataset", WEB)] == ["", "row_json", "row_json", ""]


@pytest.mark.parametrize("keep", [0.3, 0.9])
def test_a_cut_archive_is_refused_by_name(tmp_path: Path, keep: float) -> None:
    (tmp_path / "data").mkdir()
    tar(tmp_path / "data" / "a.tar", [{"png": Random(number).randbytes(3000)} for number in range(2)], "w:gz")
    content = (tmp_path / "data" / "a.tar").read_bytes()
    (tmp_path / "data" / "a.tar").write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(UsageError, match=r"a\.tar cannot be read"):
        read(tmp_path, "webdataset", WEB)


def dataset() -> datasets.Dataset:
    rows = [
        {
            "id": number,
            "question": f"How many {number}?",
            "answer": str(number),
            "image": {"bytes": png(number), "path": None},
        }
        for number in range(3)
    ]
    return datasets.Dataset.from_list(rows).cast_column("image", datasets.Image())


@pytest.mark.parametrize("layout", ["saved", "splits", "parquet"])
def test_what_datasets_writes_is_read_with_its_pictures_as_they_are(tmp_path: Path, layout: str) -> None:
    match layout:
        case "saved":
            dataset().save_to_disk(tmp_path / "data")
        case "splits":
            datasets.DatasetDict({"train": dataset()}).save_to_disk(tmp_path / "data")
        case _:
            (tmp_path / "data").mkdir()
            dataset().to_parquet(tmp_path / "data" / "train.parquet")
    rows = read(tmp_path, "hf", "{row: id, text: question, answers: answer, images: image}")
    assert [row.source_row for row in rows] == ["0", "1", "2"]
    assert widths(tmp_path, rows) == [40, 41, 42]
    # The bytes are those of the file.
    assert (tmp_path / "store" / "blobs" / parse_json(rows[0].payload)["images"][0]).read_bytes() == png(0)


def test_a_split_that_is_not_there_is_refused(tmp_path: Path) -> None:
    datasets.DatasetDict({"train": dataset()}).save_to_disk(tmp_path / "data")
    with pytest.raises(UsageError, match="validation"):
        read(tmp_path, "hf", "{row: id, text: question, answers: answer}", more="split: validation\n")


def test_a_data_set_that_is_a_script_is_refused_and_the_script_not_run(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "data.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(UsageError, match="scripts"):
        read(tmp_path, "hf", "{row: id, text: question, answers: answer}")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ("hub: a/b\nrevision: main\n", "no commit"),
        ("hub: a/b\npath: data\nrevision: v1\n", "in place of `path`"),
        ("revision: v1\n", "states no path"),
        ("hub: https://x\nrevision: v1\n", "hub"),
    ],
)
def test_a_data_set_of_the_hub_is_named_by_its_commit(tmp_path: Path, manifest: str, words: str) -> None:
    (tmp_path / "own.yaml").write_text(f"key: own\nkind: hf\nlicence: CC0-1.0\ncolumns: {{text: a}}\n{manifest}")
    with pytest.raises(UsageError, match=words):
        open_source("own.yaml", tmp_path / "store", base=tmp_path)


@pytest.mark.parametrize("shape", ["folder", "webdataset", "hf"])
def test_a_look_finds_what_each_shape_is(folder: Path, shape: str) -> None:
    data = folder / "data"
    if shape == "webdataset":
        data = folder / "tars"
        data.mkdir()
        tar(data / "a.tar", SAMPLES)
    elif shape == "hf":
        data = folder / "saved"
        dataset().save_to_disk(data)
    (folder / "made.yaml").write_text(manifest_for(data, folder / "made.yaml", "made"))
    source = open_source("made.yaml", folder / "store", base=folder)
    assert source.kind == shape
    rows = [*read_source(source)]
    assert not any(row.reason for row in rows)
    assert widths(folder, rows, "made.yaml")[:2] == [40, 41]
