"""Data sets of the Hub, against a local server of its protocol, in processes of their own: the library reads the
environment once.
"""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline.images import encode_png
from tests.support.jobs import source_rows
from tests.support.servers.hub import TOKEN, Hub, Repository, hub

JOB = Path(__file__).parents[2] / "support" / "jobs" / "source_rows.py"
ROOT = JOB.parents[3]
COMMIT = Repository({}).commit
COLUMNS = "{row: id, text: question, answers: answer, images: image}"
CARD = b"""---
configs:
- config_name: first
  data_files:
  - {split: train, path: first/train-*.parquet}
  - {split: test, path: first/test-*.parquet}
- config_name: second
  data_files:
  - {split: train, path: second/*.parquet}
---
# A data set
"""


def png(level: int) -> bytes:
    return encode_png(Image.effect_noise((64, 48), 20 + level).convert("RGB"))


def parquet(*numbers: int, **more: object) -> bytes:
    def row(n: int) -> dict[str, object]:
        image = {"bytes": png(n), "path": None}
        return {"id": n, "question": f"How many in meadow {n}?", "answer": str(n), "image": image, **more}

    rows = [row(n) for n in numbers]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out, row_group_size=2)
    return out.getvalue()


def pictures() -> dict[str, bytes]:
    names = ("a.png", "b.png")
    lines = (json.dumps({"file_name": name, "id": name, "question": "How many?", "answer": "2"}) for name in names)
    return {"train/metadata.jsonl": "\n".join(lines).encode(), **{f"train/{name}": png(len(name)) for name in names}}


OPEN = Repository(
    {
        "README.md": CARD,
        "first/train-0.parquet": parquet(1, 2, 3),
        "first/train-1.parquet": parquet(4, 5),
        "first/test-0.parquet": parquet(6),
        "second/all.parquet": parquet(7),
        "other/large.bin": bytes(1000),
    }
)
LINES = Repository(
    {f"{split}.csv": f"id,question,answer\n{split},How many {split}?,3\n".encode() for split in ("train", "test")}
)
WANTED = {
    "first": ("some/open", "config: first\n"),
    "second": ("some/open", "config: second\n"),
    "tested": ("some/open", "config: first\nsplit: test\n"),
    "lines": ("some/lines", ""),
    "folder": ("some/folder", ""),
    "chosen": ("some/bare", "files: [second-*.parquet]\n"),
    "none_chosen": ("some/bare", "files: [third-*.parquet]\n"),
    "script": ("some/script", ""),
    "no_set": ("some/nothing", ""),
    "no_commit": ("some/open", f"revision: {'f' * 40}\n"),
    "no_config": ("some/open", "config: third\n"),
    "which_config": ("some/open", ""),
    "no_split": ("some/open", "config: first\nsplit: dev\n"),
    "no_column": ("some/open", "config: first\ncolumns: {text: query, answers: answer}\n"),
    "gated": ("some/gated", "config: first\n"),
    "private": ("some/private", "config: first\n"),
}


class Told(NamedTuple):
    found: dict[str, Any]
    """Name of a manifest → what became of it."""
    output: str


def manifests(place: Path) -> None:
    for name, (hub_id, more) in WANTED.items():
        said = {"key": name, "kind": "hf", "hub": hub_id, "revision": COMMIT, "licence": "CC0-1.0"}
        columns = COLUMNS.replace(", images: image", "") if name == "lines" else COLUMNS
        lines = {**{key: f"{key}: {value}" for key, value in said.items()}, "columns": f"columns: {columns}"}
        changed = {line.partition(":")[0]: line for line in more.splitlines()}
        (place / f"{name}.yaml").write_text("\n".join({**lines, **changed}.values()) + "\n")


