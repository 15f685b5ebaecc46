"""Grading an answer: right, wrong, or undecided. Typed and deterministic; no text makes it raise.

The rule of the house is that a false accept is worse than any number of undecided answers: a reward or a
validator that takes a wrong answer for right teaches it. So an answer is right only if the whole of it says
what a stored answer says, which a copy of the question or of the options never does. It is wrong if it clearly
says something else, or nothing, or tries to say several things at once (`filters.answers.evasion`). What a person
would have to think about ("Paris, France", another word for a thing) is undecided, and left to a judge.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from filters.answers.booleans import grade_boolean
from filters.answers.choices import (
    commits_to_none,
    gold_option,
    labelled_letter,
    meant_letter,
    meant_option,
    several_letters,
)
from filters.answers.dates import grade_date
from filters.answers.evasion import copied, evasion
from filters.answers.grade_texts import grade_text
from filters.answers.lists import grade_list
from filters.answers.mathematics.expressions import OPEN, grade_expression
from filters.answers.numbers.grade_numbers import grade_number
from filters.answers.stated import MAX_ANSWER, stated
from filters.answers.text import Grade, best, clean
from pipeline.records import AnswerType, GradeResult

VERSION = 7
"""Rises whenever an equal answer may be graded otherwise; part of the fingerprint of every stage that grades."""

_STATED = frozenset({"number", "expression", "list", "choice"})
"""Types of answers that are boxed and set as formulas."""
_SOLVED = frozenset({"number", "expression"})
"""Types whose answer may be a whole solution; the conclusion alone is read, and counts against `MAX_ANSWER`."""


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
    written = stated(prediction or "") if answer_type in _STATED else prediction or ""
    length = len(written if answer_type in _SOLVED else prediction or "")
    if length >= MAX_ANSWER:
        return GradeResult(verdict="wrong", rule="too_long", detail=f"{length} characters")
    said = clean(written)
    if not said:
        return GradeResult(verdict="wrong", rule="empty", detail="")
    read = [stated(gold) for gold in golds] if answer_type in _STATED else golds
    # A gold so long equals no answer that is read, and would cost.
    stored = [gold for gold in read if gold.strip() and len(gold) < MAX_ANSWER]
    if not stored:
        return GradeResult(verdict="undecided", rule="no_gold", detail=said)
    known = [clean(gold) for gold in stored]
    if said.endswith("?") and not any(text.rstrip().endswith("?") for text in (*known, *(choices or ()))):
        return GradeResult(verdict="wrong", rule="asked_back", detail=said)
    if question is not None and copied(said, known, question, choices or ()):
        return GradeResult(verdict="wrong", rule="copied", detail=said)
    detail = f"{said} | {' | '.join(known)}"
    match answer_type:
        case "choice":
            verdict = _grade_choice(said, known, tuple(choices or ()))
        case "list":
            verdict = grade_list(said, known)
        case "expression":
            # As written: what cleans a text would take a formula apart.
            verdict = best(grade_expression(written, gold) for gold in stored)
            if verdict.rule == OPEN:
                detail = json.dumps([written, *stored], ensure_ascii=False)
        case _:
            verdict = best(_grade_one(said, gold, answer_type, tolerance) for gold in known)
    return GradeResult(verdict=verdict.verdict, rule=verdict.rule, detail=detail)


def _grade_one(said: str, gold: str, answer_type: AnswerType, tolerance: float | None) -> Grade:
    match answer_type:
        case "number":
            return grade_number(said, gold, tolerance)
        case "boolean":
            return grade_boolean(said, gold)
        case "date":
            return grade_date(said, gold)
        case _:
            return grade_text(said, gold)


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
    letters = {labelled_letter(gold) for gold in golds}
    meant = meant_letter(said)
    if not letters or None in letters:
        return best(grade_text(said, gold) for gold in golds)
    if meant is None:
        evades = evasion(said, "") or several_letters(said)
        return Grade("wrong", evades) if evades else Grade("undecided", "no_one_option")
    return Grade("right", "option_equal") if meant in letters else Grade("wrong", "option_differs")
