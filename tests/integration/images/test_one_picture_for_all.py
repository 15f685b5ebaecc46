"""Every mode in every format, from a source's file to the model, the sandbox and each export: one picture for all."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from flows.recipe.inputs import make_job
from flows.run.curate import open_run, run_groups
from flows.run.progress import SilentProgress
from flows.runners.local import local
from pipeline.engine.done import Finished
from pipeline.export.rows import RlRow
from pipeline.images import perceptual_hashes
from pipeline.models.views import make_view
from pipeline.records import ImageFacts, Outcome, Question
from pipeline.sandbox import Policy, Pool, guest
from pipeline.store.blobs import BlobStore
from tests.support.asking import RULE
from tests.support.export_rows import (
    LABELS,
    RL,
    SFT,
    attempt,
    context,
    data_file,
    publish_rl,
    publish_sft,
    sft_row,
    step,
)
from tests.support.pictures import HEIGHT, WIDTH, samples

SAMPLES = samples()
REFUSED = {
    "page.jpg": (b"<!DOCTYPE html><html>404</html>", "HTML page"),
    "nothing.png": (b"", "0 bytes"),
    "drawing.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    "cut.jpg": (SAMPLES["jpeg RGB"].content[:900], "truncated"),
}
MODEL = {"backend": "reader", "policy": "naive"}
RECIPE = {
    "name": "pictures",
    "sources": [{"source": "own.yaml"}],
    "student": {"family": "qwen2_5_vl", "revision": "r1", "max_pixels": 262_144},
    "models": {"base": MODEL, "teachers": [MODEL]},
    "runtime": {"workers": 1},
}
# What the variable and the file of each picture show, in the two ways in which model-written code opens one.
CELL = """
import hashlib
import cv2
from PIL import Image

def told(rgb):
    return hashlib.sha256(rgb.tobytes()).hexdigest()[:12]