def read(served: Hub, place: Path, *names: str, **environment: str) -> Told:
    """Read some manifests in a process that has a cache of the Hub's and a store below `place`."""
    own = {"HF_ENDPOINT": served.url, "HF_HOME": str(place / "hf"), "HF_HUB_OFFLINE": "0", "PYTHONPATH": str(ROOT)}
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    done = subprocess.run(
        [sys.executable, str(JOB), *(str(place / (name if "/" in name else f"{name}.yaml")) for name in names)],
        env={**kept, **own, **environment}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    found = {name: told for line in done.stdout.splitlines() for name, told in json.loads(line).items()}
    assert done.returncode == 0, done.stderr
    return Told(found, done.stdout + done.stderr)


@pytest.fixture(scope="module")
def served() -> Iterator[Hub]:
    with hub() as opened:
        opened.repositories |= {
            "some/open": OPEN,
            "some/lines": LINES,
            "some/folder": Repository(pictures()),
            "some/bare": Repository({"first-0.parquet": parquet(1), "second-0.parquet": parquet(7)}),
            "some/sheep": Repository({"sheep-0.parquet": parquet(8, 9)}),
            "some/script": Repository({"script.py": b"raise SystemExit"}),
            "some/gated": Repository(OPEN.files, gated=True),
            "some/private": Repository(OPEN.files, private=True),
        }
        yield opened


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("hub")
    manifests(place)
    # A folder beside the process that has the name of the data set is not what is meant.
    (place / "some" / "open").mkdir(parents=True)
    return place


@pytest.fixture(scope="module")
def anonymous(served: Hub, place: Path) -> Told:
    return read(served, place, *WANTED)


def test_rows_are_those_of_the_files_read_from_disk(anonymous: Told, tmp_path: Path) -> None:
    for name, config, split in (("first", "first", "train"), ("second", "second", ""), ("tested", "first", "test")):
        for path, content in OPEN.files.items():
            if path.startswith(f"{config}/{split}"):
                (tmp_path / name).mkdir(exist_ok=True)
                (tmp_path / name / Path(path).name).write_bytes(content)
        said = f"key: {name}\nkind: parquet\nrevision: {COMMIT}\npath: {name}\nlicence: CC0-1.0\ncolumns: {COLUMNS}\n"
        (tmp_path / f"{name}.yaml").write_text(said)
    for name in ("first", "second", "tested"):
        assert source_rows.read(tmp_path / f"{name}.yaml") == anonymous.found[name]
    assert len(anonymous.found["first"]["rows"]) == 5


def test_what_is_no_parquet_is_read_by_the_library_from_the_downloaded_files(anonymous: Told) -> None:
    assert [row["payload"]["text"] for row in anonymous.found["lines"]["rows"]] == ["How many train?"]
    assert [row["key"] for row in anonymous.found["folder"]["rows"]] == ["a.png", "b.png"]
    assert [len(images) for images in anonymous.found["folder"]["images"]] == [1, 1]


def test_files_that_a_manifest_chooses_are_read_and_no_others(served: Hub, anonymous: Told) -> None:
    assert [row["key"] for row in anonymous.found["chosen"]["rows"]] == ["7"]
    assert "first-0.parquet" not in served.downloads


def test_a_manifest_is_written_by_the_name_of_a_data_set_at_the_commit_where_it_stands(
    served: Hub, tmp_path: Path
) -> None:
    own = {"HF_ENDPOINT": served.url, "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
    command = Path(sys.executable).with_name("coldforge")
    for arguments in (("init", "some/sheep"), ("check", "sheep.yaml")):
        done = subprocess.run(
            [command, "sources", *arguments],
            cwd=tmp_path, env={**os.environ, **own}, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
    written = (tmp_path / "sheep.yaml").read_text()
    assert "hub: some/sheep" in written
    assert f"revision: {COMMIT}" in written
    assert "2 rows, 2 can be asked" in done.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none_chosen", "third-*.parquet"),
        ("script", "scripts are no longer supported"),
        ("no_set", "some/nothing (default, train): no such data set, or a private one; correct `hub`, or put a token"),
        ("no_commit", "no such commit; correct `revision`"),
        ("no_config", "third"),
        ("which_config", "Config name is missing"),
        ("no_split", "no such split; `split` is one of train, test"),
        ("no_column", "query"),
        ("gated", "its owner gives it to those who ask"),
        ("private", "no such data set, or a private one"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_correct(anonymous: Told, name: str, words: str) -> None:
    told = anonymous.found[name]
    assert told["error"] == "UsageError", told
    assert words in told["says"]


def test_only_the_files_of_the_split_are_downloaded_and_each_once(served: Hub, anonymous: Told) -> None:
    assert anonymous.found
    downloads = [path for path in served.downloads if path != "README.md"]
    assert len(downloads) == len(set(downloads))
    assert "other/large.bin" not in downloads
    assert not {"test.csv"}.intersection(downloads)


def test_what_was_downloaded_is_read_without_the_hub(served: Hub, place: Path, anonymous: Told) -> None:
    before = len(served.asked)
    again = read(served, place, "first", "folder", "gated", HF_HUB_OFFLINE="1")
    assert again.found["first"] == anonymous.found["first"]
    assert again.found["folder"] == anonymous.found["folder"]
    assert "HF_HUB_OFFLINE is set, and it was not downloaded before" in again.found["gated"]["says"]
    assert not [one for one in served.asked[before:] if "some/" in one.path]


def test_a_token_of_the_environment_opens_what_is_gated_and_is_told_and_kept_nowhere(
    served: Hub, anonymous: Told, tmp_path: Path
) -> None:
    manifests(tmp_path)
    told = read(served, tmp_path, "gated", "private", "no_set", HF_TOKEN=TOKEN)
    payloads = [row["payload"] for row in anonymous.found["first"]["rows"]]
    for name in ("gated", "private"):
        assert [row["payload"] for row in told.found[name]["rows"]] == payloads
    assert told.found["no_set"]["error"] == "UsageError"
    assert TOKEN not in told.output
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_a_download_that_breaks_off_goes_on_and_a_hub_that_fails_is_no_mistake_of_the_users(
    served: Hub, tmp_path: Path
) -> None:
    manifests(tmp_path)
    # The library writes pieces of 10 MB, and goes on behind the last that it wrote.
    large = {**OPEN.files, "first/train-0.parquet": parquet(10, pad=random.Random(0).randbytes(24_000_000))}
    served.repositories["some/open"] = Repository(large)
    served.breaks_off = "first/train-0.parquet"
    before = len(served.asked)
    told = read(served, tmp_path, "first")
    assert len(told.found["first"]["rows"]) == 3
    ranges = [one.range for one in served.asked[before:] if one.method == "GET" and "train-0" in one.path]
    assert ranges[0] is None
    assert ranges[1] is not None
    served.fails = True
    told = read(served, tmp_path, "second", "first")
    served.fails = False
    assert len(told.found["first"]["rows"]) == 3
    nowhere = read(served, tmp_path, "second", "some/open", HF_ENDPOINT="http://127.0.0.1:1")
    for refused in (told.found["second"], nowhere.found["second"], nowhere.found["open"]):
        assert refused["error"] == "InfrastructureError"
        assert "the Hub does not answer" in refused["says"]
