"""Which plain rollouts gate 1 asks for: those that decide, and fewer where it stops early, which changes nothing."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from filters.gates.counts import TOP_UP, Kind
from filters.gates.lanes import LaneSettings, easy_route
from filters.gates.rules import GateSettings, exhausted, gate1
from pipeline.records import Decision, GateCount
from tests.support.builders import gate_count
from tests.support.cases.gate_counts import PLAIN, asked_of, plain_numbers

ANSWERS: frozenset[Kind] = frozenset({"right", "wrong", "unjudged"})


class Drawn(NamedTuple):
    """All rollouts that a question may be asked for, and what decides on it."""

    kinds: list[Kind]
    settings: GateSettings

    def asked(self, *, all_k: bool = True) -> list[Kind]:
        return list(asked_of(self.kinds, self.settings, all_k=all_k))

    def counted(self, kinds: list[Kind]) -> GateCount:
        return gate_count(**plain_numbers(kinds, self.settings.k))

    def decision(self, kinds: list[Kind]) -> Decision:
        return gate1(self.counted(kinds), self.settings)


@st.composite
def questions(draw: st.DrawFn) -> Drawn:
    k = draw(st.integers(1, 12))
    most = draw(st.integers(0, k - 1))
    some = draw(st.lists(st.sampled_from(PLAIN), min_size=1, max_size=4))
    kinds = draw(st.lists(st.sampled_from(some), min_size=TOP_UP * k, max_size=TOP_UP * k))
    return Drawn(kinds, GateSettings(k=k, max_plain_right=most))


@given(questions())
def test_the_first_k_that_answered_decide_and_nothing_else(drawn: Drawn) -> None:
    k, most = drawn.settings.k, drawn.settings.max_plain_right
    decision = drawn.decision(drawn.asked())
    answers = [kind for kind in drawn.kinds if kind in ANSWERS][:k]
    if not ANSWERS & set(drawn.kinds[:k]):
        assert decision.reason == "undecided"
    elif answers.count("right") > most:
        assert decision.reason == "too_easy"
    else:
        assert decision.reason == ("" if len(answers) == k else "undecided")


@given(questions())
def test_no_rollout_is_asked_for_that_decides_nothing(drawn: Drawn) -> None:
    k, most, done = drawn.settings.k, drawn.settings.max_plain_right, drawn.asked()
    assert done == drawn.kinds[: len(done)]
    assert k <= len(done) <= TOP_UP * k
    if len(done) > k:  # topped up, for want of answers
        assert sum(kind in ANSWERS for kind in done[:-1]) < k
        assert ANSWERS & set(done[:k])
        assert done[:k].count("right") <= most
    if drawn.decision(done).reason == "undecided":
        assert exhausted(drawn.counted(done))


@given(questions())
def test_early_stopping_changes_no_decision(drawn: Drawn) -> None:
    early, full = (drawn.decision(drawn.asked(all_k=all_k)) for all_k in (False, True))
    assert (early.outcome, early.reason) == (full.outcome, full.reason)


@given(questions())
def test_only_a_settled_rejection_is_asked_for_less_and_never_a_call_too_late(drawn: Drawn) -> None:
    most, done, full = drawn.settings.max_plain_right, drawn.asked(all_k=False), drawn.asked()
    assert done == full[: len(done)]
    if len(done) < len(full):
        assert done.count("right") == most + 1
        assert done[-1] == "right"  # the one before it settled nothing
    assert drawn.counted(done).censored == max(0, drawn.settings.k - len(done))


@given(st.floats(0, 1), st.text("abcdef0123456789", min_size=4, max_size=4))
def test_a_larger_share_exempts_whatever_a_smaller_one_does(share: float, question: str) -> None:
    def asks_all(exempt: float) -> bool:
        return GateSettings(early_stop=True).model_copy(update={"early_stop_exempt": exempt}).asks_all(question)

    assert asks_all(share / 2) <= asks_all(share)
    assert asks_all(1.0)
    assert not asks_all(0.0)
    assert GateSettings().asks_all(question)


@given(questions(), st.floats(0, 1), st.text("abcdef0123456789", min_size=4, max_size=4))
def test_without_calls_are_taught_only_questions_that_are_right_in_all_k_rollouts(
    drawn: Drawn, share: float, question: str
) -> None:
    lanes = LaneSettings(no_call=share)
    # Under early stop, too: whoever may come to the lane is asked all k times.
    count = drawn.counted(drawn.asked(all_k=lanes.draws_no_call(question))).model_copy(update={"question_id": question})
    if easy_route(count, lanes) == "no_call":
        assert drawn.kinds[: drawn.settings.k] == ["right"] * drawn.settings.k
    elif lanes.draws_no_call(question):
        assert set(drawn.kinds[: drawn.settings.k]) != {"right"}
    looser = LaneSettings(no_call=1.0, no_call_right=drawn.settings.max_plain_right + 1)
    assert (easy_route(count, looser) == "no_call") == (gate1(count, drawn.settings).reason == "too_easy")
