"""From data as it lies there to kept questions: `coldforge sources`, without a line written by hand."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path

import polars as pl
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from flows.cli.main import make_app
from flows.recipe.inputs import make_job
from flows.report.tables import query_table
from flows.run.curate import open_run, run_groups
from flows.run.progress import SilentProgress
from flows.runners.local import local
from pipeline.images import encode_png

MODEL = {"backend": "reader", "policy": "naive"}
RECIPE = {
    "name": "small",
    "sources": [{"source": "train.yaml"}],
    "student": {"family": "qwen2_5_vl", "revision": "r1", "max_pixels": 262_144},
    "models": {"base": MODEL, "teachers": [MODEL]},
    "runtime": {"workers": 1},
}


@cache
def png(seed: int) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((900, 700), 60 + seed).convert("RGB").save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rows = [
        {
            "question_id": 100 + number,
            "problem": f"How many sheep stand on meadow {number}?",
            "decoded_image": {"bytes": png(number), "path": f"{number}.png"},
            "ground_truth": str(number),
            "split": "train",
        }
        for number in range(3)
    ]
    rows.append({**rows[0], "question_id": 103, "decoded_image": {"bytes": b"<!DOCTYPE html>", "path": None}})
    rows.append({**rows[0], "question_id": 104, "problem": "How many rams?", "ground_truth": None})
    pl.DataFrame(rows).write_parquet(tmp_path / "train.parquet")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", ["check", "sample"])
@pytest.mark.parametrize("stated", [False, True])
def test_a_look_leaves_behind_what_it_was_told_to_keep_and_nothing_else(
    place: Path, command: str, stated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "passing").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place / "passing"))
    assert call("init", "train.parquet")[0] == 0
    before = {*place.rglob("*")}
    assert call(command, "train.yaml", *(["--store", "kept"] if stated else []))[0] == 0
    left = {*place.rglob("*")} - before
    assert all(path.is_relative_to(place / "kept") for path in left)
    assert bool(left) == stated


def call(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(make_app(), ["sources", *arguments])
    return result.exit_code, result.output


def test_three_commands_lead_from_a_parquet_file_to_its_questions(place: Path) -> None:
    code, said = call("init", "train.parquet")
    assert (code, "train.yaml: written" in said) == (0, True)
    mapped = yaml.safe_load((place / "train.yaml").read_text())["columns"]
    assert mapped == {"row": "question_id", "text": "problem", "images": "decoded_image", "answers": "ground_truth"}

    code, said = call("check", "train.yaml", "--json")
    looked = json.loads(said)
    assert (code, looked["rows"], looked["kept"], looked["pictures"], looked["shrunk"]) == (0, 5, 3, 3, 3)
    assert [(loss["reason"], loss["row"]) for loss in looked["losses"]] == [
        ("image_format", "103"),
        ("row_field", "104"),
    ]
    assert "HTML" in looked["losses"][0]["detail"]

    # What is seen without a run is what a run makes of it, and pictures are there once.
    job = make_job(place / "recipe.yaml", out=place / "run", store=place / "store")
    with open_run(job, SilentProgress(), local) as opened:
        run_groups(opened, ["gather"])
    (kept,) = query_table(
        place / "run", "SELECT count(*) AS n FROM outcomes WHERE stage = 'screen' AND outcome = 'kept'"
    ).rows
    assert kept == (3,)


@pytest.mark.usefixtures("place")
def test_a_check_prints_what_is_lost_with_an_example() -> None:
    call("init", "train.parquet", "--out", "mine.yaml", "--key", "mine")
    code, said = call("check", "mine.yaml")
    assert code == 0
    for word in ("5 rows, 3 can be asked", "image_format", "HTML", "103", "perception", "number", "licence unknown"):
        assert word in said, said


def test_a_source_without_a_usable_row_fails_its_check(place: Path) -> None:
    pl.DataFrame([{"question": "How many?", "answer": "3", "image": "lost.png"}]).write_csv(place / "lost.csv")
    call("init", "lost.csv")
    code, said = call("check", "lost.yaml")
    assert (code, "no row can be used" in said) == (3, True)


def test_a_manifest_is_never_written_over(place: Path) -> None:
    (place / "train.yaml").write_text("mine")
    code, said = call("init", "train.parquet")
    assert (code, "train.yaml is there already" in said) == (2, True)
    assert (place / "train.yaml").read_text() == "mine"


def test_a_column_that_nothing_tells_is_left_to_a_person_and_refused_until_then(place: Path) -> None:
    (place / "odd.csv").write_text("Frage;Antwort\nWie viele?;3\n")
    code, said = call("init", "odd.csv")
    assert (code, "in place of COLUMN" in said) == (0, True)
    assert "there are: ['Frage', 'Antwort']" in (place / "odd.yaml").read_text()
    code, said = call("check", "odd.yaml")
    assert (code, "no column COLUMN" in said) == (2, True)
    mended = (place / "odd.yaml").read_text().replace("text: COLUMN", "text: Frage").replace("COLUMN", "Antwort")
    (place / "odd.yaml").write_text(mended)
    code, said = call("check", "odd.yaml")
    assert (code, "1 rows, 1 can be asked" in said) == (0, True), said


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("nowhere", None, "no such file"),
        ("notes.txt", "hello", "no file with rows"),
        ("latin.csv", "question,answer\nWie gro\xdf?,3\n", "not in UTF-8"),
        ("empty.csv", "question,answer\n", "no row can be read"),
    ],
)
def test_what_cannot_be_guessed_is_said(place: Path, name: str, content: str | None, words: str) -> None:
    if content is not None:
        (place / name).write_text(content, "latin-1")
    code, said = call("init", name)
    assert code == 2
    assert words in said


@pytest.mark.usefixtures("place")
def test_samples_are_shown_as_they_would_be_asked() -> None:
    call("init", "train.parquet")
    code, said = call("sample", "train.yaml", "5")
    assert code == 0
    for words in ("How many sheep stand on meadow 1?", "pictures: 900 x 700", "= 2", "103: refused, image_format"):
        assert words in said, said


def test_samples_have_their_options_and_are_shortened(place: Path) -> None:
    rows = [
        {"question": "Which of these is a city?\nA. Rome\nB. Blue\nC. Seven", "answer": "A"},
        {"question": "How many words are there? " + "word " * 12_000, "answer": "12005"},
    ]
    (place / "text.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    call("init", "text.jsonl")
    code, said = call("sample", "text.yaml")
    assert code == 0
    for words in ("  Which of these is a city?\n    A. ", "\n    C. ", "… (60,026 characters)"):
        assert words in said, said
    assert len(said) < 4_000


def test_a_check_shows_rows_of_which_something_else_is_said(place: Path) -> None:
    odd = [{"answer": "3"}] * 3 + [{"question": "How many?", "answer": {"a": 1}}] + [{"question": ["x"], "answer": "3"}]
    rows = [{"n": n, **row} for n, row in enumerate([{"question": "How many?", "answer": "3"}] * 40 + odd)]
    (place / "odd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    call("init", "odd.jsonl")
    said = call("check", "odd.yaml", "--json")[1]
    (fields,) = (loss for loss in json.loads(said)["losses"] if loss["reason"] == "row_field")
    assert (fields["rows"], len(fields["details"])) == (5, 5)
    table = call("check", "odd.yaml")[1]
    assert [table.count(f"odd.jsonl, line {n}") for n in (41, 42, 44, 45)] == [1, 0, 1, 1], table


def test_pictures_that_no_field_comes_from_are_named(place: Path) -> None:
    picture = encode_png(Image.effect_noise((80, 60), 50).convert("RGB"))
    row = {"question": "How many?", "answer": "3", "image": picture, "mask": picture}
    pl.DataFrame([row]).write_parquet(place / "two.parquet")
    call("init", "two.parquet")
    code, said = call("check", "two.yaml")
    assert (code, "not shown: pictures in mask" in said) == (0, True), said


def test_what_ships_is_listed() -> None:
    code, said = call("list")
    assert code == 0
    for key in ("demo", "demo_cot"):
        assert key in said
