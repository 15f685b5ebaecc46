"""The flows under a Prefect server of their own: served on a schedule, and deployed to a worker."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.support.command import COMMAND, ROOT

PREFECT = COMMAND.with_name("prefect")
FLOWS = ("curate", "gather", "gate", "synthesize", "publish")
PATIENCE_SECONDS = 300
RECIPE = """
name: nightly-sums
sources: [{source: own.yaml}]
student: {family: qwen2_5_vl, revision: r1, max_pixels: 262144}
models:
  base: {backend: reader, policy: naive}
  teachers: [{backend: reader, policy: careful}]
"""
SERVE = """
import sys
from flows.prefect_flows import gather

if __name__ == "__main__":
    recipe, out = sys.argv[1:]
    gather.serve(name="often", interval=5, limit=1, parameters={"recipe": recipe, "out": out})
"""


class Scheduler(NamedTuple):
    """A Prefect server."""

    url: str
    environment: Mapping[str, str]

    def ask(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        request = urllib.request.Request(  # noqa: S310 - a server of this test
            f"{self.url}/{path}",
            None if body is None else json.dumps(body).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
            return json.load(answer)

    def runs(self, flow: str) -> list[dict[str, Any]]:
        """Runs of a flow that have ended."""
        ended = {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED"]}}
        wanted = {"flows": {"name": {"any_": [flow]}}, "flow_runs": {"state": ended}}
        found: list[dict[str, Any]] = self.ask("flow_runs/filter", wanted)
        return found

    def prefect(self, *words: str) -> str:
        done = subprocess.run(
            [str(PREFECT), "--no-prompt", *words],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def running(command: list[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the test; what it said is in `log`."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scheduler]:
    home = tmp_path_factory.mktemp("prefect")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    environment = {**os.environ, "PREFECT_HOME": str(home), "PREFECT_API_URL": url}
    made = Scheduler(url, environment)
    command = [str(PREFECT), "server", "start", "--port", str(port), "--no-ui"]
    with running(command, environment, home / "server.log") as server:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            assert server.poll() is None, (home / "server.log").read_text()
            assert time.monotonic() < deadline
            try:
                assert made.ask("health") is True
                break
            except OSError:
                time.sleep(0.5)  # a look at what another process does
        yield made


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    rows = [
        {
            "row": n,
            "category": "reasoning",
            "text": f"{n} + 1?",
            "images": [],
            "answers": ["2"],
            "answer_type": "number",
        }
        for n in "123"
    ]
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "own.yaml").write_text("{key: own, kind: jsonl, revision: '1', path: own, licence: CC0-1.0}")
    return path


def test_a_schedule_fires_three_times_and_its_runs_say_what_they_are(
    scheduler: Scheduler, recipe: Path, tmp_path: Path
) -> None:
    script, log = tmp_path / "serve.py", tmp_path / "serve.log"
    script.write_text(SERVE)
    command = [sys.executable, str(script), str(recipe), str(tmp_path / "run")]
    with running(command, {**scheduler.environment, "PYTHONPATH": str(ROOT)}, log) as serving:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(runs := scheduler.runs("gather")) < 3:
            assert serving.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(1)  # as above
    assert [(run["name"], run["state_type"], run["auto_scheduled"]) for run in runs[:3]] == [
        ("nightly-sums", "COMPLETED", True)
    ] * 3
    tasks = {task["name"] for task in scheduler.ask("task_runs/filter", {})}
    assert tasks >= {"ingest-000of004", "screen-003of004", "dedup-000of001", "decontaminate-000of001"}
    # The first gathered, the others found that nothing is new.
    invocations = json.loads((tmp_path / "run" / "run.json").read_text())["invocations"]
    assert len(invocations) >= 3
    assert [sum(stage["units"] - stage["reused_units"] for stage in one["stages"]) for one in invocations[:3]] == [
        *(10, 0, 0),
    ]


def test_every_flow_can_be_deployed_and_a_worker_runs_it(scheduler: Scheduler, recipe: Path, tmp_path: Path) -> None:
    scheduler.prefect("work-pool", "create", "here", "--type", "process")
    parameters = {"recipe": str(recipe), "out": str(tmp_path / "run")}
    given = [part for name, value in parameters.items() for part in ("--param", f"{name}={value}")]
    scheduler.prefect("deploy", "flows/prefect_flows.py:curate", "--name", "nightly", "--pool", "here", *given)
    # The others from a file: each process takes some seconds to begin.
    others = [
        {
            "name": "nightly",
            "entrypoint": f"flows/prefect_flows.py:{flow}",
            "parameters": parameters,
            "work_pool": {"name": "here"},
        }
        for flow in FLOWS
        if flow != "curate"
    ]
    (tmp_path / "prefect.yaml").write_text(yaml.safe_dump({"deployments": others}))
    scheduler.prefect("deploy", "--all", "--prefect-file", str(tmp_path / "prefect.yaml"))
    deployed = {found["entrypoint"] for found in scheduler.ask("deployments/filter", {}) if found["name"] == "nightly"}
    assert deployed == {f"flows/prefect_flows.py:{flow}" for flow in FLOWS}
    scheduler.prefect("deployment", "run", "curate/nightly")
    scheduler.prefect("worker", "start", "--pool", "here", "--run-once")
    (run,) = scheduler.runs("curate")
    # The embedded model only looks, and these questions show nothing: a finished run without a row is no success.
    assert (run["name"], run["state_type"]) == ("nightly-sums", "FAILED")
    assert "no row came out" in run["state"]["message"]
