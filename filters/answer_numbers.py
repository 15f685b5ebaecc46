"""Reading numbers as they are written in answers, exactly (as fractions), with unit and percent sign."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import NamedTuple

from filters.answer_text import HEDGES, NEGATIONS

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
_CURRENCY = r"[$€£¥₹]|usd|eur|gbp|us\$"
_ABOUT = r"~|≈|about|around|approximately|approx\.?|roughly|nearly|almost|circa|ca\."
_SCALES = {
    "dozen": 12,
    "hundred": 10**2,
    "thousand": 10**3,
    "k": 10**3,
    "lakh": 10**5,
    "million": 10**6,
    "millions": 10**6,
    "mn": 10**6,
    "mio": 10**6,
    "billion": 10**9,
    "billions": 10**9,
    "bn": 10**9,
    "trillion": 10**12,
}
_SCALE = "|".join(sorted(_SCALES, key=len, reverse=True))
_UNIT = r"[^\W\d_°$€£¥₹][^\W\d_]*\.?(?:/[^\W\d_]+)?(?:\^?[23])?|°\s?[cf]?|%|‰"
_NUMBER = re.compile(
    rf"(?:(?P<about>{_ABOUT})\s*)?(?P<sign>{_SIGN})?\s*(?P<currency>{_CURRENCY})?\s*(?P<sign2>-)?"
    rf"(?:(?P<whole>[0-9]+)\s+(?P<mixed_top>[0-9]+)\s?/\s?(?P<mixed_bottom>[0-9]+)"
    rf"|(?P<top>{_DIGITS})\s?/\s?(?P<bottom>{_DIGITS})"
    rf"|(?P<power>10\s?(?:\^|\*\*)\s?[+-]?[0-9]+)"
    rf"|(?P<numeral>{NUMERAL}))"
    rf"(?:\s*(?P<scale>{_SCALE})\b)?"
    rf"(?:\s*-?\s*(?P<unit>(?:{_UNIT})(?:\s[^\W\d_]+)?))?\s*[.!]?",
    re.IGNORECASE,
)
# Words that are no unit: with one of these a number says something else, or not yet anything.
_NO_UNIT = (
    frozenset(
        {"and", "to", "than", "more", "less", "fewer", "plus", "minus", "over", "under", "above", "below", "through"}
        | {
            "of",
            "out",
            "per",
            "each",
            "every",
            "if",
            "but",
            "at",
            "ish",
            "between",
            "until",
            "squared",
            "cubed",
            "else",
        }
        | {"half", "halves", "third", "thirds", "quarter", "quarters", "tenths", "hundredths", "thousandths", "by"}
        | {
            "am",
            "pm",
            "bc",
            "bce",
            "max",
            "min",
            "maximum",
            "minimum",
            "e",
            "st",
            "nd",
            "rd",
            "th",
            "estimated",
            "approx",
        }
    )
    | HEDGES
    | NEGATIONS
)
_GROUPED = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}(?:\.[0-9]+)?")
_GROUPED_BY_POINT = re.compile(r"[1-9][0-9]{0,2}(?:\.[0-9]{3}){2,}(?:,[0-9]+)?|[1-9][0-9]{0,2}(?:\.[0-9]{3})+,[0-9]+")
_PLAIN = re.compile(r"[0-9]*\.?[0-9]+")
_COMMA = re.compile(r"[0-9]*,[0-9]+")


def read_number(text: str) -> Number | None:
    """Return the number that the whole of a cleaned text is, with its unit; None if it is not one number."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return read_words(text)
    readings = _readings(match)
    if not readings or not _may_be_unit((match["unit"] or "").lower().split()):
        return None
    scale = _SCALES[match["scale"].lower()] if match["scale"] else 1
    minus = (match["sign"] or "").strip().lower() in {"-", "minus", "negative"} or match["sign2"] is not None
    signed = [(-value if minus else value) * scale for value, _ in readings]
    return Number(
        value=signed[0],
        unit=_unit(match["unit"] or match["currency"] or ""),
        other=signed[1] if len(signed) > 1 else None,
        decimals=readings[0][1] if scale == 1 else -1,
        about=match["about"] is not None,
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
        factor = _power(re.split(r"\^|\*\*", match["power"])[1])
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
    return [
        (Fraction(spelling) * factor, len(spelling.partition(".")[2]) if not exponent else -1) for spelling in spellings
    ]


def _split_exponent(text: str) -> tuple[str, str]:
    parts = re.split(r"e|\s*[x\u00d7*\u00b7]\s*10\s*(?:\^|\*\*)\s*", text.lower(), maxsplit=1)
    return parts[0], parts[1].strip("{} ") if len(parts) > 1 else ""


def _power(exponent: str) -> Fraction | None:
    digits = exponent.replace(" ", "")
    # Four characters hold a sign and three digits; a longer exponent is never turned into a number.
    if len(digits) > 4 or abs(int(digits)) > MAX_EXPONENT:  # noqa: PLR2004 - said above
        return None
    return Fraction(10) ** int(digits)


def _ratio(top: str, bottom: str) -> Fraction | None:
    above, below = read_numeral(top), read_numeral(bottom)
    return above[0][0] / below[0][0] if above and below and below[0][0] else None


# Factor to the first unit of each dimension. Temperatures are no multiples of each other and convert to nothing.
_DIMENSIONS: tuple[dict[str, Fraction], ...] = (
    {name: Fraction(factor) for name, factor in (("m", "1"), ("km", "1000"), ("cm", "0.01"), ("mm", "0.001"))}
    | {"in": Fraction("0.0254"), "ft": Fraction("0.3048"), "yd": Fraction("0.9144"), "mi": Fraction("1609.344")},
    {"kg": Fraction(1), "g": Fraction("0.001"), "mg": Fraction("0.000001"), "t": Fraction(1000)}
    | {"lb": Fraction("0.45359237"), "oz": Fraction("0.028349523125")},
    {"s": Fraction(1), "min": Fraction(60), "h": Fraction(3600), "d": Fraction(86400), "ms": Fraction("0.001")},
    {"l": Fraction(1), "ml": Fraction("0.001"), "cl": Fraction("0.01")},
    {"m2": Fraction(1), "km2": Fraction(10**6), "cm2": Fraction("0.0001"), "ha": Fraction(10**4)},
    {"m/s": Fraction(1), "km/h": Fraction(10, 36), "mph": Fraction("0.44704")},
)
_ALIASES = {
    alias: name
    for name, aliases in {
        "m": "meter meters metre metres",
        "km": "kilometer kilometers kilometre kilometres kms",
        "cm": "centimeter centimeters centimetre centimetres",
        "mm": "millimeter millimeters millimetre millimetres",
        "in": "inch inches",
        "ft": "foot feet",
        "yd": "yard yards",
        "mi": "mile miles",
        "kg": "kilogram kilograms kgs kilo kilos",
        "g": "gram grams gm gms",
        "mg": "milligram milligrams",
        "t": "ton tons tonne tonnes",
        "lb": "lbs pound pounds",
        "oz": "ounce ounces",
        "s": "sec secs second seconds",
        "min": "mins minute minutes",
        "h": "hr hrs hour hours",
        "d": "day days",
        "ms": "millisecond milliseconds",
        "l": "liter liters litre litres",
        "ml": "milliliter milliliters millilitre millilitres",
        "cl": "centiliter centiliters",
        "ha": "hectare hectares",
        "km/h": "kph kmh kmph",
        "%": "percent percentage pct",
        "$": "usd us$ dollar dollars",
        "€": "eur euro euros",
        "£": "gbp",
        "°": "degree degrees deg",
        "°c": "celsius c",
        "°f": "fahrenheit f",
        "times": "x fold",
    }.items()
    for alias in aliases.split(" ")
}


def _unit(text: str) -> str:
    """Return the canonical name of a unit; "square metres" and "m²" are "m2"."""
    unit = " ".join(text.lower().rstrip(".").replace("^", "").replace("° ", "°").split())
    if unit.startswith("square "):
        unit = unit.removeprefix("square ") + "2"
    base, power = (unit[:-1], unit[-1]) if unit[-1:] in {"2", "3"} else (unit, "")
    return _ALIASES.get(base, base) + power


def conversion(unit: str, target: str) -> Fraction | None:
    """Return the factor from one unit to another of its dimension; None if there is none."""
    for dimension in _DIMENSIONS:
        if unit in dimension and target in dimension:
            return dimension[unit] / dimension[target]
    return None


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
    words = text.lower().rstrip(".!").replace("-", " ").split()
    minus = words[:1] in (["minus"], ["negative"])
    words = words[minus:]
    if len(words) == 1 and words[0] in _NOTHING:
        return Number(Fraction(0), "", None, 0, about=False)
    end = 0
    while end < len(words) and _is_number_word(words, end):
        end += 1
    value = _spelt(words[:end])
    unit = " ".join(words[end:])
    if value is None or not _may_be_unit(words[end:]):
        return None
    return Number(Fraction(-value if minus else value), _unit(unit), None, 0, about=False)


def _may_be_unit(words: list[str]) -> bool:
    """Return whether words behind a number can name what it counts: at most two, none of which changes it."""
    number_words = _ONES.keys() | _TENS.keys() | _SCALES.keys()
    known = _NO_UNIT.isdisjoint(words) and number_words.isdisjoint(words)
    return len(words) <= 2 and known  # noqa: PLR2004 - "square meters"; more is a sentence


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
        elif word in {"thousand", "million", "billion"} and group and _SCALES[word] < last:
            last = _SCALES[word]
            total, group = total + group * last, 0
        elif word != "and":
            return None
    return total + group if words else None
