"""What `coldforge gates` tells of other thresholds is what the gates would have decided by them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filters.gates.rules import GateSettings, exhausted
from flows.ledger.regate import NOT_ASKED, NOT_ASKED_FURTHER, alike, regate, way
from pipeline.errors import UsageError
from tests.support.cases.gate_counts import Asked, drawn, gated_run
from tests.support.cases.gate_counts import way as way_of

K = 8
QUESTIONS = 300
SETTINGS = {
    "paper": GateSettings(fresh_share=0.5),
    "interval": GateSettings(rule="interval", max_plain_right=4, min_valid=6),
    "early stop": GateSettings(early_stop=True, early_stop_exempt=0.0, fresh_share=1.0),
}


class Drawn:
    """A run, and what it was made of."""

    def __init__(self, base: Path, own: GateSettings) -> None:
        self.own = own
        self.asked = [drawn(number, own) for number in range(QUESTIONS)]
        self.run = gated_run(base, self.asked, own)

    def told(self, settings: GateSettings) -> Counter[tuple[str, str]]:
        found = Counter[tuple[str, str]]()
        for group in alike(self.run):
            found[way(group, settings)] += group.n
        return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Drawn]:
    base = tmp_path_factory.mktemp("gated")
    return {name: Drawn(base / name, own) for name, own in SETTINGS.items()}


def expected(one: Asked, own: GateSettings, other: GateSettings) -> tuple[str, str]:
    """Where other settings lead a question; what the run's own gate 1 stopped was not asked with tools, nor further."""
    stage, left_by = way_of(one, other)
    if (stage, left_by) == ("gate1", "undecided") and not exhausted(one.counts):
        return stage, NOT_ASKED_FURTHER
    return (stage, NOT_ASKED) if stage == "gate2" and way_of(one, own)[0] == "gate1" else (stage, left_by)


@pytest.mark.parametrize("name", SETTINGS)
def test_with_its_own_thresholds_a_run_has_its_own_routes(name: str, runs: dict[str, Drawn]) -> None:
    run = runs[name]
    told = regate(run.run, {})
    assert told.given == told.own
    assert told.moves == ()
    assert {(row.stage, row.route): row.own for row in told.routes} == Counter(
        way_of(one, run.own) for one in run.asked
    )
    assert all(row.own == row.given for row in told.routes)
    assert run.told(run.own) == Counter(way_of(one, run.own) for one in run.asked)


def test_the_drawn_questions_leave_by_every_way(runs: dict[str, Drawn]) -> None:
    ways = {way_of(one, runs["paper"].own)[1] for one in runs["paper"].asked}
    assert ways == {"too_easy", "undecided", "rl", "sft", "solved_without_call"}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    other=st.builds(
        GateSettings,
        max_plain_right=st.integers(0, K - 1),
        min_valid=st.integers(1, K),
        max_right_without_call=st.integers(0, K - 1),
        guess_floor=st.sampled_from((0.01, 0.05, 0.3, 1.0)),
        rule=st.sampled_from(("count", "interval")),
    )
)
def test_other_thresholds_lead_where_the_filters_would(runs: dict[str, Drawn], other: GateSettings) -> None:
    run = runs["interval"]  # every survivor has a fresh arm
    # The draw has a fresh arm for what gate 1 stopped too: it does not matter there, for nothing was asked with tools.
    asked = run.asked
    assert run.told(other) == Counter(expected(one, run.own, other) for one in asked)


def test_who_changes_side_is_counted_and_named(runs: dict[str, Drawn]) -> None:
    run = runs["paper"]
    other = GateSettings(max_plain_right=4)
    told = regate(run.run, {"max_plain_right": 4})
    assert sum(row.given for row in told.routes) == sum(row.own for row in told.routes) == QUESTIONS
    moved = {one.question.id: (way_of(one, run.own), expected(one, run.own, other)) for one in run.asked}
    moves = Counter((" ".join(was), " ".join(new)) for was, new in moved.values() if was != new)
    assert {(move.was, move.becomes): move.n for move in told.moves} == moves
    assert moves["gate1 too_easy", f"gate2 {NOT_ASKED}"]
    for move in told.moves:
        assert 0 < len(move.examples) <= move.n
        assert {moved[identity] for identity in move.examples} == {
            (tuple(move.was.split(" ", 1)), tuple(move.becomes.split(" ", 1)))
        }


def test_more_right_answers_can_be_asked_of_tools(runs: dict[str, Drawn]) -> None:
    run = runs["paper"]
    routes = [{row.route: row.given for row in regate(run.run, {"min_tools_right": n}).routes} for n in (1, 2, 3, 4, K)]
    assert [row["rl"] for row in routes] == sorted((row["rl"] for row in routes), reverse=True)
    rl = [one.counts.tools_right for one in run.asked if way_of(one, run.own) == ("gate2", "rl")]
    assert [row["rl"] for row in routes] == [sum(right >= n for right in rl) for n in (1, 2, 3, 4, K)]


def test_what_early_stop_hides_is_refused_and_the_rest_is_told(runs: dict[str, Drawn]) -> None:
    run = runs["early stop"]
    hidden = [one for one in run.asked if one.counts.censored]
    assert hidden
    with pytest.raises(UsageError, match=rf"--max-plain-right 3: .* {len(hidden)} questions .*early_stop: false"):
        regate(run.run, {"max_plain_right": 3})
    told = regate(run.run, {"max_plain_right": 1})
    asked = {one.question.id: expected(one, run.own, GateSettings(max_plain_right=1)) for one in run.asked}
    assert {(row.stage, row.route): row.given for row in told.routes if row.given} == Counter(asked.values())


def test_the_interval_is_refused_where_survivors_have_no_fresh_arm(runs: dict[str, Drawn]) -> None:
    run = runs["paper"]
    hard = [one for one in run.asked if way_of(one, run.own)[0] == "gate2"]
    have = sum(one.fresh is not None for one in hard)
    assert 0 < have < len(hard)
    with pytest.raises(UsageError, match=rf"{have} of {len(hard)} survivors have .*gate.fresh_share: 1"):
        regate(run.run, {"rule": "interval"})


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"max_plain_right": K}, "--max-plain-right 8: give 0 to 7"),
        ({"max_plain_right": -1}, "--max-plain-right -1"),
        ({"min_valid": K + 1}, "--min-valid 9: give 1 to k = 8"),
        ({"min_valid": 0}, "--min-valid 0"),
        ({"min_tools_right": 0}, "--min-tools-right 0"),
        ({"min_tools_right": K + 1}, "--min-tools-right 9: give 1 or more, up to k = 8"),
        ({"max_right_without_call": -1}, "--max-right-without-call -1"),
        ({"max_right_without_call": K}, "--max-right-without-call 8: give 0 to 7"),
        ({"guess_floor": 0.0}, "--guess-floor 0: give a share above 0"),
        ({"guess_floor": 1.5}, "--guess-floor 1.5"),
    ],
)
def test_thresholds_out_of_range_are_refused(wanted: dict[str, Any], told: str, runs: dict[str, Drawn]) -> None:
    with pytest.raises(UsageError, match=told):
        regate(runs["paper"].run, wanted)
