"""How likely an answer is without looking: what a question's form gives away, and how many right answers that explains.

A rollout that is right by luck says nothing about what a model sees or what a tool does, so gates count from a
floor on that luck rarely reaches.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache
from math import comb

from filters.answers.choices import gold_option
from filters.answers.numbers.quantities import read_number
from filters.answers.text import clean, contains, tokens
from pipeline.records import Question

VERSION = 1
"""Rises whenever an equal question may get another chance."""

RARELY = 0.05
"""How often luck may reach the floor: the usual 5 %."""
_LARGEST_COUNT = 10
COUNTS = 10
"""Whole numbers from 1 to 10. Nearly all counts that are asked of pictures are among them (0 is asked seldom), so one
who knows only that a count is asked for is right once in ten times, as if all were equally frequent. Where a source's
are not, the majority answer of the template (`TemplateFacts`) tells."""
_ASKS_COUNT = re.compile(r"\bhow many\b|\bnumber of\b|\bcount\b", re.IGNORECASE)


def chance(question: Question) -> float:
    """Return the probability that a guess which uses only the form of the question is right, 0 where no guess helps.

    Options count only where they are asked: a converted question has none. "Is the red or the blue bar taller?"
    offers two options in its words.
    """
    if question.choices:
        right = {gold_option(answer, question.choices) for answer in question.answers} - {None}
        return len(right) / len(question.choices)
    if question.answer_type == "boolean":
        return 1 / 2
    if question.answer_type == "number":
        counted = _ASKS_COUNT.search(question.text) and any(map(_small_count, question.answers))
        return 1 / COUNTS if counted else 0.0
    return 1 / 2 if question.answer_type == "text" and _offered(question) else 0.0


@lru_cache(maxsize=4096)
def guess_floor(k: int, chance: float, rarely: float = RARELY) -> int:
    """Return the smallest number of right answers among k that luck reaches in at most a share `rarely` of cases.

    That is the smallest c with P(Binomial(k, chance) >= c) <= rarely: 1 for a chance of 0, k + 1, which no question can
    reach, where luck alone is right k times too often, and 0, which every question reaches, for a share of 1.

    Raises:
        ValueError: k is negative, or the chance or the share is no probability.
    """
    if k < 0 or not 0 <= chance <= 1 or not 0 <= rarely <= 1:
        raise ValueError(f"no floor for {k} answers with a chance of {chance} that luck reaches in {rarely} of cases")
    # The share as it is written: 0.05 is a twentieth, and not the binary number next to it.
    luck, bad_luck, most = Fraction(chance), 1 - Fraction(chance), Fraction(str(rarely))
    tail = Fraction(0)
    for right in range(k, -1, -1):
        tail += comb(k, right) * luck**right * bad_luck ** (k - right)
        if tail > most:
            return right + 1
    return 0


def _small_count(answer: str) -> bool:
    number = read_number(clean(answer))
    return number is not None and number.value.denominator == 1 and 0 <= number.value <= _LARGEST_COUNT


def _offered(question: Question) -> bool:
    """Return whether the question offers its answer beside another: "… the red or the blue …"."""
    words = tokens(clean(question.text))
    return "or" in words and any(contains(words, tokens(clean(answer))) for answer in question.answers)
