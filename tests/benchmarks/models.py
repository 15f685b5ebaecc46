"""What the model client costs beside plain aiohttp and the OpenAI SDK, and what the engine costs around it.

Clients take turns, so that whatever else the machine does hits all of them; medians are printed. The server
is a process of its own on the last core, the clients run on the first.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support.command import ROOT

SDK_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
CLIENTS = ROOT / "tests" / "benchmarks" / "model_clients.py"
ROUNDS = 5
LATENCY = 0.2
AT_ONCE = 256
IMAGE_BYTES = 750_000
"""One megabyte in base64."""
COUNTS = {0: 5_120, IMAGE_BYTES: 1_024}
"""Requests per measurement: 20 and 4 times as many as are open at once."""
ROWS = 10_000
KILLED_ROWS = 2_000


class Figures(NamedTuple):
    """Medians of one client."""

    wall: float
    cpu_ms: float
    peak_mb: float


@contextmanager
def stub(latency: float, turns: int = 1) -> Iterator[str]:
    """Run the server on the last core; yields its base URL."""
    command = [sys.executable, "-m", "tests.benchmarks.model_stub", "--latency", str(latency), "--turns", str(turns)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    os.sched_setaffinity(process.pid, {max(os.sched_getaffinity(0))})
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.kill()
        process.communicate()


def tally(url: str) -> dict[str, float]:
    """Return what the server was asked for."""
    with urllib.request.urlopen(url) as reply:  # noqa: S310 - our own server
        found: dict[str, float] = json.load(reply)
    return found


def on_first_core(command: Sequence[str | Path]) -> dict[str, float]:
    """Run a measurement on the first core and return what it prints."""
    process = subprocess.Popen([str(part) for part in command], cwd=ROOT, stdout=subprocess.PIPE, env=_environment())
    os.sched_setaffinity(process.pid, {min(os.sched_getaffinity(0))})
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{command} failed")
    found: dict[str, float] = json.loads(output)
    return found


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def compare(nbytes: int) -> dict[str, Figures]:
    """Measure every client in turn and return the medians."""
    found: dict[str, list[dict[str, float]]] = {"raw": [], "ours": [], "openai": []}
    with stub(LATENCY) as url:
        for _ in range(ROUNDS):
            for client, runs in found.items():
                python = SDK_PYTHON if client == "openai" else Path(sys.executable)
                # The SDK takes some ten times as long; its CPU per request does not depend on how many there are.
                count = COUNTS[nbytes] // (4 if client == "openai" else 1)
                options = ("--count", str(count), "--at-once", str(AT_ONCE), "--bytes", str(nbytes))
                runs.append(on_first_core([python, CLIENTS, client, url, *options]))
    return {
        client: Figures(*(statistics.median(run[name] for run in runs) for name in Figures._fields))
        for client, runs in found.items()
    }


def tell(title: str, nbytes: int) -> None:
    """Print a table of the clients."""
    figures = compare(nbytes)
    ideal = COUNTS[nbytes] / AT_ONCE * LATENCY
    write(f"== {title}: {AT_ONCE} at once, {LATENCY * 1_000:.0f} ms latency, median of {ROUNDS} interleaved runs")
    for client, own in figures.items():
        write(f"{client:<8}{own.cpu_ms:>8.3f} ms CPU per request, peak {own.peak_mb:>4.0f} MB")
    ours, raw, sdk = figures["ours"], figures["raw"], figures["openai"]
    write(
        f"ours: throughput {ideal / ours.wall:.2f} of the ideal, {raw.wall / ours.wall:.2f} of raw aiohttp; "
        f"CPU {ours.cpu_ms / raw.cpu_ms:.2f} of raw aiohttp, {ours.cpu_ms / sdk.cpu_ms:.2f} of the OpenAI SDK\n"
    )


def tell_engine() -> None:
    """Print what 10,000 one-turn prompts cost through the engine and in a plain loop."""
    jobs: dict[str, list[dict[str, float]]] = {"raw": [], "ours": []}
    with stub(0.0) as url:
        for _ in range(3):
            for client, runs in jobs.items():
                with tempfile.TemporaryDirectory() as out:
                    runs.append(json.loads(finished(job(client, url, Path(out), ROWS))))
    medians = {
        client: {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        for client, runs in jobs.items()
    }
    write(f"== {ROWS:,} one-turn prompts, no latency, one regular expression, Parquet out; start-up included")
    for client, own in medians.items():
        write(
            f"{client:<8}{own['cpu'] / ROWS * 1_000:>8.3f} ms CPU per row (process tree), {own['wall']:.1f} s, "
            f"{own['pss_mb']:.0f} MB proportional"
        )
    write(f"ours: CPU {medians['ours']['cpu'] / medians['raw']['cpu']:.1f} times that of the plain loop\n")


def tell_kill() -> None:
    """Print what a run that is killed half-way asks again."""
    with stub(0.05) as url, tempfile.TemporaryDirectory() as out:
        process = job("ours", url, Path(out), KILLED_ROWS)
        while tally(url)["asked"] < KILLED_ROWS / 2:
            time.sleep(0.01)
        process.kill()
        process.communicate()
        before = tally(url)["asked"]
        finished(job("ours", url, Path(out), KILLED_ROWS))
        asked = tally(url)["asked"]
    write(f"== {KILLED_ROWS:,} prompts at 50 ms, killed half-way and started again, {AT_ONCE} at once")
    write(f"asked {before:,} before and {asked - before:,} after: {asked - KILLED_ROWS:,} twice\n")


def tell_rollouts() -> None:
    """Print how busy rollouts keep a server, and what very many at once need in memory."""
    for title, turns, conversations, latency in (("5 turns, 4 cells", 5, 256, 0.2), ("one turn", 1, 10_000, 0.2)):
        with stub(latency, turns) as url, tempfile.TemporaryDirectory() as out:
            command = [sys.executable, "-m", "tests.benchmarks.rollout_job", url, out]
            options = ["--conversations", str(conversations), "--at-once", str(conversations)]
            process = subprocess.Popen([*command, *options], cwd=ROOT, stdout=subprocess.PIPE, text=True)
            report = json.loads(finished(process))
            busy = tally(url)["busy"]
        write(f"== {conversations:,} conversations at once, {title}, {latency * 1_000:.0f} ms latency")
        write(f"server has work {busy:.0%} of the time; peak {report['peak_mb']:.0f} MB; {report['wall']:.1f} s\n")


def job(client: str, url: str, out: Path, rows: int) -> subprocess.Popen[str]:
    """Start the job of `tests.benchmarks.prompt_job`."""
    command = [sys.executable, "-m", "tests.benchmarks.prompt_job", client, url, str(out), "--rows", str(rows)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> str:
    """Wait for a job and return what it prints."""
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"{process.args!r} failed")
    return output


def write(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    tell("small bodies", 0)
    tell("bodies of 1 MB", IMAGE_BYTES)
    tell_engine()
    tell_kill()
    tell_rollouts()
