"""Each way in which a model server fails: what the terminal says, how soon, the exit code, and what is stored."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.command import DEMO, coldforge, start, stored_calls
from tests.support.servers.cases import LOOKS, SAYS, has_said, pictures, served
from tests.support.servers.openai_server import HANGING, OpenAIServer, Reply, completion

PATIENCE_SECONDS = 12
SLACK_SECONDS = 60
"""Of a machine with other work: nobody waits for several patiences, however slowly a process ends."""
UNREADABLE = {"choices": [{"message": {"content": {"a": 1}}, "finish_reason": "stop"}]}
ONE_PICTURE = Reply(400, json.dumps({"error": {"message": "At most 1 image(s) may be provided in one prompt."}}))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, prepared: Callable[[Path], Path]) -> Path:
    """One store; each test asks a model of its own name."""
    return prepared(tmp_path_factory.mktemp("failing") / "store")


def arguments(out: Path, store: Path, url: str, *changes: str) -> list[str | Path]:
    def role(speaker: str) -> str:
        model = {"backend": "openai", "model": f"{out.name}-{speaker}@1", "served_name": "served", "base_url": url}
        return json.dumps({**model, "patience_seconds": PATIENCE_SECONDS})

    models = (f"models.base={role('base')}", f"models.teachers=[{role('teacher')}]", "gate.blind=false")
    sets = [part for change in (*models, *changes) for part in ("--set", change)]
    return ["run", DEMO, "--limit", "6", "--out", out, "--store", store, *sets]


class Stopped(NamedTuple):
    """How a run ended; seconds are since the first request reached the server."""

    code: int
    seconds: float
    lines: list[tuple[float, str]]
    """Of stderr, with when they came."""

    @property
    def told(self) -> str:
        return "\n".join(line for _, line in self.lines)

    @property
    def error(self) -> str:
        return self.told.partition("error: ")[2]


@contextmanager
def noting_the_first(fake: OpenAIServer) -> Iterator[list[float]]:
    script, first = fake.script, list[float]()

    def noted(body: dict[str, Any]) -> Reply:
        first.append(time.monotonic())
        return script(body)

    fake.script = noted
    yield first
    fake.script = script


def stopped(fake: OpenAIServer, out: Path, store: Path, *changes: str) -> Stopped:
    with fake.in_thread() as url, noting_the_first(fake) as first:
        process = start(arguments(out, store, url, *changes))
        assert process.stderr is not None
        lines = [(time.monotonic(), line.rstrip()) for line in process.stderr]
        process.communicate(timeout=60)
        ended = time.monotonic()
    # Shown where a test fails.
    print("\n".join(f"{when - first[0]:6.1f} s  {line}" for when, line in lines), process.returncode)  # noqa: T201
    return Stopped(process.returncode, ended - first[0], [(when - first[0], line) for when, line in lines])


def texts(store: Path) -> str:
    with closing(sqlite3.connect(store / "calls.sqlite")) as db:
        return "\n".join(value for (value,) in db.execute("SELECT value FROM calls WHERE kind = 'model'"))


def outcomes(run: Path) -> list[dict[str, int]]:
    return [json.loads(path.read_text())["counts"] for path in run.glob("stages/gate*/*/stage.json")]


def base(later: Reply | None = None, *, from_picture: int = 2) -> Callable[[dict[str, Any]], Reply]:
    """A model that is wrong without tools, and looks closer with them; `later` answers what holds more pictures."""

    def script(body: dict[str, Any]) -> Reply:
        if later is not None and pictures(body) >= from_picture:
            return later
        with_tools = "```python" in str(body["messages"][0]["content"])
        return completion(LOOKS if with_tools and not has_said(body) else SAYS)

    return script


Fails = tuple[Callable[[], OpenAIServer], tuple[str, ...], float]
STOPS: Mapping[str, Fails] = {
    "abort": (lambda: OpenAIServer(script=lambda _: completion("<think>The", "abort")), ("finish_reason abort",), 20),
    "unpaid": (lambda: served("error_in_200_always"), ("Insufficient credits", "pay, then run again"), 10),
    "failing": (lambda: served("500_for_ever"), ("device-side assert", "answered 500"), PATIENCE_SECONDS),
    "silent": (lambda: OpenAIServer(script=lambda _: HANGING), ("open calls", "patience"), PATIENCE_SECONDS),
    "unreadable": (lambda: OpenAIServer(script=lambda _: Reply(body=json.dumps(UNREADABLE))), ('{"a": 1}',), 10),
    "no pictures": (
        lambda: OpenAIServer(script=base(Reply(400, "at most 0 image(s)"), from_picture=1)),
        ("models.base", "rejects", "at most 0 image(s)", "runtime.max_rejected"),
        20,
    ),
    "one picture": (
        lambda: OpenAIServer(script=base(ONE_PICTURE)),
        ("models.base", "rejects", "At most 1 image", "runtime.max_rejected"),
        60,
    ),
}


@pytest.mark.parametrize("name", STOPS)
def test_a_server_that_fails_stops_the_run_and_is_quoted(name: str, store: Path, tmp_path: Path) -> None:
    make, words, seconds = STOPS[name]
    out = tmp_path / name.replace(" ", "-")
    seen = stopped(make(), out, store)
    assert seen.code == 1
    assert all(word in seen.error for word in words), seen.error
    assert "Traceback" not in seen.told
    assert "start it" not in seen.error
    assert seen.seconds < seconds + SLACK_SECONDS
    if name == "failing":
        assert any(
            "open calls fail" in line and "device-side assert" in line and when < 10 for when, line in seen.lines
        )
        assert seen.seconds > PATIENCE_SECONDS - 1
    for word in (*words, "<think>The\n"):
        assert word not in texts(store)


def test_what_a_server_rejected_is_asked_again_once_it_takes_it(store: Path, tmp_path: Path) -> None:
    fake = OpenAIServer(script=base(ONE_PICTURE))
    seen = stopped(fake, tmp_path / "mended", store)
    assert "rejects" in seen.error
    well = OpenAIServer(script=base())
    with well.in_thread() as url:
        coldforge(*arguments(tmp_path / "mended", store, url))
    counts = [
        json.loads(path.read_text())["counts"] for path in (tmp_path / "mended").glob("stages/gate2/*/stage.json")
    ]
    assert counts
    assert all("quarantined" not in count for count in counts)
    assert not any("At most" in line for line in texts(store).splitlines())


def test_a_server_that_fails_and_is_mended_loses_nothing(store: Path, tmp_path: Path) -> None:
    seen = stopped(served("500_for_ever"), tmp_path / "back", store)
    assert seen.code == 1
    before = stored_calls(store)
    well = OpenAIServer(script=base())
    with well.in_thread() as url:
        coldforge(*arguments(tmp_path / "back", store, url))
    assert stored_calls(store) > before
    counts = outcomes(tmp_path / "back")
    assert all("quarantined" not in count for count in counts)


def test_status_tells_from_outside_of_a_run_that_stands_still(store: Path, tmp_path: Path) -> None:
    failures, out = iter([Reply(429), Reply(500)]), tmp_path / "still"
    fake = OpenAIServer(script=lambda _: next(failures, HANGING))
    with fake.in_thread() as url:
        process = start(arguments(out, store, url, "models.base.patience_seconds=600"))
        try:
            told = status_once(out, lambda now: now["again"] == 2 and now["in_flight"][0][1] > 0)
            later = status_once(out, lambda now: now["seconds"] > told["working"]["figures"]["seconds"])
            text = coldforge("status", out, extra={"COLUMNS": "80"}).stdout
        finally:
            process.kill()
            process.communicate()
    figures = told["working"]["figures"]
    assert told["process"] == told["working"]["process"] == process.pid
    running = [stage["stage"] for stage in told["stages"] if stage["state"] == "running"]
    assert running == [figures["stage"]] == ["gate1"]
    assert figures["failed"] == {"base": {"429": 1, "500": 1}}
    ((role, _, limit),) = figures["in_flight"]
    assert (role, limit, figures["paid"], figures["seconds_left"]) == ("base", 64, 0, None)
    assert later["working"]["figures"]["done"] == figures["done"] < figures["rows"]
    assert later["working"]["time"] > told["working"]["time"]
    assert "in flight: base " in text
    assert "failed tries: base 429 (1), 500 (1); 2 calls tried again" in text
    assert "nothing since" not in text
    # Killed, it leaves what it told last; a minute later that is told as old.
    file = out / "working.json"
    left = json.loads(file.read_text())
    file.write_text(json.dumps({**left, "time": left["time"] - 60}))
    text = coldforge("status", out).stdout
    assert "nobody works here" in text
    assert f"process {process.pid} told this" in text
    assert "nothing since" in text


def status_once(run: Path, wanted: Callable[[dict[str, Any]], bool], seconds: float = 300) -> dict[str, Any]:
    """What status says as soon as the figures are as wanted."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not (run / "stages").is_dir():
            continue
        told: dict[str, Any] = json.loads(coldforge("status", run, "--json").stdout)
        working = told["working"]
        if working is not None and working["figures"]["stage"] == "gate1" and wanted(working["figures"]):
            return told
    raise AssertionError(f"{run}: not within {seconds} s")
