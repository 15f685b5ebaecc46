"""A whole run on vLLM: the gates ask a server that the run starts, the teacher is its offline engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from flows.report.tables import query_table
from tests.support.command import coldforge, invocations, paid
from tests.vllm.conftest import FLAGS


@pytest.fixture(scope="module")
def run(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("run")
    role = {"model": "tiny-qwen@1", "serve": {"model": str(checkpoint), "flags": list(FLAGS)}}
    sampling = {"max_tokens": 160, "temperature": 0.3}
    recipe: dict[str, Any] = {
        "name": "tiny",
        "sources": [{"source": "demo", "demo": {"questions": 20, "seed": 0}}],
        "search": {"corpus": "demo"},
        "student": {"family": "qwen2_5_vl", "revision": "Qwen/Qwen2.5-VL-7B-Instruct", "max_pixels": 131_072},
        "models": {
            "base": {"backend": "openai", **role, "sampling": sampling},
            "teachers": [{"backend": "vllm_offline", **role, "sampling": sampling}],
        },
        "synthesize": {"attempts": 2},
    }
    (directory / "tiny.yaml").write_text(yaml.safe_dump(recipe))
    coldforge("plan", directory / "tiny.yaml")
    done = coldforge("run", directory / "tiny.yaml", "--out", directory / "tiny", "--limit", "4")
    print(f"\n{done.stdout}")  # noqa: T201
    return directory / "tiny"


def test_every_stage_that_asks_a_model_has_asked_it(run: Path) -> None:
    rows = query_table(
        run,
        "SELECT purpose, mode, finish, count(*), sum(n_turns), sum(prompt_tokens), sum(completion_tokens) "
        "FROM trajectories GROUP BY ALL HAVING sum(prompt_tokens) > 0 AND sum(completion_tokens) > 0 ORDER BY ALL",
    ).rows
    for row in rows:
        print(*row)  # noqa: T201
    asked = {(purpose, mode) for purpose, mode, *_ in rows}
    assert asked == {("gate", "plain"), ("gate", "tools"), ("synthesis", "tools")}


def test_calls_of_the_model_were_executed_and_their_pictures_shown(run: Path) -> None:
    rows = query_table(
        run,
        "SELECT purpose, count(*) FROM turns WHERE action = 'python' AND status = 'ok' AND n_images = 1 "
        "GROUP BY purpose ORDER BY purpose",
    ).rows
    assert [purpose for purpose, _ in rows] == ["gate", "synthesis"]


def test_the_same_run_again_starts_no_server_and_pays_nothing(run: Path) -> None:
    recipe = run.parent / "tiny.yaml"
    # No interpreter with vLLM is there; whoever started it would fail.
    broken = {"COLDFORGE_VLLM_PYTHON": "/bin/false"}
    coldforge("run", recipe, "--out", run, "--limit", "4", extra=broken)
    assert paid(run) == 0
    # The rollouts themselves are made again from the store, in another run directory.
    coldforge(
        "run", recipe, "--out", run.parent / "again", "--limit", "4", "--store", run.parent / ".store", extra=broken
    )
    assert sum(stage["model_calls"] for stage in invocations(run.parent / "again")[-1]["stages"]) == 0
