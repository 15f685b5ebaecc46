"""Rows of the demo that are stored under the answer of another: as many as asked for, each of them wrong, no others."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from filters.answers import grade
from flows.recipe.inputs import make_job, open_use
from pipeline.demo.corpus import airport_tables, charts, dots, elements, maps, outlines, regions
from pipeline.demo.corpus.build import generate_demo
from pipeline.demo.corpus.sheets import DemoRow
from pipeline.demo.corpus.swapped import swap
from pipeline.sources import open_source
from tests.support.command import DEMO

FAMILIES = (airport_tables, charts, regions, dots, outlines, elements, maps)


@pytest.fixture(scope="module")
def rows() -> tuple[DemoRow, ...]:
    return tuple(row for family in FAMILIES for sheet in family.sheets(12, 0) for row in sheet.rows)


def swapped(before: tuple[DemoRow, ...], after: tuple[DemoRow, ...]) -> set[str]:
    return {old.row for old, new in zip(before, after, strict=True) if old != new}


def test_no_share_leaves_all_rows_as_they_are(rows: tuple[DemoRow, ...]) -> None:
    assert swap(rows, 0.0, 0) == rows


def test_a_share_is_met_and_a_larger_one_holds_it(rows: tuple[DemoRow, ...]) -> None:
    few, more = (swapped(rows, swap(rows, share, 0)) for share in (0.1, 0.4))
    assert len(few) == round(0.1 * len(rows))
    assert len(more) == round(0.4 * len(rows))
    assert few < more
    assert few != swapped(rows, swap(rows, 0.1, 1))


def test_no_swapped_answer_is_right_and_all_are_of_the_same_form(rows: tuple[DemoRow, ...]) -> None:
    made = {row.row: row for row in swap(rows, 1.0, 0)}
    for row in rows:
        other = made[row.row]
        if other == row:
            continue
        assert other._replace(answers=row.answers, derivation=row.derivation) == row
        told = other.derivation
        assert (told["swapped"], told["true_answer"]) == (True, list(row.answers))
        donor = next(candidate for candidate in rows if candidate.row == told["answer_of"])
        assert other.answers == donor.answers
        assert {row.derivation["family"], row.answer_type} == {donor.derivation["family"], donor.answer_type}
        for answer in row.answers:
            assert grade(answer, other.answers, row.answer_type, tolerance=row.tolerance).verdict != "right", other


def test_a_swapped_corpus_differs_in_answers_and_derivations_alone(tmp_path: Path) -> None:
    plain, wrong = (
        open_source("demo", tmp_path, generate=partial(generate_demo, questions=24, wrong_golds=share))
        for share in (0.0, 0.25)
    )
    assert plain.revision != wrong.revision
    pairs = list(zip(*(_rows(source.directory) for source in (plain, wrong)), strict=True))
    differing = [(old, new) for old, new in pairs if old != new]
    assert len(differing) == round(0.25 * 24)
    for old, new in differing:
        assert {key for key in old if old[key] != new[key]} == {"answers", "derivation"}
        assert not new["derivation"]["planted"]
    images = [
        sorted(path.read_bytes() for path in (source.directory / "images").iterdir()) for source in (plain, wrong)
    ]
    assert images[0] == images[1]


def test_a_recipe_asks_for_them(tmp_path: Path) -> None:
    changes = ["sources.0.demo.questions=24", "sources.0.demo.wrong_golds=0.25"]
    job = make_job(DEMO, out=tmp_path / "run", store=tmp_path, changes=changes)
    asked = open_use(job, job.recipe.sources[0])
    assert asked == open_source("demo", tmp_path, generate=partial(generate_demo, questions=24, wrong_golds=0.25))


def _rows(directory: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (directory / "rows.jsonl").read_text().splitlines()]
