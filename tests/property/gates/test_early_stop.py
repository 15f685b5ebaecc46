"""Early stopping of gate 1 saves calls and changes no decision."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from filters.gates.counts import plain_count
from filters.gates.rules import GateSettings, gate1, wanted
from pipeline.records import Finish, Trajectory, Verdict
from tests.support.builders import trajectory, turn

ENDS: list[tuple[Finish, Verdict]] = [
    ("answer", "right"),
    ("answer", "wrong"),
    ("answer", "unknown"),
    ("bad_call", "unknown"),
    ("length", "unknown"),
    ("refused", "unknown"),
]


def rollout(question: str, sample: int, finish: Finish, verdict: Verdict) -> Trajectory:
    answer = "5" if finish == "answer" else None
    about: dict[str, Any] = {"question_id": question, "purpose": "gate", "arm": "main", "mode": "plain"}
    return trajectory(turn("answer", "5"), sample=sample, answer=answer, verdict=verdict, finish=finish, **about)


@st.composite
def gates(draw: st.DrawFn) -> tuple[list[Trajectory], GateSettings, str]:
    k = draw(st.integers(1, 12))
    most = draw(st.integers(0, k - 1))
    question = draw(st.text("abcdef0123456789", min_size=4, max_size=4))
    ends = draw(st.lists(st.sampled_from(ENDS), min_size=k, max_size=k))
    rollouts = [rollout(question, sample, *end) for sample, end in enumerate(ends)]
    return rollouts, GateSettings(k=k, max_plain_right=most, early_stop=True, early_stop_exempt=0.0), question


def asked(rollouts: list[Trajectory], settings: GateSettings, question: str) -> list[Trajectory]:
    """Return the rollouts that gate 1 asks for, of those that it would get."""
    done: list[Trajectory] = []
    while more := wanted(question, done, settings):
        assert more > 0
        done += rollouts[len(done) : len(done) + more]
    return done


@given(gates())
def test_early_stopping_changes_no_decision(drawn: tuple[list[Trajectory], GateSettings, str]) -> None:
    rollouts, settings, question = drawn
    done = asked(rollouts, settings, question)
    early = gate1(plain_count(question, settings.k, done), settings)
    full = gate1(plain_count(question, settings.k, rollouts), settings)
    assert (early.outcome, early.reason) == (full.outcome, full.reason)


@given(gates())
def test_only_a_settled_rejection_is_asked_for_less_and_never_a_call_too_late(
    drawn: tuple[list[Trajectory], GateSettings, str],
) -> None:
    rollouts, settings, question = drawn
    done = asked(rollouts, settings, question)
    count = plain_count(question, settings.k, done)
    assert count.censored == settings.k - len(done)
    if count.censored:
        assert count.plain_right == settings.max_plain_right + 1
        assert done[-1].verdict == "right"  # the one before it settled nothing
    assert done == rollouts[: len(done)]


@given(gates(), st.floats(0, 1))
def test_an_exempt_share_is_asked_all_times(drawn: tuple[list[Trajectory], GateSettings, str], share: float) -> None:
    rollouts, settings, question = drawn
    all_exempt = settings.model_copy(update={"early_stop_exempt": 1.0})
    assert len(asked(rollouts, all_exempt, question)) == settings.k
    # A larger share exempts whatever a smaller one does.
    some = settings.model_copy(update={"early_stop_exempt": share})
    fewer = settings.model_copy(update={"early_stop_exempt": share / 2})
    assert len(asked(rollouts, some, question)) >= len(asked(rollouts, fewer, question))
