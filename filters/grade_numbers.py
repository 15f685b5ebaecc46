"""Grading a number: with its unit, within its tolerance, and only where one number is all that is said."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from filters.answer_numbers import NO_UNIT, NUMBER_WORDS, NUMERAL, Number, read_number
from filters.answer_text import abstains, tokens, without_lead
from filters.answer_units import conversion
from filters.grades import Grade

_OPEN_NUMBER = re.compile(
    r"[<>\u2264\u2265\u00b1?]|[0-9]\s*\+\s*$|n't\b|\s-\s|\bx\b|\u00d7"
    r"|\b(?:or|between|from|to|than|more|less|fewer|least|most|over|under|above|below|not|never|no|maybe|perhaps|possibly"
    r"|probably|might|could|either|range|estimated?|guess|think|believe|if|unless|except|minimum|maximum"
    r"|would|wrong|incorrect|false|instead|but|and|vs|versus)\b",
    re.IGNORECASE,
)
# A sentence says its number first or after a verb: "5 dots on the map", "the total is 5 km long".
_NUMBER_IN_SENTENCE = re.compile(
    r"(?:.*\b(?:is|are|was|were|equals|be|total|see|counted|count|shows|has|have|contains)\s*:?\s*|.*[:=]\s*)?"
    rf"(?P<number>[+-]?\s?[$€£]?{NUMERAL})"
    r"(?P<rest>\s?%|(?:\s+[^\W\d_](?:[^\W\d_]|['-])*)*[.!]?)",
    re.IGNORECASE,
)
_EQUALS = re.compile(r"(?<![!<>~=])=(?!=)")
# "one" is a pronoun as well.
_OTHER_NUMBERS = (NUMBER_WORDS - {"one"}) | {"half"}
_AMOUNTS = frozenset(
    {"all", "both", "couple", "double", "dozen", "dozens", "few", "hundreds", "inf", "infinite", "infinity", "many"}
    | {"millions", "multiple", "nan", "once", "pair", "pairs", "quarter", "quarters", "several", "single", "some"}
    | {"third", "thirds", "thousands", "triple", "twice"}
)
_ROMAN = re.compile(r"[IVXLCDM]+")
# These may follow a number in a sentence without changing it: "5 dots are on the map".
_CHANGING = NO_UNIT - {"is", "are", "was", "as", "at", "by", "of"}


def grade_number(said: str, gold: str, tolerance: float | None) -> Grade:
    """Grade cleaned text against one stored number; `tolerance` is relative, None asks for the exact value."""
    target = read_number(gold)
    if target is None:
        return Grade("undecided", "gold_unread")
    if tolerance is not None and not (math.isfinite(tolerance) and tolerance >= 0):
        return Grade("undecided", "bad_tolerance")
    margin = None if tolerance is None else Fraction(str(tolerance)) * abs(target.value)
    bare = without_lead(said)
    # "120 - 80 = 40" says 40.
    sides = _EQUALS.split(bare)
    if len(sides) == 2:  # noqa: PLR2004 - one equals sign
        bare = sides[1].strip()
    number = read_number(bare)
    if number is not None:
        return _compare(number, target, margin)
    if abstains(tokens(bare)) or abstains(tokens(said)):
        return Grade("wrong", "abstained")
    if _OPEN_NUMBER.search(said):
        return Grade("undecided", "hedged")
    if _says_no_number(said):
        return Grade("wrong", "no_number")
    return _grade_sentence(bare, target, margin)


def _says_no_number(said: str) -> bool:
    """Return whether a text holds nothing that may be read as a number: digits, number words, amounts, numerals."""
    words = re.findall(r"[^\W\d_]+", said)
    amounts = _OTHER_NUMBERS | {"one"} | _AMOUNTS
    return (
        bool(words)
        and not any(character.isnumeric() for character in said)
        and amounts.isdisjoint(word.lower() for word in words)
        and not any(_ROMAN.fullmatch(word) for word in words)
    )


def _grade_sentence(said: str, target: Number, margin: Fraction | None) -> Grade:
    """Grade a sentence by the one number in it ("There are 5 dots on the map")."""
    match = _NUMBER_IN_SENTENCE.fullmatch(said)
    words = re.findall(r"[^\W\d_]+", said.lower())
    if match is None or re.search("[0-9]", said[: match.start("number")]) or not _OTHER_NUMBERS.isdisjoint(words):
        return Grade("undecided", "not_one_number")
    if not _CHANGING.isdisjoint(match["rest"].lower().strip(".!").split()):
        return Grade("undecided", "not_one_number")
    # The word behind a number may be a unit that changes it; one that `read_number` refuses is none.
    following = match["rest"].strip().partition(" ")[0].strip(".,;!")
    number = read_number(f"{match['number']} {following}".strip())
    if number is None:
        return Grade("undecided", "not_one_number")
    return _compare(number, target, margin)._replace(rule="number_in_sentence")


def _compare(number: Number, target: Number, margin: Fraction | None) -> Grade:
    """Compare two numbers with their units; `margin` is absolute, None asks for equality."""
    if "%" in {number.unit, target.unit} and "" in {number.unit, target.unit}:
        return _compare_percent(number, target, margin)
    factor = _factor(number, target)
    if factor is None:
        near = _within(number.value, target.value, margin)
        return Grade("undecided", "unit_differs") if near else Grade("wrong", "number_differs")
    value = number.value * factor
    if _within(value, target.value, margin):
        return _right_or_about(number, margin)
    if number.other is not None and _within(number.other * factor, target.value, margin):
        return Grade("undecided", "ambiguous_separator")
    if target.other is not None and _within(value, target.other, margin):
        return Grade("undecided", "ambiguous_separator")
    if factor != 1 and abs(value - target.value) <= abs(target.value) / 100:
        # Nobody converts miles exactly.
        return Grade("undecided", "converted")
    if margin is None and _rounds_to(target, value, number.decimals):
        return Grade("undecided", "rounded")
    return Grade("wrong", "number_differs")


def _within(value: Fraction, target: Fraction, margin: Fraction | None) -> bool:
    return value == target if margin is None else abs(value - target) <= margin


def _right_or_about(number: Number, margin: Fraction | None) -> Grade:
    if number.about and margin is None:
        return Grade("undecided", "about")
    return Grade("right", "number_equal" if margin is None else "number_within_tolerance")


def _factor(number: Number, target: Number) -> Fraction | None:
    """Return what turns the number into the unit of the target; None if they measure different things.

    A unit that only one side states is taken for the other's too: the question asks in some unit.
    """
    if number.unit == target.unit or not number.unit or not target.unit:
        return Fraction(1)
    return conversion(number.unit, target.unit)


def _compare_percent(number: Number, target: Number, margin: Fraction | None) -> Grade:
    """Compare a percentage with a bare number: "5%" may be stored as 5 or as 0.05.

    A bare gold above 1 is a figure in percent, below it a share; the other reading of each is not taken.
    """
    share = number.value / 100 if number.unit == "%" else number.value * 100
    as_figure = _within(number.value, target.value, margin)
    as_share = _within(share, target.value, margin)
    if not as_figure and not as_share:
        return Grade("wrong", "number_differs")
    expected = as_share if not target.unit and abs(target.value) <= 1 else as_figure
    if expected or target.unit == "%":
        return _right_or_about(number, margin)
    return Grade("undecided", "percent_or_share")


def _rounds_to(target: Number, value: Fraction, decimals: int) -> bool:
    """Return whether the value is the target, rounded to at least two decimals."""
    return 2 <= decimals < target.decimals and round(target.value, decimals) == value  # noqa: PLR2004 - said above
