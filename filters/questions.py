"""Whether a question is sound: its answer can be checked, and it can stand without options."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from filters.answer_choices import gold_option, option_texts
from filters.answer_numbers import read_number
from filters.answer_text import abstains, clean, equal, tokens
from filters.answers import grade
from filters.base import Rule, Settings
from pipeline.identity import parse_json
from pipeline.records import AnswerType, Decision, Question

VERSION = 1

VerifiableReason = Literal["unverifiable_answer"]
OpenReason = Literal["needs_options", "unverifiable_answer"]

_VERIFIABLE: Rule[VerifiableReason] = Rule("verifiable", VERSION)
_OPEN: Rule[OpenReason] = Rule("open_ended", VERSION)


class QuestionSettings(Settings):
    """Which answers can be checked by comparing them."""

    max_text: int = Field(default=80, ge=1)
    """Characters of a text answer. A longer one is a sentence, which two people do not word alike; the
    longest names that datasets ask for (of institutions, of articles) stay below."""
    max_words: int = Field(default=12, ge=1)
    """Words of a text answer, for the same reason."""


def verifiable(question: Question, settings: QuestionSettings) -> Decision:
    """Keep a question whose every stored answer is short enough and is right by its own grader.

    What the grader does not accept of itself it would not accept of a model either. An answer that says
    that there is none ("unknown") is no answer to check.
    """
    if question.answers and all(_checkable(answer, question, settings) for answer in question.answers):
        return _VERIFIABLE.keep(question.id)
    return _VERIFIABLE.reject(question.id, "unverifiable_answer")


def _checkable(answer: str, question: Question, settings: QuestionSettings) -> bool:
    words = tokens(clean(answer))
    if abstains(words):
        return False
    if question.answer_type == "text" and (len(answer) > settings.max_text or len(words) > settings.max_words):
        return False
    itself = grade(
        answer, (answer,), question.answer_type, tolerance=question.tolerance, choices=question.choices or None
    )
    return itself.verdict == "right"


# What a stem says when it cannot be understood without its options.
_NEEDS_OPTIONS = re.compile(
    r"\bwhich (?:(?:one|two|three|ones) )?(?:of|among|from)\b|\bwhat of the\b|\bthe following\b"
    r"|\b(?:one|all|none|any|each|both|either|neither) of (?:the|these|those|them)\b"
    r"|\b(?:options?|choices?|alternatives?)\b"
    r"|\b(?:listed|shown|given|mentioned|stated|described|provided) (?:above|below)\b"
    r"|\b(?:above|below) (?:statements?|answers?)\b"
    r"|\bwhich (?:\w+ ){0,2}(?:statements?|sentences?|descriptions?|captions?|claims?)\b"
    r"|\b(?:correct|incorrect|true|false|right|wrong|best|accurate) (?:\w+ )?"
    r"(?:statements?|descriptions?|captions?|answers?)\b"
    r"|\b(?:is|are) (?:\w+ )?(?:true|false|correct|incorrect|not true|not correct)\b"
    r"|\b(?:is|are) (?:right|wrong|best)\s*\?|\b(?:except|most likely|best describes?)\b"
    r"|\b(?:select|choose|pick|tick|circle the)\b|_{2,}|\b[A-E]\) ",
    re.IGNORECASE,
)
# An option that speaks of the other options.
_ABOUT_OPTIONS = re.compile(
    r"\b(?:all|none|both|neither|any|some|either|two|one|more|most) of (?:the|these|those|them)\b"
    r"|\b(?:above|below|options?)\b|^(?:both|neither|all|none)\b|\bcannot be (?:determined|known|answered)\b"
    r"|^\(?[A-H]\)? (?:and|or|&) \(?[A-H]\)?$",
    re.IGNORECASE,
)
# An instruction to answer by a letter, which datasets append to the stem.
_INSTRUCTION = re.compile(
    r"\s*(?:please\s+)?(?:answer|respond|reply|select|choose|pick|give|provide|output)\b[^.?!\n]*"
    r"\b(?:letter|option|choice|alternative)s?\b[^.?!\n]*[.?!]?\s*$",
    re.IGNORECASE,
)


def to_open_ended(question: Question) -> tuple[Question | None, Decision]:
    """Return the question without its options, and the decision on the row; None if it cannot stand without them.

    A question that has no options is returned as it is. A converted one has an id of its own and keeps the
    old one, with the options, in `meta.converted_from`.
    """
    if not question.choices:
        if question.answer_type == "choice":
            return None, _OPEN.reject(question.id, "needs_options")
        return question, _OPEN.keep(question.id)
    options = option_texts(question.choices)
    named = {gold_option(answer, question.choices) for answer in question.answers}
    if len(named) != 1:
        return None, _OPEN.reject(question.id, "unverifiable_answer")
    (place,) = named
    if place is None or not _only_right(options, place):
        return None, _OPEN.reject(question.id, "unverifiable_answer")
    stem = _stem(question.text, options)
    if _NEEDS_OPTIONS.search(stem) or _ABOUT_OPTIONS.search(options[place]):
        return None, _OPEN.reject(question.id, "needs_options")
    return _converted(question, stem, options, place), _OPEN.keep(question.id)


def _only_right(options: Sequence[str], place: int) -> bool:
    """Return whether the right option says something, and no other says the same."""
    right = tokens(clean(options[place]))
    return bool(right) and not any(
        equal(tokens(clean(option)), right) for other, option in enumerate(options) if other != place
    )


def _stem(text: str, options: Sequence[str]) -> str:
    """Return the question without options spelt out behind it and without the instruction to name a letter."""
    listed = r"[\s,;]*".join(rf"\(?[A-Z][.):]\s*{re.escape(option)}\.?" for option in options)
    stem = _INSTRUCTION.sub("", text)
    stem = re.sub(rf"\s*(?:(?:options|choices)\s*:)?\s*{listed}\s*$", "", stem, flags=re.IGNORECASE)
    return _INSTRUCTION.sub("", stem).strip() or text


def _converted(question: Question, stem: str, options: Sequence[str], place: int) -> Question:
    before = parse_json(question.meta)
    meta = before if isinstance(before, dict) else {"source_meta": before}
    return Question.build(
        source=question.source,
        source_revision=question.source_revision,
        source_row=question.source_row,
        category=question.category,
        text=stem,
        images=question.images,
        answers=(options[place],),
        answer_type=_answer_type(options),
        tolerance=question.tolerance,
        licence=question.licence,
        meta={**meta, "converted_from": {"id": question.id, "choices": question.choices}},
    )


def _answer_type(options: Sequence[str]) -> AnswerType:
    """Return the type of a converted answer, from all options: one number among names is a name."""
    numbers = [read_number(clean(option)) for option in options]
    if all(number is not None and number.other is None and not number.about for number in numbers):
        return "number"
    if {tokens(clean(option)) for option in options} in ({("yes",), ("no",)}, {("true",), ("false",)}):
        return "boolean"
    return "text"
