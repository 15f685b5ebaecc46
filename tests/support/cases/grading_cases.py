"""The labelled cases of grading, and how the grader does on them; see `tests/grading/README.md`."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from filters.answers import grade
from filters.answers.grade_texts import OTHER_WORDS
from filters.answers.mathematics.expressions import expression_pairs, settle
from pipeline.math_worker import MathWorker
from pipeline.records import AnswerType, GradeResult

DATA = Path(__file__).parents[2] / "grading"
SETS = ("blind", "author")


class Case(BaseModel):
    """One answer, what a careful person would say of it, and why.

    `open` accepts any verdict but `right`: an answer that must not be taken, whoever refuses it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prediction: str | None
    golds: tuple[str, ...]
    answer_type: AnswerType
    tolerance: float | None
    choices: tuple[str, ...] | None
    expected: Literal["right", "wrong", "undecided", "open"]
    adversarial: bool
    reason: str


class Score(NamedTuple):
    """Counts of one set."""

    n: int
    to_reject: int
    false_accepts: int
    to_accept: int
    false_rejects: int
    undecided: int
    """Labelled right or wrong, and left open where a rule can decide."""
    other_words: int
    """Left open because only knowledge of the world tells two words apart, whatever the label."""
    settled: int
    """Labelled for a judge, and refused without one."""


def load(name: str, *, without: Collection[int] = ()) -> list[Case]:
    """Return the cases of a set in the order of its file, some lines left out."""
    lines = (DATA / f"{name}.jsonl").read_text("utf-8").split("\n")[:-1]
    return [Case.model_validate_json(line) for number, line in enumerate(lines, 1) if number not in without]


def disputed() -> set[int]:
    """Return the lines of the blind set whose label contradicts the design, from `disputed.md`."""
    return set(map(int, re.findall(r"^- Line (\d+):", (DATA / "disputed.md").read_text("utf-8"), re.MULTILINE)))


def verdict(case: Case, worker: MathWorker | None) -> GradeResult:
    """Return the grade of a case, settled by algebra as a stage does it where there is a worker."""
    result = grade(case.prediction, case.golds, case.answer_type, tolerance=case.tolerance, choices=case.choices)
    if worker is None or case.answer_type != "expression":
        return result
    pairs = expression_pairs(case.prediction or "", case.golds, result)
    return settle(result, worker.equal(pairs))


def score(cases: Sequence[Case], results: Iterable[GradeResult]) -> Score:
    """Count what went wrong."""
    pairs = [(case.expected, result) for case, result in zip(cases, results, strict=True)]
    accept = [result.verdict for expected, result in pairs if expected == "right"]
    reject = [result.verdict for expected, result in pairs if expected != "right"]
    left = [(expected, result.rule) for expected, result in pairs if result.verdict == "undecided"]
    return Score(
        n=len(pairs),
        to_reject=len(reject),
        false_accepts=reject.count("right"),
        to_accept=len(accept),
        false_rejects=accept.count("wrong"),
        undecided=sum(expected in {"right", "wrong"} and rule != OTHER_WORDS for expected, rule in left),
        other_words=sum(rule == OTHER_WORDS for _, rule in left),
        settled=sum(expected == "undecided" and result.verdict == "wrong" for expected, result in pairs),
    )


def clopper_pearson(hits: int, n: int) -> tuple[float, float]:
    """Return the exact 95 % interval of a share (Clopper and Pearson, Biometrika 26, 1934)."""
    from scipy.stats import beta

    low = float(beta.ppf(0.025, hits, n - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, n - hits)) if hits < n else 1.0
    return low, high


def key(case: Case) -> str:
    """Return what makes a case a case of its own."""
    return json.dumps(case.model_dump(exclude={"reason", "adversarial", "expected"}), sort_keys=True)
