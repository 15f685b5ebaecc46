"""Every number of a report is the ledger's: each table is worked out again from the base tables, by loops."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from filters.gates.rules import GateSettings
from flows.ledger.snapshot import Shard, StageCost, build_ledger
from flows.report.queries import REPORTS
from flows.report.viewer.figures import FIGURES
from flows.report.viewer.write import write_report
from pipeline.identity import canonical_json
from pipeline.store.blobs import BlobStore
from tests.support.curated import DEPLOY_PIXELS, RECIPE, curated, write_corpus
from tests.support.recomputed import RECOMPUTED, Ledger, read_ledger
from tests.support.report_files import listed, transcripts, value
from tests.support.runs import facts, small_run

PRICES = [
    {"purpose": "gate", "model": "scripted/lynx-7b@1", "prompt": 0.5, "cached": 0.1, "completion": 2.0},
    {"purpose": "synthesis", "model": "scripted/otter-large@1", "prompt": 3.0, "cached": 0.3, "completion": 15.0},
]
NAMES = [*(report.name for report in (*REPORTS, *FIGURES)), "large_losses"]


@pytest.fixture(scope="module")
def curated_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = write_corpus(tmp_path_factory.mktemp("numbers") / "place")
    recipe = RECIPE | {"gate": RECIPE["gate"] | {"fresh_share": 1.0}}
    stages = list(curated(place, recipe, "run").values())
    costs = [StageCost(n, one.name, 1.25 + n, 2.5, 4, n, 96, 3, 12, 5) for n in range(2) for one in stages]
    told = facts(
        "cellars",
        environment=canonical_json({"prices": PRICES}),
        costs=costs,
        shards=[Shard("sft", "huggingface", 15, 123_456), Shard("rl", "verl", 3, 1)],
        gate=GateSettings(k=2, max_plain_right=1),
        deploy_pixels=DEPLOY_PIXELS,
    )
    build_ledger(place / "run", stages, told)
    return place / "run"


class Reported(NamedTuple):
    report: Path
    tables: Mapping[str, Any]
    ledger: Ledger


@pytest.fixture(scope="module", params=["curated", "by hand"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Reported:
    if request.param == "curated":
        found: Path = request.getfixturevalue("curated_run")
    else:
        found = small_run(tmp_path_factory.mktemp("numbers") / "small")
    write_report(found, found / "report", BlobStore(found.parent / "store" / "blobs"))
    tables = {table["name"]: table for table in value(found / "report", "tables")}
    return Reported(found / "report", tables, read_ledger(found))


ID = re.compile(r"\b[0-9a-f]{64}\b")


def test_a_bundle_holds_every_picture_that_any_page_names(curated_run: Path, tmp_path: Path) -> None:
    blobs, out = BlobStore(curated_run.parent / "store" / "blobs"), tmp_path / "bundle"
    made = write_report(curated_run, out, blobs, bundle=True)
    pages = [path for path in out.rglob("*") if path.suffix in {".html", ".js"}]
    named = {name for page in pages for name in ID.findall(page.read_text("utf-8")) if name in blobs}
    held = {path.name for path in (out / "pictures").rglob("*") if path.is_file()}
    assert named == held
    assert made.pictures == len(named) > 1
    # Of the page of duplicates, which is no script: each address leads to a file, and no picture is called by its hash.
    html = (out / "duplicates.html").read_text("utf-8")
    sources = re.findall(r'src="(pictures/[^"]+)"', html)
    assert sources
    assert [source for source in sources if not (out / source).is_file()] == []
    assert [name for name in re.findall(r'alt="([^"]*)"', html) if ID.search(name)] == []


def test_every_record_that_the_report_names_can_be_opened(made: Reported) -> None:
    ids = {row[name] for row in listed(made.report) for name in ("id", "question_id")}
    shas = {image["sha256"] for row in made.ledger["questions"] for image in row["images"]}
    named = {
        value
        for table in made.tables.values()
        for row in table["rows"]
        for value in row
        if isinstance(value, str) and ID.fullmatch(value) and value not in shas
    }
    html = (made.report / "duplicates.html").read_text("utf-8")
    named |= set(re.findall(r'href="viewer.html#([0-9a-f]{64})"', html))
    assert named
    assert {name for name in named if name[:16] not in ids} == set()


def test_what_was_stopped_before_a_model_was_asked_is_listed_as_often_as_its_reason_says(made: Reported) -> None:
    found = Counter(word for row in listed(made.report) if not row["words"]["arm"] for word in row["words"]["reason"])
    asked = {t["question_id"] for t in made.ledger["trajectories"]}
    stopped = [o for o in made.ledger["outcomes"] if o["outcome"] != "kept" and o["unit"] != "trajectory"]
    assert found == Counter(f"{o['stage']}: {o['reason']}" for o in stopped if o["question_id"] not in asked)


def test_a_dropped_repeat_stands_beside_what_was_kept(curated_run: Path, tmp_path: Path) -> None:
    write_report(curated_run, tmp_path / "report", BlobStore(curated_run.parent / "store" / "blobs"))
    groups = transcripts(tmp_path / "report")
    repeats = [row for row in read_ledger(curated_run)["duplicates"] if row["question_id"] != row["representative"]]
    assert repeats
    for row in repeats:
        asked = groups[f"group-{row['question_id'][:16]}"]
        assert asked["trajectories"] == []
        (beside,) = asked["question"]["beside"]
        assert (beside["id"], beside["verdict"]) == (row["representative"], "dropped: a repeat")
        assert beside["images"]
        assert asked["question"]["cause"]


def in_order(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=repr)


def test_every_table_of_the_report_is_recomputed() -> None:
    assert set(NAMES) == set(RECOMPUTED)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_holds_the_numbers_of_the_ledger(made: Reported, name: str) -> None:
    shown = in_order([tuple(row) for row in made.tables[name]["rows"]])
    if name == "selection_shift":
        shown = in_order([(*row[:-2], row[-1] and abs(row[-1])) for row in shown])
    expected = in_order(RECOMPUTED[name](made.ledger))
    assert len(shown) == len(expected)
    for row, other in zip(shown, expected, strict=True):
        # Sums of floats differ in their last digits by the order in which they are added; nothing is rounded.
        assert row == tuple(
            pytest.approx(one, rel=1e-12, abs=1e-15) if isinstance(one, float) else one for one in other
        )


def test_the_curated_run_has_something_to_tell_in_nearly_every_table(curated_run: Path) -> None:
    ledger = read_ledger(curated_run)
    empty = {name for name in NAMES if not RECOMPUTED[name](ledger)}
    assert empty <= {"rights", "personal_data", "without_answer", "guess_floor", "unjudged", "dropped_hits"}


def test_the_counts_above_the_tables_are_those_of_the_ledger(made: Reported) -> None:
    about, rollouts = value(made.report, "about"), made.ledger["trajectories"]
    assert about["rows"] == len(listed(made.report))
    assert about["rows"] - about["unasked"] == len(rollouts)
    assert about["questions"] == len({t["question_id"] for t in rollouts})
