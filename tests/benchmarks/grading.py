"""How often the grader is wrong on the labelled cases, and how fast it is.

    python tests/benchmarks/grading.py

Prints, for both sets of `tests/grading`, apart and by type: false accepts (of what is to be rejected) with the exact
95 % interval, false rejects (of what is to be accepted, an undecided one is none), answers labelled right or
wrong that were left open, those of them that only knowledge of the world decides (other words), and those that were
labelled for a judge and refused without one. Then the speed of text, number and choice on inputs of which none
repeats, so that no cache helps. Takes about 20 seconds.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from string import ascii_lowercase
from typing import NamedTuple

from filters.answers.grader import VERSION, grade
from pipeline.math_worker import MathWorker
from pipeline.records import AnswerType, GradeResult
from tests.support.cases.grading_cases import SETS, Case, Score, clopper_pearson, disputed, load, score, verdict

INPUTS = 6000
"""Of each type for the speed; a tenth of a second each, of which none is kept in a cache of 4096."""
REPEATS = 3
"""Times the speed is measured, with other inputs; the median is printed, as other work on the machine slows some."""


class Input(NamedTuple):
    prediction: str
    gold: str
    tolerance: float | None = None
    choices: tuple[str, ...] | None = None


def main() -> None:
    _say(f"grader version {VERSION}")
    _say(
        f"{'set':<8}{'type':<12}{'n':>6}{'reject':>8}{'false accepts':>24}"
        f"{'false rejects':>16}{'undecided':>14}{'other words':>13}{'settled':>9}"
    )
    with MathWorker() as worker:
        for name in SETS:
            cases = load(name, without=disputed() if name == "blind" else ())
            _table(name, cases, [verdict(case, worker) for case in cases])
        left_out = [case for number, case in enumerate(load("blind"), 1) if number in disputed()]
        for case in left_out:
            said = verdict(case, worker).verdict
            _say(f"disputed: {case.prediction!r} for {case.golds}: labelled {case.expected}, graded {said}")
    for answer_type in ("text", "number", "choice"):
        speeds = sorted(_speed(answer_type, seed) for seed in range(REPEATS))
        _say(f"{answer_type}: {speeds[REPEATS // 2]:,.0f} gradings per second and core, none repeated")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def _table(name: str, cases: Sequence[Case], results: Sequence[GradeResult]) -> None:
    _row(name, "all", score(cases, results))
    for answer_type in dict.fromkeys(case.answer_type for case in cases):
        mine = [(case, said) for case, said in zip(cases, results, strict=True) if case.answer_type == answer_type]
        _row(name, answer_type, score([case for case, _ in mine], [said for _, said in mine]))


def _row(name: str, answer_type: str, counts: Score) -> None:
    low, high = clopper_pearson(counts.false_accepts, counts.to_reject)
    accepts = f"{counts.false_accepts} {counts.false_accepts / counts.to_reject:.2%} [{low:.2%}, {high:.2%}]"
    rejects = f"{counts.false_rejects} {counts.false_rejects / counts.to_accept:.2%}"
    undecided = f"{counts.undecided} {counts.undecided / counts.n:.2%}"
    _say(
        f"{name:<8}{answer_type:<12}{counts.n:>6}{counts.to_reject:>8}{accepts:>24}{rejects:>16}{undecided:>14}"
        f"{counts.other_words:>13}{counts.settled:>9}"
    )


def _speed(answer_type: AnswerType, seed: int) -> float:
    """Return gradings per second of CPU time."""
    inputs = {"text": _texts, "number": _numbers, "choice": _choices}[answer_type](random.Random(seed))
    began = time.process_time()
    for each in inputs:
        grade(each.prediction, (each.gold,), answer_type, tolerance=each.tolerance, choices=each.choices)
    return len(inputs) / (time.process_time() - began)


def _word(source: random.Random) -> str:
    return "".join(source.choices(ascii_lowercase, k=source.randint(4, 9)))


def _texts(source: random.Random) -> list[Input]:
    """Equal, in a sentence, with an article, another."""
    inputs = []
    for number in range(INPUTS):
        gold = f"{_word(source)} {_word(source)}"
        said = (gold, f"The answer is {gold.title()}.", f"a {gold}", _word(source))[number % 4]
        inputs.append(Input(said, gold))
    return inputs


def _numbers(source: random.Random) -> list[Input]:
    """Equal, in a sentence with separators and a tolerance, with a unit, counted in a sentence."""
    inputs = []
    for number in range(INPUTS):
        value = source.random() * 10 ** source.randint(1, 6)
        gold = f"{value:.2f}" if number % 4 != 3 else str(int(value))
        said = (gold, f"The answer is {value:,.2f}", f"{value * 1.3:.3f} km", f"There are {gold} dots on the map")
        inputs.append(Input(said[number % 4], gold, tolerance=0.05 if number % 4 == 1 else None))
    return inputs


def _choices(source: random.Random) -> list[Input]:
    """A letter, a text, both, a sentence."""
    inputs = []
    for number in range(INPUTS):
        options = tuple(_word(source) for _ in range(4))
        said = ("B", options[1].title(), f"(C) {options[2]}", f"The answer is {options[3]}")[number % 4]
        inputs.append(Input(said, "B", choices=options))
    return inputs


if __name__ == "__main__":
    main()
