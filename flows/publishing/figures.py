"""Numbers as the card writes them."""

from __future__ import annotations

from pipeline import amounts
from pipeline.identity import Json


def whole(value: Json) -> int:
    """Return a count of a query."""
    return int(str(value))


def percent(value: Json) -> str:
    """Return a share as a percentage with one decimal; nothing for null."""
    return "" if value is None else f"{amounts.percent(float(str(value)))} %"


def size(nbytes: int) -> str:
    """Return a number of bytes in megabytes, or in kilobytes where those would be none."""
    return f"{nbytes / 1e6:,.1f} MB" if nbytes >= 10**5 else f"{nbytes / 1e3:,.1f} kB"
