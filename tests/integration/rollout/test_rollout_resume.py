"""Rollouts that are killed in the middle of their conversations go on there, and pay for nothing twice."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support.command import ROOT
from tests.support.servers.openai_server import OpenAIServer, Reply, completion

CONVERSATIONS = 6
TURNS = 5
"""Four cells, then the answer."""
KILLED_AFTER = 14
"""Requests: of 30, so that no conversation has ended and each has begun."""


def said(body: dict[str, Any]) -> int:
    return sum(message["role"] == "assistant" for message in body["messages"])


def step(body: dict[str, Any]) -> Reply:
    number = said(body)
    act = "<answer>4</answer>" if number == TURNS - 1 else f"<code>\n```python\nprint({number})\n```\n</code>"
    return completion(f"<think>Step {number}.</think>\n{act}")


def start(url: str, out: Path) -> subprocess.Popen[bytes]:
    options = ["--conversations", str(CONVERSATIONS), "--at-once", str(CONVERSATIONS)]
    command = [sys.executable, "-m", "tests.benchmarks.rollout_job", url, str(out), *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)


def stored(out: Path) -> Counter[str]:
    with sqlite3.connect(out / "store" / "calls.sqlite") as db:
        return Counter(kind for (kind,) in db.execute("SELECT kind FROM calls"))


def test_conversations_killed_in_their_middle_go_on_there_and_pay_for_nothing_twice(tmp_path: Path) -> None:
    server = OpenAIServer(script=step, latency=0.1)
    with server.in_thread() as url:
        job = start(url, tmp_path)
        deadline = time.monotonic() + 120
        while len(server.requests) < KILLED_AFTER:
            assert job.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)  # a look at what another process does
        job.kill()
        job.wait()
        before, kept = len(server.requests), stored(tmp_path)
        assert start(url, tmp_path).wait(timeout=120) == 0
    # Shown with -s.
    sys.stdout.write(f"{before} requests before the kill, {kept} stored; {len(server.requests) - before} after it\n")
    bodies = [json.dumps(body, sort_keys=True) for body in server.requests]
    assert any(0 < said(body) < TURNS for body in server.requests[:before])
    assert 0 < kept["model"] < CONVERSATIONS * TURNS
    # Nothing but what was in flight at the kill is asked twice.
    assert len(set(bodies)) == CONVERSATIONS * TURNS
    assert len(bodies) - len(set(bodies)) <= CONVERSATIONS
    assert stored(tmp_path) == {"model": CONVERSATIONS * TURNS, "cell": CONVERSATIONS * (TURNS - 1)}
