"""Numbers in Chinese numerals, as Chinese and Japanese write them: 一百二十三, 百五十, 三万, 百分之五十, 三分之一.

Only what has one reading is read. 一百五 is 150 in speech and 105 to a learner; 兆 is a million or a million millions;
in 三千米 the thousand belongs to the number or to the unit: so nothing may stand behind a numeral.
"""

from __future__ import annotations

import re
from fractions import Fraction

_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"两": 2, "兩": 2}
_PLACES = {"千": 1000, "百": 100, "十": 10}
_MYRIADS = {"亿": 10**8, "億": 10**8, "万": 10**4, "萬": 10**4}
_ONE = "[一二三四五六七八九两兩]"
_SECTION = re.compile(rf"(?P<digit>{_ONE})?(?P<place>[千百十])|(?P<gap>零)|(?P<ones>{_ONE})$")
_PARTS = {100: "%", 1000: "\u2030"}
"""What a part of so many is written as."""


def read_chinese(text: str) -> tuple[Fraction, str] | None:
    """Return the value and the unit (`%`, `‰` or none) of a text that is one numeral or one fraction; None if not."""
    below, parts, above = text.replace("\u3007", "零").partition("分之")
    if not parts:
        whole = _whole(text)
        return None if whole is None else (Fraction(whole), "")
    bottom, top = _whole(below), _whole(above)
    if not bottom or top is None:
        return None
    return (Fraction(top), _PARTS[bottom]) if bottom in _PARTS else (Fraction(top, bottom), "")


def _whole(text: str) -> int | None:
    """Return the value of a numeral: sections of four places, each with its myriad, the larger first."""
    total, last = 0, 10**12
    sections = re.split("([亿億万萬])", text)
    for section, myriad in zip(sections[::2], [*sections[1::2], ""], strict=True):
        scale = _MYRIADS.get(myriad, 1)
        if not section and not myriad and total:
            break
        value = _section(section, first=not total)
        if value is None or scale >= last or not (value or text in _DIGITS):
            return None
        # 三万五 may be 35,000 in speech: a place that is passed over has its zero.
        if total and section.startswith("零") != (value * scale * 10 < last):
            return None
        total, last = total + value * scale, scale
    return total


def _section(text: str, *, first: bool) -> int | None:
    """Return the value of up to four places; None where a place is passed over without a zero, or comes twice."""
    total, last, at, gap = 0, 10**4, 0, False
    while at < len(text):
        match = _SECTION.match(text, at)
        if match is None:
            return None
        at = match.end()
        if match["gap"]:
            if gap or (first and not total and text not in _DIGITS):
                return None
            gap = True
            continue
        place = _PLACES.get(match["place"] or "", 1)
        if place >= last or (total and gap != (place * 10 < last)):
            return None
        total += _DIGITS.get(match["digit"] or match["ones"] or "一", 1) * place
        last, gap = place, False
    return None if (gap and text not in _DIGITS) or not text else total
