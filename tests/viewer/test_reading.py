"""What a person has to be able to read in the viewer: numbers, long texts, pictures, and why nothing is shown."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from flows.report.viewer.groups import Beside, Group, member
from pipeline.identity import canonical_json
from pipeline.records import ImageRef
from pipeline.store.blobs import BlobStore
from tests.support.builders import question, trajectory, turn
from tests.support.many_rollouts import many, outcome, written
from tests.support.report_files import value

Opened = Callable[..., AbstractContextManager[Any]]
LAID_OUT = "A\tB\nC\n\n\n  indented |table|"
LONG = " ".join(f"Sentence {n} tells of the picture." for n in range(160)) + " So which town is it?"


def told(text: str, number: int) -> Group:
    asked = question(text, source_row=f"row-{number}", answers=("one\ntwo",))
    made = trajectory(turn("answer", "a\n  b"), asked=asked, answer="a\n  b", verdict="wrong")
    return Group(asked, frozenset(), [], [member(made, [outcome("validate", made, "answer_undecided")], [])])


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    groups = [told(text, number) for number, text in enumerate((LAID_OUT, LONG, "line\n" * 30 + "end", "Which town?"))]
    return written(tmp_path_factory.mktemp("texts") / "report", iter(groups))


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("some") / "report", many(30, 10))


SIZES = {
    (2880, 2080): (588, 420),  # rounded to patches, so of another shape
    (616, 420): (616, 420),
    (320, 240): (308, 252),  # a hit of a search
    (100, 80): (140, 112),  # enlarged
    (1000, 1500): (392, 588),
}


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place, refs = tmp_path_factory.mktemp("pictured"), []
    for size in SIZES:
        Image.new("RGB", size, "green").save(place / "a.png")
        content = (place / "a.png").read_bytes()
        sha256 = BlobStore(place / "blobs").put(content)
        refs.append(ImageRef(sha256=sha256, mime="image/png", width=size[0], height=size[1], nbytes=len(content)))
    asked = question("Which is green?", images=tuple(refs))
    view = canonical_json({"seen": [*SIZES.values()]})
    made = trajectory(turn("answer", "all"), asked=asked, view=view)
    group = Group(asked, frozenset(), [], [member(made, [], [])])
    return written(place / "report", iter([group]), "../blobs")


def row(page: Any, number: int) -> None:
    page.locator(".row").nth(number).click()
    page.wait_for_function(
        "n => document.querySelector('.row[aria-selected=true]')?.getAttribute('aria-posinset') === String(n + 1)",
        arg=number,
    )


def test_the_lines_of_a_text_stay_its_lines(texts: Path, opened: Opened) -> None:
    with opened(texts) as page:
        page.wait_for_selector("h2.asked")
        assert page.inner_text("h2.asked") == LAID_OUT
        assert page.inner_text(".facts strong") == "a\n  b"
        assert page.inner_text(".said strong") == "a\n  b"
        assert page.inner_text(".facts dd >> nth=1").startswith("one\ntwo")


@pytest.mark.parametrize("width", [1280, 390])
def test_a_long_question_is_folded_and_leaves_the_answer_in_sight(texts: Path, opened: Opened, width: int) -> None:
    with opened(texts, width=width) as page:
        for number, text in ((1, LONG), (2, "line\n" * 30 + "end")):
            row(page, number)
            page.wait_for_selector(".unfold")
            asked = page.locator("h2.asked")
            assert asked.text_content() == text
            high = "one => one.getBoundingClientRect().height"
            folded = asked.evaluate(high)
            assert folded < 150
            button = page.locator(".unfold")
            assert f"{len(text):,} characters" in button.inner_text()
            assert button.get_attribute("aria-expanded") == "false"
            button.click()
            assert asked.evaluate(high) > 2 * folded
            assert button.get_attribute("aria-expanded") == "true"
            button.click()
            assert asked.evaluate(high) == folded
        row(page, 3)
        page.wait_for_function("() => document.querySelector('h2.asked').textContent === 'Which town?'")
        assert page.locator(".unfold").count() == 0


def test_the_text_of_what_a_question_was_dropped_for_is_folded_too(tmp_path: Path, opened: Opened) -> None:
    asked, kept = question("Which town is it?"), question(LONG)
    other = {name: getattr(kept, name) for name in ("source", "text", "answers", "choices")}
    beside = Beside("dropped: a repeat", None, {"question_id": kept.id, **other, "images": []})
    stopped = Group(asked, frozenset(), [outcome("dedup", asked, "duplicate")], [], beside=[beside])
    with opened(written(tmp_path / "report", iter([stopped])), f"viewer.html#{asked.id}") as page:
        text = page.locator(".beside .text")
        assert text.text_content() == LONG
        assert text.bounding_box()["height"] < 200
        page.click(".beside .unfold")
        assert text.bounding_box()["height"] > 200


@pytest.mark.parametrize("width", [1280, 1000, 390])
def test_the_list_shows_the_end_of_a_text_that_it_cuts(texts: Path, opened: Opened, width: int) -> None:
    with opened(texts, width=width) as page:
        line = page.locator(".row .line:first-child").nth(1)
        assert line.inner_text().startswith("Sentence 0 tells")
        assert line.inner_text().endswith("So which town is it?")
        lines = page.locator(".row .line:first-child")
        assert lines.evaluate_all("all => all.every((one) => one.scrollHeight <= one.clientHeight + 1)")


def test_a_search_finds_the_end_of_a_long_text_a_row_and_words_that_stand_together(texts: Path, opened: Opened) -> None:
    with opened(texts) as page:
        for sought, hits in (
            ("So which town is it?", 1),
            ("which town", 2),
            ('"which town?"', 1),
            ("“which town”", 2),
            ('"town which"', 0),
            ("row-3", 1),
            ('town "which', 0),  # a mark that is not closed is a letter
        ):
            page.fill("#search", sought)
            page.wait_for_function("n => document.getElementById('count').textContent.startsWith(`${n} of`)", arg=hits)


def test_a_search_that_filters_leave_nothing_of_says_how_many_it_finds_without_them(some: Path, opened: Opened) -> None:
    with opened(some, "viewer.html#verdict=unsupported&stage=gate1&q=scene") as page:
        assert page.inner_text("#count").startswith("300 of 300")
    with opened(some, "viewer.html#stage=synthesize&q=gate2") as page:
        assert "without filters" not in page.inner_text("#transcript").lower()
    with opened(some, "viewer.html#stage=synthesize&label=by_floor&q=%22scene+1+%22") as page:
        page.wait_for_selector("#transcript:has-text('Without filters the search finds 10.')")
        page.click("#transcript button")
        page.wait_for_function("() => document.getElementById('count').textContent.startsWith('10 of')")


def test_the_head_of_the_list_says_of_how_many_questions_it_is(some: Path, opened: Opened) -> None:
    with opened(some, "viewer.html#stage=synthesize") as page:
        assert page.inner_text("#count") == "150 of 300 trajectories; these are of 30 questions"
        page.fill("#search", '"scene 7 "')
        page.wait_for_function("() => document.getElementById('count').textContent.endsWith('of 1 question')")


def test_numbers_of_a_facet_stand_in_their_order(some: Path) -> None:
    facets = {facet["name"]: facet["words"] for facet in value(some, "about")["facets"]}
    assert facets["turns"] == sorted(facets["turns"], key=int)
    assert len(facets["turns"]) > 2


@pytest.mark.parametrize("width", [1280, 1000, 390])
def test_the_count_of_a_facet_stays_in_one_line(some: Path, opened: Opened, width: int) -> None:
    with opened(some, width=width) as page:
        page.evaluate(
            """() => {
              for (const fold of document.querySelectorAll('.filters details')) fold.open = true;
              const words = document.querySelectorAll('.choice [dir]');
              for (const word of words) word.textContent = 'validate: answer_undecided';
              for (const count of document.querySelectorAll('.choice .n')) count.textContent = '1,234,567';
            }"""
        )
        high = page.locator(".choice:not([hidden]) .n").evaluate_all(
            "all => all.map((one) => one.getBoundingClientRect().height)"
        )
        assert high
        assert max(high) < 30
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_picture_is_drawn_no_smaller_than_it_was_seen_and_twice_only_where_that_shows_something(
    pictured: Path, opened: Opened
) -> None:
    with opened(pictured) as page:
        page.wait_for_function("() => [...document.querySelectorAll('.full img')].length === 5")
        pictures = page.locator(".picture")
        for number, ((width, height), (seen_width, seen_height)) in enumerate(SIZES.items()):
            picture = pictures.nth(number)
            picture.scroll_into_view_if_needed()
            page.wait_for_function("n => document.querySelectorAll('.full img')[n].naturalWidth > 0", arg=number)
            box = picture.locator(".full img").bounding_box()
            assert box["width"] >= min(width, seen_width) - 1
            assert box["height"] >= min(height, seen_height) - 1
            reduced = seen_width < 0.9 * width
            assert picture.locator("canvas").count() == reduced
            assert "smaller than the model saw it" not in picture.inner_text()
            if not reduced:
                exactly = (seen_width, seen_height) == (width, height)
                assert (
                    "seen at this size" if exactly else f"seen at {seen_width} × {seen_height}"
                ) in picture.inner_text()


def test_a_picture_that_is_not_there_says_why(pictured: Path, opened: Opened, tmp_path: Path) -> None:
    alone = written(tmp_path / "alone" / "report", many(1, 1))
    for name in ("data", "viewer.html"):
        source = pictured / name
        target = alone / name
        for file in source.rglob("*") if source.is_dir() else [source]:
            (target / file.relative_to(source) if source.is_dir() else target).write_bytes(file.read_bytes())
    with opened(alone) as page:
        page.wait_for_selector(".frame.missing")
        said = page.locator(".frame.missing").first.evaluate("one => getComputedStyle(one, '::after').content")
        assert "moved without --bundle" in said
