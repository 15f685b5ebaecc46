"""Rows of a source that ask one question, through ingest, screen, dedup and decontaminate, and in the ledger."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
import yaml
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from flows.cli.main import make_app
from flows.ledger.query import query
from flows.recipe.inputs import make_job
from flows.report.duplicates import WHY, folded
from flows.run.curate import open_run, run_groups
from flows.run.progress import SilentProgress
from flows.runners.local import local
from pipeline.engine.done import Finished
from pipeline.records import Outcome, Question

MODEL = {"backend": "reader", "policy": "naive"}
RECIPE = {
    "name": "same",
    "sources": [{"source": "own.yaml"}],
    "student": {"family": "qwen2_5_vl", "revision": "r1", "max_pixels": 262_144},
    "models": {"base": MODEL, "teachers": [MODEL]},
    "runtime": {"workers": 1},
}
TOTAL, WHO = "What is the total amount?", "Who signed the form?"
ROWS: Mapping[str, Mapping[str, Any]] = {
    # Two forms of one layout: other answers, both are kept; one answer, one is.
    "form": {"text": TOTAL, "images": ["a.png"], "answers": ["412.50"], "answer_type": "number"},
    "other": {"text": TOTAL, "images": ["b.png"], "answers": ["98.00"], "answer_type": "number"},
    "signed": {"text": WHO, "images": ["a.png"], "answers": ["Ada Kern"]},
    "signed again": {
        "text": f"{WHO} Answer with a single word or phrase.",
        "images": ["b.png"],
        "answers": ["ada kern"],
    },
    # One picture in two files.
    "says 3": {"text": "How many lines are there?", "images": ["a.png"], "answers": ["3"], "answer_type": "number"},
    "says 4": {"text": "how many lines are there", "images": ["copy.png"], "answers": ["4"], "answer_type": "number"},
    "says 5": {"text": "How many lines are there", "images": ["a.png"], "answers": ["5"], "answer_type": "number"},
    **{
        f"as {said}": {"text": "Which sum is it?", "images": [image], "answers": [said], "answer_type": "expression"}
        for said, image in (("x^2+2x+1", "a.png"), ("(x+1)^2", "copy.png"), ("(1+x)^2", "a.png"))
    },
    "marked": {"text": "What is <b>bold</b> on this old form of ours?", "images": ["a.png"], "answers": ["nothing"]},
    "marked too": {"text": "What is <b>bold</b> on this odd form of ours?", "images": ["a.png"], "answers": ["all"]},
    "hindi": {"text": "चित्र में जाल कहाँ है?", "images": ["a.png"], "answers": ["left"]},
    "hindi too": {"text": "चित्र में जेल कहाँ है?", "images": ["a.png"], "answers": ["left"]},
}
ENDS = {
    "signed": "duplicate",
    "says 3": "contradicting_answers",
    "says 4": "contradicting_answers",
    "says 5": "contradicting_answers",
}
UNDECIDED = {row for row in ROWS if row.startswith("as ")}


def form(total: str) -> Image.Image:
    image = Image.new("RGB", (448, 336), "white")
    draw = ImageDraw.Draw(image)
    for place in range(8):
        draw.rectangle((30, 30 + place * 36, 240 + place * 17 % 160, 46 + place * 36), fill=(40 + place * 20, 60, 90))
    draw.text((300, 300), total, fill="black")
    return image


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("same")
    (place / "data").mkdir()
    form("412.50").save(place / "data" / "a.png")
    form("412.50").save(place / "data" / "copy.png", compress_level=1)
    form("98.00").save(place / "data" / "b.png")
    common = {"category": "perception", "answer_type": "text", "licence": "CC0-1.0"}
    lines = [json.dumps({"row": key, **common, **row}) for key, row in ROWS.items()]
    (place / "data" / "rows.jsonl").write_text("\n".join(lines) + "\n")
    manifest = {"key": "own", "kind": "jsonl", "revision": "1", "path": "data", "licence": "CC0-1.0"}
    (place / "own.yaml").write_text(yaml.safe_dump(manifest))
    (place / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return place


@pytest.fixture(scope="module")
def done(place: Path) -> Mapping[str, Finished]:
    job = make_job(place / "recipe.yaml", out=place / "run", store=place / "store")
    with open_run(job, SilentProgress(), local) as opened:
        run_groups(opened, ["gather"])
        return dict(opened.finished)


def test_repeats_go_contradictions_go_and_what_only_looks_alike_stays(done: Mapping[str, Finished]) -> None:
    rows = {question.id: question.source_row for question in done["screen"].records("questions", Question)}
    assert len(rows) == len(ROWS)
    found = {rows[o.record_id]: o.reason for o in done["dedup"].records("outcomes", Outcome) if o.outcome != "kept"}
    # Which of two equal questions stays is decided by their ids.
    ends = {("signed again" if row == "signed" and row not in found else row): end for row, end in ENDS.items()}
    repeats = {row: found.pop(row) for row in UNDECIDED & found.keys()}
    assert [*repeats.values()] == ["duplicate", "duplicate"]
    assert found == ends
    assert done["decontaminate"].counts["kept"] == len(ROWS) - len(ENDS) - len(repeats)


def test_both_sides_of_a_contradiction_are_for_review(done: Mapping[str, Finished], place: Path) -> None:
    assert "dedup" in done
    waiting = query(place / "run", "SELECT text, why, stored_answers, suspected_answer FROM review_queue").to_pylist()
    counting = {row["stored_answers"][0]: row for row in waiting if "lines" in row["text"]}
    assert {*counting} == {"3", "4", "5"}
    assert all(row["why"] == "contradicting_answers" for row in counting.values())
    assert all(row["suspected_answer"] in {*counting} - {said} for said, row in counting.items())
    assert {f"as {row['stored_answers'][0]}" for row in waiting if row["why"] == "undecided_answers"} == UNDECIDED


def test_a_pair_is_listed_once_and_none_is_missed(done: Mapping[str, Finished], place: Path) -> None:
    assert "dedup" in done
    pairs = query(place / "run", "SELECT question_id, other, verdict FROM duplicate_pairs").to_pylist()
    told = [frozenset((pair["question_id"], pair["other"])) for pair in pairs]
    assert len(told) == len({*told})
    seen = "SELECT question_id, other FROM conflicts UNION SELECT question_id, other FROM near_texts"
    repeats = "SELECT question_id, representative AS other FROM duplicates WHERE question_id <> representative"
    found = query(place / "run", f"{seen} UNION {repeats}").to_pylist()
    assert {*told} >= {frozenset((pair["question_id"], pair["other"])) for pair in found}
    assert [pair["verdict"] for pair in pairs].count("dropped: answers contradict") == 2
    assert [pair["verdict"] for pair in pairs].count("dropped: answers undecided") == 2


@pytest.mark.parametrize("text", ["<b>Which</b> town? " * 100, "line\n" * 9, "line\n" * 5, "short & sweet", "x" * 480])
def test_a_long_text_of_a_pair_is_folded_and_stands_there_whole(text: str) -> None:
    html = folded(text)
    assert f'<p dir="auto">{escape(text)}</p>' in html
    long = len(text) > 480 or text.count("\n") >= 6
    assert html.startswith("<details") == long
    # What is seen of it at first is its beginning.
    assert not long or escape(text[:50]) in html.partition("</summary>")[0]


def test_the_page_of_duplicates_shows_every_pair_with_pictures_that_are_there(
    done: Mapping[str, Finished], place: Path
) -> None:
    assert "dedup" in done
    page = place / "elsewhere" / "page.html"
    command = ["duplicates", str(place / "run"), "--store", str(place / "store"), "--out", str(page)]
    result = CliRunner().invoke(make_app(), command)
    assert result.exit_code == 0, result.output
    shown = page.read_text()
    for title in (
        "dropped: a repeat: ",
        "dropped: answers undecided: 2",
        "dropped: answers contradict: 2",
        "kept: answers differ: 1",
        "kept: near text: ",
    ):
        assert title in shown
    # Which of a pair went is marked, and why is said; of two that contradict both went.
    fates = {
        title: re.findall('<span class="badge [a-z]+">([a-z]+)</span>', part.partition("<h2>")[0])
        for title, part in ((one, shown.partition(f"<h2>{one}: ")[2]) for one in WHY)
    }
    assert set(fates["dropped: a repeat"][::2]) == {"dropped"}
    assert set(fates["dropped: a repeat"][1::2]) == {"kept"}
    assert set(fates["dropped: answers contradict"]) == {"dropped"}
    assert set(fates["kept: near text"]) == {"kept"}
    assert all(escape(why) in shown for title, why in WHY.items() if fates[title])
    # It looks as a report does, but leads to none where there is none.
    assert {path.name for path in page.parent.iterdir()} == {"page.html", "style.css", "theme.js"}
    assert "viewer.html" not in shown
    links = re.findall('<img [^>]*src="([^"]*)"', shown)
    assert links
    assert all(Image.open(page.parent / unquote(link)).size == (448, 336) for link in links)
    # A question is text, whatever is in it.
    assert "&lt;b&gt;bold&lt;/b&gt;" in shown
    assert "<b>" not in shown
