"""The viewer as a person uses it, opened from disk: mouse, keys, addresses, pictures, and what others wrote."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from flows.report.viewer.groups import Beside, Group
from pipeline.records import ImageRef
from pipeline.store.blobs import BlobStore
from tests.support.builders import question
from tests.support.many_rollouts import HOSTILE, HUGE, hostile, looking, many, outcome, written
from tests.support.report_files import listed

Opened = Callable[..., AbstractContextManager[Any]]


@pytest.fixture(scope="module")
def some(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("some") / "report", many(60, 10))


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("evil") / "report", hostile())


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pictured")
    refs = []
    for width, height in ((1000, 700), (200, 200)):
        Image.effect_noise((width, height), 90).save(place / "a.png")
        content = (place / "a.png").read_bytes()
        sha256 = BlobStore(place / "blobs").put(content)
        refs.append(ImageRef(sha256=sha256, mime="image/png", width=width, height=height, nbytes=len(content)))
    return written(place / "report", iter([looking(*refs)]), "../blobs")


def count(page: Any) -> int:
    return int(re.sub(r"\D", "", page.inner_text("#count").split(" of ")[0]))


def shown(page: Any) -> str:
    """Return the id of the trajectory whose transcript is shown, once it is."""
    page.wait_for_function(
        "() => location.hash.includes((document.querySelector('.badges a')?.getAttribute('href') ?? '#-').slice(1, 17))"
    )
    return str(page.get_attribute(".badges a", "href"))[1:17]


def choose(page: Any, facet: str, word: str) -> None:
    fold = page.locator("#facets details", has=page.locator("summary", has_text=facet)).first
    fold.evaluate("fold => { fold.open = true; }")
    fold.locator("label.choice", has_text=word).first.click()


def test_a_person_filters_searches_and_starts_again(some: Path, opened: Opened) -> None:
    rows = listed(some)
    with opened(some) as page:
        taught = [row for row in rows if row["words"]["stage"] == {"synthesize"}]
        assert count(page) == len(taught)
        choose(page, "Verdict", "wrong")
        wrong = [row for row in taught if row["words"]["verdict"] == {"wrong"}]
        assert count(page) == len(wrong)
        choose(page, "Category", "search")
        assert count(page) == sum(row["words"]["category"] == {"search"} for row in wrong)
        page.click("#clear")
        assert count(page) == len(rows)
        choose(page, "Tool called", "python")
        assert count(page) == sum("python" in row["words"]["tool"] for row in rows)
        page.click("#clear")
        page.fill("#search", "SCENE 17 ")
        # Each word counts, wherever it stands.
        named = [f"{row['question_text']} {row['question_gold']} {row['answer']}".lower() for row in rows]
        both = sum("17" in text or row["id"].startswith("17") for text, row in zip(named, rows, strict=True))
        page.wait_for_function(f"() => document.getElementById('count').textContent.startsWith('{both} of')")
        assert 10 <= both < len(rows)
        page.fill("#search", "not_used")
        wanted = sum("not_used" in "".join(row["words"]["reason"]) for row in rows)
        page.wait_for_function(f"() => document.getElementById('count').textContent.startsWith('{wanted} of')")
        page.fill("#search", "no such words anywhere")
        page.wait_for_function("() => document.getElementById('count').textContent.startsWith('0 of')")
        assert page.locator(".row").count() == 0


def test_a_word_of_a_facet_tells_how_many_it_would_show(some: Path, opened: Opened) -> None:
    rows = listed(some)
    with opened(some) as page:
        page.click("#clear")
        choose(page, "Verdict", "right")
        line = page.locator("label.choice", has_text="gate2").first
        expected = sum(row["words"]["verdict"] == {"right"} and row["words"]["stage"] == {"gate2"} for row in rows)
        assert line.locator(".n").inner_text() == str(expected)
        # Of its own facet: what choosing it beside the other would add.
        wrong = page.locator("label.choice", has_text="wrong").first
        assert int(wrong.locator(".n").inner_text()) == sum(row["words"]["verdict"] == {"wrong"} for row in rows)


def test_keys_step_through_the_list(some: Path, opened: Opened) -> None:
    with opened(some) as page:
        page.click("#clear")
        page.focus("#list")
        first = shown(page)
        page.keyboard.press("Home")
        ids = [row["id"] for row in listed(some)]
        assert shown(page) == ids[0]
        for key, expected in (
            ("j", 1),
            ("ArrowRight", 2),
            ("ArrowDown", 3),
            ("k", 2),
            ("ArrowLeft", 1),
            ("ArrowUp", 0),
        ):
            page.keyboard.press(key)
            assert shown(page) == ids[expected], key
        page.keyboard.press("k")
        assert shown(page) == ids[0]
        page.keyboard.press("J")
        assert shown(page) == ids[10]
        page.keyboard.press("j")
        page.keyboard.press("K")
        assert shown(page) in {ids[0], ids[10]}
        page.keyboard.press("End")
        assert shown(page) == ids[-1]
        # What the list says is chosen is there, and in sight.
        active = page.get_attribute("#list", "aria-activedescendant")
        assert page.get_attribute(f"#{active}", "aria-selected") == "true"
        assert page.get_attribute(f"#{active}", "aria-posinset") == page.get_attribute(f"#{active}", "aria-setsize")
        assert page.locator(f"#{active}").is_visible()
        assert first in ids


def test_keys_for_help_search_and_thoughts(some: Path, opened: Opened) -> None:
    with opened(some) as page:
        page.keyboard.press("?")
        assert page.locator("#help").is_visible()
        page.keyboard.press("Escape")
        assert not page.locator("#help").is_visible()
        page.keyboard.press("/")
        page.keyboard.type("jk?t")
        assert page.input_value("#search") == "jk?t"
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.id") == "list"
        page.click("#clear")
        page.locator(".row").first.click()
        shown(page)
        assert page.locator(".thought[open]").count() == 0
        page.keyboard.press("t")
        assert page.locator(".thought[open]").count() == page.locator(".thought").count() > 0


def test_an_address_leads_to_a_trajectory_a_question_or_a_filter(some: Path, opened: Opened) -> None:
    rows = listed(some)
    row = rows[123]
    for link in (row["id"], row["id"][:8], f"t={row['id']}&verdict=right&verdict=wrong&q=scene"):
        with opened(some, f"viewer.html#{link}") as page:
            assert shown(page) == row["id"]
    with opened(some, f"viewer.html#{row['question_id']}") as page:
        assert shown(page) == next(one["id"] for one in rows if one["question"] == row["question"])
    with opened(some, "viewer.html#verdict=right&q=scene") as page:
        assert count(page) == sum(one["words"]["verdict"] == {"right"} for one in rows)
        address = page.evaluate("location.href")
    with opened(some, "viewer.html#" + address.partition("#")[2]) as page:
        assert page.evaluate("location.href") == address
    with opened(some, "viewer.html#" + "0" * 64) as page:
        assert "has the id 0000" in page.inner_text("#transcript")


def test_enter_opens_the_first_hit_and_escape_clears_the_search(some: Path, opened: Opened) -> None:
    rows = listed(some)
    hits = [row["id"] for row in rows if "scene 17 " in row["question_text"]]
    with opened(some) as page:
        page.click("#clear")
        page.fill("#search", "scene 17 green")
        page.keyboard.press("Enter")
        assert count(page) < len(rows)
        assert shown(page) == page.evaluate("location.hash").partition("t=")[2][:16]
        assert page.get_attribute(".row[aria-selected=true]", "aria-posinset") == "1"
        page.keyboard.press("j")
        assert "q=scene+17+green" in page.evaluate("location.hash")
        page.keyboard.press("/")
        page.keyboard.press("Escape")
        assert page.input_value("#search") == ""
        assert count(page) == len(rows)
        assert "q=" not in page.evaluate("location.hash")
        assert hits


def test_what_is_shown_is_of_the_list_or_says_that_it_is_not(some: Path, opened: Opened) -> None:
    rows = listed(some)
    taught = [row for row in rows if row["words"]["stage"] == {"synthesize"}]
    wrong = [row for row in taught if row["words"]["verdict"] == {"wrong"}]
    with opened(some) as page:
        choose(page, "Verdict", "wrong")
        assert shown(page) == wrong[0]["id"]
        assert not page.locator("#outside").is_visible()
        outside = next(row for row in rows if row["words"]["verdict"] == {"right"} and row["question"] == 30)
        page.evaluate("id => { location.hash = id; }", outside["id"])
        page.wait_for_function("id => location.hash.includes(id)", arg=f"t={outside['id']}")
        assert shown(page) == outside["id"]
        assert page.locator("#outside").is_visible()
        place = rows.index(outside)
        page.keyboard.press("j")
        assert shown(page) == next(row["id"] for row in wrong if rows.index(row) > place)
        assert not page.locator("#outside").is_visible()
        page.fill("#search", "no such words anywhere")
        page.wait_for_selector("#transcript:has-text('Nothing passes')")
        assert not page.locator("#marking").is_visible()


def test_the_last_question_has_no_next(some: Path, opened: Opened) -> None:
    last = next(row for row in listed(some) if row["question"] == 59)
    with opened(some, f"viewer.html#t={last['id']}") as page:
        for _ in range(2):
            page.keyboard.press("J")
            assert shown(page) == last["id"]


def test_nothing_is_learnt_of_what_is_in_no_export(some: Path, opened: Opened) -> None:
    rows = listed(some)
    for stage, reason in (("gate2", set()), ("synthesize", {"validate: loop"})):
        row = next(row for row in rows if row["words"]["stage"] == {stage} and row["words"]["reason"] == reason)
        with opened(some, f"viewer.html#{row['id']}") as page:
            page.wait_for_selector(".turn")
            assert page.inner_text(".mask") == "In no export: nothing is learnt of it."
            assert page.locator(".turn", has_text="loss:").count() == 0


def test_a_question_that_was_stopped_has_a_page_with_what_it_was_dropped_for(tmp_path: Path, opened: Opened) -> None:
    asked, kept = question("Which town is it?"), question("Which town is this?")
    told = {name: getattr(kept, name) for name in ("source", "text", "answers", "choices")}
    beside = Beside("dropped: a repeat", (2, 1), {"question_id": kept.id, **told, "images": []})
    stopped = Group(asked, frozenset(), [outcome("dedup", asked, "duplicate")], [], beside=[beside])
    report = written(tmp_path / "report", iter([*many(3, 2), stopped]))
    with opened(report, f"viewer.html#{asked.id}") as page:
        page.wait_for_selector(".beside")
        said = page.inner_text("#transcript")
        assert "Which town is it?" in said
        assert "Which town is this?" in said
        assert "No model was asked: it stopped before. The same question over the same picture came before" in said
        assert "2 bits of phash" in said
        assert not page.locator("#marking").is_visible()
    with opened(report, "viewer.html#reason=dedup%3A+duplicate") as page:
        assert count(page) == 1
    with opened(report, "viewer.html#" + "0" * 64) as page:
        assert page.locator(".row").count() == 0
        page.click("#transcript button")
        assert count(page) == 7


def test_no_more_is_seen_of_a_picture_than_the_model_saw_however_fine_the_display(
    pictured: Path, opened: Opened
) -> None:
    with opened(pictured, scale=2) as page:
        canvas = page.locator(".picture .seen canvas").first
        canvas.scroll_into_view_if_needed()
        page.wait_for_function("() => document.querySelector('.full img').complete")
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        drawn = np.asarray(Image.open(BytesIO(canvas.screenshot())).convert("L")).astype(int)
    assert drawn.shape[1] == 560
    # Away from the boxes, which are drawn sharp: dots of two by two, wherever they begin on the display's grid.
    part = drawn[200:380, 200:540]
    assert part.std() > 5

    def rough_at(y: int, x: int) -> int:
        dots = part[y : y + 160, x : x + 300].reshape(80, 2, 150, 2)
        return int((dots.max(axis=(1, 3)) - dots.min(axis=(1, 3))).max())

    rough = min(rough_at(y, x) for y in (0, 1) for x in (0, 1))
    assert rough <= 2


def test_other_rollouts_of_the_question_are_a_click_away(some: Path, opened: Opened) -> None:
    with opened(some) as page:
        before = shown(page)
        links = page.locator("table a")
        assert links.count() == 9
        target = str(links.last.get_attribute("href"))[1:17]
        links.last.click()
        page.wait_for_function(f"() => location.hash.includes('{target}')")
        assert shown(page) == target != before


def test_nothing_that_is_missing_is_written_as_a_word(some: Path, opened: Opened) -> None:
    with opened(some) as page:
        page.click("#clear")
        for _ in range(12):
            page.keyboard.press("j")
            shown(page)
            text = page.inner_text("#transcript")
            assert not {"null", "undefined", "NaN", "[object Object]"} & set(text.split())


def test_a_skip_link_leads_to_its_place_and_changes_nothing(some: Path, opened: Opened) -> None:
    with opened(some) as page:
        address = page.evaluate("location.href")
        for place in ("list", "transcript"):
            link = page.locator(f".skip[href='#{place}']")
            link.focus()
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.id") == place
        assert page.evaluate("location.href") == address


def test_pictures_are_shown_at_full_size_and_as_seen_with_the_boxes_that_were_cut(
    pictured: Path, opened: Opened
) -> None:
    with opened(pictured) as page:
        page.wait_for_selector(".seen canvas")
        size = "image => [image.getBoundingClientRect().width, image.getBoundingClientRect().height]"
        seen = page.locator(".picture .seen canvas").first
        assert seen.evaluate(size) == [280, 196]
        full = page.locator(".picture .full img").first
        assert full.evaluate("image => [image.naturalWidth, image.naturalHeight]") == [1000, 700]
        assert full.evaluate(size)[0] < 1000
        page.focus("#list")
        assert re.search(r"drawn at \d+ %.*; z: pixel for pixel", page.inner_text(".full figcaption"))
        page.keyboard.press("z")
        assert full.evaluate(size) == [1000, 700]
        page.wait_for_selector(".full figcaption:has-text('(pixel for pixel)')")
        boxes = page.locator(".picture .full svg").first.locator("rect.edge")
        read = "box => ['x', 'y', 'width', 'height'].map((name) => Number(box.getAttribute(name)))"
        assert [boxes.nth(n).evaluate(read) for n in range(boxes.count())] == [[100, 50, 200, 200], [110, 70, 50, 50]]
        assert page.locator(".cut").count() == 2
        # Loss, and how a turn ended, in words.
        assert "loss: masked" in page.inner_text("#turn-2")
        assert "timeout" in page.inner_text("#turn-2")
        assert "2 of 3 turns learnt" in page.inner_text(".mask")
        assert page.inner_text(".stdout pre") == "(200, 200)"
        assert page.locator(".token.number").count() > 0


@pytest.mark.parametrize("width", [1280, 390])
def test_what_others_wrote_is_shown_and_never_obeyed(evil: Path, opened: Opened, width: int) -> None:
    with opened(evil, width=width) as page:
        page.click("#clear") if width > 900 else None
        for number, text in enumerate((*HOSTILE, HUGE)):
            page.evaluate("id => { location.hash = id; }", listed(evil)[number]["id"])
            shown(page)
            page.wait_for_function("n => document.querySelectorAll('.turn').length === n", arg=4)
            assert page.text_content(".asked") == text
            assert page.text_content(".said strong") in {text, page.text_content(".asked")}
            assert page.evaluate("window.hacked") is None
            # No element but ours: what looks like markup is text.
            assert page.locator("#transcript script, #transcript svg[onload], #transcript [onerror]").count() == 0
            wide = page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert wide, f"text {number} is wider than the window"
        sources = page.locator("#transcript img").evaluate_all("all => all.map((image) => image.getAttribute('src'))")
        assert set(sources) == {""}
        # A long text is cut until it is asked for.
        assert len(page.text_content(".stdout pre")) == 20_000
        page.locator(".stdout button").first.click()
        assert len(page.text_content(".stdout pre")) == len(HUGE)


def test_a_damaged_folder_says_what_is_wrong(tmp_path: Path, opened: Opened, browser: Any) -> None:
    report = written(tmp_path / "report", many(3, 2))
    (report / "data" / "transcripts-0.js").unlink()
    with opened(report) as page:
        page.wait_for_selector("#transcript .bad")
        assert "data/transcripts-0.js is missing" in page.inner_text("#transcript")
    (report / "data" / "about.js").unlink()
    page = browser.new_page()
    page.goto(f"{report.as_uri()}/viewer.html")
    page.wait_for_function("() => document.getElementById('count').textContent.includes('about.js is missing')")
    page.close()


def test_a_run_without_rollouts_says_so(tmp_path: Path, opened: Opened) -> None:
    with opened(written(tmp_path / "report", iter(()))) as page:
        assert page.inner_text("#count") == "This run has no trajectories yet."
