"""The page of an annotator in a browser: keys and mouse set marks, and what is saved is said and all that was set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.review.page import Shown, write_pages
from pipeline.images import encode_png, put_image
from pipeline.store.blobs import BlobStore
from tests.support.builders import question, trajectory, turn
from tests.support.export_rows import picture

ITEMS = 4


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("annotator")
    blobs = BlobStore(place / "blobs")
    rows = []
    for number in range(ITEMS):
        asked = question(f"What is {number}?", images=(put_image(blobs, encode_png(picture(number, 640, 480))),))
        view = json.dumps({"family": "qwen2_5_vl", "max_pixels": 12_544, "policy": "student", "seen": [[112, 84]]})
        rows.append(Shown(f"item{number}", asked, trajectory(turn("answer", "1"), asked=asked, view=view)))
    return write_pages(place / "pages", "s" * 8, 1, rows, blobs)[0]


@pytest.fixture
def page(browser: Any, page_file: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    said: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(page_file.as_uri())
    yield page
    assert said == []
    context.close()


def chosen(page: Any) -> str:
    return str(page.evaluate("document.querySelector('form').elements.mark.value"))


def place(page: Any) -> int:
    return int(page.inner_text("#told").split()[0])


def saved(page: Any, path: Path) -> list[dict[str, Any]]:
    with page.expect_download() as download:
        page.keyboard.press("s")
    download.value.save_as(path)
    found: list[dict[str, Any]] = json.loads(path.read_text())["marks"]
    return found


def test_the_key_of_a_mark_sets_it_and_takes_it_back_whatever_caps_lock_says(page: Any) -> None:
    for key, mark in (("g", "good"), ("G", ""), ("4", "unfaithful_thought"), ("c", "cannot_tell"), ("C", "")):
        page.keyboard.press(key)
        assert chosen(page) == mark


def test_after_a_click_on_a_mark_arrows_lead_to_the_next_item(page: Any) -> None:
    page.click("label:has-text('useless tool')")
    page.keyboard.press("ArrowRight")
    assert (place(page), chosen(page)) == (2, "")
    page.keyboard.press("ArrowLeft")
    assert (place(page), chosen(page)) == (1, "useless_tool")


def test_what_is_saved_is_said_and_a_comment_without_a_mark_is_not_passed_over(page: Any, tmp_path: Path) -> None:
    page.keyboard.press("1")
    page.keyboard.press("j")
    page.keyboard.press("m")
    page.keyboard.type("g, but a comment is no key")
    page.keyboard.press("Escape")
    assert [one["defect"] for one in saved(page, tmp_path / "marks.json")] == ["wrong_answer"]
    told = page.inner_text("#told")
    assert f"saved 1 of {ITEMS} to marks-annotator-1.json; 1 with a comment and no mark are not in the file" in told


def test_nothing_left_unmarked_is_said(page: Any, tmp_path: Path) -> None:
    for _ in range(ITEMS):
        page.keyboard.press("g")
        page.keyboard.press("u")
    assert "all are marked" in page.inner_text("#told")
    assert len(saved(page, tmp_path / "marks.json")) == ITEMS


def test_a_picture_opens_whole_beside_the_page_and_says_at_what_size_the_model_saw_it(page: Any) -> None:
    page.keyboard.press("j")
    assert "640 x 480; the model saw 112 x 84" in page.inner_text("article.current figcaption")
    with page.context.expect_page() as other:
        page.click("article.current figure a")
    assert other.value.url.endswith(".png")
    assert place(page) == 2
