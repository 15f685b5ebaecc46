"""What the environments of trainer kits act with: a sandbox service and a record of searches, named by variables."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path
from typing import Any

from pipeline.export.kit_facts import KitFacts
from pipeline.rollout.episode import Episode, Places
from pipeline.sandbox.service.client import RemotePool
from pipeline.tools.search.record import NO_RECORD, SearchRecord

_LOG = logging.getLogger(__name__)
SANDBOX_URL = "COLDFORGE_SANDBOX_URL"
"""Where `coldforge sandbox serve` listens; default: port 8000 of this machine."""
SANDBOX_TOKEN = "COLDFORGE_SANDBOX_TOKEN"  # noqa: S105 - a variable's name
"""Its token, if it has one."""
SEARCH_RECORD = "COLDFORGE_SEARCH_RECORD"
"""Directory that `coldforge search-cache RUN --out DIR` wrote; without one nothing is on record."""
PROCESSES = "COLDFORGE_SANDBOX_SHARES"
"""How many processes share the service's sessions; default: 8, verl's agent loop workers or the GPUs of a node."""


def episode(facts: KitFacts, images: list[bytes], question_id: str) -> Episode:
    """Begin an episode over the pictures of a question.

    Raises:
        UsageError, InfrastructureError: as `RemotePool`; `SearchRecord.of`.
    """
    return Episode(facts, _places(facts.sandbox), images, question_id, _record())


@cache
def _places(sandbox: str) -> Places:
    pool = RemotePool(
        os.environ.get(SANDBOX_URL, "http://127.0.0.1:8000"), SANDBOX_TOKEN if os.environ.get(SANDBOX_TOKEN) else None
    )
    if sandbox and pool.identity != sandbox:
        _LOG.warning("the sandbox is %s, the data's was %s: output of cells may differ", pool.identity[:8], sandbox[:8])
    return Places(pool, max(1, pool.capacity // int(os.environ.get(PROCESSES, "8"))))


@cache
def _record() -> SearchRecord:
    directory = os.environ.get(SEARCH_RECORD)
    return SearchRecord.of(Path(directory)) if directory else NO_RECORD


def image_file(picture: Any) -> bytes:
    """Return a picture of Pillow as a file, of which a session sees the same pixels."""
    from pipeline.images import encode_png

    return encode_png(picture.convert("RGB"))
