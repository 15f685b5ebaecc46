"""`run --until STAGE`: the stages up to it, with what these need and nothing else; later runs go on from there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from flows.cli.main import make_app
from flows.stages.order import STAGES
from pipeline.engine.executor import Executor
from tests.support.command import tree
from tests.support.sources import ROW, write_source

READER = {"backend": "reader", "policy": "naive"}
AWAY = {
    "backend": "openai", "model": "m@1", "served_name": "m", "base_url": "http://127.0.0.1:1/v1",
    "api_key_env": "COLDFORGE_TEST_KEY_THAT_NOBODY_SETS", "patience_seconds": 1,
}  # fmt: skip
RECIPE: dict[str, Any] = {
    "name": "small",
    "sources": [{"source": "own.yaml"}],
    "student": {"family": "qwen2_5_vl", "revision": "r1", "max_pixels": 262_144},
    "models": {"base": AWAY, "teachers": [{**AWAY, "model": "t@1"}], "judge": {**AWAY, "model": "j@1"}},
    "runtime": {"workers": 1, "sandbox": {"url": "http://127.0.0.1:1"}},
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    rows = [{"row": str(n), **ROW, "text": f"{n} + 1?", "answers": [str(n + 1)]} for n in range(100, 108)]
    (write_source(tmp_path, "own") / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def run(place: Path, *arguments: str, **changes: object) -> Result:
    (place / "recipe.yaml").write_text(yaml.safe_dump(RECIPE | changes))
    command = ["run", place / "recipe.yaml", "--out", place / "run", *arguments]
    return CliRunner().invoke(make_app(), [str(part) for part in command])


def stages(place: Path) -> list[tuple[str, bool]]:
    """The stages of the last invocation, and of each whether it had anything to do."""
    invocation = json.loads((place / "run" / "run.json").read_text())["invocations"][-1]
    return [(stage["stage"], stage["units"] > stage["reused_units"]) for stage in invocation["stages"]]


@pytest.mark.parametrize("last", ["screen", "decontaminate"])
def test_stages_before_the_gates_need_neither_model_nor_sandbox(place: Path, last: str) -> None:
    done = run(place, "--until", last)
    assert done.exit_code == 0, done.output
    names = [*STAGES]
    assert [name for name, _ in stages(place)] == names[: names.index(last) + 1]
    assert f"up to {last}" in done.stdout
    assert not (place / "run" / "export").exists()


def test_workers_that_begin_anew_before_stages_over_many_rows_change_no_byte(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(place, "--until", "decontaminate").exit_code == 0
    before = tree(place / "run" / "stages")
    shutil.rmtree(place / "run")
    released, release = list[Executor](), Executor.release

    def seen(executor: Executor) -> None:
        released.append(executor)
        release(executor)

    monkeypatch.setattr("flows.run.curate._MANY", 1)
    monkeypatch.setattr(Executor, "release", seen)
    assert run(place, "--until", "decontaminate").exit_code == 0
    assert tree(place / "run" / "stages") == before
    # Before dedup, before decontaminate, and before the ledger.
    assert len(released) == 3


def test_a_run_that_leaves_no_row_is_no_success(place: Path) -> None:
    rows = [{"row": str(n), **ROW, "category": "perception", "text": f"{n} + 1?"} for n in range(8)]
    (place / "own" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = run(place, "--until", "decontaminate")
    assert done.exit_code == 3, done.output
    assert "no row is left after decontaminate" in done.stderr


def test_what_was_done_is_not_done_again_and_the_run_goes_on(place: Path) -> None:
    assert run(place, "--until", "screen").exit_code == 0
    assert run(place, "--until", "screen").exit_code == 0
    assert stages(place) == [("ingest", False), ("screen", False)]
    models = {"base": READER, "teachers": [AWAY]}
    # The teacher is not there, and no stage up to the gate asks it.
    done = run(place, "--until", "gate1", models=models, runtime={"workers": 1})
    # Gate 1 keeps none of them; that is told, and what was done stays.
    assert done.exit_code == 3, done.output
    before = ["ingest", "screen"]
    assert stages(place) == [
        *((name, False) for name in before),
        *((n, True) for n in ("dedup", "decontaminate", "gate1")),
    ]
    environment = json.loads((place / "run" / "run.json").read_text())["environment"]
    assert environment["base"].startswith("reader/")
    # Who goes back asks nobody, and what is known of the models stays known.
    assert run(place, "--until", "screen").exit_code == 0
    assert json.loads((place / "run" / "run.json").read_text())["environment"] == environment


def test_without_it_a_model_that_is_not_there_stops_the_run_before_any_stage(place: Path) -> None:
    for arguments in ((), ("--until", "gate1"), ("--until", "publish")):
        assert run(place, *arguments, runtime={"workers": 1}).exit_code in {1, 2}
        assert not (place / "run" / "stages").exists()


def test_a_stage_that_is_none_is_refused_with_those_there_are(place: Path) -> None:
    done = run(place, "--until", "screening")
    assert done.exit_code == 2
    assert all(name in done.stderr for name in STAGES)
    assert not (place / "run").exists()
