"""Whether a question is sound: its answer can be checked, and a guess is not likely to give it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from filters.answers import grade
from filters.answers.chance import chance
from filters.answers.dates import read_dates
from filters.answers.metrics import grade_by, metric_of
from filters.answers.text import abstains, clean, tokens
from filters.answers.times import read_time
from filters.rule import Rule
from pipeline.identity import Identity
from pipeline.records import Decision, Question

VERSION = 4
"""Of all that the screen decides on a question: `well_formed`, `listed_options`, `open_ended`, `filters.instructions`
and `filters.answers.chance` are part of it."""

VerifiableReason = Literal["unverifiable_answer"]
ChanceReason = Literal["guessable"]

_VERIFIABLE: Rule[VerifiableReason] = Rule("verifiable", VERSION)
_CHANCE: Rule[ChanceReason] = Rule("guess_chance", VERSION)


class QuestionSettings(Identity):
    """Which answers can be checked by comparing them, and which can be guessed."""

    VERSION: ClassVar[int] = VERSION

    max_text: int = Field(default=80, ge=1)
    """Characters of a text answer. A longer one is a sentence, which two people do not word alike; the
    longest names that datasets ask for (of institutions, of articles) stay below."""
    max_words: int = Field(default=12, ge=1)
    """Words of a text answer, for the same reason."""
    instructions: Literal["keep", "remove"] = "keep"
    """Whether models and the student are told what a data set says of the form of its answers ("Answer the question
    using a single word or phrase."; `filters.instructions`). Its words about letters of options never stay."""
    max_chance: float = Field(default=0.5, ge=0, le=1)
    """Of guessing the answer from the question's form. What is likelier than a coin (two of three options are
    right) teaches guessing; at 0.5 yes-no questions and pairs of options are asked, below it they are not."""


def verifiable(question: Question, settings: QuestionSettings) -> Decision:
    """Keep a question whose every stored answer is short enough and is right by its own grader.

    What the grader does not accept of itself it would not accept of a model either. An answer that says
    that there is none ("unknown") is no answer to check. Where the source names a metric, it is the grader; then
    one answer that is right by it suffices, since people who were asked disagree.
    """
    if question.answers and unchecked(question, settings) is None:
        return _VERIFIABLE.keep(question.id)
    return _VERIFIABLE.reject(question.id, "unverifiable_answer")


def unchecked(question: Question, settings: QuestionSettings) -> str | None:
    """Return the first answer for which `verifiable` rejects a question; None where it keeps it."""
    checked = [answer for answer in question.answers if _right_by_itself(answer, question)]
    others = [answer for answer in question.answers if answer not in checked]
    if others and (metric_of(question) is None or not checked):
        return others[0]
    return next((answer for answer in checked if not _readable(answer, question, settings)), None)


def not_guessable(question: Question, settings: QuestionSettings) -> Decision:
    """Reject a question whose form makes a guess too likely to be right; the score is how likely."""
    likely = chance(question)
    if likely > settings.max_chance:
        return _CHANCE.reject(question.id, "guessable", likely)
    return _CHANCE.keep(question.id, likely)


def _right_by_itself(answer: str, question: Question) -> bool:
    metric = metric_of(question)
    if metric is not None:
        return grade_by(metric, answer, question.answers, question.answer_type).verdict == "right"
    itself = grade(
        answer, (answer,), question.answer_type, tolerance=question.tolerance, choices=question.choices or None
    )
    return itself.verdict == "right"


def _readable(answer: str, question: Question, settings: QuestionSettings) -> bool:
    """Return whether an answer says something, in so few words that two people would use the same."""
    words: Sequence[str] = tokens(clean(answer))
    if abstains(tuple(words)):
        return False
    if question.answer_type == "date":
        # A date that cannot be read equals nothing but itself.
        return read_dates(clean(answer)) is not None or read_time(clean(answer)) is not None
    return question.answer_type != "text" or (len(answer) <= settings.max_text and len(words) <= settings.max_words)
