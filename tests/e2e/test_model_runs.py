"""A run against a model server: its budget, a kill in its middle, and a server that becomes another."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import DEMO, coldforge, invocations, start, stored_calls
from tests.support.servers.openai_server import OpenAIServer, Reply, completion

IN_FLIGHT = 8
WRONG = "<think>I guess.</think>\n<answer>no such place</answer>"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, prepared: Callable[[Path], Path]) -> Path:
    """One store; each test asks a model of its own name."""
    return prepared(tmp_path_factory.mktemp("model-runs") / "store")


def arguments(out: Path, store: Path, url: str, *changes: str) -> list[str | Path]:
    def role(speaker: str) -> str:
        model = {
            "backend": "openai",
            "model": f"{out.name}-{speaker}@1",
            "served_name": "served",
            "base_url": url,
            "in_flight": IN_FLIGHT,
            "price": {"prompt": 1.0, "completion": 2.0},
        }
        return json.dumps(model)

    models = (f"models.base={role('base')}", f"models.teachers=[{role('teacher')}]")
    sets = [part for change in (*models, *changes) for part in ("--set", change)]
    return ["run", DEMO, "--limit", "6", "--out", out, "--store", store, *sets]


def unique(fake: OpenAIServer) -> int:
    return len({json.dumps(body, sort_keys=True) for body in fake.requests})


def test_a_budget_stops_a_run_which_goes_on_when_it_is_raised_and_pays_the_rest(store: Path, tmp_path: Path) -> None:
    fake = OpenAIServer(script=lambda _: completion(WRONG), latency=0.01)
    with fake.in_thread() as url:
        before = stored_calls(store)
        stopped = coldforge(*arguments(tmp_path / "budget", store, url, "runtime.budget.max_calls=20"), code=1)
        assert "runtime.budget.max_calls is 20" in stopped.stderr
        assert "Traceback" not in stopped.stderr
        assert len(fake.requests) == stored_calls(store) - before == 20
        again = coldforge(*arguments(tmp_path / "budget", store, url, "runtime.budget.max_calls=20"), code=1)
        assert "runtime.budget.max_calls is 20" in again.stderr
        assert len(fake.requests) == 20
        done = coldforge(*arguments(tmp_path / "budget", store, url))
    assert len(fake.requests) == unique(fake) == stored_calls(store) - before
    known = json.loads((tmp_path / "budget" / "run.json").read_text())
    calls = len(fake.requests)
    assert known["spent"]["calls"] == calls
    assert known["spent"]["cost"] == pytest.approx(calls * (11 + 2 * 7) / 1e6)
    per_stage = [stage for entry in invocations(tmp_path / "budget") for stage in entry["stages"]]
    assert sum(stage["prompt_tokens"] for stage in per_stage) == calls * 11
    assert set(known["models"].values()) == {"weights-1"}
    assert "completion" in done.stdout


# In the midst of gate 1, which asks eight times for each row; later stages ask through the same client and store.
@pytest.mark.parametrize(("in_flight", "rows", "requests"), [(IN_FLIGHT, 6, 30), (256, 100, 600)])
def test_a_killed_run_asks_again_only_for_what_was_in_flight(
    in_flight: int, rows: int, requests: int, store: Path, tmp_path: Path
) -> None:
    # A second is long enough for 256 requests to be sent meanwhile.
    fake = OpenAIServer(script=lambda _: completion(WRONG), latency=0.05 if in_flight == IN_FLIGHT else 1.0)
    name = tmp_path / f"killed-{in_flight}"
    with fake.in_thread() as url:
        asked = [*arguments(name, store, url, "gate.blind=false"), "--until", "gate1"]
        asked = [str(one).replace(f'"in_flight": {IN_FLIGHT}', f'"in_flight": {in_flight}') for one in asked]
        asked[asked.index("--limit") + 1] = str(rows)
        before = stored_calls(store)
        process = start(asked)
        deadline = time.monotonic() + 300
        while len(fake.requests) < requests and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        assert process.poll() is None
        process.kill()
        process.communicate()
        at_kill, kept = len(fake.requests), stored_calls(store) - before
        coldforge(*asked)
    # Shown with -s.
    sys.stdout.write(
        f"{at_kill} requests before the kill, {kept} stored, at most {fake.at_once} at once; "
        f"{len(fake.requests) - unique(fake)} asked twice of {unique(fake)}\n"
    )
    assert stored_calls(store) - before == unique(fake)
    assert fake.at_once > in_flight / 2
    assert len(fake.requests) - unique(fake) <= in_flight


def test_another_model_behind_the_same_name_stops_the_run(store: Path, tmp_path: Path) -> None:
    fake = OpenAIServer()

    def swapped(_: dict[str, Any]) -> Reply:
        reply = completion(WRONG)
        other = reply.body.replace("weights-1", "weights-2")
        return reply if len(fake.requests) < 10 else replace(reply, body=other)

    fake.script = swapped
    with fake.in_thread() as url:
        before = stored_calls(store)
        stopped = coldforge(*arguments(tmp_path / "swapped", store, url), code=1)
        assert "answered as weights-2, and as weights-1 when this run began" in stopped.stderr
        assert stored_calls(store) - before == 9
        resumed = coldforge(*arguments(tmp_path / "swapped", store, url), code=1)
        assert "answered as weights-2" in resumed.stderr
        assert stored_calls(store) - before == 9


def test_a_server_that_is_down_for_longer_than_patience_stops_the_run_and_writes_nothing(
    store: Path, tmp_path: Path
) -> None:
    fake = OpenAIServer()
    fake.script = lambda _: completion(WRONG) if len(fake.requests) <= 10 else Reply(503, "loading")
    changes = ("models.base.patience_seconds=0.5", "models.base.in_flight=4")
    with fake.in_thread() as url:
        before = stored_calls(store)
        stopped = coldforge(*arguments(tmp_path / "down", store, url, *changes), code=1)
        assert "503" in stopped.stderr
        assert stored_calls(store) - before == 10
        fake.script = lambda _: completion(WRONG)
        coldforge(*arguments(tmp_path / "down", store, url))
    outcomes = [
        json.loads(path.read_text())["counts"] for path in (tmp_path / "down").glob("stages/gate*/*/stage.json")
    ]
    assert outcomes
    assert all("quarantined" not in counts for counts in outcomes)
