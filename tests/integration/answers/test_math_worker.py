"""Expressions are told apart and found equal by algebra, and no expression stops a run."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from filters.answers import grade
from filters.answers.mathematics.expressions import expression_pairs, settle
from pipeline.math_worker import MathWorker
from pipeline.records import GradeResult
from tests.support.cases.grading_cases import SETS, Case, load, score, verdict


@pytest.fixture(scope="module")
def worker() -> Iterator[MathWorker]:
    with MathWorker() as worker:
        yield worker


@pytest.mark.parametrize("name", SETS)
def test_labelled_expressions_are_settled(worker: MathWorker, name: str) -> None:
    cases = [case for case in load(name) if case.answer_type == "expression"]
    counts = score(cases, [verdict(case, worker) for case in cases])
    assert (counts.false_accepts, counts.false_rejects) == (0, 0)
    assert counts.undecided <= 0.05 * counts.n


def settled(said: str, golds: list[str], worker: MathWorker) -> GradeResult:
    result = grade(said, golds, "expression")
    return settle(result, worker.equal(expression_pairs(said, golds, result)))


@pytest.mark.parametrize(
    ("said", "gold", "verdict"),
    [
        # Letters are no units, a product is no mixed number, nothing is rounded, half an equation is none.
        ("2ab", "2", "wrong"),
        ("2(3)", "5", "wrong"),
        ("1.41421356", "sqrt(2)", "wrong"),
        ("(x^2-1)/(x-1)", "x+1", "wrong"),
        ("sqrt(x)*sqrt(y)", "sqrt(x*y)", "wrong"),
        ("1.5e3", "1500", "right"),
        ("((((", "x", "undecided"),
        # Identities that take algebra.
        ("(x+1)^2", "x^2+2x+1", "right"),
        ("\\sqrt{8}", "2\\sqrt{2}", "right"),
        ("\\frac{1}{\\sqrt{2}}", "\\frac{\\sqrt{2}}{2}", "right"),
        ("\\sqrt{5+2\\sqrt{6}}", "\\sqrt{2}+\\sqrt{3}", "right"),
        ("\\log_2 8", "3", "right"),
        ("\\cos^2 x - \\sin^2 x", "\\cos(2x)", "right"),
        ("\\frac{10!}{8!}", "90", "right"),
        ("e^{i\\pi}", "-1", "right"),
    ],
)
def test_terms_are_compared_by_algebra(worker: MathWorker, said: str, gold: str, verdict: str) -> None:
    assert settled(said, [gold], worker).verdict == verdict


VALUES = [
    "10^{-8}",
    "10^{-9}",
    "2^{-30}",
    "2^{-31}",
    "e^{-20}",
    "e^{-21}",
    "3^{-40}",
    "\\frac{1}{20!}",
    "\\frac{1}{21!}",
]
VALUES += [
    "1",
    "1-10^{-10}",
    "1+10^{-40}",
    "0",
    "5\\times10^{-13}",
    "10^{-150}",
    "\\pi",
    "\\frac{355}{113}",
    "10^{20}",
    "10^{20}+1",
]
VALUES += ["\\sqrt{2}", "\\sqrt{2}+10^{-60}", "x", "x+10^{-50}", "10^{-34}x", "2\\times 10^{-34}x"]


def test_values_are_told_apart_however_near_they_are(worker: MathWorker) -> None:
    for said in VALUES:
        for gold in VALUES:
            verdict = settled(said, [gold], worker).verdict
            assert (verdict == "right") is (said == gold), (said, gold)


@pytest.mark.parametrize(
    ("said", "gold", "verdict"),
    [
        ("2y = 4x + 2", "y = 2x + 1", "right"),
        ("3x + 4y + 14 = 0", "3x - y + 13 = 0", "wrong"),
        ("x^2 + y^2 = 4", "x^2 + y^2 = 9", "wrong"),
        ("4 - x^2 = y^2", "x^2 + y^2 = 4", "right"),
        ("(x-1)^2 = 0", "x = 1", "undecided"),
        ("x = 2", "x = 3", "wrong"),
    ],
)
def test_equations_are_compared_by_their_solutions(worker: MathWorker, said: str, gold: str, verdict: str) -> None:
    assert settled(said, [gold], worker).verdict == verdict


HUGE = '["^",["num","9"],["^",["num","9"],["num","9"]]]', '["num","4"]'
ONE = '["num","1"]', '["num","2/2"]'


def test_what_takes_too_long_is_not_known_and_the_next_pair_is_answered() -> None:
    with MathWorker(deadline=2) as worker:
        assert settled("x+1", ["1+x"], worker).verdict == "right"
        assert worker.equal([HUGE, ONE]) == [None, None]
        assert worker.equal([ONE, HUGE]) == [True, None]
        assert settled("x+1", ["x+2"], worker).verdict == "wrong"


def test_what_gets_no_processor_for_a_while_is_answered_all_the_same() -> None:
    others = set(multiprocessing.active_children())
    with MathWorker(deadline=1) as worker:
        assert settled("\\log_2 8", ["3"], worker).verdict == "right"
        (process,) = set(multiprocessing.active_children()) - others
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)
        threading.Timer(2, os.kill, (process.pid, signal.SIGCONT)).start()
        assert settled("(x+1)^2", ["x^2+2x+1"], worker).verdict == "right"


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_a_process_that_somebody_else_ended_says_nothing_of_the_terms(by: signal.Signals) -> None:
    others = set(multiprocessing.active_children())
    with MathWorker() as worker:
        assert settled("\\log_2 8", ["3"], worker).verdict == "right"
        (process,) = set(multiprocessing.active_children()) - others
        assert process.pid is not None
        os.kill(process.pid, by)
        assert settled("\\frac{x^2-1}{x-1}", ["x+1"], worker).verdict == "wrong"
        (process,) = set(multiprocessing.active_children()) - others
        assert process.pid is not None
        os.kill(process.pid, signal.SIGSTOP)  # it is asked, and gets no further
        threading.Timer(1, os.kill, (process.pid, signal.SIGKILL)).start()
        assert settled("(x+1)^2", ["x^2+2x+1"], worker).verdict == "right"


def test_one_equal_gold_is_enough_and_an_open_one_keeps_the_grade_undecided() -> None:
    said, golds = "(x+1)^2", ["x^2+2x+1", "2x"]  # no rule of notation sees that
    result = grade(said, golds, "expression")
    assert len(expression_pairs(said, golds, result)) == 2
    assert settle(result, [True, False]).verdict == "right"
    assert settle(result, [False, None]).verdict == "undecided"
    assert settle(result, [False, False]).verdict == "wrong"


def test_a_settled_grade_is_not_asked_again() -> None:
    case = Case(
        prediction="x or y",
        golds=("x",),
        answer_type="expression",
        tolerance=None,
        choices=None,
        expected="wrong",
        adversarial=True,
        reason="two",
    )
    assert expression_pairs("x or y", case.golds, verdict(case, None)) == []


def test_the_program_that_asks_is_not_run_again_beside_it(tmp_path: Path) -> None:
    program = tmp_path / "train.py"
    program.write_text(
        "print('loads its libraries')\n"
        "from pipeline.math_worker import MathWorker\n"
        "with MathWorker() as worker:\n"
        '    print(worker.equal([(\'["num", "1/2"]\', \'["num", "2/4"]\')]))\n'
        "print(__file__ is not None)\n"
    )
    said = subprocess.run([sys.executable, program], check=True, capture_output=True, text=True)
    assert said.stdout == "loads its libraries\n[True]\nTrue\n"


def _set(power: int) -> str:
    """Return a set of equations that are hard to solve, as many as an answer holds."""
    return ", ".join(f"x^{{{power + at}}}+x+1=0" for at in range(12))


HOSTILE = (
    _set(40),
    "x^{50}+x+1=0",
    "\\sin(x)^{20}+\\cos(x)^{20}+\\tan(x)^{20}",
    "\\frac{(x+1)^{30}}{(x-1)^{30}}+\\frac{(y+1)^{30}}{(y-1)^{30}}",
    "(((x+1)^{9}+1)^{9}+1)^{9}",
    "(x+y+z+w)^{100}",
    "(x+1)^{1000}",
    "x^{99}+y^{99}+(x+y)^{99}",
    "\\sqrt{\\sqrt{\\sqrt{\\sqrt{\\sqrt{x+1}+1}+1}+1}+1}",
    "\\sin(\\sin(\\sin(\\sin(\\sin(\\sin(\\sin(\\sin(x))))))))",
    "\\frac{1}{\\sqrt{2}+\\sqrt{3}+\\sqrt{5}+\\sqrt{7}+\\sqrt{11}+\\sqrt{13}}",
    "\\lfloor e^{e^{10}} \\rfloor",
    "\\cos(\\frac{\\pi}{65537})",
    "50000!",
    "\\binom{90000}{45000}",
    "\\sqrt{123456789012345678901234567890123456789012345678901234567891}",
    "\\sum_{k=1}^{1000000} k",
    "\\prod_{k=1}^{1000000} k",
)
"""What is let through to the algebra, and hard for it."""


def test_hostile_terms_take_the_deadline_at_most_and_nothing_when_asked_again() -> None:
    deadline, start = 1.0, 5.0  # seconds of processor time: of a comparison, and to import sympy after one was killed
    before = _used_by_children()
    with MathWorker(deadline) as worker:
        for said in HOSTILE:
            gold = _set(60) if "," in said else "x^{50}+x+2=0" if said.endswith("=0") else "x+y+1"
            assert grade(said, [gold], "expression").rule == "needs_algebra"
            first = settled(said, [gold], worker)
            assert first.verdict != "right", said
            running = multiprocessing.active_children()
            assert settled(said, [gold], worker) == first
            assert multiprocessing.active_children() == running
    assert _used_by_children() - before < len(HOSTILE) * (deadline + start)


def _used_by_children() -> float:
    """Return the seconds of processor time of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_what_was_compared_is_answered_without_a_process() -> None:
    with MathWorker() as worker:
        assert settled("(x+1)^2", ["x^2+2x+1"], worker).verdict == "right"
        worker.close()
        running = multiprocessing.active_children()
        assert settled("(x+1)^2", ["x^2+2x+1"], worker).verdict == "right"
        assert multiprocessing.active_children() == running
