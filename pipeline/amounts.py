"""Amounts in words, and the one place where numbers are rounded: for the terminal, the report and the card alike."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

_EXACT = Context(prec=700, rounding=ROUND_HALF_UP)
"""Holds every float with all its decimals; a half goes away from zero, as people round."""


def counted(number: int, what: str) -> str:
    """Return so many things in words: `1 question`, `1,000 questions`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def rounded(value: float, decimals: int, *, signed: bool = False) -> str:
    """Return a finite number with so many decimals; `signed` puts a plus before what is above zero.

    It is rounded from the shortest decimal that is this float, so that 0.145 is what was meant by it.
    """
    return _rounded(Decimal(repr(value)), decimals, signed=signed)


def percent(share: float, *, signed: bool = False) -> str:
    """Return a share from 0 to 1 as a percentage with one decimal, without its sign: 0.8125 is `81.3`."""
    return _rounded(Decimal(repr(share)).scaleb(2, _EXACT), 1, signed=signed)


def _rounded(exact: Decimal, decimals: int, *, signed: bool) -> str:
    shown = exact.quantize(Decimal(1).scaleb(-decimals), context=_EXACT)
    # What is rounded to zero has no sign.
    return f"{abs(shown):,}" if not shown else f"{shown:{'+' if signed else ''},}"
