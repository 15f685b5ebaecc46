"""What the student's cutoff would cut is no valid attempt: quotas are filled with what ships."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from pipeline.export.layout import MANIFEST
from pipeline.export.length import row_tokens
from pipeline.records import Decision, ImageRef, TrajectoryKey
from pipeline.store.shards import read_records
from pipeline.students.family import ViewRule
from pipeline.students.tokens import ESTIMATE
from tests.support.curated import PIXELS, RECIPE, curated, write_corpus

SFT = 4


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("rows"))


def keys(run: Path) -> dict[str, TrajectoryKey]:
    files = sorted(run.glob("stages/validate/*/*.keys.parquet"))
    return {key.id: key for file in files for key in read_records(file, TrajectoryKey)}


def shipped(export: Path) -> dict[str, int]:
    """Return the tokens of every row, measured on the files of an export."""
    names = [json.loads(line)["record_id"] for line in (export / "rows.jsonl").read_text().splitlines()]
    rows = [row for part in sorted(export.glob("train-*.json")) for row in json.loads(part.read_text())]
    lengths = {}
    for name, row in zip(names, rows, strict=True):
        images = []
        for path in row["images"]:
            with Image.open(export / path) as picture:
                images.append(
                    ImageRef(sha256="0" * 64, mime="image/png", width=picture.width, height=picture.height, nbytes=1)
                )
        texts = [message["content"] for message in row["messages"]]
        lengths[name] = row_tokens(texts, images, ViewRule("qwen2_5_vl", PIXELS), ESTIMATE)
    return lengths


def refused(export: Path) -> list[object]:
    return list(json.loads((export / MANIFEST).read_text())["refused"])


def test_the_length_that_is_validated_is_that_of_the_row_that_ships(place: Path) -> None:
    curated(place, RECIPE, "all")
    export = place / "all" / "export" / "sft" / "llamafactory"
    known, lengths = keys(place / "all"), shipped(export)
    assert len(lengths) > SFT
    assert lengths == {name: known[name].row_tokens for name in lengths}


def test_what_does_not_fit_is_not_selected_and_the_quota_is_filled_with_what_does(place: Path) -> None:
    curated(place, RECIPE, "all")
    lengths = sorted(shipped(place / "all" / "export" / "sft" / "llamafactory").values())
    cutoff = lengths[SFT]
    assert lengths[-1] > cutoff
    student, select = RECIPE["student"] | {"cutoff_len": cutoff}, RECIPE["select"] | {"max_sft": SFT}
    finished = curated(place, RECIPE | {"student": student, "select": select}, "short")
    export = place / "short" / "export" / "sft" / "llamafactory"
    assert refused(export) == []
    assert len(shipped(export)) == SFT
    assert all(length <= cutoff for length in shipped(export).values())
    assert max(key.row_tokens for key in keys(place / "short").values()) <= cutoff
    decided = [
        decision
        for file in place.glob("short/stages/validate/*/*.decisions.parquet")
        for decision in read_records(file, Decision)
        if decision.filter == "row_length"
    ]
    long = [decision for decision in decided if decision.reason == "too_long"]
    assert long
    assert all((decision.score or 0) > cutoff for decision in long)
    assert finished["publish"].counts["rejected"] == 0
