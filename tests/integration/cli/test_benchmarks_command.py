"""A manifest of a benchmark is made from the files that people have, and stops its questions."""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from filters.dedup.clusters import ImageHashes
from filters.dedup.contamination import ContaminationSettings, index_benchmarks
from flows.cli.main import make_app
from flows.recipe.benchmarks import load_benchmark
from pipeline.images import HASH_RECIPE, decode, perceptual_hashes
from tests.support.benchmarked import contaminated

QUESTIONS = (
    "How many boats lie in the small harbour to the left?",
    "图中的红色屋顶的房子有几扇窗户？",
    "Evaluate $\\frac{x^2}{3}$.",
)


def picture(seed: int) -> bytes:
    image = Image.new("RGB", (120, 90), "white")
    draw = ImageDraw.Draw(image)
    for place in range(12):
        x, y = (seed * 37 + place * 53) % 110, (seed * 11 + place * 29) % 80
        draw.rectangle((x, y, x + 14, y + 9), fill=(seed * 40 % 255, place * 20, 90))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def build(place: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(make_app(), ["benchmarks", "build", *arguments, "--out", str(place / "made.yaml")])
    return result.exit_code, result.output


def reason(place: Path, text: str, content: bytes | None = None) -> str:
    limits = ContaminationSettings()
    index = index_benchmarks([load_benchmark("made.yaml", place / "recipe.yaml")])
    images = []
    if content is not None:
        hashes = perceptual_hashes(decode(content))
        images = [ImageHashes(hashes.phash, hashes.dhash, 120, 90, HASH_RECIPE)]
    return contaminated("q", text, images, index, limits).reason


@pytest.fixture(params=["jsonl", "json", "csv", "tsv", "parquet", "base64"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    kind = request.param
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(picture(number))
    rows = [{"question": text, "image": f"{number}.png"} for number, text in enumerate(QUESTIONS)]
    path = tmp_path / f"bench.{'tsv' if kind == 'base64' else kind}"
    if kind == "base64":
        rows = [{**row, "image": base64.b64encode(picture(n)).decode()} for n, row in enumerate(rows)]
    if kind == "jsonl":
        path.write_text("\ufeff" + "".join(json.dumps(row) + "\r\n" for row in rows), encoding="utf-8")
    elif kind == "json":
        path.write_text(json.dumps(rows))
    elif kind == "parquet":
        images = [{"bytes": picture(number), "path": None} for number in range(3)]
        pq.write_table(pa.table({"question": list(QUESTIONS), "image": images}), path)
    else:
        with path.open("w", newline="", encoding="utf-8") as lines:
            writer = csv.DictWriter(lines, ["question", "image"], delimiter="," if kind == "csv" else "\t")
            writer.writeheader()
            writer.writerows(rows)
    return path


def test_questions_and_pictures_of_a_file_are_stopped(file: Path, tmp_path: Path) -> None:
    code, said = build(tmp_path, str(file))
    assert code == 0, said
    assert "3 questions, 3 pictures" in said
    assert [reason(tmp_path, text) for text in QUESTIONS] == ["benchmark_text"] * 3
    assert reason(tmp_path, "What is it?", picture(1)) == "benchmark_image"
    assert reason(tmp_path, "How many boats lie in the small harbour to the right?") == ""
    written = (tmp_path / "made.yaml").read_text()
    assert not any(word in written for word in ("boats", "窗户", "frac", ".png"))


def test_pictures_on_their_own_are_protected_whatever_is_asked(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(5))
    assert build(tmp_path, str(tmp_path / "a.png"))[0] == 0
    assert reason(tmp_path, "What is it?", picture(5)) == "benchmark_image"
    assert reason(tmp_path, "What is it?", picture(6)) == ""


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("b.jsonl", '{"title": "x"}\n', ("row 1", "title", "--text")),
        ("b.jsonl", '{"question": "x", "image": "gone.png"}\n', ("row 1", "gone.png", "--image-root")),
        ("b.jsonl", "{\n", ("b.jsonl", "cannot be read")),
        ("b.docx", "", (".docx", ".parquet")),
        ("b.png", "no picture", ("b.png", "a picture cannot be read")),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: str, said: tuple[str, ...]) -> None:
    (tmp_path / name).write_text(content)
    code, output = build(tmp_path, str(tmp_path / name))
    assert code == 2
    assert all(part in output for part in said), output


def test_fields_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(picture(1))
    (tmp_path / "b.jsonl").write_text(json.dumps({"ask": QUESTIONS[0], "seen": ["a.png"]}))
    named = ("--text", "ask", "--images", "seen", "--image-root", str(tmp_path / "pictures"))
    code, said = build(tmp_path, str(tmp_path / "b.jsonl"), *named)
    assert code == 0, said
    assert reason(tmp_path, "?", picture(1)) == "benchmark_image"
