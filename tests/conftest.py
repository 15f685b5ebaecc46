"""What all tests share: no network, no telemetry, and no deadline on a machine of unknown speed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# A first example pays for imports, and other workers share the cores: time says nothing about correctness.
settings.register_profile("coldforge", deadline=None, print_blob=True)
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


@pytest.fixture(autouse=True)
def _width_of_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the terminal width that a test runner sets for its own output: tests read what is written to a pipe."""
    monkeypatch.delenv("COLUMNS", raising=False)
