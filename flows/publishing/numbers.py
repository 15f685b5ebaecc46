"""Numbers as the card writes them."""

from __future__ import annotations

from pipeline.identity import Json


def whole(value: Json) -> int:
    """Return a count of a query."""
    return int(str(value))


def percent(value: Json) -> str:
    """Return a share as a percentage with one decimal; nothing for null."""
    return "" if value is None else f"{100 * float(str(value)):.1f} %"
