"""The scores of three benchmarks, and our verdict under each, for sources whose manifest names one (`metric:`).

The score is the benchmark's own, exactly as it is published, so that a number of ours can be compared with theirs. The
verdict is ours: it says whether an answer is right enough to be learned from. Both stand in the `GradeResult`. They
differ where a published rule is too lenient (5 % of a year, one digit of a number in ANLS, one annotator of ten) or
too literal (0.0 for 0, a space in "$ 975").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import get_args

from filters.answers.evasion import evasion
from filters.answers.grade_texts import grade_text
from filters.answers.numbers.grade_numbers import grade_number
from filters.answers.numbers.quantities import read_number
from filters.answers.stated import MAX_ANSWER
from filters.answers.text import Grade, best, clean, tokens
from pipeline.identity import parse_json
from pipeline.records import AnswerType, GradeResult, Metric, Question

_ANLS_THRESHOLD = 0.5
"""Below it a similarity counts as 0 (Biten et al., Scene Text VQA, arXiv 1905.13648, equation 1)."""
_RELAXED = 0.05
"""Of the stored number (Masry et al., ChartQA, arXiv 2203.10244, section 5.1, after Methani et al., PlotQA)."""
_YEAR = re.compile(r"1[6-9][0-9]{2}|20[0-9]{2}")
"""Years that charts show; a quantity written so is held to its value as well."""
_DIGITS = re.compile("[0-9]+")
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
    nearest = max((_similarity(said, _plain(gold)) for gold in golds), default=0.0)
    return nearest if nearest >= _ANLS_THRESHOLD else 0.0


def relaxed(prediction: str, golds: Sequence[str]) -> float:
    """Return 1.0 if the prediction is within 5 % of a stored number, or equals a stored text in lower case; else 0.0.

    As evaluated by ChartQA: a number is what Python reads as a float, with a final percent sign as hundredths; where a
    side is none, or the stored number is zero, the texts are compared. So "5%" and "5" differ, and "0.0" and "0" too.
    """
    return float(any(_relaxed_one(prediction.strip(), gold.strip()) for gold in golds))


def metric_of(question: Question) -> Metric | None:
    """Return the metric that a question's source names, from its `meta`; None if it names none."""
    meta = parse_json(question.meta)
    named = meta.get("metric") if isinstance(meta, dict) else None
    return next((metric for metric in get_args(Metric) if metric == named), None)


def grade_by(
    metric: Metric, prediction: str | None, golds: Sequence[str], answer_type: AnswerType = "text"
) -> GradeResult:
    """Return a benchmark's score of a prediction, and our verdict by what that benchmark holds for right.

    An answer of 300 characters, one that hedges, and one that gives several is wrong whatever its score.

    Args:
        metric: Of the source.
        prediction: The final answer alone; None if there is none.
        golds: The stored answers; of `vqa` those of all annotators, each as often as it was given.
        answer_type: Of the question; `relaxed` takes a tolerance on numbers only.
    """
    said = clean(prediction or "")
    # ANLS takes time by the product of both lengths.
    if not said or len(prediction or "") >= MAX_ANSWER:
        return GradeResult(verdict="wrong", rule="too_long" if said else "empty", detail=metric, score=0.0)
    score = {"vqa": vqa_accuracy, "anls": anls, "relaxed": relaxed}[metric](prediction or "", golds)
    known = [clean(gold) for gold in golds if gold.strip() and len(gold) < MAX_ANSWER]
    verdict = _verdict(metric, said, known, score, answer_type) if known else Grade("undecided", "no_gold")
    return GradeResult(verdict=verdict.verdict, rule=verdict.rule, detail=f"{metric} {score:.2f}", score=score)


def _verdict(metric: Metric, said: str, golds: Sequence[str], score: float, answer_type: AnswerType) -> Grade:
    if score < 1 and all(evasion(said, gold) for gold in golds) and not _number_in(metric, golds):
        return Grade("wrong", str(evasion(said, golds[0])))
    match metric:
        case "vqa":
            if len(golds) < _PEOPLE:
                return Grade("undecided", "few_people")
            return Grade("right" if score == 1 else "wrong" if score == 0 else "undecided", metric)
        case "anls":
            return best(_anls_verdict(said, gold, score) for gold in golds)
        case "relaxed":
            return best(_relaxed_verdict(said, gold, answer_type) for gold in golds)


def _number_in(metric: Metric, golds: Sequence[str]) -> bool:
    """Return whether the rules of numbers look for evasion themselves."""
    return metric == "relaxed" and all(read_number(gold) is not None for gold in golds)


def _anls_verdict(said: str, gold: str, score: float) -> Grade:
    if _unspaced(said) == _unspaced(gold):
        return Grade("right", "anls")
    # One digit of four is a similarity of 0.75, and another number.
    if score and _DIGITS.findall(said) != _DIGITS.findall(gold):
        return Grade("wrong", "digits_differ")
    return Grade("undecided" if score else "wrong", "anls")


def _relaxed_verdict(said: str, gold: str, answer_type: AnswerType) -> Grade:
    number, target = read_number(said), read_number(gold)
    if target is not None and (number is not None or answer_type == "number"):
        exact = _YEAR.fullmatch(gold) is not None or not target.value
        return grade_number(said, gold, None if exact else _RELAXED)._replace(rule="relaxed")
    if tokens(said) == tokens(gold):
        return Grade("right", "relaxed")
    return grade_text(said, gold)


def _unspaced(text: str) -> str:
    return "".join(text.casefold().split())


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
    number, target = _float(prediction), _float(gold)
    if number is not None and target:
        return abs(number - target) / abs(target) <= _RELAXED
    return prediction.lower() == gold.lower()


def _float(text: str) -> float | None:
    try:
        return float(text.rstrip("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        return None
