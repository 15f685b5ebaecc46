"""Grading an expression: by its spelling here, by algebra through evidence that a stage measures.

Algebra is slow and may hang, so that it runs in `pipeline.math_worker`. A stage asks `expression_pairs` what is
worth comparing, measures it there, and hands the answers to `settle`; grading stays pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from filters.answers.evasion import evasion
from filters.answers.text import Grade, clean, without_lead
from pipeline.records import GradeResult

_FUNCTIONS = (
    *("arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "sin", "cos", "tan", "cot", "sec", "csc"),
    *("log", "ln", "exp", "min", "max"),
)
_OTHER_NAMES = ("sqrt", "pi", "theta", "alpha", "beta", "gamma", "lambda", "infty", "abs")
_SHORT = {"asin": "arcsin", "acos": "arccos", "atan": "arctan"}
_NAME = re.compile(
    rf"(?<![\\A-Za-z])(?:({'|'.join((*_SHORT, *_FUNCTIONS))})(?=[\s(^0-9{{\\]|$)"
    r"|(pi|theta|alpha|beta|gamma|lambda)(?![A-Za-z]))"
)
_POWER = re.compile(r"\^\(([^()]*)\)|\^(-\w)")
_EXPONENT = re.compile(r"([0-9])[eE]([+-]?[0-9]+)(?![0-9A-Za-z])")
# Readers of LaTeX take "2(3)" for a mixed number.
_COEFFICIENT = re.compile(r"([0-9)])\s*(?=\()")
# The x of "1/2x" may stand above or below the bar.
_OPEN_FRACTION = re.compile(r"/\s*[0-9]+\s*(?:[A-Za-z(]|\\(?!cdot))")
_ABS = re.compile(r"(?<![\\A-Za-z])abs\(([^()]*)\)")
_WORD = re.compile(r"(?<!\\)[A-Za-z]{3,}")
_KNOWN = frozenset((*_FUNCTIONS, *_OTHER_NAMES, *_SHORT))
_OPERATOR = re.compile(r"[0-9=^*/+|\\]|(?<!\w)-")
# Other branches or a doubled sign: no one expression, unless the stored one is written so.
_BRANCHES = re.compile(r"\\pm|\\mp|[\u00b1\u2213,;]|\b(?:and|or)\b")
_TIMES = re.compile(r"\\cdot(?![A-Za-z])|\\times(?![A-Za-z])|[\u00d7\u00b7\u22c5]")
_SPACING = re.compile(r"\\left|\\right|\\[,;! ]|\\displaystyle")


def grade_expression(said: str, gold: str) -> Grade:
    """Grade by the spelling alone: equal as written, clearly no expression, or undecided."""
    bare = without_lead(said)
    if _compact(gold) in {_compact(said), _compact(bare)}:
        return Grade("right", "equal_as_written")
    evades = evasion(said, gold)
    # A bar between two terms puts nothing together here.
    if evades and evades != "several":
        return Grade("wrong", evades)
    if _BRANCHES.search(_SPACING.sub("", said)) and not _BRANCHES.search(gold):
        return Grade("wrong", "several")
    if _prose(bare) and not _OPERATOR.search(bare):
        return Grade("wrong", "no_expression")
    return Grade("undecided", "not_equal_as_written")


def expression_pairs(prediction: str, golds: Sequence[str], result: GradeResult) -> list[tuple[str, str]]:
    """Return (prediction, gold) in LaTeX for each gold that algebra may settle; none if `result` is settled already."""
    if result.rule != "not_equal_as_written":
        return []
    said = without_lead(_cleaned(prediction))
    known = [_cleaned(gold) for gold in golds]
    if any(_prose(text) or _OPEN_FRACTION.search(text) for text in (said, *known)):
        return []
    return [(as_latex(said), as_latex(gold)) for gold in known]


def _cleaned(text: str) -> str:
    """Clean a text whose signs of multiplication are to stay apart from the letter x."""
    return clean(_TIMES.sub("*", text))


def settle(result: GradeResult, equal: Sequence[bool | None]) -> GradeResult:
    """Return the grade of an undecided expression after algebra: `equal` holds its answer for each gold, None if open.

    One equal gold makes it right; it is wrong only if it was told apart from every gold.
    """
    if not equal:
        return result
    if any(equal):
        return result.model_copy(update={"verdict": "right", "rule": "equal_by_algebra"})
    if None in equal:
        return result.model_copy(update={"rule": "algebra_open"})
    return result.model_copy(update={"verdict": "wrong", "rule": "differs_by_algebra"})


def as_latex(text: str) -> str:
    """Return an expression in LaTeX, whether written so or in plain notation (`2*sin(x)**2`, `x^(1/2)`)."""
    plain = _SPACING.sub("", text).replace("**", "^")
    plain = _ABS.sub(r"|\1|", _POWER.sub(r"^{\1\2}", plain))
    plain = _EXPONENT.sub(r"\1\\cdot 10^{\2}", plain)
    return _COEFFICIENT.sub(r"\1\\cdot ", _NAME.sub(_command, plain)).rstrip(".")


def _command(match: re.Match[str]) -> str:
    name = match[1] or match[2]
    return f"\\{_SHORT.get(name, name)} "


def _prose(text: str) -> bool:
    """Return whether a text holds words that are neither functions, Greek letters nor commands of LaTeX."""
    return any(word.lower() not in _KNOWN for word in _WORD.findall(re.sub(r"\\[A-Za-z]+", " ", text)))


def _compact(text: str) -> str:
    return "".join(text.casefold().split()).rstrip(".").replace("\\left", "").replace("\\right", "")
