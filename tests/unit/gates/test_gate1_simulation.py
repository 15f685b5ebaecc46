"""Gate 1 keeps what is hard, however often the model fails to write an answer that can be graded."""

from __future__ import annotations

import pytest

from tests.support.gate_simulation import SHARES, before, now, questions

QUESTIONS = 10_000
"""At 0.9 the standard error of a share of them is 0.3 points."""
BEFORE = {1.0: 0.96, 0.8: 0.60, 0.6: 0.20, 0.5: 0.09}
"""Kept of hard questions when failed rollouts counted as if they had been right."""


@pytest.mark.parametrize("share", SHARES)
def test_of_hard_questions_gate_1_keeps_85_in_100_if_half_of_the_rollouts_can_be_graded(share: float) -> None:
    asked = questions(share, QUESTIONS, clustered=False)
    kept = now(asked).kept
    assert before(asked).kept == pytest.approx(BEFORE[share], abs=0.012)
    assert kept >= 0.85
    assert now(asked).too_easy < 0.05


@pytest.mark.parametrize("share", SHARES)
def test_where_failures_cluster_it_loses_no_more_than_the_questions_that_get_no_answers(share: float) -> None:
    asked = questions(share, QUESTIONS, clustered=True)
    answerable = sum(sum(kind != "malformed" for kind in kinds) >= 8 for kinds in asked) / QUESTIONS
    told = now(asked)
    assert told.kept > 0.94 * answerable
    assert told.kept > before(asked).kept - 0.01
    assert told.undecided == pytest.approx(1 - answerable, abs=0.02)
