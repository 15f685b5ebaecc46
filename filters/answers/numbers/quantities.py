"""Reading numbers as they are written in answers, exactly (as fractions), with unit and percent sign."""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from filters.answers.closed_sets import CHANGING, SCALES
from filters.answers.closed_sets import NUMBER_WORDS as SMALL_NUMBERS
from filters.answers.numbers.chinese import read_chinese
from filters.answers.numbers.measures import CURRENCY, CURRENCY_SIGNS, canonical_unit, is_counter, is_currency, is_unit
from filters.answers.text import HEDGES, NEGATIONS

MAX_DIGITS = 60
"""Of one number; longer ones are not measured by anybody, and their arithmetic would cost."""
MAX_EXPONENT = 100


class Number(NamedTuple):
    """One number with what stands around it."""

    value: Fraction
    """As written: 5 for "5 %" and for "5 km"."""
    unit: str
    """Canonical ("km"), the word as written if it is unknown, `%` for percent, empty if there is none."""
    other: Fraction | None
    """The second reading of an ambiguous spelling: 1,234 may be 1.234."""
    decimals: int
    """Digits after the point, which say how it was rounded; -1 if it is no decimal."""
    about: bool
    """Said to be approximate."""


_DIGITS = r"(?:[0-9]{1,3}(?:[ '_][0-9]{3})+(?:[.,][0-9]+)?|[0-9][0-9.,]*[0-9]|[0-9]|[.,][0-9]+)"
_EXPONENT = r"(?:e[+-]?[0-9]+|\s*[x\u00d7*\u00b7]\s*10\s*(?:\^|\*\*)\s*\{?[+-]?[0-9]+\}?)"
NUMERAL = rf"{_DIGITS}{_EXPONENT}?"
_SIGN = r"(?:[+-]\s?|minus\s|negative\s|plus\s)"
_ABOUT = r"~|≈|about|around|approximately|approx\.?|roughly|nearly|almost|circa|ca\."
_LETTER_SCALES = {"M": 10**6, "B": 10**9, "T": 10**12}
# A word has to end; a sign of Chinese or Japanese may stand before a unit (3万人).
_SCALE = (
    rf"(?:{'|'.join(sorted((word for word in SCALES if word.isascii()), key=len, reverse=True))})\b\.?"
    rf"|(?:{'|'.join(sorted((word for word in SCALES if not word.isascii()), key=len, reverse=True))})"
)
# Vowel signs of Hindi are no letters to Python.
_LETTERS = "[^\\W\\d_](?:[^\\W\\d_]|[\u0900-\u0963])*"
# A power belongs to a length: "5 m2" is an area, but "5 x2" and "5e3" are no units.
_UNIT = (
    r"(?:[kcdm]?m|ft|feet|in|yd|mi|met(?:er|re)s?)\^?[23](?![0-9])"
    rf"|(?!°){_LETTERS}(?:(?![0-9^])\.?|(?=/))(?:/[^\W\d_]+(?:\^?[23])?)?|°\s?[cf]?|%|‰"
    rf"|{CURRENCY_SIGNS}"
)
_NUMBER = re.compile(
    rf"(?:(?P<about>{_ABOUT})\s*)?(?P<sign>{_SIGN})?\s*(?P<currency>{CURRENCY})?\s*(?P<sign2>-)?"
    rf"(?:(?P<whole>[0-9]+)\s+(?:and\s+)?(?P<mixed_top>[0-9]+)\s?/\s?(?P<mixed_bottom>[0-9]+)"
    rf"|(?P<top>{_DIGITS})\s?/\s?(?P<bottom>{_DIGITS})"
    rf"|(?P<power>[0-9]{{1,3}}\s?(?:\^|\*\*)\s?[+-]?[0-9]+)"
    rf"|(?P<numeral>{NUMERAL}))"
    rf"(?:[\s-]?(?P<scale>{_SCALE}))?(?:\s*(?P<scale2>{_SCALE}))?"
    rf"(?:(?:\s*|-)(?P<unit>(?:{_UNIT})(?:\s{_LETTERS})?))?\s*(?:\.|(?<![0-9])!)?",
    re.IGNORECASE,
)
# Words that are no unit: with one of these a number says something else, or not yet anything.
# fmt: off
_CHANGES = frozenset({
    "to", "than", "more", "less", "fewer", "plus", "minus", "over", "under", "above", "below", "through", "between",
    "until", "by", "of", "out", "per",
    "each", "every", "if", "but", "and", "at", "squared", "cubed", "else", "unless", "while", "when",
    "because", "as", "is", "are", "was", "yes",
    "st", "nd", "rd", "th", "e",
    "am", "pm", "bc", "bce", "max", "maximum", "minimum", "estimated", "approx",
})
# fmt: on
NO_UNIT = _CHANGES | CHANGING | HEDGES | NEGATIONS
# By far the most common spellings need no grammar: a number, alone or with one word behind it.
_SIMPLE = re.compile(
    r"(-?(?:[0-9]{1,15}|[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+(?=\.[0-9])|(?:,[0-9]{3}){2,4})))(?:\.([0-9]{1,15}))?"
    r"(?: ([a-z]{2,}))?"
)
# Nothing else stands between a number and the second word behind it.
_TOO_LONG = re.compile(r"[0-9.,]+(?: [^\W\d_]+){4}")
_PER = re.compile(r"(?<=[^\W\d_])\s+per\s+(?=[^\W\d_])")
_PER_HUNDRED = re.compile(r"\u767e\u5206\u4e4b\s*([0-9.,]+)")
# A unit as tables head their columns: 37 (m), 12 [km/h].
_IN_BRACKETS = re.compile(r"(?<=[0-9])\s*(?:\(\s*([^()\[\]0-9]{1,20})\s*\)|\[\s*([^()\[\]0-9]{1,20})\s*\])\.?$")
_GROUPED = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]+)?")
_GROUPED_BY_POINT = re.compile(r"[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,}(?:,[0-9]+)?|[1-9][0-9]{0,2}(?:\.[0-9]{3})+,[0-9]+")
_PLAIN = re.compile(r"[0-9]*\.?[0-9]+")
_COMMA = re.compile(r"[0-9]*,[0-9]+")