for number in range(1, COUNT + 1):
    with Image.open(f"image_{number}.png") as file:
        opened = told(file.convert("RGB"))
    read = cv2.imread(f"image_{number}.png", cv2.IMREAD_COLOR)
    print(told(globals()[f"image_{number}"].convert("RGB")), opened, told(cv2.cvtColor(read, cv2.COLOR_BGR2RGB)))
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source with a row per sample; names say nothing of what is in a file."""
    root = tmp_path_factory.mktemp("pictures")
    (root / "data").mkdir()
    files = {f"{number}.jpg": sample.content for number, sample in enumerate(SAMPLES.values())}
    files |= {name: content for name, (content, _) in REFUSED.items()}
    rows = []
    for key, (name, content) in zip([*SAMPLES, *REFUSED], files.items(), strict=True):
        (root / "data" / name).write_bytes(content)
        asked = {"text": f"Which shade has the {key}?", "images": [name]}
        rows.append({"row": key, "category": "perception", **asked, "answers": ["a dark one"], "answer_type": "text"})
    (root / "data" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = {"key": "own", "kind": "jsonl", "revision": "1", "path": "data", "licence": "CC0-1.0"}
    (root / "own.yaml").write_text(yaml.safe_dump(manifest))
    (root / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return root


@pytest.fixture(scope="module")
def gathered(place: Path) -> Mapping[str, Finished]:
    job = make_job(place / "recipe.yaml", out=place / "run", store=place / "store")
    with open_run(job, SilentProgress(), local) as run:
        return {stage.name: stage for stage in run_groups(run, ("gather",)).stages}


@pytest.fixture(scope="module")
def blobs(place: Path) -> BlobStore:
    return BlobStore(place / "store" / "blobs")


@pytest.fixture(scope="module")
def questions(gathered: Mapping[str, Finished]) -> dict[str, Question]:
    found = gathered["ingest"].records("questions", Question)
    return {question.source_row: question for question in found}


@pytest.fixture(scope="module")
def views(questions: Mapping[str, Question], blobs: BlobStore) -> dict[str, Image.Image]:
    """What a model is sent."""

    def view(question: Question) -> Image.Image:
        content = blobs.get(make_view(blobs.get(question.images[0].sha256), RULE, blobs).blob)
        return Image.open(io.BytesIO(content))

    return {row: view(question) for row, question in questions.items()}


def told(image: Image.Image) -> str:
    return hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()[:12]


def test_every_picture_is_ingested_and_what_is_none_is_refused_by_name(gathered: Mapping[str, Finished]) -> None:
    outcomes = list(gathered["ingest"].records("outcomes", Outcome))
    assert sum(outcome.outcome == "kept" for outcome in outcomes) == len(SAMPLES)
    messages = [outcome.model_dump_json() for outcome in outcomes if outcome.outcome == "quarantined"]
    assert len(messages) == len(REFUSED)
    for name, (_, found) in REFUSED.items():
        assert any(name in message and found in message for message in messages)


def test_the_view_of_a_model_shows_the_pixels_of_the_file(views: Mapping[str, Image.Image]) -> None:
    assert set(views) == set(SAMPLES)
    for row, image in views.items():
        assert (image.mode, image.size) == ("RGB", (WIDTH, HEIGHT))
        assert np.abs(np.asarray(image).astype(int) - SAMPLES[row].shows).max() <= SAMPLES[row].within, row


def test_facts_hash_what_a_model_sees_and_say_what_was_made_of_it(
    gathered: Mapping[str, Finished], questions: Mapping[str, Question], views: Mapping[str, Image.Image]
) -> None:
    rows = {question.images[0].sha256: row for row, question in questions.items()}
    facts = list(gathered["screen"].records("facts", ImageFacts))
    assert len(facts) == len(SAMPLES)
    for fact in facts:
        hashes = perceptual_hashes(views[rows[fact.sha256]])
        assert (fact.phash, fact.dhash) == (hashes.phash, hashes.dhash)
    said = {row: (question.images[0].scaling, question.images[0].frames) for row, question in questions.items()}
    assert said == {row: (sample.scaling, sample.frames) for row, sample in SAMPLES.items()}


def test_the_sandbox_shows_what_a_model_sees(
    questions: Mapping[str, Question], views: Mapping[str, Image.Image], blobs: BlobStore
) -> None:
    guest.setup()
    contents = [blobs.get(question.images[0].sha256) for question in questions.values()]
    with Pool(Policy(), workers=1) as pool, pool.session(contents) as session:
        result = session.run(CELL.replace("COUNT", str(len(contents))))
        shown = session.run("image_1").images[0]
    assert result.status == "ok", result
    lines = result.stdout.splitlines()
    assert len(lines) == len(contents), result.stdout
    for line, row in zip(lines, questions, strict=True):
        assert line.split() == [told(views[row])] * 3, row
    assert told(Image.open(io.BytesIO(shown.png()))) == told(views[next(iter(questions))])


def exported(root: Path) -> Iterator[tuple[str, str, bytes]]:
    """Yield format, question and image of every exported row."""
    for name in (*(f"sft/{kind}" for kind in SFT), *(f"rl/{kind}" for kind in RL)):
        folder = root / name
        keys = [json.loads(line)["question_id"] for line in (folder / "rows.jsonl").read_text().splitlines()]
        for key, picture in zip(keys, pictures_of(folder), strict=True):
            yield name, key, picture


def pictures_of(folder: Path) -> list[bytes]:
    """The first picture of every row of an export."""
    file = data_file(folder)
    if file.suffix == ".parquet":
        return [images[0]["bytes"] for images in pq.read_table(file)["images"].to_pylist()]
    rows = json.loads(file.read_text()) if file.suffix == ".json" else map(json.loads, file.read_text().splitlines())
    return [(folder / row["images"][0]).read_bytes() for row in rows]


def test_every_export_opens_as_what_a_model_sees(
    questions: Mapping[str, Question], views: Mapping[str, Image.Image], place: Path, tmp_path: Path
) -> None:
    own = context(place / "store")
    taught = [
        sft_row(attempt(question, (step("I see.", "answer", question.answers[0]),), lane="no_call"), question)
        for question in questions.values()
    ]
    asked = [RlRow(question, question.id, LABELS, saturated=False) for question in questions.values()]
    publish_sft(tmp_path / "sft", taught, SFT, own)
    publish_rl(tmp_path / "rl", asked, RL, own)
    rows = {question.id: row for row, question in questions.items()}
    found = list(exported(tmp_path))
    assert len(found) == len(SAMPLES) * (len(SFT) + len(RL))
    for name, key, content in found:
        with Image.open(io.BytesIO(content)) as image:
            assert image.mode in {"L", "RGB"}
            assert told(image) == told(views[rows[key]]), (name, rows[key])
