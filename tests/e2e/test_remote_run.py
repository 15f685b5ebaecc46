"""A run whose cells all execute behind a sandbox service, and its replay there."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

from pipeline.sandbox import guest
from tests.support.command import DEMO, coldforge, start

LIMIT = "8"
"""Enough that some cells run and some trajectories are valid, in a few seconds."""


def test_a_run_on_a_service_comes_out_as_recorded_when_replayed_there(
    tmp_path: Path, prepared: Callable[[Path], Path]
) -> None:
    guest.setup()
    run, store = tmp_path / "run", prepared(tmp_path / "store")
    service = start(["sandbox", "serve", "--port", "0"])
    try:
        assert service.stdout is not None
        url = service.stdout.readline().split()[-1]
        coldforge("run", DEMO, "--out", run, "--store", store, "--limit", LIMIT, "--set", f"runtime.sandbox.url={url}")
        told = json.loads(coldforge("replay", run, "--store", store, "--json").stdout)
        assert set(told["verdicts"]) <= {"identical", "soft"}
        assert told["executed"] > 0
        assert (told["wrong"], told["recorded_elsewhere"]) == ([], 0)
        service.send_signal(signal.SIGTERM)
        assert service.wait(30) == 0
        # The run remembers where its sessions are, and no others take their place.
        assert f"{url} cannot be reached" in coldforge("replay", run, "--store", store, code=1).stderr
    finally:
        service.kill()
        service.communicate()
