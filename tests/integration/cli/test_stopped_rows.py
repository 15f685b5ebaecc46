"""What a run could not read is found again: `run` and `plan` name it, `show` prints key, payload and path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from flows.cli.main import make_app
from flows.recipe.inputs import make_job
from flows.report.tables import query_table
from flows.run.curate import open_run, run_groups
from flows.run.progress import SilentProgress
from flows.runners.local import local
from pipeline.images import encode_png

MODEL = {"backend": "reader", "policy": "naive"}
RECIPE = {
    "name": "small",
    "sources": [{"source": "own.yaml"}],
    "student": {"family": "qwen2_5_vl", "revision": "r1", "max_pixels": 262_144},
    "models": {"base": MODEL, "teachers": [MODEL]},
    "runtime": {"workers": 1},
}
ROW: dict[str, Any] = {
    "row": "meadow-1",
    "category": "perception",
    "text": "How many sheep are there?",
    "images": ["a.png"],
    "answers": ["7"],
    "answer_type": "number",
}
CUT = '{"row": "meadow-2", "text": "How many \\u001b[2J cows'
LINES = (
    json.dumps(ROW),
    CUT,
    json.dumps({**ROW, "row": "meadow-3", "images": ["lost.png"]}),
    json.dumps(ROW),
    json.dumps({**ROW, "text": "How many cows?"}),
    json.dumps({**ROW, "row": "meadow-4", "images": []}),
    json.dumps({**ROW, "row": "meadow-5", "tolerance": float("nan")}),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("stopped")
    (place / "data").mkdir()
    (place / "data" / "a.png").write_bytes(encode_png(Image.effect_noise((60, 60), 80).convert("RGB")))
    (place / "data" / "rows.jsonl").write_text("\n".join(LINES) + "\n")
    manifest = {"key": "own", "kind": "jsonl", "revision": "v7", "path": "data", "licence": "CC0-1.0"}
    (place / "own.yaml").write_text(yaml.safe_dump(manifest))
    (place / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    job = make_job(place / "recipe.yaml", out=place / "run", store=place / "store")
    with open_run(job, SilentProgress(), local) as opened:
        run_groups(opened, ("gather",))
    return place / "run"


def outcomes(run: Path) -> dict[str, tuple[str, ...]]:
    """Return how many outcomes of each reason there are, as stage, outcome, number and one id."""
    sql = (
        "SELECT reason, stage, outcome, count(*)::varchar, min(record_id) FROM outcomes WHERE reason <> '' GROUP BY ALL"
    )
    return {str(row[0]): tuple(map(str, row[1:])) for row in query_table(run, sql).rows}


def test_every_line_has_one_outcome_in_the_ledger(run: Path) -> None:
    told = {reason: row[:3] for reason, row in outcomes(run).items()}
    assert told == {
        "row_json": ("ingest", "quarantined", "2"),
        "image_missing": ("ingest", "quarantined", "1"),
        "duplicate_row": ("ingest", "rejected", "1"),
        "row_key_reused": ("ingest", "quarantined", "1"),
        "perception_without_image": ("screen", "rejected", "1"),
    }
    counts = "SELECT sum(n_in), sum(kept), sum(rejected), sum(quarantined) FROM funnel WHERE stage = 'ingest'"
    assert [*map(str, query_table(run, counts).rows[0])] == ["7", "2", "1", "4"]


def shown(run: Path, identity: str) -> str:
    result = CliRunner().invoke(make_app(), ["show", str(run), identity])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_show_prints_row_key_payload_and_path_of_what_was_stopped(run: Path) -> None:
    sql = "SELECT record_id, detail FROM outcomes WHERE reason = 'row_json' AND detail LIKE '%line 2:%'"
    ((identity, _),) = query_table(run, sql).rows
    text = shown(run, str(identity))
    assert str(run.parent / "data" / "rows.jsonl") in text
    assert "row key" in text
    assert "line 2" in text
    assert CUT in text
    assert "not JSON" in text.replace("\n", "")
    lost = shown(run, outcomes(run)["image_missing"][3])
    for expected in ("meadow-3", "own v7", str(run.parent / "data" / "rows.jsonl"), "lost.png", '"answers":["7"]'):
        assert expected in lost
    # What was rejected as said twice is shown as well.
    assert "meadow-1" in shown(run, outcomes(run)["duplicate_row"][3])


def test_show_does_without_what_is_gone(run: Path, tmp_path: Path) -> None:
    identity = outcomes(run)["image_missing"][3]
    (run / "run.json").rename(tmp_path / "run.json")
    (run / "rows").rename(tmp_path / "rows")
    try:
        text = shown(run, identity)
    finally:
        (tmp_path / "run.json").rename(run / "run.json")
        (tmp_path / "rows").rename(run / "rows")
    assert '"meadow-3"' in text


def test_plan_counts_what_cannot_be_used_by_reason(run: Path) -> None:
    result = CliRunner().invoke(make_app(), ["plan", str(run.parent / "recipe.yaml")])
    assert "4 of 7 rows cannot be used" not in result.output
    assert "5 of 7 rows cannot be used" in result.output.replace("\n", " ")
    assert "row_json 2" in result.output.replace("\n", " ")
