"""Expressions are told apart and found equal by algebra, and no expression stops a run."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from filters.answers import grade
from filters.answers.expressions import as_latex, expression_pairs, settle
from pipeline.math_worker import MathWorker
from tests.support.cases.grading_cases import SETS, Case, load, score, verdict


@pytest.fixture(scope="module")
def worker() -> Iterator[MathWorker]:
    with MathWorker() as worker:
        yield worker


@pytest.mark.parametrize("name", SETS)
def test_labelled_expressions_are_settled(worker: MathWorker, name: str) -> None:
    cases = [case for case in load(name) if case.answer_type == "expression"]
    counts = score(cases, [verdict(case, worker).verdict for case in cases])
    assert (counts.false_accepts, counts.false_rejects) == (0, 0)
    assert counts.undecided <= 0.1 * counts.n


@pytest.mark.parametrize(
    ("said", "gold", "equal"),
    [
        ("2ab", "2", False),
        ("2(3)", "5", False),
        ("1.41421356", "sqrt(2)", False),
        ("x=2", "2", None),
        ("(x^2-1)/(x-1)", "x+1", False),
        ("sqrt(x)*sqrt(y)", "sqrt(x*y)", False),
        ("1.5e3", "1500", True),
        ("((((", "x", None),
    ],
)
def test_known_traps_of_the_library_are_closed(worker: MathWorker, said: str, gold: str, equal: bool | None) -> None:
    assert worker.equal(as_latex(said), as_latex(gold)) is equal


def test_what_takes_too_long_is_not_known_and_the_next_pair_is_answered() -> None:
    with MathWorker(deadline=2) as worker:
        assert worker.equal("x+1", "1+x") is True
        began = time.monotonic()
        assert worker.equal("9^{9^{9^{9}}}+x", "9^{9^{9^{8}}}+x") is None
        assert time.monotonic() - began < 60
        assert worker.equal("x+1", "x+2") is False


def test_one_equal_gold_is_enough_and_an_open_one_keeps_the_grade_undecided() -> None:
    result = grade("x+1", ["1+x", "2x"], "expression")
    assert expression_pairs("x+1", ["1+x", "2x"], result) == [("x+1", "1+x"), ("x+1", "2x")]
    assert settle(result, [True, False]).verdict == "right"
    assert settle(result, [False, None]).verdict == "undecided"
    assert settle(result, [False, False]).verdict == "wrong"
    assert settle(result, []) == result


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
