"""What a table about a run is made of."""

from __future__ import annotations

from typing import NamedTuple


class Report(NamedTuple):
    """One table about a run."""

    name: str
    title: str
    sql: str
