"""Fractions in English words: half, a quarter, two thirds, three-fourths, two and a half."""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from filters.answers.closed_sets import SCALES
from filters.answers.numbers.quantities import NUMBER_WORDS, read_words

_PARTS = {
    name: value
    for value, names in {
        2: "half",
        4: "quarter fourth",
        3: "third",
        5: "fifth",
        6: "sixth",
        7: "seventh",
        8: "eighth",
        9: "ninth",
        10: "tenth",
        12: "twelfth",
        16: "sixteenth",
        20: "twentieth",
        100: "hundredth",
        1000: "thousandth",
    }.items()
    for name in names.split()
}
_PARTS |= {f"{name}s": value for name, value in _PARTS.items() if value > 2}  # noqa: PLR2004 - two halves are a whole
_FRACTION = re.compile(
    r"(?:(?P<minus>minus|negative) )?(?:(?P<whole>[a-z]+(?: [a-z]+)?) and )?(?P<count>[a-z]+) (?P<part>[a-z]+)"
)
_PLAIN = NUMBER_WORDS - SCALES.keys()
_MOST = 100
"""Above it the "and" may belong to the whole number: a hundred and two thirds is 100 2/3 or 102/3."""


@lru_cache(maxsize=4096)
def read_fraction(text: str) -> Fraction | None:
    """Return the value of a cleaned text that is a proper fraction or a mixed number in words; None if it is none."""
    words = " ".join(text.rstrip(".").lower().replace("-", " ").split())
    match = _FRACTION.fullmatch("one half" if words == "half" else words)
    if match is None or match["part"] not in _PARTS:
        return None
    count = Fraction(1) if match["count"] in {"a", "an"} else _whole(match["count"])
    whole = _whole(match["whole"]) if match["whole"] else Fraction(0)
    if count is None or whole is None or whole >= _MOST or not 0 < count < _PARTS[match["part"]]:
        return None
    # One third, two thirds: the plural is that of the count.
    if (count == 1) == match["part"].endswith("s"):
        return None
    value = whole + count / _PARTS[match["part"]]
    return -value if match["minus"] else value


def _whole(words: str) -> Fraction | None:
    # A dozen and a half are 18.
    number = read_words(words) if _PLAIN.issuperset(words.split()) else None
    return None if number is None else number.value
