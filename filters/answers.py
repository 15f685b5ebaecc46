"""Grading an answer: right, wrong, or undecided. Typed and deterministic; no text makes it raise.

The rule of the house is that a false accept is worse than any number of undecided answers: a reward or a
validator that takes a wrong answer for right teaches it. So an answer is right only if the whole of it says
what a stored answer says; one that merely contains it ("Paris or London", a copy of the question) is
undecided, and left to a judge. It is wrong if it clearly says something else, or nothing.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

from filters.answer_choices import gold_option, meant_letter, meant_option
from filters.answer_numbers import NUMERAL, Number, conversion, read_number
from filters.answer_text import abstains, clean, contains, equal, folded, hedged, negated, tokens, without_lead
from pipeline.records import AnswerType, GradeResult

VERSION = 1
"""Rises whenever an equal answer may be graded otherwise; part of the fingerprint of every stage that grades."""

MAX_ANSWER = 300
"""Characters from which an answer is not read; the reward of DeepEyesV2 gives nothing for it."""


class _Verdict(NamedTuple):
    verdict: Literal["right", "wrong", "undecided"]
    rule: str


_RANK = {"right": 0, "undecided": 1, "wrong": 2}


def grade(
    prediction: str | None,
    golds: Sequence[str],
    answer_type: AnswerType,
    *,
    tolerance: float | None = None,
    choices: Sequence[str] | None = None,
) -> GradeResult:
    """Grade a prediction against every stored spelling of the answer; the best verdict counts.

    Args:
        prediction: The final answer alone, without its reasoning; None if there is none.
        golds: All spellings that are right. For a list, each is a whole list ("red, blue"); several golds
            of which none holds a separator are the items of one list.
        answer_type: Which grader reads them.
        tolerance: Relative, of the stored number; None asks for the exact value, as years and counts need.
        choices: The options, for `choice`.

    Returns:
        The verdict; `rule` names what decided, `detail` shows both sides as they were compared.
    """
    if prediction is None or not prediction.strip():
        return GradeResult(verdict="wrong", rule="empty", detail="")
    if len(prediction) >= MAX_ANSWER:
        return GradeResult(verdict="undecided", rule="too_long", detail=f"{len(prediction)} characters")
    said = clean(prediction)
    # A gold so long equals no answer that is read, and would cost.
    known = [clean(gold) for gold in golds if gold.strip() and len(gold) < MAX_ANSWER]
    if not known:
        return GradeResult(verdict="undecided", rule="no_gold", detail=said)
    match answer_type:
        case "choice":
            verdict = _grade_choice(said, known, tuple(choices or ()))
        case "list":
            verdict = _grade_list(said, known)
        case _:
            verdict = min((_grade_one(said, gold, answer_type, tolerance) for gold in known), key=_rank)
    return GradeResult(verdict=verdict.verdict, rule=verdict.rule, detail=f"{said} | {' | '.join(known)}")


def _rank(verdict: _Verdict) -> int:
    return _RANK[verdict.verdict]


def _grade_one(said: str, gold: str, answer_type: AnswerType, tolerance: float | None) -> _Verdict:
    match answer_type:
        case "number":
            return _grade_number(said, gold, tolerance)
        case "boolean":
            return _grade_boolean(said, gold)
        case "date" | "expression":
            return _grade_exact(said, gold)
        case _:
            return _grade_text(said, gold)


def _grade_text(said: str, gold: str) -> _Verdict:
    wanted, whole = tokens(gold), tokens(said)
    if said == gold or (equal(whole, wanted) and said.endswith("?") <= gold.endswith("?")):
        return _Verdict("right", "text_equal")
    bare = without_lead(said)
    words = tokens(bare)
    if equal(words, wanted) and not said.endswith("?"):
        return _Verdict("right", "text_equal_after_lead")
    if abstains(words) or abstains(whole):
        return _Verdict("wrong", "abstained")
    if words[:1] == ("not",) and equal(words[1:], wanted):
        return _Verdict("wrong", "negated")
    if hedged(whole) or said.endswith("?"):
        return _Verdict("undecided", "hedged")
    return _same_number(bare, gold) or _partly(folded(words), folded(wanted)) or _Verdict("wrong", "text_differs")


def _partly(words: tuple[str, ...], wanted: tuple[str, ...]) -> _Verdict | None:
    """Return why two different texts may still mean the same."""
    if not words or not wanted:
        return _Verdict("undecided", "no_words")
    if contains(words, wanted) or contains(wanted, words):
        return _Verdict("undecided", "contains")
    if _initials(words, wanted) or _initials(wanted, words):
        return _Verdict("undecided", "initials")
    return _Verdict("undecided", "inflected") if _singular(words) == _singular(wanted) else None


def _same_number(said: str, gold: str) -> _Verdict | None:
    """Compare two texts that are plain numbers; with a leading zero ("007") they are names, not numbers."""
    if re.match(r"[+-]?0[0-9]", gold) or re.match(r"[+-]?0[0-9]", said):
        return None
    a, b = read_number(said), read_number(gold)
    if a is None or b is None or a.value != b.value or a.unit != b.unit or a.about:
        return None
    # 1.10 may be a section and not 1.1.
    return _Verdict("right", "number_in_text") if a.decimals == b.decimals else _Verdict("undecided", "decimals_differ")


def _singular(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(re.sub(r"(?<=\w\w)(?:(?<=[sxh])es|s)$", "", word) for word in words)


def _initials(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    """Return whether one word spells the initials of several, with or without the small ones."""
    if len(short) != 1 or len(long) < 2:  # noqa: PLR2004 - initials of one word are a letter
        return False
    small = {"of", "and", "for", "in", "de"}
    return short[0] in {"".join(word[0] for word in long), "".join(word[0] for word in long if word not in small)}


_OPEN_NUMBER = re.compile(
    r"[<>\u2264\u2265\u00b1?]|[0-9]\s*\+\s*$|n't\b"
    r"|\b(?:or|between|from|to|than|more|less|fewer|least|most|over|under|above|below|not|never|no|maybe|perhaps|possibly"
    r"|probably|might|could|either|range|estimated?|guess|if|unless|except|minimum|maximum|would|wrong|incorrect|false|instead|but)\b",
    re.IGNORECASE,
)
# A sentence says its number first or after a verb: "5 dots on the map", "the total is 5 km long".
_NUMBER_IN_SENTENCE = re.compile(
    rf"(?:.*\b(?:is|are|was|were|equals|be|total|see|counted|count)\s*:?\s*|.*[:=]\s*)?(?P<number>[+-]?\s?[$€£]?{NUMERAL})"
    r"(?P<rest>\s?%|\s+[^0-9]*|[.!])?",
    re.IGNORECASE,
)
_EQUALS = re.compile(r"(?<![!<>~=])=(?!=)")
_NUMBER_WORDS = frozenset(
    (
        *(
            "zero",
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
            "thirteen",
        ),
        *("fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty", "forty", "fifty"),
        *("sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "million", "billion", "dozen", "half", "k"),
    )
)


def _grade_number(said: str, gold: str, tolerance: float | None) -> _Verdict:
    target = read_number(gold)
    if target is None:
        return _equal_or(said, gold, "gold_unread")
    if tolerance is not None and not (math.isfinite(tolerance) and tolerance >= 0):
        return _Verdict("undecided", "bad_tolerance")
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
        return _Verdict("wrong", "abstained")
    if _OPEN_NUMBER.search(said):
        return _Verdict("undecided", "hedged")
    return _grade_sentence(bare, target, margin)


def _grade_sentence(said: str, target: Number, margin: Fraction | None) -> _Verdict:
    """Grade a sentence by the one number in it ("There are 5 dots on the map")."""
    match = _NUMBER_IN_SENTENCE.fullmatch(said)
    words = re.findall(r"[^\W\d_]+", said.lower())
    if match is None or re.search("[0-9]", said[: match.start("number")]) or not _NUMBER_WORDS.isdisjoint(words):
        return _Verdict("undecided", "not_one_number")
    # The word behind a number may be a unit that changes it; one that `read_number` refuses is none.
    following = (match["rest"] or "").strip().partition(" ")[0].strip(".,;!")
    number = read_number(f"{match['number']} {following}".strip())
    if number is None:
        return _Verdict("undecided", "not_one_number")
    return _compare(number, target, margin)._replace(rule="number_in_sentence")


def _compare(number: Number, target: Number, margin: Fraction | None) -> _Verdict:
    """Compare two numbers with their units; `margin` is absolute, None asks for equality."""
    if "%" in {number.unit, target.unit} and "" in {number.unit, target.unit}:
        return _compare_percent(number, target, margin)
    factor = _factor(number, target)
    if factor is None:
        near = _within(number.value, target.value, margin)
        return _Verdict("undecided", "unit_differs") if near else _Verdict("wrong", "number_differs")
    value = number.value * factor
    if _within(value, target.value, margin):
        return _right_or_about(number, margin)
    if number.other is not None and _within(number.other * factor, target.value, margin):
        return _Verdict("undecided", "ambiguous_separator")
    if target.other is not None and _within(value, target.other, margin):
        return _Verdict("undecided", "ambiguous_separator")
    if factor != 1 and abs(value - target.value) <= abs(target.value) / 100:
        # Nobody converts miles exactly.
        return _Verdict("undecided", "converted")
    if margin is None and _rounds_to(target, value, number.decimals):
        return _Verdict("undecided", "rounded")
    return _Verdict("wrong", "number_differs")


def _within(value: Fraction, target: Fraction, margin: Fraction | None) -> bool:
    return value == target if margin is None else abs(value - target) <= margin


def _right_or_about(number: Number, margin: Fraction | None) -> _Verdict:
    if number.about and margin is None:
        return _Verdict("undecided", "about")
    return _Verdict("right", "number_equal" if margin is None else "number_within_tolerance")


def _factor(number: Number, target: Number) -> Fraction | None:
    """Return what turns the number into the unit of the target; None if they measure different things.

    A unit that only one side states is taken for the other's too: the question asks in some unit.
    """
    if number.unit == target.unit or not number.unit or not target.unit:
        return Fraction(1)
    return conversion(number.unit, target.unit)


def _compare_percent(number: Number, target: Number, margin: Fraction | None) -> _Verdict:
    """Compare a percentage with a bare number: "5%" may be stored as 5 or as 0.05.

    A bare gold above 1 is a figure in percent, below it a share; the other reading of each is not taken.
    """
    share = number.value / 100 if number.unit == "%" else number.value * 100
    as_figure = _within(number.value, target.value, margin)
    as_share = _within(share, target.value, margin)
    if not as_figure and not as_share:
        return _Verdict("wrong", "number_differs")
    expected = as_share if not target.unit and abs(target.value) <= 1 else as_figure
    if expected or target.unit == "%":
        return _right_or_about(number, margin)
    return _Verdict("undecided", "percent_or_share")


def _rounds_to(target: Number, value: Fraction, decimals: int) -> bool:
    """Return whether the value is the target, rounded to at least two decimals."""
    return 2 <= decimals < target.decimals and round(target.value, decimals) == value  # noqa: PLR2004 - said above


def _grade_choice(said: str, golds: Sequence[str], choices: tuple[str, ...]) -> _Verdict:
    if not choices:
        return _grade_letter(said, golds)
    right = {gold_option(gold, choices) for gold in golds}
    if None in right:
        return _Verdict("undecided", "gold_unread")
    if abstains(tokens(said)):
        return _Verdict("wrong", "abstained")
    meant = meant_option(said, choices)
    if meant is None:
        return _Verdict("undecided", "no_one_option")
    return _Verdict("right", "option_equal") if meant in right else _Verdict("wrong", "option_differs")


def _grade_letter(said: str, golds: Sequence[str]) -> _Verdict:
    """Grade a letter when the options are not known."""
    letters = {meant_letter(gold) for gold in golds if len(gold.strip(" ().[]")) == 1}
    meant = meant_letter(said)
    if not letters or None in letters:
        return min((_grade_text(said, gold) for gold in golds), key=_rank)
    if meant is None:
        return _Verdict("undecided", "no_one_option")
    return _Verdict("right", "option_equal") if meant in letters else _Verdict("wrong", "option_differs")


def _equal_or(said: str, gold: str, rule: str) -> _Verdict:
    return _Verdict("right", "text_equal") if equal(tokens(said), tokens(gold)) else _Verdict("undecided", rule)


_YES = {("yes",), ("true",), ("correct",), ("right",), ("yeah",), ("yep",), ("y",), ("affirmative",)}
_NO = {
    ("no",),
    ("false",),
    ("incorrect",),
    ("nope",),
    ("n",),
    ("not", "true"),
    ("not", "correct"),
    ("negative",),
    ("untrue",),
}


def _grade_boolean(said: str, gold: str) -> _Verdict:
    wanted, meant = _boolean(gold), _boolean(said)
    if wanted is None:
        return _equal_or(said, gold, "gold_unread")
    if meant is None:
        if abstains(tokens(said)):
            return _Verdict("wrong", "abstained")
        return _Verdict("undecided", "no_yes_or_no")
    return _Verdict("right", "boolean_equal") if meant == wanted else _Verdict("wrong", "boolean_differs")


def _boolean(text: str) -> bool | None:
    """Return what a cleaned text affirms; None if it is not clear."""
    words = tokens(without_lead(text))
    if words in _YES:
        return True
    if words in _NO:
        return False
    head, comma, rest = text.partition(",") if "," in text else text.partition(".")
    if not comma or hedged(tokens(text)) or {"but", "however", "although"} & set(tokens(rest)):
        return None
    first = tokens(without_lead(head))
    if first in _YES and not negated(tokens(rest)):
        return True
    # "No, it is not" agrees with itself; "No, it is" does not.
    return False if first == ("no",) and negated(tokens(rest)) and "yes" not in tokens(rest) else None


# Commas, semicolons, bullets and numbering.
_SEPARATORS = re.compile(r"\s*[,;]\s*(?:and\s+|&\s*)?|(?:^|\s+)(?:[-*\u2022]|[0-9]{1,2}[.)])\s+")
_ORDERED = re.compile(r"\s*(?:->|=>|→|⇒|>)\s*")


def _grade_list(said: str, golds: Sequence[str]) -> _Verdict:
    """Compare items whatever their order, unless the stored list is ordered by arrows ("first → second")."""
    if len(golds) > 1 and not any(_SEPARATORS.search(gold) or _ORDERED.search(gold) for gold in golds):
        golds = [", ".join(golds)]
    for text in dict.fromkeys((said, without_lead(said))):
        if any(_same_list(text, gold) for gold in golds):
            return _Verdict("right", "list_equal")
    words = tokens(said)
    if abstains(words):
        return _Verdict("wrong", "abstained")
    if hedged(words):
        return _Verdict("undecided", "hedged")
    if any(all(contains(words, item) for item in _items(gold)[0]) for gold in golds):
        return _Verdict("undecided", "contains")
    return _Verdict("wrong", "list_differs")


def _same_list(said: str, gold: str) -> bool:
    if _ORDERED.search(gold):
        steps = [tokens(step) for step in _ORDERED.split(gold)]
        separator = _ORDERED if _ORDERED.search(said) else _SEPARATORS
        return steps == [tokens(step) for step in separator.split(said) if step]
    wanted = [Counter(map(folded, items)) for items in _items(gold)]
    return any(Counter(map(folded, items)) in wanted for items in _items(said))


def _items(text: str) -> list[list[tuple[str, ...]]]:
    """Return the ways to read a list: "and" divides the last two items, or belongs to one."""
    bare = text.strip("[](){} .")
    coarse = [item for item in _SEPARATORS.split(bare) if item.strip()]
    fine = [part for item in coarse for part in re.split(r"\s+(?:and|&)\s+", item)]
    return [[tokens(item) for item in reading] for reading in (coarse, fine)]


def _grade_exact(said: str, gold: str) -> _Verdict:
    """Dates and expressions: equal as written, or undecided."""
    for text in (said, without_lead(said)):
        if _compact(text) == _compact(gold):
            return _Verdict("right", "equal_as_written")
    if abstains(tokens(said)):
        return _Verdict("wrong", "abstained")
    return _Verdict("undecided", "not_equal_as_written")


def _compact(text: str) -> str:
    return "".join(text.casefold().split()).rstrip(".").replace("\\left", "").replace("\\right", "")
