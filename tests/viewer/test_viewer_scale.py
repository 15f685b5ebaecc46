"""A hundred thousand trajectories: what is loaded, and how long a person waits. What is measured is printed (-s)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.support.many_rollouts import many, written

Opened = Callable[..., AbstractContextManager[Any]]
QUESTIONS, ROLLOUTS = 2_500, 40
N = QUESTIONS * ROLLOUTS

FIRST_VIEW, FILTER, SEARCH = 3_000, 250, 500
"""Milliseconds: bounds that a busy machine keeps. `docs/design/019-report.md` quotes what was measured."""

_TIMED = """(act) => new Promise((resolve) => {
  const start = performance.now();
  const seen = new MutationObserver(() => { seen.disconnect(); resolve(performance.now() - start); });
  seen.observe(document.getElementById("count"), { childList: true, characterData: true, subtree: true });
  if (act === "clear") document.getElementById("clear").click();
  else if (act.startsWith("search ")) {
    const box = document.getElementById("search");
    box.value = act.slice(7);
    box.dispatchEvent(new Event("input"));
  } else [...document.querySelectorAll("label.choice")].find((line) => line.textContent.includes(act)).click();
})"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("large") / "report", many(QUESTIONS, ROLLOUTS))


def test_a_hundred_thousand_are_listed_filtered_and_searched_without_waiting(
    large: Path, opened: Opened, browser: Any
) -> None:
    page = browser.new_page()
    page.goto(f"{large.as_uri()}/viewer.html")
    first = page.wait_for_function("() => document.querySelector('.turn') && performance.now()").json_value()
    page.close()
    with opened(large) as page:
        ready = page.evaluate("performance.now()")
        page.evaluate(_TIMED, "clear")
        assert page.inner_text("#count") == f"{N:,} of {N:,} trajectories; these are of {QUESTIONS:,} questions"
        chosen = page.evaluate(_TIMED, "wrong")
        more = page.evaluate(_TIMED, "python")
        # The search waits 120 ms for a next letter.
        found = page.evaluate(_TIMED, "search scene 17 not_used") - 120
        heap = page.evaluate("performance.memory.usedJSHeapSize")
    index = sum(path.stat().st_size for path in (large / "data").glob("index-*.js"))
    whole = sum(path.stat().st_size for path in large.rglob("*") if path.is_file())
    pages = whole - sum(path.stat().st_size for path in (large / "data").iterdir())
    print(  # noqa: T201 - the target quotes what it measured
        f"\n{N:,} trajectories: pages {pages / 1e3:.0f} kB, index {index / 1e6:.1f} MB, folder {whole / 1e6:.0f} MB; "
        f"first transcript after {first:.0f} ms, all listed after {ready:.0f} ms; "
        f"filter {chosen:.0f} and {more:.0f} ms, search {found:.0f} ms; heap {heap / 1e6:.0f} MB"
    )
    assert first < FIRST_VIEW
    assert max(chosen, more) < FILTER
    assert found < SEARCH


def test_any_place_of_a_long_list_is_there_at_once(large: Path, opened: Opened) -> None:
    with opened(large) as page:
        page.click("#clear")
        for part in (0.999, 0.5, 0.123, 1):
            page.evaluate(
                "part => { const list = document.getElementById('list'); list.scrollTop = part * list.scrollHeight; }",
                part,
            )
            page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
            inside = page.evaluate(
                """() => { const list = document.getElementById("list").getBoundingClientRect();
                return [0.1, 0.5, 0.9].every((part) =>
                  document.elementFromPoint(list.left + 30, list.top + part * list.height).closest(".row")); }"""
            )
            assert inside
            assert page.locator(".row").count() < 60
        page.focus("#list")
        page.keyboard.press("End")
        assert page.locator(f"#row-{N - 1}").get_attribute("aria-posinset") == str(N)


def test_stepping_with_a_held_key_keeps_up(large: Path, opened: Opened) -> None:
    with opened(large) as page:
        page.click("#clear")
        page.focus("#list")
        page.keyboard.press("Home")
        for _ in range(200):
            page.keyboard.press("j")
        page.wait_for_function("() => document.querySelector('[aria-selected=true]')?.id === 'row-200'")