@lru_cache(maxsize=4096)  # the rollouts of a question share its gold and many of their answers
def read_number(text: str) -> Number | None:
    """Return the number that the whole of a cleaned text is, with its unit; None if it is not one number."""
    match: re.Match[str] | None = _SIMPLE.fullmatch(text)
    if match is not None:
        whole, part = match[1].replace(",", ""), match[2] or ""
        unit = match[3] or ""
        if not unit or (unit not in SCALES and unit not in _LETTER_SCALES and _may_be_unit([unit])):
            return Number(
                Fraction(int(whole + part), 10 ** len(part)), canonical_unit(unit), None, len(part), about=False
            )
    spelt = _PER.sub("/", text.replace("per cent", "percent")) if " per " in text else text
    if not spelt.isascii():
        spelt = _PER_HUNDRED.sub(r"\1%", spelt)
    spelt = _IN_BRACKETS.sub(_without_brackets, spelt)
    match = None if _TOO_LONG.match(spelt) else _NUMBER.fullmatch(spelt)
    if match is None:
        return read_words(spelt)
    readings = _readings(match)
    if not readings or not _may_be_unit(re.findall(r"[^\s/]+", match["unit"] or "")):
        return None
    scale = (scale_of(match["scale"] or "") or 1) * (scale_of(match["scale2"] or "") or 1)
    minus = ((match["sign"] or "").strip().lower() in {"-", "minus", "negative"}) != (match["sign2"] is not None)
    signed = [(-value if minus else value) * scale for value, _ in readings]
    about = match["about"] is not None
    unit, currency = match["unit"] or "", match["currency"] or ""
    if unit and currency:
        return _with_currency(signed[0], currency, unit, about=about)
    if unit in _LETTER_SCALES:
        # "2.3M" is millions, but 5 M may be metres.
        return Number(signed[0] * _LETTER_SCALES[unit], "", signed[0], -1, about=about)
    if match["scale"] == "K" and not currency:
        # Kelvin are written so as well.
        return Number(signed[0], "", signed[0] / scale, -1, about=about)
    return Number(
        value=signed[0],
        unit=canonical_unit(unit or currency),
        other=signed[1] if len(signed) > 1 else None,
        decimals=readings[0][1] if scale == 1 else -1,
        about=about,
    )


def _without_brackets(match: re.Match[str]) -> str:
    unit = (match[1] or match[2]).strip()
    return f" {unit}" if is_unit(unit) else match[0]


