"""What a run holds of its rows: an index, and a few rows at a time; files that did not change are not read again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from flows.recipe.inputs import Inputs, find_inputs, make_job
from flows.recipe.rows import RowIndex
from flows.stages import ingest
from flows.stages.ingest import IngestSettings, SourceRead
from pipeline.engine.done import Done, write_rows
from pipeline.engine.units import Range
from pipeline.errors import UsageError
from pipeline.images import encode_png
from pipeline.sources import open_source
from pipeline.store import hashes
from tests.support.command import ROOT
from tests.support.kinds import Shape, opened
from tests.support.sources import ROW, write_source

ROWS, BYTES = 320, 512 << 10
"""160 MiB, ten times what may be held."""


def taken(shape: Shape, nbytes: int, place: Path) -> int:
    command = [sys.executable, "-m", "tests.support.jobs.payload_job", shape, str(ROWS), str(nbytes), str(place)]
    for _ in range(2):  # written by one process, read by another
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout)


@pytest.mark.parametrize("shape", ["parquet", "json", "webdataset"])
def test_what_rows_hold_does_not_add_to_what_a_run_holds(tmp_path: Path, shape: Shape) -> None:
    few, many = taken(shape, 512, tmp_path / "few"), taken(shape, BYTES, tmp_path / "many")
    assert many - few < ROWS * BYTES / (2 << 20), (few, many)


@pytest.mark.skipif("COLDFORGE_LARGE" not in os.environ, reason="writes 2.3 GB; COLDFORGE_LARGE=1 runs it")
def test_a_row_group_with_a_nested_column_beyond_2_gib_is_read(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    # More than an offset of 32 bits reaches, in one row group; Arrow writes it from chunks that are below.
    count, size = 2_300, 1_000_000
    picture = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    texts = [(name, pa.string()) for name in ("id", "question", "answer")]
    schema = pa.schema([*texts, ("image", picture)])

    def row(number: int) -> dict[str, object]:
        shown = {"bytes": b"%07d" % number * (size // 7), "path": None}
        return {"id": f"r{number}", "question": "?", "answer": "1", "image": shown}

    firsts = range(0, count, 100)
    chunks = [pa.Table.from_pylist([*map(row, range(first, first + 100))], schema) for first in firsts]
    pq.write_table(
        pa.concat_tables(chunks), data / "one.parquet", row_group_size=count, compression="none", use_dictionary=False
    )
    assert pq.ParquetFile(data / "one.parquet").num_row_groups == 1
    del chunks
    index = RowIndex.of((opened(tmp_path, "parquet", []),), tmp_path / "store")
    assert len(index) == count
    some = index.first(5)
    assert [row.id for row in some.read()] == sorted(some.ids(), key=[*index.ids()].index)


def test_a_sample_is_of_questions_that_are_asked_and_what_is_not_taken_is_counted(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "How many?"}, {"from": "gpt", "value": "3"}]
    (tmp_path / "chats.json").write_text(json.dumps([{"id": str(n), "conversations": turns * 3} for n in range(8)]))
    said = "key: own\nkind: llava\nrevision: v1\npath: chats.json\nlicence: CC0-1.0\n"
    (tmp_path / "own.yaml").write_text(said)
    index = RowIndex.of((open_source("own.yaml", tmp_path / "store", base=tmp_path),), tmp_path / "store")
    assert (len(index), index.left_out) == (24, 16)
    samples = [{row.id for row in index.limited(limit).read()} for limit in range(1, 8)]
    assert [len(sample) for sample in samples] == [*range(1, 8)]
    assert all(few < many for few, many in pairwise(samples))
    assert not any(row.reason for row in index.limited(7).read())
    assert not any(row.reason for row in index.first(8).read())
    # All that are asked is all there are, with what is not taken: a run of everything accounts for everything.
    assert len(index.limited(8)) == 24


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A source whose files are named by hash, with pictures beside its rows."""
    directory = write_source(tmp_path, "own")
    rows = [{"row": str(n), **ROW, "images": [f"{n}.png"]} for n in range(6)]
    (directory / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for number in range(6):
        (directory / f"{number}.png").write_bytes(encode_png(Image.new("RGB", (40 + number, 40), "green")))
    named = {name: hashes.hash_file(directory / name) for name in ("rows.jsonl", "0.png")}
    write_manifest(tmp_path, named)
    return tmp_path


def write_manifest(place: Path, named: dict[str, str]) -> None:
    content = {"key": "own", "kind": "jsonl", "revision": "1", "path": "own", "licence": "CC0-1.0", "sha256": named}
    (place / "own.yaml").write_text(yaml.safe_dump(content))
    model = {"backend": "reader", "policy": "naive"}
    recipe = {
        "name": "small",
        "sources": [{"source": "own.yaml"}],
        "student": {"family": "qwen2_5_vl", "revision": "r1", "max_pixels": 262_144},
        "models": {"base": model, "teachers": [model]},
    }
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe))


