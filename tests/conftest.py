"""What all tests share: no network, no telemetry, and no deadline on a machine of unknown speed."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.command import DEMO, DEMO_ROWS, coldforge

# A first example pays for imports, and other workers share the cores: time says nothing about correctness.
# `make test` draws new examples each time; what may land is decided on fixed ones, by the change and not by the draw.
FIXED = os.environ.get("COLDFORGE_EXAMPLES") == "fixed"
settings.register_profile("coldforge", deadline=None, print_blob=True, derandomize=FIXED)
settings.load_profile("coldforge")

os.environ.update(
    {
        "DO_NOT_TRACK": "1",
        "HF_HUB_OFFLINE": "1",
        "PREFECT_HOME": str(Path(__file__).parents[1] / ".cache" / "prefect"),
        "PREFECT_LOGGING_LEVEL": "WARNING",
        "PREFECT_LOGGING_TO_API_ENABLED": "false",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",
    }
)


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], Path]:
    """Return what makes a store that paid for nothing yet, but holds what the demo's code alone decides.

    That is its corpus, the index over it and what its reader perceives in a picture: three quarters of the processor
    time of a run, spent once for all tests and both of pytest's workers.
    """
    shared = _shared(tmp_path_factory) / "prepared"

    def prepare(store: Path) -> Path:
        store.mkdir(parents=True)
        for name in ("sources", "search", "perceptions"):
            (shared / name).mkdir(parents=True, exist_ok=True)
            (store / name).symlink_to(shared / name)
        return store

    return prepare


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory: pytest.TempPathFactory, prepared: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """Return what copies a finished run of some rows of the demo and its store to a place, as `run` and `store`.

    It is made once for all tests and both of pytest's workers; the copy is the test's own.
    """
    shared = _shared(tmp_path_factory) / "demo"

    def copied(place: Path) -> Path:
        shared.mkdir(parents=True, exist_ok=True)
        with (shared / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (shared / "whole").exists():
                store = prepared(shared / "store")
                coldforge("run", DEMO, "--out", shared / "run", "--store", store, "--limit", DEMO_ROWS)
                (shared / "whole").touch()
        for name in ("run", "store"):
            shutil.copytree(shared / name, place / name, symlinks=True)
        return place

    return copied


def _shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder that both of pytest's workers see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(autouse=True)
def _width_of_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the terminal width that a test runner sets for its own output: tests read what is written to a pipe."""
    monkeypatch.delenv("COLUMNS", raising=False)
