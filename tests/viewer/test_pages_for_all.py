"""Report and viewer of a whole small run, wide and narrow, light and dark: for everyone, and without a request."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from flows.ledger.snapshot import Shard, StageCost, build_ledger
from flows.report.lookup import finished_stages
from flows.report.viewer.write import write_report
from flows.stages.order import STAGES
from pipeline.store.blobs import BlobStore
from tests.support.curated import RECIPE, curated, write_corpus
from tests.support.report_files import value
from tests.support.runs import facts

Opened = Callable[..., AbstractContextManager[Any]]
LOOKS = [*product(("index.html", "viewer.html", "duplicates.html"), (1280, 390), ("light", "dark"))]


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = write_corpus(tmp_path_factory.mktemp("whole") / "place")
    recipe = RECIPE | {"gate": RECIPE["gate"] | {"fresh_share": 1.0}}
    stages = list(curated(place, recipe, "run").values())
    costs = [StageCost(0, one.name, 1.25, 2.5, 4, 0, 96, 3, 12, 5) for one in stages]
    shards = [Shard("sft", "huggingface", 15, 123_456), Shard("rl", "verl", 3, 1_000)]
    build_ledger(place / "run", stages, facts("cellars", costs=costs, shards=shards))
    write_report(place / "run", place / "run" / "report", BlobStore(place / "store" / "blobs"))
    return place / "run" / "report"


@pytest.fixture(scope="module")
def stopped(report: Path) -> Path:
    """Of the same run, as if it had ended before the gates."""
    run, order = report.parent, [*STAGES]
    done = [one for one in finished_stages(run).values() if order.index(one.name) < order.index("gate1")]
    build_ledger(run, done, facts("cellars"))
    blobs = BlobStore(run.parent / "store" / "blobs")
    write_report(run, run.parent / "stopped", blobs, stages=order)
    return run.parent / "stopped"


@pytest.mark.parametrize("look", LOOKS)
def test_no_serious_fault_of_accessibility(report: Path, opened: Opened, axe: str, look: tuple[str, int, str]) -> None:
    name, width, theme = look
    with opened(report, name, width=width, theme=theme) as page:
        if name == "viewer.html":
            page.wait_for_selector(".turn")
            page.evaluate("for (const fold of document.querySelectorAll('details')) fold.open = true;")
        page.evaluate(axe)
        told = page.evaluate("axe.run(document, { resultTypes: ['violations'], preload: false })")
        faults = [(one["id"], one["impact"], one["nodes"][0]["html"][:200]) for one in told["violations"]]
        assert [fault for fault in faults if fault[1] in {"serious", "critical"}] == []
        assert told["testEngine"]["name"] == "axe-core"


@pytest.mark.parametrize("look", LOOKS)
def test_a_page_is_no_wider_than_its_window(report: Path, opened: Opened, look: tuple[str, int, str]) -> None:
    name, width, theme = look
    with opened(report, name, width=width, theme=theme) as page:
        wide = page.evaluate(
            """() => [...document.querySelectorAll("body *")]
              .filter((one) => !one.parentElement.closest(".scroll, pre"))
              .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
              .map((one) => one.outerHTML.slice(0, 200))"""
        )
        assert wide == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_every_table_with_rows_is_on_the_page_with_all_its_rows(report: Path, opened: Opened) -> None:
    tables = [table for table in value(report, "tables") if table["rows"] and table["name"] != "samples"]
    with opened(report, "index.html") as page:
        for table in tables:
            found = page.locator("table", has=page.locator("caption", has_text=table["title"])).first
            assert found.locator("tbody tr").count() == len(table["rows"]), table["name"]
        (samples,) = (table for table in value(report, "tables") if table["name"] == "samples")
        assert page.locator(".sample").count() == len(samples["rows"])
        assert page.locator("figure canvas").count() >= 8


def test_every_table_stands_once_in_a_section_of_its_own(report: Path, opened: Opened) -> None:
    with opened(report, "index.html") as page:
        titles = page.locator("caption").all_inner_texts()
        assert len(titles) == len(set(titles)) > 20
        assert page.locator("#more").count() == 0
        assert page.locator("#exports caption").all_inner_texts() == ["Exports"]


@pytest.mark.parametrize("width", [1280, 390])
def test_the_title_of_a_table_is_whole_in_its_window(report: Path, opened: Opened, width: int) -> None:
    with opened(report, "index.html", width=width) as page:
        wide = page.locator("caption > span").evaluate_all(
            """all => all.filter((one) => {
              const frame = one.closest(".scroll").getBoundingClientRect();
              const own = one.getBoundingClientRect();
              return own.left < frame.left - 1 || own.right > frame.right + 1 || one.scrollWidth > one.clientWidth + 1;
            }).map((one) => one.textContent)"""
        )
        assert wide == []


@pytest.mark.parametrize("width", [1280, 390])
def test_the_numbers_of_a_chart_are_drawn_whole(report: Path, opened: Opened, width: int) -> None:
    with opened(report, "index.html", width=width) as page:
        drawn = page.evaluate(
            """async () => {
              const written = [];
              const own = CanvasRenderingContext2D.prototype.fillText;
              CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
                const wide = this.measureText(text).width;
                const left = x - wide * ({ right: 1, end: 1, center: 0.5 }[this.textAlign] ?? 0);
                const { a, e } = this.getTransform();
                written.push([text, a * left + e, a * (left + wide) + e - this.canvas.width]);
                own.call(this, text, x, y);
              };
              const section = document.getElementById("gates");
              section.append(
                cf.bars("all", ["0", "8"], [100, 0], { x: "right", top: 100, unit: " %" }),
                cf.bars("many", ["0", "1"], [9_400_000, 0], { x: "tokens" }),
              );
              document.dispatchEvent(new Event("theme"));
              await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
              return written;
            }"""
        )
        assert {"100 %", "5,000,000"} <= {text for text, *_ in drawn}
        assert [one for one in drawn if one[1] < 0 or one[2] > 0] == []


@pytest.mark.parametrize("width", [1280, 390])
def test_a_run_that_stopped_says_where_and_shows_no_empty_section(
    stopped: Path, opened: Opened, axe: str, width: int
) -> None:
    with opened(stopped, "index.html", width=width) as page:
        assert page.inner_text("#ahead").startswith(
            "This run ended before gate1, and nothing came to gate2, synthesize"
        )
        titles = page.locator("main h2").all_inner_texts()
        assert "Funnel" in titles
        for section in page.locator("main > section").all():
            assert section.locator("table, figure, article, dl").count() > 0
        for name in ("Gates", "Rollouts", "Tools", "Tokens", "Teachers", "Samples", "Exports"):
            assert name not in titles
            assert name in page.inner_text("p:has-text('Left out')")
        page.evaluate(axe)
        violations = page.evaluate("axe.run(document, { resultTypes: ['violations'], preload: false })")["violations"]
        assert [one["id"] for one in violations if one["impact"] in {"serious", "critical"}] == []


def test_a_sample_leads_to_its_transcript(report: Path, opened: Opened) -> None:
    with opened(report, "index.html") as page:
        link = page.locator(".sample a").first
        identity = str(link.get_attribute("href")).partition("#")[2]
        link.click()
        page.wait_for_selector(".turn")
        assert str(page.get_attribute(".badges a", "href")) == f"#{identity}"
        # The pictures of the question are those of the store.
        page.wait_for_function(
            """() => [...document.querySelectorAll("#transcript img")]
              .every((image) => !image.complete || image.naturalWidth > 0)"""
        )


def test_a_number_of_the_report_leads_to_its_records(report: Path, opened: Opened) -> None:
    (reasons,) = (table for table in value(report, "tables") if table["name"] == "reasons")
    with opened(report, "index.html") as page:
        links = page.locator("table", has=page.locator("caption", has_text=reasons["title"])).locator("td.number a")
        assert links.count() == len(reasons["rows"])
        addresses = [str(links.nth(n).get_attribute("href")) for n in range(links.count())]
    for row, address in zip(reasons["rows"], addresses, strict=True):
        stage, unit, _, reason, n, _ = row
        with opened(report, address) as page:
            shown = page.inner_text("#count").split(" of ")[0]
            assert int(shown) == n if unit == "trajectory" or stage in {"ingest", "screen", "dedup"} else int(shown) > 0
            page.wait_for_selector(".badges")
            assert f"{stage}: " in page.inner_text(".row[aria-selected=true]"), reason


def test_charts_of_the_gates_say_how_many_and_have_one_scale(report: Path, opened: Opened) -> None:
    (found,) = (table for table in value(report, "tables") if table["name"] == "gates")
    with opened(report, "index.html") as page:
        captions = page.locator("#gates figcaption").all_inner_texts()
        places = [found["columns"].index(name) for name in ("gate1", "placebo", "gate2")]
        sums = [sum(row[place] for row in found["rows"]) for place in places]
        assert [caption.partition("n = ")[2] for caption in captions] == [f"{n} questions" for n in sums if n]
        assert "scripted/lynx-7b" in page.inner_text("main")


def test_the_theme_can_be_chosen_and_is_kept(report: Path, opened: Opened) -> None:
    with opened(report, "index.html") as page:
        colour = "getComputedStyle(document.body).backgroundColor"
        light = page.evaluate(colour)
        page.click("#theme")
        assert page.evaluate(colour) == light
        page.click("#theme")
        assert page.evaluate(colour) != light
        page.reload()
        page.wait_for_selector("html[data-ready]")
        assert page.inner_text("#theme") == "Theme: dark"
        assert page.evaluate(colour) != light


def test_nothing_on_a_page_can_become_markup(report: Path, browser: Any) -> None:
    # The browser itself refuses it, whatever a later change of the pages does.
    for name in ("index.html", "viewer.html", "duplicates.html"):
        page = browser.new_page()
        page.goto(f"{report.as_uri()}/{name}")
        for act in (
            "document.body.innerHTML = '<b>x</b>'",
            "document.createElement('script').src = 'data/about.js'",
            "document.body.insertAdjacentHTML('beforeend', 'x')",
        ):
            assert (
                page.evaluate(f"() => {{ try {{ {act}; return 'done'; }} catch (error) {{ return error.name; }} }}")
                == "TypeError"
            )
        said = page.evaluate("() => fetch('data/about.js').then(() => 'done', () => 'refused')")
        assert said == "refused"
        page.close()
