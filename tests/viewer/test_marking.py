"""Marks, comments and corrections in the viewer: by mouse and keys, kept in the browser, saved to files."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from filters.review.words import MARK_KINDS
from flows.recipe.exclusions import load_excluded, read_viewer_marks
from flows.review.edits import Correction
from flows.review.marks import read_marks_file
from pipeline.errors import UsageError
from tests.support.many_rollouts import HOSTILE, hostile, many, written
from tests.support.report_files import listed

Opened = Callable[..., AbstractContextManager[Any]]
KEYS = {kind.key: kind.word for kind in MARK_KINDS}


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("marking") / "report", many(8, 4))


def shown(page: Any, wanted: str = "") -> str:
    """Return the id of the trajectory that is shown, once it is: `wanted`, or that of the address."""
    page.wait_for_function(
        """wanted => {
          const id = (document.querySelector('.badges a')?.getAttribute('href') ?? '#-').slice(1);
          return location.hash.includes(id.slice(0, 16)) && id.startsWith(wanted);
        }""",
        arg=wanted,
    )
    return str(page.get_attribute(".badges a", "href"))[1:]


def saved(page: Any, path: Path, act: Callable[[], object]) -> Path:
    with page.expect_download() as download:
        act()
    download.value.save_as(path)
    return path


def marks(page: Any, path: Path) -> dict[str, tuple[str, str | None, str]]:
    found = read_viewer_marks(saved(page, path, lambda: page.keyboard.press("s")))
    return {one.trajectory: (one.mark, one.defect, one.comment) for one in found.marks}


def test_marks_by_key_are_saved_with_their_comments_and_leave_rows_out(
    some: Path, opened: Opened, tmp_path: Path
) -> None:
    with opened(some) as page:
        page.click("#clear")
        page.focus("#list")
        page.keyboard.press("Home")
        expected: dict[str, tuple[str, str | None, str]] = {}
        for key, word in KEYS.items():
            identity = shown(page)
            page.keyboard.press(key)
            assert page.locator("#marks input:checked").get_attribute("value") == word
            plain = word in {"good", "cannot_tell"}
            expected[identity] = (word if plain else "defective", None if plain else word, "")
            page.keyboard.press("j")
            page.wait_for_function("id => !location.hash.includes(id.slice(0, 16))", arg=identity)
        identity = shown(page)
        page.keyboard.press("2")
        page.keyboard.press("m")
        # What is typed are no keys.
        page.keyboard.type("gj1? two names")
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.id") == "list"
        expected[identity] = ("defective", "bad_question", "gj1? two names")
        assert shown(page) == identity
        assert page.inner_text("#told") == f"{len(expected)} marked"
        assert page.locator(".row .badge", has_text="marked bad question").count() == 2
        path = tmp_path / "marks-viewer.json"
        assert marks(page, path) == expected
        with pytest.raises(UsageError, match=r"was saved by the viewer.*measures nothing"):
            read_marks_file(path)
        excluded = set(load_excluded([str(path)]))
        bad = {name for name, (mark, _, _) in expected.items() if mark == "defective"}
        questions, of_question = (
            {row["id"]: row["question_id"] for row in listed(some)},
            {"bad_question", "bad_picture"},
        )
        assert bad <= excluded
        assert {name[:16] for name in excluded - bad} == {
            questions[name[:16]] for name, (_, defect, _) in expected.items() if defect in of_question
        }
        # They are still there when the page is opened again; the same key takes one back.
        page.reload()
        page.wait_for_selector("html[data-ready]")
        assert marks(page, path) == expected
        page.evaluate("id => { location.hash = id; }", identity)
        page.wait_for_function(
            "id => document.querySelector('.badges a').getAttribute('href') === `#${id}`", arg=identity
        )
        assert page.input_value("#comment") == "gj1? two names"
        page.focus("#list")
        page.keyboard.press("2")
        assert page.locator("#marks input:checked").count() == 0
        assert identity not in marks(page, path)


def test_the_next_trajectory_without_a_mark_is_a_key_away(some: Path, opened: Opened) -> None:
    with opened(some) as page:
        page.click("#clear")
        page.focus("#list")
        page.keyboard.press("Home")
        ids = [row["id"] for row in listed(some)]
        for place in range(3):
            assert shown(page)[:16] == ids[place]
            page.keyboard.press("g")
            page.keyboard.press("u")
            shown(page, ids[place + 1])
        page.keyboard.press("Home")
        shown(page, ids[0])
        page.click("#unmarked")
        shown(page, ids[3])


def test_marks_hold_for_the_page_where_the_browser_keeps_nothing(some: Path, opened: Opened, tmp_path: Path) -> None:
    with opened(some) as page:
        identity = shown(page)
        page.evaluate("() => { Storage.prototype.setItem = () => { throw new Error('full'); }; }")
        page.focus("#list")
        page.keyboard.press("g")
        assert "this browser keeps nothing: save before you close" in page.inner_text("#told")
        assert marks(page, tmp_path / "m.json") == {identity: ("good", None, "")}


@pytest.mark.parametrize(
    "held",
    [
        "no JSON",
        "null",
        "[]",
        '{"said": 5, "annotator": {}}',
        '{"said": {"<b>": {"question": "x", "word": "good", "comment": ""}}}',
        json.dumps({"said": {"a" * 64: {"question": "b" * 64, "word": "<script>", "comment": ""}}}),
        json.dumps({"said": {"a" * 64: {"question": "b" * 64, "word": "good", "comment": 7}}}),
        json.dumps({"said": {"a" * 64: {"question": 3, "word": "good", "comment": ""}}}),
        json.dumps({"said": {"a" * 64: None}}),
    ],
)
def test_what_others_left_in_the_storage_is_no_mark(some: Path, opened: Opened, held: str) -> None:
    with opened(some) as page:
        page.evaluate("held => localStorage.setItem('coldforge-marks:by hand', held)", held)
        page.reload()
        page.wait_for_selector("html[data-ready]")
        shown(page)
        assert page.inner_text("#told") == "0 marked"


def test_corrections_are_lines_that_the_command_reads(some: Path, opened: Opened, tmp_path: Path) -> None:
    with opened(some) as page:
        identity = shown(page)
        answers, answer = page.input_value("#answers"), page.input_value("#answer")
        page.focus("#list")
        page.keyboard.press("e")
        assert page.evaluate("document.activeElement.id") == "text"
        page.fill("#answers", " twelve \n\n12 ")
        page.fill("#answer", f"{answer} or so")
        page.click("#save-corrections")
        assert "no comment that says why" in page.inner_text("#told")
        page.fill("#comment", "the legend says 12")
        page.click("#save-corrections")
        assert page.evaluate("document.activeElement.id") == "annotator"
        page.fill("#annotator", "kim")
        assert page.inner_text("#told") == "0 marked, 1 corrected"
        path = saved(page, tmp_path / "corrections.jsonl", lambda: page.click("#save-corrections"))
        first, second = (Correction.model_validate_json(line) for line in path.read_text().splitlines())
        assert first.model_dump(exclude_unset=True) == {
            "parent": first.parent,
            "annotator": "kim",
            "comment": "the legend says 12",
            "answers": ("twelve", "12"),
        }
        assert first.parent[:16] == next(row["question_id"] for row in listed(some) if row["id"] == identity[:16])
        assert (second.parent, second.answer) == (identity, f"{answer} or so")
        # A field that says again what stands there is no correction.
        page.fill("#answers", answers)
        page.fill("#answer", answer)
        assert page.inner_text("#told") == "0 marked"


def test_a_rollout_of_a_gate_has_no_answer_to_correct(some: Path, opened: Opened) -> None:
    gate = next(row["id"] for row in listed(some) if row["words"]["stage"] != {"synthesize"})
    with opened(some, f"viewer.html#{gate}") as page:
        assert shown(page)[:16] == gate
        assert page.locator("#answer").is_disabled()


def test_no_text_of_others_is_a_correction_until_somebody_changes_it(tmp_path: Path, opened: Opened) -> None:
    report = written(tmp_path / "report", hostile())
    with opened(report) as page:
        page.click("#clear")
        for row in listed(report)[: len(HOSTILE)]:
            page.evaluate("id => { location.hash = id; }", row["id"])
            shown(page, row["id"])
            page.focus("#list")
            page.keyboard.press("g")
            assert "corrected" not in page.inner_text("#told")
        assert page.evaluate("window.hacked") is None
