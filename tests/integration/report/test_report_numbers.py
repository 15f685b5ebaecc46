"""Every number of a report is the ledger's: each table is worked out again from the base tables, by loops."""

from __future__ import annotations

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
from tests.support.report_files import listed, value
from tests.support.runs import facts, small_run

PRICES = [
    {"purpose": "gate", "model": "scripted/lynx-7b@1", "prompt": 0.5, "cached": 0.1, "completion": 2.0},
    {"purpose": "synthesis", "model": "scripted/otter-large@1", "prompt": 3.0, "cached": 0.3, "completion": 15.0},
]
NAMES = [report.name for report in (*REPORTS, *FIGURES)]


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


def in_order(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return sorted(rows, key=repr)


def test_every_table_of_the_report_is_recomputed() -> None:
    assert set(NAMES) == set(RECOMPUTED)


@pytest.mark.parametrize("name", NAMES)
def test_a_table_holds_the_numbers_of_the_ledger(made: Reported, name: str) -> None:
    shown = in_order([tuple(row) for row in made.tables[name]["rows"]])
    if name == "selection_shift":
        shown = in_order([(*row[:-1], abs(float(row[-1].split()[-2]))) for row in shown])
    expected = in_order(RECOMPUTED[name](made.ledger))
    assert len(shown) == len(expected)
    for row, other in zip(shown, expected, strict=True):
        # Halves are rounded to one side by DuckDB and to the even one by Python.
        assert row == tuple(pytest.approx(one, abs=1.01e-4) if isinstance(one, float) else one for one in other)


def test_the_curated_run_has_something_to_tell_in_nearly_every_table(curated_run: Path) -> None:
    ledger = read_ledger(curated_run)
    empty = {name for name in NAMES if not RECOMPUTED[name](ledger)}
    assert empty <= {"rights", "personal_data", "without_answer", "guess_floor", "unjudged", "dropped_hits"}


def test_the_counts_above_the_tables_are_those_of_the_ledger(made: Reported) -> None:
    about, rollouts = value(made.report, "about"), made.ledger["trajectories"]
    assert about["rows"] == len(listed(made.report)) == len(rollouts)
    assert about["questions"] == len({t["question_id"] for t in rollouts})
