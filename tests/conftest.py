"""What all tests share: no network, no telemetry, and no deadline on a machine of unknown speed."""

from __future__ import annotations

import os
from pathlib import Path

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
