"""Image files are input: one that appears or changes is ingested, what did not change is reused."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from PIL import Image

from flows.ledger.snapshot import StageCost
from flows.recipe.inputs import make_job
from flows.run.curate import open_run, run_groups
from flows.run.progress import SilentProgress
from flows.runners.local import local
from flows.stages.ingest import SourceRead, images_of
from pipeline.engine.done import Finished
from pipeline.errors import UsageError
from pipeline.identity import canonical_json
from pipeline.images import encode_png
from pipeline.records import Question, SourceImage, SourceRow, root_id
from pipeline.store import Store

ROWS = 12
MODEL = {"backend": "reader", "policy": "naive"}
RECIPE = {
    "name": "small",
    "sources": [{"source": "own.yaml"}],
    "student": {"family": "qwen2_5_vl", "revision": "r1", "max_pixels": 262_144},
    "models": {"base": MODEL, "teachers": [MODEL]},
    "runtime": {"workers": 1},
}


def write_image(place: Path, number: int, colour: str = "green") -> None:
    (place / "data" / f"{number}.png").write_bytes(encode_png(Image.new("RGB", (40 + number, 40), colour)))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A source of some rows with an image each; that of the first is missing."""
    (tmp_path / "data").mkdir()
    rows = []
    for number in range(ROWS):
        asked = {"text": f"How many sheep are in meadow {number}?", "images": [f"{number}.png"]}
        answer = {"answers": ["7"], "answer_type": "number"}
        rows.append(json.dumps({"row": str(number), "category": "perception", **asked, **answer}))
        if number:
            write_image(tmp_path, number)
    (tmp_path / "data" / "rows.jsonl").write_text("\n".join(rows) + "\n")
    manifest = {"key": "own", "kind": "jsonl", "revision": "1", "path": "data", "licence": "CC0-1.0"}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(manifest))
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return tmp_path


def gathered(place: Path) -> Finished:
    job = make_job(place / "recipe.yaml", out=place / "run", store=place / "store")
    with open_run(job, SilentProgress(), local) as run:
        return run_groups(run, ("gather",)).stages[0]


def images(ingested: Finished) -> Mapping[str, str]:
    return {question.source_row: question.images[0].sha256 for question in ingested.records("questions", Question)}


def test_an_image_that_appears_or_changes_is_ingested_and_the_rest_reused(place: Path) -> None:
    first = gathered(place)
    assert first.counts == {"kept": ROWS - 1, "quarantined": 1}
    write_image(place, 0)
    second = gathered(place)
    assert second.counts == {"kept": ROWS}
    assert second.reused == len(second.parts) - 1
    write_image(place, 5, "blue")
    third = gathered(place)
    assert third.reused == len(third.parts) - 1
    changed = {row for row, sha256 in images(third).items() if images(second)[row] != sha256}
    assert changed == {"5"}
    assert gathered(place).reused == len(third.parts)


def row(names: object) -> SourceRow:
    payload = canonical_json({"row": "1", "images": names})
    return SourceRow(
        id=root_id("own", "1", "1"), source="own", source_revision="1", source_row="1", category="", payload=payload
    )


def test_only_files_inside_the_source_are_opened(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    (tmp_path / "secret").write_text("secret")
    (directory / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(directory / "pipe")
    (directory / "good").write_text("good")
    sources = {"own": SourceRead(key="own", revision="1", directory=directory)}
    names = ["../secret", str(tmp_path / "secret"), "link", "pipe", "none", ".", "a\0b", "good", "good", {}]
    found = images_of([row(names), row(["good"]), row("good"), row(None)], sources, Store(tmp_path / "store"))
    assert [image.path for image in found if image.sha256] == ["good"]
    assert {image.path for image in found} == {name for name in names if isinstance(name, str)}
    assert all(isinstance(image, SourceImage) for image in found)


def test_a_smaller_sample_does_not_replace_a_finished_run(place: Path) -> None:
    def begin(limit: int | None) -> None:
        job = make_job(place / "recipe.yaml", out=place / "run", store=place / "store", limit=limit)
        with open_run(job, SilentProgress(), local) as run:
            run.journal.record(StageCost(run.journal.invocation, "publish", 0.0, 0.0, 1, 0, 0, 0, 0, 0))

    begin(5)
    begin(7)
    begin(None)
    begin(None)
    with pytest.raises(UsageError, match="a finished run of all rows, which --limit 7 would replace"):
        begin(7)