def scale_of(word: str) -> int | None:
    """Return the factor that a word behind a number stands for ("million", "Mrd.", "万"); None if it is no scale."""
    return SCALES.get(word.rstrip(".").casefold()) if word else None


_SHORT_SCALES = {"m": 10**6, "mm": 10**6, "b": 10**9, "t": 10**12}
"""Letters behind an amount of money: $5m is no length."""


def _with_currency(value: Fraction, currency: str, unit: str, *, about: bool) -> Number | None:
    """Return an amount that has something behind it as well: a letter for its scale, or its currency once more."""
    money = canonical_unit(currency)
    if unit.casefold() in _SHORT_SCALES:
        return Number(value * _SHORT_SCALES[unit.casefold()], money, None, -1, about=about)
    return (
        Number(value, money, None, -1, about=about)
        if canonical_unit(unit) in {money, "$"} and is_currency(unit)
        else None
    )


def _readings(match: re.Match[str]) -> list[tuple[Fraction, int]]:
    """Return (value, decimals) of each way to read the digits."""
    if match["whole"]:
        part = _ratio(match["mixed_top"], match["mixed_bottom"])
        return [] if part is None else [(int(match["whole"]) + part, -1)]
    if match["top"]:
        ratio = _ratio(match["top"], match["bottom"])
        return [] if ratio is None else [(ratio, -1)]
    if match["power"]:
        base, _, exponent = match["power"].replace("**", "^").partition("^")
        factor = _power(exponent, int(base))
        return [] if factor is None else [(factor, -1)]
    return read_numeral(match["numeral"])


def read_numeral(text: str) -> list[tuple[Fraction, int]]:
    """Return (value, decimals) of each way to read digits with separators and an exponent; empty if there is none."""
    mantissa, exponent = _split_exponent(text)
    digits = re.sub(r"(?<=[0-9])[ '_](?=[0-9]{3})", "", mantissa)
    factor = _power(exponent) if exponent else Fraction(1)
    if factor is None or len(digits) > MAX_DIGITS:
        return []
    spellings = []
    if _PLAIN.fullmatch(digits):
        spellings.append(digits)
    if _GROUPED.fullmatch(digits):
        spellings.append(digits.replace(",", ""))
    if _GROUPED_BY_POINT.fullmatch(digits):
        spellings.append(digits.replace(".", "").replace(",", "."))
    # 12,5 can only be a decimal comma; 1,234 is first of all a thousand.
    if _COMMA.fullmatch(digits):
        spellings.append(digits.replace(",", "."))
    return [(_decimal(spelling)[0] * factor, -1) if exponent else _decimal(spelling) for spelling in spellings]


def _decimal(digits: str) -> tuple[Fraction, int]:
    """Return the value of plain digits, and how many stand behind the point; faster than what reads any fraction."""
    whole, _, part = digits.partition(".")
    return Fraction(int(whole + part), 10 ** len(part)), len(part)


_NO_EXPONENT = re.compile(r"[0-9.,]*")
_TENS_TO = re.compile(r"e|\s*[x\u00d7*\u00b7]\s*10\s*(?:\^|\*\*)\s*")


def _split_exponent(text: str) -> tuple[str, str]:
    if _NO_EXPONENT.fullmatch(text):
        return text, ""
    parts = _TENS_TO.split(text.lower(), maxsplit=1)
    return parts[0], parts[1].strip("{} ") if len(parts) > 1 else ""


def _power(exponent: str, base: int = 10) -> Fraction | None:
    digits = exponent.replace(" ", "")
    # Four characters hold a sign and three digits; a longer exponent is never turned into a number.
    if len(digits) > 4 or abs(int(digits)) > MAX_EXPONENT:  # noqa: PLR2004 - said above
        return None
    return None if not base and int(digits) <= 0 else Fraction(base) ** int(digits)


def _ratio(top: str, bottom: str) -> Fraction | None:
    above, below = read_numeral(top), read_numeral(bottom)
    return above[0][0] / below[0][0] if above and below and below[0][0] else None


_ONES = {
    word: value
    for value, word in enumerate(
        (
            *(
                "zero",
                "one",
                "two",
                "three",
                "four",
                "five",
                "six",
                "seven",
                "eight",
                "nine",
                "ten",
                "eleven",
                "twelve",
            ),
            *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
        )
    )
}
_TENS = {
    word: 10 * value
    for value, word in enumerate(("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"), 2)
}
_NOTHING = frozenset({"none", "nil", "nothing"})


