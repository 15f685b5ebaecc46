"""Grading an answer: right, wrong, or undecided. Typed and deterministic; no text makes it raise.

The rule of the house is that a false accept is worse than any number of undecided answers: a reward or a
validator that takes a wrong answer for right teaches it. So an answer is right only if the whole of it says
what a stored answer says; one that merely contains it ("Paris or London", a copy of the question) is
undecided, and left to a judge. It is wrong if it clearly says something else, or nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from filters.answer_choices import gold_option, meant_letter, meant_option
from filters.answer_numbers import read_number
from filters.answer_text import abstains, clean, contains, equal, folded, hedged, negated, tokens, without_lead
from filters.grade_numbers import grade_number
from filters.grades import Grade
from pipeline.records import AnswerType, GradeResult

VERSION = 1
"""Rises whenever an equal answer may be graded otherwise; part of the fingerprint of every stage that grades."""

MAX_ANSWER = 300
"""Characters from which an answer is not read; the reward of DeepEyesV2 gives nothing for it."""


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
    if prediction is not None and len(prediction) >= MAX_ANSWER:
        return GradeResult(verdict="undecided", rule="too_long", detail=f"{len(prediction)} characters")
    said = clean(prediction or "")
    if not said:
        return GradeResult(verdict="wrong", rule="empty", detail="")
    # A gold so long equals no answer that is read, and would cost.
    known = [clean(gold) for gold in golds if gold.strip() and len(gold) < MAX_ANSWER]
    if not known:
        return GradeResult(verdict="undecided", rule="no_gold", detail=said)
    if said.endswith("?") and not any(text.rstrip().endswith("?") for text in (*known, *(choices or ()))):
        return GradeResult(verdict="undecided", rule="asked_back", detail=said)
    match answer_type:
        case "choice":
            verdict = _grade_choice(said, known, tuple(choices or ()))
        case "list":
            verdict = _grade_list(said, known)
        case _:
            verdict = min((_grade_one(said, gold, answer_type, tolerance) for gold in known), key=_rank)
    return GradeResult(verdict=verdict.verdict, rule=verdict.rule, detail=f"{said} | {' | '.join(known)}")


def _rank(verdict: Grade) -> int:
    return _RANK[verdict.verdict]


def _grade_one(said: str, gold: str, answer_type: AnswerType, tolerance: float | None) -> Grade:
    match answer_type:
        case "number":
            return grade_number(said, gold, tolerance)
        case "boolean":
            return _grade_boolean(said, gold)
        case "date" | "expression":
            return _grade_exact(said, gold)
        case _:
            return _grade_text(said, gold)


def _grade_text(said: str, gold: str) -> Grade:
    wanted, whole = tokens(gold), tokens(said)
    if said == gold or equal(whole, wanted):
        return Grade("right", "text_equal")
    bare = without_lead(said)
    words = tokens(bare)
    if equal(words, wanted):
        return Grade("right", "text_equal_after_lead")
    if abstains(words) or abstains(whole):
        return Grade("wrong", "abstained")
    if words[:1] == ("not",) and equal(words[1:], wanted):
        return Grade("wrong", "negated")
    if hedged(whole):
        return Grade("undecided", "hedged")
    return _same_number(bare, gold) or _partly(folded(words), folded(wanted)) or Grade("wrong", "text_differs")


def _partly(words: tuple[str, ...], wanted: tuple[str, ...]) -> Grade | None:
    """Return why two different texts may still mean the same."""
    if not words or not wanted:
        return Grade("undecided", "no_words")
    if contains(words, wanted) or contains(wanted, words):
        return Grade("undecided", "contains")
    if _initials(words, wanted) or _initials(wanted, words):
        return Grade("undecided", "initials")
    return Grade("undecided", "inflected") if _singular(words) == _singular(wanted) else None


def _same_number(said: str, gold: str) -> Grade | None:
    """Compare two texts that are plain numbers; with a leading zero ("007") they are names, not numbers."""
    if re.match(r"[+-]?0[0-9]", gold) or re.match(r"[+-]?0[0-9]", said):
        return None
    a, b = read_number(said), read_number(gold)
    if a is None or b is None or a.value != b.value or a.unit != b.unit or a.about:
        return None
    # 1.10 may be a section and not 1.1.
    return Grade("right", "number_in_text") if a.decimals == b.decimals else Grade("undecided", "decimals_differ")


def _singular(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(re.sub(r"(?<=\w\w)(?:(?<=[sxh])es|s)$", "", word) for word in words)


def _initials(short: tuple[str, ...], long: tuple[str, ...]) -> bool:
    """Return whether one word spells the initials of several, with or without the small ones."""
    if len(short) != 1 or len(long) < 2:  # noqa: PLR2004 - initials of one word are a letter
        return False
    small = {"of", "and", "for", "in", "de"}
    return short[0] in {"".join(word[0] for word in long), "".join(word[0] for word in long if word not in small)}


def _grade_choice(said: str, golds: Sequence[str], choices: tuple[str, ...]) -> Grade:
    if not choices:
        return _grade_letter(said, golds)
    right = {gold_option(gold, choices) for gold in golds}
    if None in right:
        return Grade("undecided", "gold_unread")
    if abstains(tokens(said)):
        return Grade("wrong", "abstained")
    meant = meant_option(said, choices)
    if meant is None:
        return Grade("undecided", "no_one_option")
    return Grade("right", "option_equal") if meant in right else Grade("wrong", "option_differs")


def _grade_letter(said: str, golds: Sequence[str]) -> Grade:
    """Grade a letter when the options are not known."""
    letters = {meant_letter(gold) for gold in golds if len(gold.strip(" ().[]")) == 1}
    meant = meant_letter(said)
    if not letters or None in letters:
        return min((_grade_text(said, gold) for gold in golds), key=_rank)
    if meant is None:
        return Grade("undecided", "no_one_option")
    return Grade("right", "option_equal") if meant in letters else Grade("wrong", "option_differs")


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


def _grade_boolean(said: str, gold: str) -> Grade:
    wanted, meant = _boolean(gold), _boolean(said)
    if wanted is None:
        return Grade("undecided", "gold_unread")
    if meant is None:
        if abstains(tokens(said)):
            return Grade("wrong", "abstained")
        return Grade("undecided", "no_yes_or_no")
    return Grade("right", "boolean_equal") if meant == wanted else Grade("wrong", "boolean_differs")


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
_BULLET = r"(?:[-*\u2022]|[0-9]{1,2}[.)])\s+"
_SEPARATORS = re.compile(rf"\s*[,;]\s*(?:and\s+|&\s*)?(?:{_BULLET})?|(?:^|\s+){_BULLET}")
_ORDERED = re.compile(r"\s*(?:->|=>|→|⇒|>)\s*")


def _grade_list(said: str, golds: Sequence[str]) -> Grade:
    """Compare items whatever their order, unless the stored list is ordered by arrows ("first → second")."""
    if len(golds) > 1 and not any(_SEPARATORS.search(gold) or _ORDERED.search(gold) for gold in golds):
        golds = [", ".join(golds)]
    for text in dict.fromkeys((said, without_lead(said))):
        if any(_same_list(text, gold) for gold in golds):
            return Grade("right", "list_equal")
    words = tokens(said)
    if abstains(words):
        return Grade("wrong", "abstained")
    if hedged(words):
        return Grade("undecided", "hedged")
    if any(all(contains(words, item) for item in _items(gold)[0]) for gold in golds):
        return Grade("undecided", "contains")
    return Grade("wrong", "list_differs")


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


def _grade_exact(said: str, gold: str) -> Grade:
    """Dates and expressions: equal as written, or undecided."""
    for text in (said, without_lead(said)):
        if _compact(text) == _compact(gold):
            return Grade("right", "equal_as_written")
    if abstains(tokens(said)):
        return Grade("wrong", "abstained")
    return Grade("undecided", "not_equal_as_written")


def _compact(text: str) -> str:
    return "".join(text.casefold().split()).rstrip(".").replace("\\left", "").replace("\\right", "")