def begun(place: Path) -> Inputs:
    """Read all that a run reads before it has anything to do: inputs, rows, and what names the units of ingest."""
    inputs = find_inputs(make_job(place / "recipe.yaml", out=place / "run", store=place / "store"))
    write_rows(place / "run", inputs.rows.facts(), inputs.rows.read())
    read = tuple(SourceRead(key=s.key, revision=s.revision, directory=s.directory) for s in inputs.sources)
    done = Done(place / "run", {})
    reader = ingest.read(done, IngestSettings(sources=read, store=place / "store"))
    units = [reader.unit(Range(number, done.units)) for number in range(done.units)]
    assert all(image.sha256 for unit in units for image in unit.context)  # type: ignore[attr-defined]
    return inputs


def test_a_file_is_hashed_once_for_each_size_and_time_of_change(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def counted(path: Path) -> str:
        read.append(path.name)
        return hash_file(path)

    hash_file = hashes.hash_file
    monkeypatch.setattr(hashes, "hash_file", counted)
    begun(place)
    assert sorted(read) == sorted(["rows.jsonl", *(f"{n}.png" for n in range(6))])
    read.clear()
    begun(place)
    assert read == []
    (place / "own" / "3.png").write_bytes(encode_png(Image.new("RGB", (99, 40), "red")))
    begun(place)
    assert read == ["3.png"]


def test_a_file_that_is_named_by_hash_and_changes_is_refused_though_it_was_known(place: Path) -> None:
    begun(place)
    path = place / "own" / "0.png"
    facts = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns + 1))
    with pytest.raises(UsageError, match=r"0\.png is not the file that"):
        begun(place)


def test_a_run_that_has_its_rows_does_not_read_them_again(place: Path) -> None:
    inputs = begun(place)
    before = {path.name: path.stat().st_mtime_ns for path in (place / "run" / "rows").iterdir()}

    def rows() -> object:
        raise AssertionError("rows are read")
        yield

    write_rows(place / "run", inputs.rows.facts(), rows())  # type: ignore[arg-type]
    assert {path.name: path.stat().st_mtime_ns for path in (place / "run" / "rows").iterdir()} == before


def test_a_store_that_lost_pictures_of_a_table_gets_them_again(tmp_path: Path) -> None:
    rows = [{"id": f"r{n}", "question": "How many?", "answer": "1", "image": b"%d" % n} for n in range(9)]
    index = RowIndex.of((opened(tmp_path, "parquet", [rows]),), tmp_path / "store")
    from pipeline.store.blobs import BlobStore

    blobs = BlobStore(tmp_path / "store" / "blobs")
    write_rows(tmp_path / "run", index.facts(), index.read(), again=index.lacks_pictures(blobs))
    lost = next(blobs.root.rglob("*/*"))
    lost.unlink()
    write_rows(tmp_path / "run", index.facts(), index.read(), again=index.lacks_pictures(blobs))
    assert lost.exists()
