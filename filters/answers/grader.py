"""Grading an answer: right, wrong, or undecided. Typed and deterministic; no text makes it raise.

The rule of the house is that a false accept is worse than any number of undecided answers: a reward or a
validator that takes a wrong answer for right teaches it. So an answer is right only if the whole of it says
what a stored answer says, which a copy of the question or of the options never does. It is wrong if it clearly
says something else, or nothing, or tries to say several things at once (`filters.answers.evasion`). What a person
would have to think about ("Paris, France", another word for a thing) is undecided, and left to a judge.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from filters.answers.choices import commits_to_none, gold_option, meant_letter, meant_option, several_letters
from filters.answers.dates import grade_date
from filters.answers.evasion import copied, evasion, refuses
from filters.answers.expressions import grade_expression
from filters.answers.grade_numbers import grade_number
from filters.answers.lists import grade_list
from filters.answers.quantities import read_number
from filters.answers.text import Grade, clean, contains, equal, folded, hedged, negated, tokens, without_lead
from pipeline.records import AnswerType, GradeResult

VERSION = 3
"""Rises whenever an equal answer may be graded otherwise; part of the fingerprint of every stage that grades."""

MAX_ANSWER = 300
"""Characters from which an answer is not read; the reward of DeepEyesV2 gives nothing for it."""


_PHRASES = frozenset(
    {"is", "are", "was", "were", "has", "have", "because", "that", "which", "who", "wearing", "with", "to", "from"}
)
_RANK = {"right": 0, "undecided": 1, "wrong": 2}


def grade(
    prediction: str | None,
    golds: Sequence[str],
    answer_type: AnswerType,
    *,
    tolerance: float | None = None,
    choices: Sequence[str] | None = None,
    question: str | None = None,
) -> GradeResult:
    """Grade a prediction against every stored spelling of the answer; the best verdict counts.

    Args:
        prediction: The final answer alone, without its reasoning; None if there is none.
        golds: All spellings that are right. For a list, each is a whole list ("red, blue"); several golds
            of which none holds a separator are the items of one list.
        answer_type: Which grader reads them.
        tolerance: Relative, of the stored number; None asks for the exact value, as years and counts need.
        choices: The options, for `choice`.
        question: The text of the question, where an answer that is copied from it is to be wrong.

    Returns:
        The verdict; `rule` names what decided, `detail` shows both sides as they were compared.
    """
    if prediction is not None and len(prediction) >= MAX_ANSWER:
        return GradeResult(verdict="wrong", rule="too_long", detail=f"{len(prediction)} characters")
    said = clean(prediction or "")
    if not said:
        return GradeResult(verdict="wrong", rule="empty", detail="")
    # A gold so long equals no answer that is read, and would cost.
    known = [clean(gold) for gold in golds if gold.strip() and len(gold) < MAX_ANSWER]
    if not known:
        return GradeResult(verdict="undecided", rule="no_gold", detail=said)
    if said.endswith("?") and not any(text.rstrip().endswith("?") for text in (*known, *(choices or ()))):
        return GradeResult(verdict="wrong", rule="asked_back", detail=said)
    if question is not None and copied(said, known, question, choices or ()):
        return GradeResult(verdict="wrong", rule="copied", detail=said)
    match answer_type:
        case "choice":
            verdict = _grade_choice(said, known, tuple(choices or ()))
        case "list":
            verdict = grade_list(said, known)
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
        case "date":
            return grade_date(said, gold)
        case "expression":
            return grade_expression(said, gold)
        case _:
            return _grade_text(said, gold)


def _grade_text(said: str, gold: str) -> Grade:
    if said == gold:
        return Grade("right", "text_equal")
    wanted, whole = tokens(gold), tokens(said)
    if equal(whole, wanted):
        return Grade("right", "text_equal")
    bare = without_lead(said)
    words = whole if bare == said else tokens(bare)
    if bare != said and equal(words, wanted):
        return Grade("right", "text_equal_after_lead")
    if not words or not wanted:
        return Grade("undecided", "no_words") if not wanted else Grade("wrong", "empty")
    evades = evasion(said, gold)
    if evades:
        return Grade("wrong", evades)
    return _same_number(bare, gold) or _partly(folded(words), folded(wanted)) or Grade("wrong", "text_differs")


def _partly(words: tuple[str, ...], wanted: tuple[str, ...]) -> Grade | None:
    """Return why two different texts may still mean the same, or that one is a mere piece of the other.

    English puts the name of a thing last: "hydrant" may do for "fire hydrant" and "Obama" for "Barack Obama",
    which a judge has to say; "fire" and "Barack" do not.
    """
    if words == wanted[-len(words) :] or contains(words, wanted):
        return Grade("undecided", "contains")
    if contains(wanted, words):
        return Grade("wrong", "piece")
    if _initials(words, wanted) or _initials(wanted, words):
        return Grade("undecided", "initials")
    if _singular(words) == _singular(wanted):
        return Grade("undecided", "inflected")
    return Grade("undecided", "phrase") if _phrased(words) or _phrased(wanted) or _misread(words, wanted) else None


def _phrased(words: tuple[str, ...]) -> bool:
    """Return whether a text is a phrase, which two people do not word alike: a verb or a preposition among words."""
    return len(words) > 2 and not _PHRASES.isdisjoint(words)  # noqa: PLR2004 - two words are a name


def _misread(words: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Return whether two names of several words differ in one word, and that by one letter added or left out."""
    if len(words) != len(wanted) or len(words) <= 2:  # noqa: PLR2004 - a short label is read exactly or not at all
        return False
    differing = [(a, b) for a, b in zip(words, wanted, strict=True) if a != b]
    (a, b), *more = differing
    short, long = sorted((a, b), key=len)
    return not more and short.isalpha() and any(long[:at] + long[at + 1 :] == short for at in range(len(long)))


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
    meant = meant_option(said, choices)
    if meant is None:
        evades = commits_to_none(said, choices)
        return Grade("wrong", evades) if evades else Grade("undecided", "no_one_option")
    return Grade("right", "option_equal") if meant in right else Grade("wrong", "option_differs")


def _grade_letter(said: str, golds: Sequence[str]) -> Grade:
    """Grade a letter when the options are not known."""
    letters = {meant_letter(gold) for gold in golds if len(gold.strip(" ().[]")) == 1}
    meant = meant_letter(said)
    if not letters or None in letters:
        return min((_grade_text(said, gold) for gold in golds), key=_rank)
    if meant is None:
        evades = evasion(said, "") or several_letters(said)
        return Grade("wrong", evades) if evades else Grade("undecided", "no_one_option")
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
    if meant is not None:
        return Grade("right", "boolean_equal") if meant == wanted else Grade("wrong", "boolean_differs")
    words = tokens(said)
    affirms, denies = not _AFFIRMING.isdisjoint(words), not _DENYING.isdisjoint(words)
    if refuses(said):
        return Grade("wrong", "abstained")
    if affirms and denies:
        return Grade("wrong", "both")
    if evasion(said, "") == "hedged":
        return Grade("wrong", "hedged")
    if affirms and wanted and negated(words):
        return Grade("wrong", "negated")
    # One word that is neither says nothing; a sentence may say it in words of its own.
    return Grade("undecided", "no_yes_or_no") if len(words) > 1 else Grade("wrong", "no_yes_or_no")


_AFFIRMING = frozenset({"yes", "true", "yeah", "yep"})
_DENYING = frozenset({"no", "false", "nope"})


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
