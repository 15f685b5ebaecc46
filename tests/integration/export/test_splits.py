"""Rows to validate with, and what `datasets` loads of a folder of exports, from release to release."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pipeline.export.layout import CARD, MANIFEST, ROWS, Manifest, SftFormat
from pipeline.export.rows import RlRow, SftRow
from pipeline.export.verify.exports import verify_exports
from pipeline.export.write import publish
from tests.support.export_rows import RL, SFT, context, rl_rows, sft_rows

PICTURES = 8
"""Rows in turn are tied to one of so many pictures."""


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("base")


@pytest.fixture(scope="module")
def rows(base: Path) -> Sequence[SftRow | RlRow]:
    blobs = context(base).blobs
    made: list[SftRow | RlRow] = [*sft_rows(blobs, 20), *rl_rows(blobs, 20)]
    return [dataclasses.replace(row, pictures=f"p{number % PICTURES}") for number, row in enumerate(made)]


@pytest.fixture(scope="module")
def split(base: Path, rows: Sequence[SftRow | RlRow]) -> Path:
    publish(base / "split", rows, SFT, RL, dataclasses.replace(context(base), validation=0.4))
    return base / "split"


def loaded(folder: Path, cache: Path, **options: Any) -> Any:
    from datasets import load_dataset

    return load_dataset(str(folder), cache_dir=str(cache), **options)


def test_rows_over_one_picture_stand_on_one_side_in_every_format(split: Path, rows: Sequence[SftRow | RlRow]) -> None:
    of = {row.trajectory.id if isinstance(row, SftRow) else row.question.id: row.pictures for row in rows}
    for index in split.rglob(ROWS):
        sides: dict[str, set[str]] = {}
        for line in index.read_text().splitlines():
            key = json.loads(line)
            sides.setdefault(of[key["record_id"]], set()).add(key["split"])
        assert all(len(side) == 1 for side in sides.values())
        assert {side for some in sides.values() for side in some} == {"train", "validation"}
    assert verify_exports(split).ok


@pytest.mark.parametrize("shard", ["sft", "rl"])
def test_a_folder_of_exports_loads_as_one_data_set_with_its_splits(shard: str, split: Path, tmp_path: Path) -> None:
    both = loaded(split / shard, tmp_path)
    assert sorted(both) == ["train", "validation"]
    assert sum(map(len, both.values())) == 20
    kept = {row["id"] for part in both.values() for row in part}
    manifest = Manifest.model_validate_json((split / shard / "huggingface" / MANIFEST).read_text())
    assert manifest.rows == len(kept)
    streamed = loaded(split / shard, tmp_path, split="train", streaming=True)
    assert [row["id"] for row in streamed] == both["train"]["id"]


@pytest.mark.parametrize("kind", [*(("sft", kind) for kind in SFT), *(("rl", kind) for kind in RL)])
def test_every_export_loads_its_splits_and_every_row(kind: tuple[str, str], split: Path, tmp_path: Path) -> None:
    both = loaded(split.joinpath(*kind), tmp_path)
    assert sorted(both) == ["train", "validation"]
    assert sum(map(len, both.values())) == 20


@pytest.mark.parametrize("folder", ["sft", "sft/huggingface", "sft/trl", "sft/llamafactory", "rl/verl"])
def test_a_new_release_in_the_same_place_is_never_read_from_the_cache_of_an_old_one(
    folder: str, rows: Sequence[SftRow | RlRow], base: Path, tmp_path: Path
) -> None:
    seen = []
    for some in (rows, rows[1:-1]):
        publish(tmp_path / "export", some, SFT, RL, context(base))
        seen.append(loaded(tmp_path / "export" / folder, tmp_path / "cache", split="train"))
    assert [len(data) for data in seen] == [20, 19]


def test_a_stream_goes_on_where_it_was_left_and_comes_shuffled(split: Path, tmp_path: Path) -> None:
    stream = loaded(split / "sft", tmp_path, split="train", streaming=True)
    whole = [row["id"] for row in stream]
    begun = iter(stream)
    first = [next(begun)["id"] for _ in range(5)]
    stream.load_state_dict(stream.state_dict())
    assert first + [row["id"] for row in stream] == whole
    assert sorted(row["id"] for row in stream.shuffle(seed=1, buffer_size=4)) == sorted(whole)


@pytest.mark.parametrize("kind", SFT)
def test_parts_load_from_one_glob_also_where_all_rows_of_one_are_text_only(
    kind: SftFormat, base: Path, tmp_path: Path
) -> None:
    from datasets import load_dataset

    rows = sft_rows(context(base).blobs, 12)
    texts = [row for row in rows if not row.question.images]
    others = [row for row in rows if row.question.images]
    for name, some in (("texts", texts), ("others", others)):
        publish(tmp_path / name, some, [kind], (), context(base))
    builder = "parquet" if kind in {"trl", "verl", "huggingface"} else "json"
    files = str(tmp_path / "*" / "sft" / kind / ("data" if builder == "parquet" else "") / "train-*")
    data = load_dataset(builder, data_files=files, split="train", cache_dir=str(tmp_path / "cache"))
    assert sorted(data["id"]) == sorted(row.trajectory.id for row in rows)
    assert all(images is not None for images in data["images"])


@pytest.mark.parametrize(("share", "told"), [(0.0, False), (1e-9, True), (0.4, False)])
def test_an_export_without_the_rows_to_validate_with_that_were_asked_for_says_so(
    share: float, told: bool, base: Path, rows: Sequence[SftRow | RlRow], tmp_path: Path
) -> None:
    publish(tmp_path, rows, ["trl"], ["verl"], dataclasses.replace(context(base), validation=share))
    for name in ("sft/trl", "rl/verl"):
        assert ("none to validate with" in (tmp_path / name / CARD).read_text()) == told
        assert (tmp_path / name / "kit").exists()


def test_an_export_of_rows_to_validate_with_alone_has_no_kit_and_says_so(
    base: Path, rows: Sequence[SftRow | RlRow], tmp_path: Path
) -> None:
    publish(tmp_path, rows, SFT, RL, dataclasses.replace(context(base), validation=1.0))
    assert verify_exports(tmp_path).ok
    assert not any(tmp_path.rglob("kit"))
    assert "none to train on" in (tmp_path / "rl/verl" / CARD).read_text()
