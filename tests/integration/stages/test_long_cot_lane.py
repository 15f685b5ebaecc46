"""A source of the lane long_cot on its way through a run: no model is asked, and every row says where it ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from filters.dedup.contamination import Benchmark, benchmark_entry
from filters.dedup.key import KEY_RECIPE
from flows.recipe.inputs import make_job
from flows.run.curate import open_run, run_groups
from flows.run.progress import SilentProgress
from flows.runners.local import local
from flows.stages.order import GROUPS
from pipeline.engine.done import Finished
from pipeline.images import HASH_RECIPE
from pipeline.records import Outcome, Question, Trajectory
from tests.support.export_rows import json_rows

STEPS = " ".join(f"The first {n} odd numbers add up to {n * n}, since {2 * n - 1} is added." for n in range(2, 12))
PROTECTED = "How many apples does the farmer have left in the barn after he sold half of them on Monday"
MODEL = {"backend": "reader", "policy": "naive"}
RECIPE = {
    "name": "texts",
    "sources": [{"source": "own.yaml"}],
    "benchmarks": ["protected.yaml"],
    "student": {"family": "qwen2_5_vl", "revision": "r1", "max_pixels": 262_144},
    "models": {"base": MODEL, "teachers": [MODEL]},
    "runtime": {"workers": 1},
}
ROWS: Mapping[str, Mapping[str, object]] = {
    "good": {"solution": f"<think>{STEPS}</think>\nThe sum is $\\boxed{{100}}$."},
    "twin": {"solution": f"{STEPS}\n#### 100", "text": "WHAT is the sum of the first ten odd numbers"},
    "picture": {"solution": STEPS, "images": ["a.png"]},
    "bare": {},
    "asks": {"solution": f"{STEPS}\n#### 12", "text": f"Think of this. {PROTECTED}? He had 24.", "answers": ["12"]},
    "quotes": {"solution": f"{STEPS} It is as in: {PROTECTED}?\n#### 7", "text": "What is 3 + 4?", "answers": ["7"]},
    "calls": {"solution": f"{STEPS} <code>1</code> \\boxed{{9}}", "text": "What is 4 + 5?", "answers": ["9"]},
    "wrong": {"solution": f"{STEPS}\n#### 12", "text": "What is 5 + 6?", "answers": ["11"]},
    "short": {"solution": "It is 13.\n#### 13", "text": "What is 6 + 7?", "answers": ["13"]},
    "loops": {"solution": "\n".join([STEPS] * 3) + "\n#### 15", "text": "What is 7 + 8?", "answers": ["15"]},
}
ENDS = {
    "twin": ("dedup", "duplicate"),
    "picture": ("ingest", "long_cot_images"),
    "bare": ("ingest", "solution_missing"),
    "asks": ("decontaminate", "benchmark_text"),
    "quotes": ("decontaminate", "benchmark_in_solution"),
    "calls": ("synthesize", "control_token"),
    "wrong": ("validate", "answer_wrong"),
    "short": ("validate", "too_short"),
    "loops": ("validate", "repeated"),
}


def write_rows(place: Path, rows: Mapping[str, Mapping[str, object]]) -> None:
    common = {"category": "reasoning", "text": "What is the sum of the first ten odd numbers?"}
    answer = {"answers": ["100"], "answer_type": "number"}
    lines = [json.dumps({"row": key, **common, **answer, **row}) for key, row in rows.items()]
    (place / "data" / "rows.jsonl").write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("texts")
    (place / "data").mkdir()
    write_rows(place, ROWS)
    manifest = {"key": "own", "kind": "jsonl", "revision": "1", "path": "data", "licence": "CC0-1.0"}
    (place / "own.yaml").write_text(yaml.safe_dump({**manifest, "lane": "long_cot"}))
    entry = benchmark_entry(PROTECTED, None, None)
    protected = Benchmark(key="protected", hash_recipe=HASH_RECIPE, text_key=KEY_RECIPE, entries=(entry,))
    (place / "protected.yaml").write_text(yaml.safe_dump(protected.model_dump(mode="json")))
    (place / "recipe.yaml").write_text(yaml.safe_dump(RECIPE))
    return place


def run(place: Path, *groups: str) -> Mapping[str, Finished]:
    job = make_job(place / "recipe.yaml", out=place / "run", store=place / "store")
    with open_run(job, SilentProgress(), local) as opened:
        run_groups(opened, groups)
        return dict(opened.finished)


@pytest.fixture(scope="module")
def done(place: Path) -> Mapping[str, Finished]:
    return run(place, *GROUPS)


def names(done: Mapping[str, Finished]) -> Mapping[str, str]:
    """Row key by every id under which an outcome may speak of it."""
    asked = {question.id: question.source_row for question in done["ingest"].records("questions", Question)}
    rows = {outcome.record_id: json.loads(outcome.payload)["row"] for outcome in outcomes(done, "ingest")}
    return {**asked, **rows}


def outcomes(done: Mapping[str, Finished], stage: str) -> list[Outcome]:
    return [outcome for outcome in done[stage].records("outcomes", Outcome) if outcome.outcome != "kept"]


def test_every_row_ends_where_it_should_and_says_why(done: Mapping[str, Finished]) -> None:
    named = names(done)
    found = {named[one.question_id]: (stage, one.reason) for stage in done for one in outcomes(done, stage)}
    # Which of two equal questions stays is decided by their ids.
    twin = "twin" if "twin" in found else "good"
    assert found == {twin if row == "twin" else row: end for row, end in ENDS.items()}


def test_no_model_is_asked_about_them(done: Mapping[str, Finished]) -> None:
    assert not list(done["gate1"].records("trajectories", Trajectory))
    assert not list(done["gate2"].records("trajectories", Trajectory))
    assert {made.model for made in done["synthesize"].records("trajectories", Trajectory)} == {"source/own"}


def test_what_is_left_is_exported_under_the_prompt_without_tools(done: Mapping[str, Finished], place: Path) -> None:
    assert done["publish"].counts["kept"] == 1
    (row,) = json_rows(place / "run/export/sft/llamafactory")
    system, user, said = (message["content"] for message in row["messages"])
    assert row["images"] == []
    assert "# Tools" not in system
    assert "sum of the first ten odd numbers" in user
    assert said == f"<think>{STEPS}</think>\n<answer>100</answer>"


def test_another_solution_is_new_input_though_the_question_is_the_same(
    done: Mapping[str, Finished], place: Path
) -> None:
    before = done["decontaminate"].parts
    assert [part.key for part in run(place, "gather")["decontaminate"].parts] == [part.key for part in before]
    changed = {"solution": f"{STEPS} He asked: {PROTECTED}.\n#### 100"}
    write_rows(place, {**ROWS, "good": changed, "twin": changed})
    again = run(place, "gather")
    reasons = [outcome.reason for outcome in outcomes(again, "decontaminate")]
    assert sorted(reasons) == ["benchmark_in_solution", "benchmark_in_solution", "benchmark_text"]