def read_words(text: str) -> Number | None:
    """Return a number that is spelt out ("twenty-one", "one hundred and five people"); None if it is not one."""
    written = text.rstrip(".!").replace("-", " ").split()
    minus = [word.lower() for word in written[:1]] in (["minus"], ["negative"])
    written = written[minus:]
    words = [word.lower() for word in written]
    if len(words) == 1 and words[0] in _NOTHING:
        return Number(Fraction(0), "", None, 0, about=False)
    chinese = read_chinese(text.rstrip(".!"))
    if chinese is not None:
        return Number(chinese[0], chinese[1], None, 0 if chinese[0].denominator == 1 else -1, about=False)
    end = 0
    while end < len(words) and _is_number_word(words, end):
        end += 1
    if len(words) == 1 and words[0] in SMALL_NUMBERS:
        return Number(Fraction(SMALL_NUMBERS[words[0]]), "", None, 0, about=False)
    value = _spelt(words[:end])
    unit = " ".join(words[end:])
    if value is None or not _may_be_unit(written[end:]):
        return None
    return Number(Fraction(-value if minus else value), canonical_unit(unit), None, 0, about=False)


def _may_be_unit(words: list[str]) -> bool:
    """Return whether the words behind a number can name what it counts, rather than change it or answer anew.

    That is at most two ("square meters"; more is a sentence), and no names, which are written with a capital.
    """
    lowered = [word.lower() for word in words]
    if len(words) > 2 or (lowered[:1] == ["x"] and len(words) > 1):  # noqa: PLR2004 - said above
        return False
    if len(words) > 1 and is_unit(" ".join(words)):
        return True
    if not NO_UNIT.isdisjoint(lowered) or not NUMBER_WORDS.isdisjoint(lowered):
        return False
    return all(_may_count(word) or is_unit(word) for word in words)


def _may_count(word: str) -> bool:
    """Return whether a word may be the name of what is counted: a lower-case word, or a counter of another script.

    A single letter is none (5x, 2e), and neither is an unknown word in a script without case: it may be a scale.
    """
    if not word.isascii() and not any(unicodedata.name(char, "").startswith("LATIN") for char in word):
        return is_counter(word)
    return len(word) > 1 and word.isalpha() and word.islower() and not word.endswith("ish")


NUMBER_WORDS = frozenset(_ONES) | frozenset(_TENS) | frozenset(SCALES)


def _is_number_word(words: list[str], at: int) -> bool:
    word = words[at]
    if word in _ONES or word in _TENS or word in {"hundred", "thousand", "million", "billion", "dozen"}:
        return True
    following = words[at + 1] if at + 1 < len(words) else ""
    if word == "and":
        return at > 0 and words[at - 1] in {"hundred", "thousand"} and (following in _ONES or following in _TENS)
    return word in {"a", "an"} and at == 0 and following in {"hundred", "thousand", "million", "billion", "dozen"}


def _spelt(words: list[str]) -> int | None:
    """Return the value of number words in their English order; None if they are not in it."""
    total, group, last = 0, 0, 10**12
    for word in words:
        if word in {"a", "an"}:
            group = 1
        elif word in _ONES or word in _TENS:
            value = _ONES.get(word, _TENS.get(word, 0))
            # "twenty one" but not "one two": each part is smaller than the room that the one before left.
            room = 10 if group % 100 in _TENS.values() else 100 if group % 100 == 0 else 0
            if value >= room and not (group == 0 and value < 100):  # noqa: PLR2004 - below a hundred
                return None
            if value == 0 and len(words) > 1:
                return None
            group += value
        elif word == "hundred" and 0 < group < 10:  # noqa: PLR2004 - one digit of hundreds
            group *= 100
        elif word == "dozen" and words[-1] == "dozen" and group < 100:  # noqa: PLR2004
            group = (group or 1) * 12
        elif word in {"thousand", "million", "billion"} and group and SCALES[word] < last:
            last = SCALES[word]
            total, group = total + group * last, 0
        elif word != "and":
            return None
    return total + group if words else None


def within(value: Fraction, target: Fraction, margin: Fraction | None) -> bool:
    """Return whether a value is the target, or no further from it than an absolute margin; None asks for equality."""
    return value == target if margin is None else abs(value - target) <= margin
