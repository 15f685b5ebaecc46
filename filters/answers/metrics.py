"""The graded metrics of three benchmarks, for sources whose manifest names one (`metric: vqa | anls | relaxed`).

They are what those benchmarks publish, so that a number of ours can be compared with theirs. Each is a score
between 0 and 1; `grade_by` makes a verdict of it, which leaves the middle to a judge. They are more lenient than
`filters.answers.grade`, and are used only where a source asks for them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import get_args

from filters.answers.evasion import evasion
from filters.answers.quantities import read_number
from filters.answers.text import clean, tokens
from pipeline.identity import parse_json
from pipeline.records import GradeResult, Metric, Question

MAX_ANSWER = 300
"""Characters, as in `filters.answers.grader`; ANLS takes time by the product of both lengths."""
_ANLS_THRESHOLD = 0.5
"""Below it a similarity counts as 0 (Biten et al., Scene Text VQA, arXiv 1905.13648, equation 1)."""
_RELAXED = Fraction(1, 20)
"""Of the stored number (Masry et al., ChartQA, arXiv 2203.10244, section 5.1, after Methani et al., PlotQA)."""
_YEAR = re.compile(r"1[6-9][0-9]{2}|20[0-9]{2}")
"""Years that charts show; a quantity written so is held to its value as well."""
_AGREEMENT = 3
"""People who have to give an answer for it to count in full (Antol et al., VQA, arXiv 1505.00468, section 3)."""
_PEOPLE = 4
"""Answers to a question from which they are people's and not spellings; VQA has ten."""


def vqa_accuracy(prediction: str, answers: Sequence[str]) -> float:
    """Return the soft accuracy of VQA: the mean over all people but one of min(1, how many of them say it / 3).

    Texts are compared as tokens: the normalisation of VQA (articles, punctuation, number words) and ours.
    """
    said = tokens(clean(prediction))
    agreeing = sum(tokens(clean(answer)) == said for answer in answers) if said else 0
    if not answers:
        return 0.0
    # Leaving out one who agrees leaves one less; there are `agreeing` of those.
    others = len(answers) - agreeing
    without = max(agreeing - 1, 0)
    return (agreeing * min(1.0, without / _AGREEMENT) + others * min(1.0, agreeing / _AGREEMENT)) / len(answers)


def anls(prediction: str, golds: Sequence[str]) -> float:
    """Return the normalised Levenshtein similarity to the nearest gold; below one half it is 0.

    Lower case and single spaces, as in the evaluation of DocVQA (Mathew et al., arXiv 2007.00398).
    """
    said = _plain(prediction)
    best = max((_similarity(said, _plain(gold)) for gold in golds), default=0.0)
    return best if best >= _ANLS_THRESHOLD else 0.0


def relaxed(prediction: str, golds: Sequence[str]) -> float:
    """Return 1.0 if the prediction is within 5 % of a stored number, or equals a stored text; else 0.0.

    Differs from ChartQA's own script where that is wrong: separators and units are read, 5 and "5%" agree, and
    years are exact, which 5 % would stretch over a century.
    """
    return float(any(_relaxed_one(prediction, gold) for gold in golds))


def metric_of(question: Question) -> Metric | None:
    """Return the metric that a question's source names, from its `meta`; None if it names none."""
    meta = parse_json(question.meta)
    named = meta.get("metric") if isinstance(meta, dict) else None
    return next((metric for metric in get_args(Metric) if metric == named), None)


def grade_by(metric: Metric, prediction: str | None, golds: Sequence[str]) -> GradeResult:
    """Grade by a benchmark's metric: right at its full score, wrong at 0, undecided between.

    An answer of 300 characters, one that hedges, and one that gives several is wrong here too.
    """
    said = clean(prediction or "")
    if not said or len(prediction or "") >= MAX_ANSWER:
        return GradeResult(verdict="wrong", rule="too_long" if said else "empty", detail=metric)
    score = {"vqa": vqa_accuracy, "anls": anls, "relaxed": relaxed}[metric](said, golds)
    told = f"{metric} {score:.2f}"
    if not golds:
        return GradeResult(verdict="undecided", rule="no_gold", detail=told)
    evades = [evasion(said, clean(gold)) for gold in golds]
    if score < 1 and all(evades):
        return GradeResult(verdict="wrong", rule=str(evades[0]), detail=told)
    if metric == "vqa" and len(golds) < _PEOPLE:
        return GradeResult(verdict="undecided", rule="few_people", detail=told)
    if metric == "anls" and 0 < score < 1 and any(map(str.isdigit, "".join(golds))):
        # One digit of four is a similarity of 0.75, and another number.
        return GradeResult(verdict="wrong", rule="digits_differ", detail=told)
    verdict = "right" if score == 1 else "wrong" if score == 0 else "undecided"
    return GradeResult(verdict=verdict, rule=metric, detail=told)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())[:MAX_ANSWER]


def _similarity(a: str, b: str) -> float:
    longest = max(len(a), len(b))
    return 1 - _levenshtein(a, b) / longest if longest else 0.0


def _levenshtein(a: str, b: str) -> int:
    """Return how many characters have to be put in, taken out or changed (Wagner and Fischer, 1974)."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]


def _relaxed_one(prediction: str, gold: str) -> bool:
    said, wanted = clean(prediction), clean(gold)
    number, target = read_number(said), read_number(wanted)
    if number is None or target is None or target.value == 0 or _YEAR.fullmatch(wanted):
        return bool(tokens(said)) and tokens(said) == tokens(wanted)
    share = number.unit == "%" and not target.unit and abs(target.value) <= 1
    value = number.value / 100 if share else number.value
    return abs(value - target.value) <= _RELAXED * abs(target.value)
