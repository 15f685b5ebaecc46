"""Grading a number: with its unit, within its tolerance, and only where one number is all that is said."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import lru_cache

from filters.answers.closed_sets import PART_OF, SUPPOSED, without_lead
from filters.answers.evasion import refuses
from filters.answers.mathematics.forms import Term
from filters.answers.mathematics.read_forms import read_form
from filters.answers.mathematics.trees import approximate, rational
from filters.answers.numbers.fraction_words import read_fraction
from filters.answers.numbers.measures import conversion, is_unit, may_be_one
from filters.answers.numbers.number_evasion import (
    CHANGING,
    OPEN_NUMBER,
    OTHER_NUMBERS,
    WORDS,
    denies,
    is_plain,
    no_number,
    says_another,
)
from filters.answers.numbers.quantities import NUMERAL, Number, read_number, within
from filters.answers.numbers.ranges import read_compound, read_range
from filters.answers.text import Grade

# A sentence says its number first or after a verb: "5 dots on the map", "the total is 5 km long".
_NUMBER_IN_SENTENCE = re.compile(
    r"(?:.*\b(?:is|are|was|were|equals|be|total|see|counted|count|shows|has|have|contains)\s*:?\s*|.*[:=]\s*)?"
    rf"(?P<number>[+-]?\s?[$€£]?{NUMERAL})"
    r"(?P<rest>\s?%|(?:\s+[^\W\d_](?:[^\W\d_]|['-])*)*[.!]?)",
    re.IGNORECASE,
)
# Numbers that are told together: 3:4, 12:30, 1920x1080.
_RATIO = re.compile(r"[0-9]+(?:[.,][0-9]+)?(?:\s?[:/x\u00d7]\s?[0-9]+(?:[.,][0-9]+)?)+")
_ONE = Fraction(1)
_FORMULA = re.compile(r"[\u03c0\u221a^!\\]|\bpi\b|sqrt|[0-9]\s?[*+]\s?\(|\)\s?[*/]|/\s?\(|\(.*[0-9)]\s?[-+*/]")
_NEAR = 0.01
"""Relative: a number and its rounded form are nearer than this, whatever it was rounded to."""
_EQUALS = re.compile(r"(?<![!<>~=])=(?!=)")
_LETTER_UNITS = frozenset({"a", "v", "w", "n", "j", "byte", "bit", "x"})
"""In an answer to a question without a unit, "5 A" may be a name, and 5x a product."""
_CALENDAR = frozenset({"month", "year", "decade", "century"})
"""About as long as so many days, but not exactly."""
_HOMONYMS = ({"lb", "£"}, {"°", "°c"}, {"°", "°f"}, {"oz", "ml"}, {"%", "point"})


def grade_number(said: str, gold: str, tolerance: float | None) -> Grade:  # noqa: C901 - one rule after the other
    """Grade cleaned text against one stored number; `tolerance` is relative, None asks for the exact value."""
    if tolerance is not None and not (math.isfinite(tolerance) and tolerance >= 0):
        return Grade("undecided", "bad_tolerance")
    share = None if tolerance is None else _exact(tolerance)
    target = read_number(gold) or read_compound(gold) or read_number(_result(gold) or "") or _in_words(gold)
    if target is None:
        return _grade_range(said, gold, share)
    margin = None if share is None else share * abs(target.value)
    bare = _result(without_lead(said))
    if bare is None or (bare != said and bare.endswith("!") and read_number(bare[:-1]) is not None):
        # "2x = 5" says something else, and "The answer is 5!" may be 120.
        return Grade("undecided", "equation" if bare is None else "exclaimed")
    number = read_number(bare) or read_compound(bare)
    if number is not None:
        compared = _compare(number, target, margin)
        wrong_sum = compared.verdict == "right" and "=" in said and _miscalculated(without_lead(said))
        return Grade("undecided", "miscalculated") if wrong_sum else compared
    worked_out = _grade_in_words(bare, target, margin) or _grade_formula(bare, target, margin)
    if worked_out is not None:
        return worked_out
    if is_plain(said):
        grade = _grade_sentence(bare, target, margin)
        if grade.verdict != "undecided":
            return grade
    refused = no_number(said, bare)
    if refused is not None:
        return refused
    if denies(said, target.value):
        return Grade("wrong", "negated")
    if says_another(bare, target.value, margin):
        return Grade("wrong", "number_differs")
    if OPEN_NUMBER.search(said):
        return Grade("undecided", "open")
    return _grade_sentence(bare, target, margin)


def _in_words(text: str) -> Number | None:
    value = read_fraction(text)
    return None if value is None else Number(value, "", None, -1, about=False)


def _grade_in_words(said: str, target: Number, margin: Fraction | None) -> Grade | None:
    """Grade a fraction in words; "half" may be meant of another whole than the stored figure, 50 of a hundred."""
    number = _in_words(said)
    if number is None:
        return None
    compared = _compare(number, target, margin)
    return compared if compared.verdict == "right" else Grade("undecided", "fraction_in_words")


@lru_cache(maxsize=64)  # a data set has a few tolerances
def _exact(tolerance: float) -> Fraction:
    return Fraction(str(tolerance))


def _result(text: str) -> str | None:
    """Return the side of an equation that is its result: "120 - 80 = 40" and "x = 40" say 40.

    None where the other side is more than a name, and so another value: "2x = 40", "sin x = 40".
    """
    if "=" not in text:
        return text
    # Behind an exact result its rounded form may follow: 1/3 ≈ 0.33.
    sides = _EQUALS.split(text.partition("\u2248")[0])
    if len(sides) != 2:  # noqa: PLR2004 - one equals sign
        return text
    named = _LETTER.search(sides[0]) is None or (_NAME.fullmatch(sides[0]) and not _FUNCTION.search(sides[0]))
    return sides[1].strip() if named and not PART_OF.search(sides[0]) else None


_LETTER = re.compile(r"[^\W\d_]")
_NAME = re.compile(r"\s*[^\W\d_](?:[\w\s'()]|(?<=[^\W\d_])_\{?\w+\}?)*")
_FUNCTION = re.compile(
    r"\b(?:sin|cos|tan|cot|sec|csc|log|ln|lg|exp|sqrt|lim|max|min|arcsin|arccos|arctan)\b|[^\W\d_][0-9]|[0-9][^\W\d_]"
)


def _miscalculated(text: str) -> bool:
    """Return whether the sides of an equation of numbers differ: of 2 + 3 = 6 nobody knows which is meant."""
    forms = [read_form(side) for side in _EQUALS.split(text)]
    values = {rational(form.tree) for form in forms if isinstance(form, Term)} - {None}
    return len(values) > 1


def _grade_formula(said: str, target: Number, margin: Fraction | None) -> Grade | None:
    r"""Grade a number that is written as a formula (`2\\pi`, `5!`, `(1/2)^3`); None if it is none.

    One that is no fraction is wrong if its value is another, and open if it is near: the gold may be its rounded form.
    """
    form = read_form(said) if _FORMULA.search(said) else None
    if not isinstance(form, Term):
        return None
    exact = rational(form.tree)
    compared = None if exact is None else _compare(Number(exact, form.unit, None, -1, about=False), target, margin)
    exclaimed = read_number(said[:-1]) if said.endswith("!") else None
    if exclaimed is not None and _compare(exclaimed, target, margin).verdict == "right":
        # 37! for 37 is no factorial, or a wrong one.
        return compared if compared is not None and compared.verdict == "right" else Grade("undecided", "exclaimed")
    if compared is not None:
        return compared
    value = approximate(form.tree)
    if value is None or (form.unit and target.unit and form.unit != target.unit):
        return None
    near = abs(value - float(target.value)) <= max(_NEAR * abs(value), float(margin or 0))
    return Grade("undecided", "rounded") if near else Grade("wrong", "number_differs")


def _grade_range(said: str, gold: str, share: Fraction | None) -> Grade:
    """Grade against a stored answer that is no single number: a range, or what only equals itself ("3:4")."""
    bare = without_lead(said)
    wanted = read_range(gold)
    if _compact(bare) == _compact(gold) and (wanted is not None or _RATIO.fullmatch(gold)):
        return Grade("right", "equal_as_written")
    if refuses(said):
        return Grade("wrong", "abstained")
    if wanted is None:
        ratios = _RATIO.fullmatch(gold), _RATIO.fullmatch(bare)
        if all(ratios) and _ratio(bare) != _ratio(gold):
            return Grade("wrong", "ratio_differs")
        return Grade("undecided", "gold_unread")
    ends = read_range(bare)
    if ends is None:
        single = read_number(bare) is not None or not any(map(str.isdigit, said))
        return Grade("wrong", "not_the_range") if single else Grade("undecided", "not_one_range")
    margins = [None if share is None else share * abs(end.value) for end in wanted]
    grades = [_compare(end, target, margin) for end, target, margin in zip(ends, wanted, margins, strict=True)]
    if all(grade.verdict == "right" for grade in grades):
        return Grade("right", "range_equal")
    return next((grade for grade in grades if grade.verdict == "wrong"), Grade("undecided", "range_unclear"))


def _ratio(text: str) -> tuple[Fraction, ...]:
    """Return the parts of 3:4 or 1920x1080 as shares of the first: 6:8 says the same."""
    parts = [Fraction(part.replace(",", ".")) for part in re.findall(r"[0-9]+(?:[.,][0-9]+)?", text)]
    return tuple(part / parts[0] for part in parts) if parts[0] else tuple(parts)


def _compact(text: str) -> str:
    return "".join(text.casefold().split()).rstrip(".")


def _grade_sentence(said: str, target: Number, margin: Fraction | None) -> Grade:
    """Grade a sentence by the one number in it ("There are 5 dots on the map")."""
    match = _NUMBER_IN_SENTENCE.fullmatch(said)
    words = WORDS.findall(said.lower())
    if match is None or re.search("[0-9]", said[: match.start("number")]) or not OTHER_NUMBERS.isdisjoint(words):
        return Grade("undecided", "not_one_number")
    before = said[: match.start("number")]
    if PART_OF.search(before) or SUPPOSED.search(said):
        return Grade("undecided", "of_another_thing")
    if not CHANGING.isdisjoint(match["rest"].lower().strip(".!").split()):
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
    if "\u2030" in {number.unit, target.unit} and "" in {number.unit, target.unit}:
        return _compare_permille(number, target, margin)
    factor = _factor(number, target)
    if factor is None:
        return _grade_unit(number, target, margin)
    if number.unit in _LETTER_UNITS and not target.unit:
        return Grade("undecided", "unit_or_name")
    value = number.value if factor is _ONE else number.value * factor
    if within(value, target.value, margin):
        return _right_or_about(number, margin)
    # Where a whole number is stored, 1,000 is a thousand; 5 M may be metres all the same.
    if (
        number.other is not None
        and (target.decimals or number.decimals)
        and within(number.other * factor, target.value, margin)
    ):
        return Grade("undecided", "ambiguous_separator")
    if target.other is not None and number.decimals and within(value, target.other, margin):
        return Grade("undecided", "ambiguous_separator")
    if factor is not _ONE and abs(value - target.value) <= abs(target.value) / 100:
        # Nobody converts miles exactly.
        return Grade("undecided", "converted")
    if margin is None and _rounds_to(target, value, number.decimals):
        return Grade("undecided", "rounded")
    return Grade("wrong", "number_differs")


def _grade_unit(number: Number, target: Number, margin: Fraction | None) -> Grade:
    """Grade two numbers whose units do not convert; the name of what is counted may be a synonym ("cars")."""
    units = {number.unit, target.unit}
    if units & _CALENDAR and any(conversion(unit, "d") for unit in units):
        return Grade("undecided", "calendar")
    open_name = units in _HOMONYMS or may_be_one(*units) or not all(map(is_unit, units))
    near = within(number.value, target.value, margin)
    return Grade("undecided" if near and open_name else "wrong", "unit_differs")


def _right_or_about(number: Number, margin: Fraction | None) -> Grade:
    if number.about and margin is None:
        return Grade("undecided", "about")
    return Grade("right", "number_equal" if margin is None else "number_within_tolerance")


def _factor(number: Number, target: Number) -> Fraction | None:
    """Return what turns the number into the unit of the target; None if they measure different things.

    A unit that only one side states is taken for the other's too: the question asks in some unit.
    """
    if number.unit == target.unit or not number.unit or not target.unit:
        return _ONE
    return conversion(number.unit, target.unit)


def _compare_percent(number: Number, target: Number, margin: Fraction | None) -> Grade:
    """Compare a percentage with a bare number: "5%" may be stored as 5 or as 0.05.

    A bare gold above 1 is a figure in percent, below it a share; the other reading of each is not taken.
    """
    share = number.value / 100 if number.unit == "%" else number.value * 100
    as_figure = within(number.value, target.value, margin)
    as_share = within(share, target.value, margin)
    if not as_figure and not as_share:
        return Grade("wrong", "number_differs")
    if not number.unit and as_figure and abs(target.value) <= 1:
        # 0.25 is a quarter as well, and 0.25 % may be meant.
        return Grade("undecided", "percent_or_share")
    expected = as_share if not target.unit and abs(target.value) <= 1 else as_figure
    if expected or target.unit == "%":
        return _right_or_about(number, margin)
    return Grade("undecided", "percent_or_share")


def _compare_permille(number: Number, target: Number, margin: Fraction | None) -> Grade:
    """Compare a figure in thousandths with a bare number, which nobody stores for it: right only as a share."""
    said, stored = ((side.value / 1000 if side.unit else side.value) for side in (number, target))
    if within(said, stored, margin):
        return _right_or_about(number, margin)
    near = within(number.value, target.value, margin)
    return Grade("undecided", "permille_or_figure") if near else Grade("wrong", "number_differs")


def _rounds_to(target: Number, value: Fraction, decimals: int) -> bool:
    """Return whether the value is the target, rounded to at least two decimals."""
    exact = target.decimals == -1 and target.value.denominator > 1
    longer = decimals >= 2 and (exact or decimals < target.decimals)  # noqa: PLR2004 - said above
    return longer and round(target.value, decimals) == value
