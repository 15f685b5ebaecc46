"""Reading quantities that are written with two numbers: a range ("10-20 km") and a compound ("5 ft 10 in")."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from filters.answers.numbers.measures import conversion
from filters.answers.numbers.quantities import NUMERAL, Number, read_number

_END = rf"[+-]?[$€£]?{NUMERAL}(?:\s?(?:%|°[cf]?|[^\W\d_]+))?"
_BETWEEN = (
    re.compile(rf"(?:from\s+)?({_END})\s*(?:to|until|through|till)\s+({_END})", re.IGNORECASE),
    re.compile(rf"(?:in\s+the\s+range\s+)?between\s+({_END})\s+and\s+({_END})", re.IGNORECASE),
    re.compile(rf"({_END})\s*(?:-|\.\.\.?|~)\s*({_END})", re.IGNORECASE),
    re.compile(rf"[\[(]\s*({_END})\s*[,;]\s*({_END})\s*[\])]", re.IGNORECASE),
)
_IN_WORDS = re.compile(r"\s+(?:to|until|through|till)\s+", re.IGNORECASE)
_PART = re.compile(rf"\s*(?:,|and\b)?\s*({NUMERAL}\s*(?:['\"]|[^\W\d_]+))", re.IGNORECASE)
_FEET_AND_INCHES = {"'": " ft", '"': " in"}


@lru_cache(maxsize=4096)  # as of `read_number`
def read_range(text: str) -> tuple[Number, Number] | None:
    """Return the two ends of a range that is the whole of a cleaned text; None if it is none.

    A unit behind the upper end belongs to both.
    """
    bare = text.rstrip(".!")
    match = next((match for form in _BETWEEN if (match := form.fullmatch(bare))), None)
    ends = match.groups() if match else _IN_WORDS.split(bare)
    if len(ends) != 2:  # noqa: PLR2004 - a range has two ends
        return None
    low, high = read_number(ends[0].strip()), read_number(ends[1].strip())
    if low is None or high is None:
        return None
    if not low.unit and high.unit:
        low = low._replace(unit=high.unit)
    return low, high


@lru_cache(maxsize=4096)
def read_compound(text: str) -> Number | None:
    """Return the sum of a quantity in units of one dimension, larger ones first, in the last of them.

    Only the whole of a cleaned text is read; None if it is no such quantity.
    """
    if not text[:1].isdigit():
        return None
    bare = text.rstrip(".!").replace("''", '"')
    parts: list[Number] = []
    at = 0
    while match := _PART.match(bare, at):
        written = match[1]
        number = read_number(written[:-1] + _FEET_AND_INCHES.get(written[-1], written[-1]))
        if number is None or not number.unit:
            return None
        parts.append(number)
        at = match.end()
    if at != len(bare) or len(parts) < 2:  # noqa: PLR2004 - one part is a plain number
        return None
    unit = parts[-1].unit
    total = Fraction(0)
    smallest: Fraction | None = None
    for part in parts:
        factor = conversion(part.unit, unit)
        if factor is None or (smallest is not None and factor >= smallest):
            return None
        smallest = factor
        total += part.value * factor
    return Number(total, unit, None, -1, about=False)
