"""Manifests that ship, over fixtures of the schemas they name, end to end with the embedded reader as every model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from typer.testing import CliRunner

from flows.cli.main import make_app
from flows.recipe.inputs import make_job
from flows.recipe.recipe import DemoSize
from flows.report.tables import query_table
from flows.run.curate import open_run, run_groups
from flows.run.progress import SilentProgress
from flows.runners.local import local
from flows.stages.order import GROUPS
from pipeline.demo.corpus.build import generate_demo
from tests.support.published import WRITERS

READER = {"backend": "reader", "policy": "naive"}
RECIPE: dict[str, Any] = {
    "name": "published",
    "sources": [{"source": f"{name}.yaml"} for name in WRITERS],
    "student": {"family": "qwen2_5_vl", "revision": "r1", "max_pixels": 262_144},
    "models": {"base": READER, "teachers": [{"backend": "reader", "policy": "careful"}]},
    "gate": {"k": 2, "max_plain_right": 1},
    "synthesize": {"attempts": 2},
    "export": {"withheld_images": "keep"},
    "runtime": {"workers": 1},
}
SHEET = "chart-001"
ASKED = {"chartqa": ["magenta-green", "brown-orange"], "textvqa": ["red-orange"], "fvqa": ["red-orange"]}
"""Questions of the demo about one of its sheets, which its reader knows, under the columns of others."""
LOST: Mapping[str, Mapping[tuple[str, str, str], int]] = {
    "chartqa": {
        ("ingest", "quarantined", "image_format"): 1,  # a web page in place of a picture
        ("ingest", "quarantined", "row_field"): 1,  # no answer
        ("ingest", "rejected", "duplicate_row"): 1,
    },
    "textvqa": {("ingest", "quarantined", "row_void"): 2},  # most people saw nothing to read
    "fvqa": {
        ("ingest", "quarantined", "row_column"): 1,  # spellings that are no JSON
        ("dedup", "rejected", "duplicate"): 1,  # stands in textvqa, too: data sets are made of others
    },
    "geometry3k": {
        ("ingest", "quarantined", "image_marks"): 1,  # two marks, one picture
        ("ingest", "quarantined", "row_field"): 1,
    },
    "thinklite_hard": {
        ("ingest", "quarantined", "row_field"): 1,  # nothing but a mark
        ("screen", "rejected", "image_too_small"): 1,  # below a patch of the student
    },
}


class Published(NamedTuple):
    place: Path
    checked: Mapping[str, Mapping[str, Any]]
    """What `sources check` told of each source."""

    @property
    def run(self) -> Path:
        return self.place / "run"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, prepared: Callable[[Path], Path]) -> Published:
    place = tmp_path_factory.mktemp("published")
    store = prepared(place / "store")
    # As large as every run of the demo has it, so that it is drawn once for all tests.
    demo = generate_demo(store / "sources", **DemoSize().model_dump())
    rows = {row["row"]: row for row in map(json.loads, (demo / "rows.jsonl").read_text().splitlines())}
    checked = {}
    for name, write in WRITERS.items():
        asked = [rows[f"{SHEET}/{key}"] for key in ASKED.get(name, ())]
        write(place / "data" / name, (demo / "images" / f"{SHEET}.png").read_bytes(), asked)
        manifest, data = str(place / f"{name}.yaml"), str(place / "data" / name)
        words = [
            "sources",
            "check",
            name,
            "--data",
            data,
            "--write",
            manifest,
            "--store",
            str(place / "looked"),
            "--json",
        ]
        said = CliRunner().invoke(make_app(), words)
        assert said.exit_code == 0, said.output
        checked[name] = json.loads(said.stdout)
    (place / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    job = make_job(place / "recipe.yaml", out=place / "run", store=store)
    with open_run(job, SilentProgress(), local) as opened:
        run_groups(opened, tuple(GROUPS))
    return Published(place, checked)


@pytest.mark.parametrize("name", WRITERS)
def test_every_row_of_a_published_schema_has_the_fate_it_must_have(published: Published, name: str) -> None:
    found = query_table(
        published.run,
        "SELECT source, stage, outcome, reason, count(*) FROM outcomes WHERE outcome != 'kept' "
        "AND stage IN ('ingest', 'screen', 'dedup', 'decontaminate') GROUP BY ALL",
    ).rows
    assert {(stage, outcome, why): n for source, stage, outcome, why, n in found if source == name} == LOST[name]


def test_a_check_without_a_run_tells_the_same(published: Published) -> None:
    for name, said in published.checked.items():
        looked = {(loss["stage"], loss["reason"]): loss["rows"] for loss in said["losses"]}
        assert looked == {(stage, why): n for (stage, _, why), n in LOST[name].items() if stage != "dedup"}, name
        assert said["rows"] == said["kept"] + sum(looked.values()), name


def test_what_a_map_cleans_is_clean(published: Published) -> None:
    asked: Sequence[Any] = query_table(published.run, "SELECT source, text, answers, choices FROM questions").rows
    told = {(source, text): (answers, choices) for source, text, answers, choices in asked}
    assert told["fvqa", "Which country does this airport belong to?"][0] == ["Spain", "Kingdom of Spain"]
    assert told["geometry3k", "Find the hypotenuse."][0] == [r"2\sqrt{221}"]
    ((answers, _),) = (row for (source, _), row in told.items() if source == "textvqa")
    assert answers == ["9.08"] * 9


def test_rows_of_several_schemas_come_through_to_the_exports(published: Published) -> None:
    funnel: Sequence[Any] = query_table(
        published.run, "SELECT stage, n_in, kept, rejected, quarantined FROM funnel"
    ).rows
    assert all(counts[0] == sum(counts[1:]) for _, *counts in funnel)
    shipped: Sequence[Any] = query_table(published.run, "SELECT source, kept FROM funnel WHERE stage = 'publish'").rows
    assert dict(shipped) == {"chartqa": 1, "textvqa": 1}
    card = (published.run / "export" / "sft" / "huggingface" / "README.md").read_text()
    assert "GPL-3.0-only" in card
    (terms,) = (line for line in card.splitlines() if line.startswith("| textvqa | sha256-"))
    assert "| no |" in terms
