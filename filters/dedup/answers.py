"""Whether two questions have one answer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Literal

from filters.answers import grade
from filters.answers.text import clean, folded, tokens
from filters.dedup.clusters import QuestionRow
from filters.dedup.key import question_key
from pipeline.records import AnswerType

Verdict = Literal["agree", "contradict", "undecided"]


def compare_answers(ours: QuestionRow, theirs: QuestionRow) -> Verdict:
    """Return whether two questions have one answer, as the grader of either reads that of the other.

    Any answer of one that is right by the other agrees; they contradict if every one is wrong on both sides.
    """
    return _compared(ours[_ANSWERS:], theirs[_ANSWERS:])


_ANSWERS = QuestionRow._fields.index("answers")
"""From here on a row says what is right; before it, which question it is."""


@lru_cache(maxsize=1 << 14)  # of a source, a few answers are those of most questions
def _compared(our_answers: tuple[Any, ...], their_answers: tuple[Any, ...]) -> Verdict:
    ours, theirs = QuestionRow("", "", (), *our_answers), QuestionRow("", "", (), *their_answers)
    if answer_of(ours) == answer_of(theirs):
        return "agree"
    verdicts = [*_graded(ours, theirs), *_graded(theirs, ours)]
    if "right" in verdicts:
        return "agree"
    return "contradict" if verdicts and set(verdicts) == {"wrong"} else "undecided"


def answer_of(row: QuestionRow) -> tuple[object, ...]:
    """Return what is equal for answers that agree without a look: by tokens, as the grader compares text."""
    return (row.answer_type, row.tolerance, *_said(row.answers, row.answer_type))


@lru_cache(maxsize=1 << 14)
def _said(answers: tuple[str, ...], kind: AnswerType) -> tuple[str, ...]:
    if kind == "expression":
        return tuple(sorted(answers))
    return tuple(sorted({" ".join(folded(tokens(clean(said)))) or said for said in answers}))


def options_of(row: QuestionRow) -> frozenset[str]:
    """Return the options that a question is asked with, or that its source offers, by their keys."""
    return frozenset(map(question_key, row.choices or row.offered))


def _graded(said: QuestionRow, gold: QuestionRow) -> Iterator[str]:
    choices = (gold.choices or gold.offered) if options_of(said) == options_of(gold) else ()
    # Options became words (`QuestionRow.answers`). Of equal options one is not another; beside others, words are words.
    kind: AnswerType = "choice" if choices else "text" if gold.answer_type == "choice" else gold.answer_type
    for answer in said.answers:
        yield grade(answer, gold.answers, kind, tolerance=gold.tolerance, choices=choices or None).verdict
