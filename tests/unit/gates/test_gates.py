"""The route table of the two gates, row by row, and what each way to end a rollout counts as."""

from __future__ import annotations

from typing import Any

import pytest

from filters.answers.chance import guess_floor
from filters.gates.counts import arm_count as counted_arm
from filters.gates.counts import kind, plain_count, tools_count
from filters.gates.rules import (
    GateSettings,
    answerable_blind,
    easy_blind_from,
    easy_for_stronger,
    gate1,
    gate2,
    more_often,
    without_answer,
)
from filters.intervals import wilson
from pipeline.dialects.observations import cell_observation, text_search_observation
from pipeline.records import Arm, ArmCount, Finish, GateCount, Mode, Trajectory, Turn, Verdict
from tests.support.builders import arm_count, gate_count, trajectory, turn

SETTINGS = GateSettings()


def cell(stdout: str, status: str = "ok") -> Turn:
    text = cell_observation(status="ok", stdout=stdout, stderr="", value=None, error=None, images=0, ended=False)
    return turn("python", "f()", observation=text, status=status)


ANSWER = turn("answer", "5")
BAD = turn("none", observation="Error", status="bad_call")
SHOWED, SILENT, FAILED = cell("5\n"), cell(""), cell("Traceback", "exception")
NOTHING_FOUND = turn("search", "x", observation=text_search_observation("x", []))


def rollout(
    *turns: Turn, sample: int = 0, mode: Mode = "tools", finish: Finish = "answer", verdict: Verdict = "unknown"
) -> Trajectory:
    answer = "5" if finish == "answer" else None
    about: dict[str, Any] = {"question_id": "q", "purpose": "gate", "arm": "main", "mode": mode, "sample": sample}
    return trajectory(*turns, answer=answer, verdict=verdict, finish=finish, **about)


def count(**fields: Any) -> GateCount:
    return gate_count(**({"plain_valid": 0} | fields))


def arm(name: Arm, right: int, valid: int = 8) -> ArmCount:
    return arm_count(name, right, valid)


@pytest.mark.parametrize(
    ("right", "valid", "outcome", "reason"),
    [
        (0, 8, "keep", ""),
        (2, 8, "keep", ""),
        (3, 8, "reject", "too_easy"),
        (8, 8, "reject", "too_easy"),
        # Fewer than k answers decide nothing ...
        (1, 7, "unknown", "undecided"),
        (2, 7, "unknown", "undecided"),
        (0, 0, "unknown", "undecided"),
        # ... unless too many of them are right already, whatever the others are.
        (3, 3, "reject", "too_easy"),
    ],
)
def test_gate_1_keeps_what_is_hard_by_k_answers_and_by_nothing_else(
    right: int, valid: int, outcome: str, reason: str
) -> None:
    decision = gate1(count(plain_right=right, plain_valid=valid, plain_malformed=24 - valid), SETTINGS)
    assert (decision.outcome, decision.reason) == (outcome, reason)
    assert decision.score == (right / valid if valid else None)


@pytest.mark.parametrize(
    ("fields", "route", "reason"),
    [
        # Successes, and a higher rate than without tools.
        ({"plain_right": 0, "plain_valid": 8, "tools_right": 1, "tools_valid": 8}, "rl", ""),
        ({"plain_right": 2, "plain_valid": 8, "tools_right": 3, "tools_valid": 8}, "rl", ""),
        ({"plain_right": 2, "plain_valid": 8, "tools_right": 2, "tools_valid": 7}, "rl", ""),
        ({"plain_right": 0, "plain_valid": 8, "tools_right": 8, "tools_valid": 8, "saturated": True}, "rl", ""),
        # Equal or lower rates: tools bring nothing that can be seen.
        ({"plain_right": 2, "plain_valid": 8, "tools_right": 2, "tools_valid": 8}, "sft", ""),
        ({"plain_right": 2, "plain_valid": 8, "tools_right": 1, "tools_valid": 8}, "sft", ""),
        ({"plain_right": 0, "plain_valid": 8, "tools_right": 0, "tools_valid": 8}, "sft", ""),
        # A malformed rollout and one that a limit ended have not solved it: what cold start is for.
        ({"plain_valid": 8, "tools_limit": 8}, "sft", ""),
        ({"plain_valid": 8, "tools_bad_format": 8}, "sft", ""),
        ({"plain_valid": 8, "tools_bad_format": 5, "tools_valid": 3}, "sft", ""),
        ({"plain_valid": 8, "tools_limit": 2, "tools_valid": 2, "tools_lost": 4}, "sft", ""),
        # One of eight is no higher a rate than two of eight, whatever became of the other seven; and of one graded
        # rollout no rate is known.
        ({"plain_right": 2, "plain_valid": 8, "tools_right": 1, "tools_valid": 1, "tools_bad_format": 7}, "sft", ""),
        ({"plain_right": 0, "plain_valid": 8, "tools_right": 1, "tools_valid": 1, "tools_bad_format": 7}, "sft", ""),
        ({"plain_right": 0, "plain_valid": 8, "tools_right": 1, "tools_valid": 4, "tools_limit": 4}, "rl", ""),
        ({"plain_right": 1, "plain_valid": 8, "tools_right": 1, "tools_valid": 4, "tools_lost": 4}, "rl", ""),
        # What was refused or left open says nothing, and of the rest too little is known.
        ({"plain_valid": 8, "tools_limit": 2, "tools_valid": 1, "tools_lost": 5}, None, "undecided"),
        ({"plain_valid": 8, "tools_unknown": 8}, None, "undecided"),
        # Two options: six of eight are what guessing reaches in 14 % of cases, seven in 4 %.
        ({"chance": 0.5, "plain_right": 2, "plain_valid": 8, "tools_right": 6, "tools_valid": 8}, "sft", ""),
        ({"chance": 0.5, "plain_right": 2, "plain_valid": 8, "tools_right": 7, "tools_valid": 8}, "rl", ""),
        # Right without a call is no success, and more than two of them reject.
        ({"plain_valid": 8, "tools_right_without_call": 2, "tools_valid": 8}, "sft", ""),
        ({"plain_valid": 8, "tools_right_without_call": 3, "tools_valid": 8}, None, "solved_without_call"),
        ({"plain_valid": 8, "tools_right": 1, "tools_right_without_call": 7, "tools_valid": 8}, "rl", ""),
        # The order of the table: without a call comes before what is missing.
        ({"tools_right_without_call": 3, "tools_lost": 5, "tools_valid": 3}, None, "solved_without_call"),
    ],
)
def test_gate_2_routes_by_the_table(fields: dict[str, Any], route: str | None, reason: str) -> None:
    routing = gate2(count(**fields), SETTINGS)
    assert (routing.route, routing.decision.reason) == (route, reason)
    assert (routing.decision.outcome == "keep") == (route is not None)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (rollout(SHOWED, ANSWER, verdict="right"), "right"),
        (rollout(SHOWED, ANSWER, verdict="wrong"), "wrong"),
        (rollout(SHOWED, ANSWER, verdict="unknown"), "unknown"),
        (rollout(SHOWED, ANSWER, verdict="unjudged"), "unjudged"),
        # A bad call that was mended does not count against the rollout.
        (rollout(BAD, SHOWED, ANSWER, verdict="right"), "right"),
        (rollout(BAD, finish="bad_call"), "malformed"),
        (rollout(SHOWED, BAD, finish="max_turns"), "malformed"),
        (rollout(SHOWED, BAD, finish="max_tokens"), "malformed"),
        (rollout(SHOWED, SHOWED, finish="max_turns"), "limit"),
        (rollout(SHOWED, finish="max_time"), "limit"),
        # A message cut in two is the limit's doing.
        (rollout(BAD, finish="length"), "limit"),
        (rollout(BAD, finish="refused"), "lost"),
        (rollout(SHOWED, finish="nondeterministic"), "lost"),
    ],
)
def test_what_a_rollout_counts_as(made: Trajectory, expected: str) -> None:
    assert kind(made) == expected


def test_only_graded_answers_are_valid() -> None:
    plain = plain_count(
        "q",
        SETTINGS.k,
        [
            rollout(ANSWER, sample=0, mode="plain", verdict="right"),
            rollout(ANSWER, sample=1, mode="plain", verdict="wrong"),
            rollout(ANSWER, sample=2, mode="plain", verdict="unknown"),
            rollout(BAD, sample=3, mode="plain", finish="bad_call"),
            rollout(BAD, sample=4, mode="plain", finish="length"),
        ],
    )
    assert (plain.plain_right, plain.plain_valid, plain.censored) == (1, 2, 3)
    assert (plain.plain_unknown, plain.plain_malformed, plain.plain_limit, plain.plain_asked) == (1, 1, 1, 5)
    assert without_answer(plain) == "2 of 5 tell; malformed 1, limit 1, unknown 1"


def test_the_first_k_that_answered_decide_in_the_order_of_samples() -> None:
    ends: list[tuple[Finish, Verdict]] = [("bad_call", "unknown"), ("answer", "wrong"), ("length", "unknown")]
    ends += [("answer", "wrong"), ("answer", "right"), ("answer", "right")]
    made = [rollout(ANSWER, sample=at, mode="plain", finish=end, verdict=v) for at, (end, v) in enumerate(ends)]
    plain = plain_count("q", 2, made[::-1])
    assert (plain.plain_right, plain.plain_valid, plain.plain_malformed, plain.plain_limit) == (0, 2, 1, 1)
    assert plain.plain_asked == 4


def test_what_nobody_was_named_to_judge_is_not_right_and_counts() -> None:
    rollouts = [rollout(ANSWER, sample=at, mode="plain", verdict="unjudged") for at in range(8)]
    count = plain_count(rollouts[0].question_id, 8, rollouts)
    assert (count.plain_right, count.plain_valid) == (0, 8)
    assert gate1(count, GateSettings()).outcome == "keep"


def test_a_success_needs_a_call_that_ran_and_showed_something() -> None:
    right = [
        (SHOWED, ANSWER),
        (FAILED, SHOWED, ANSWER),
        (ANSWER,),
        (SILENT, ANSWER),
        (FAILED, ANSWER),
        (BAD, ANSWER),
        (NOTHING_FOUND, ANSWER),
    ]
    made = [rollout(*turns, sample=sample, verdict="right") for sample, turns in enumerate(right)]
    counted = tools_count(count(), [*made, rollout(SHOWED, BAD, sample=7, finish="max_turns")])
    assert counted.tools_right == 2
    assert (counted.tools_right_without_call, counted.tools_right_uninformed) == (5, 3)
    assert (counted.tools_valid, counted.tools_bad_format) == (7, 1)


def test_a_group_is_saturated_only_if_no_rollout_earns_another_reward() -> None:
    right = [rollout(SHOWED, ANSWER, sample=sample, verdict="right") for sample in range(8)]
    assert tools_count(count(), right).saturated
    for other in (
        rollout(SHOWED, ANSWER, sample=7, verdict="wrong"),
        rollout(SHOWED, BAD, sample=7, finish="max_turns"),
        rollout(SHOWED, SHOWED, sample=7, finish="max_turns"),
    ):
        assert not tools_count(count(), [*right[:7], other]).saturated
    assert not tools_count(count(), []).saturated


def test_rollouts_of_something_else_are_refused() -> None:
    with pytest.raises(ValueError, match="not a plain gate rollout"):
        plain_count("q", SETTINGS.k, [rollout(ANSWER, mode="tools")])
    with pytest.raises(ValueError, match="1 distinct"):
        plain_count("q", SETTINGS.k, [rollout(ANSWER, mode="plain"), rollout(ANSWER, mode="plain")])
    with pytest.raises(ValueError, match="at most 1"):
        tools_count(count(k=1), [rollout(ANSWER, sample=sample) for sample in range(2)])
    with pytest.raises(ValueError, match="at most 3"):
        plain_count("q", 1, [rollout(ANSWER, mode="plain", sample=sample) for sample in range(4)])


@pytest.mark.parametrize(
    ("right", "chance", "outcome"),
    [(0, 0.0, "keep"), (2, 0.0, "keep"), (3, 0.0, "reject"), (4, 0.5, "keep"), (6, 0.5, "keep"), (7, 0.5, "reject")],
)
def test_what_is_right_blind_more_often_than_by_guessing_is_rejected(right: int, chance: float, outcome: str) -> None:
    above = right >= easy_blind_from(chance, SETTINGS)
    decision = answerable_blind(arm_count("blind", right, above=above))
    assert (decision.outcome, decision.score) == (outcome, right / 8)
    assert decision.reason == ("answerable_blind" if outcome == "reject" else "")


@pytest.mark.parametrize(
    ("right", "valid", "outcome"), [(8, 8, "reject"), (7, 8, "keep"), (4, 4, "reject"), (3, 3, "keep"), (0, 0, "keep")]
)
def test_what_a_stronger_model_always_solves_is_rejected_if_enough_of_it_is_known(
    right: int, valid: int, outcome: str
) -> None:
    assert easy_for_stronger(arm("stronger", right, valid), SETTINGS).outcome == outcome


def test_the_rule_of_intervals_asks_for_more_than_one_lucky_rollout() -> None:
    settings = GateSettings(rule="interval")
    made = count(plain_right=0, plain_valid=8, tools_right=1, tools_valid=8)
    assert gate2(made, SETTINGS).route == "rl"
    assert gate2(made, settings, arm("fresh", 0)).route == "sft"
    better = made.model_copy(update={"tools_right": 5})
    assert gate2(better, settings, arm("fresh", 0)).route == "rl"
    # What selected the question was bad luck: asked again, it is solved without tools.
    assert gate2(better, settings, arm("fresh", 3)).route == "sft"
    with pytest.raises(ValueError, match="compares with a fresh arm"):
        gate2(better, settings)


def test_under_intervals_an_empty_fresh_arm_leaves_open_what_it_would_decide_and_nothing_else() -> None:
    settings, empty = GateSettings(rule="interval"), arm("fresh", 0, 0)
    routing = gate2(count(tools_right=5, tools_valid=8), settings, empty)
    assert (routing.route, routing.decision.outcome, routing.decision.reason) == (None, "unknown", "undecided")
    assert "fresh arm" in routing.detail
    assert gate2(count(tools_right=0, tools_valid=8), settings, empty).route == "sft"
    assert gate2(count(tools_right=1, tools_valid=1, tools_bad_format=7), settings, empty).route == "sft"


@pytest.mark.parametrize(
    ("chance", "right", "share", "route", "by_floor"),
    [
        (0.5, 6, 0.05, "sft", True),
        (0.5, 7, 0.05, "rl", False),
        (0.5, 2, 0.05, "sft", False),  # no more often than without: tools do not help, floor or not
        (0.5, 6, 0.2, "rl", False),
        (0.5, 3, 1.0, "rl", False),
        (0.1, 2, 0.05, "sft", True),
        (0.0, 1, 0.05, "sft", False),
    ],
)
def test_what_the_guess_floor_alone_sends_to_the_teachers_is_labelled(
    chance: float, right: int, share: float, route: str, *, by_floor: bool
) -> None:
    plain = {0.5: 2, 0.1: 1, 0.0: 1}[chance]
    made = count(chance=chance, plain_right=plain, plain_valid=8, tools_right=right, tools_valid=8)
    routing = gate2(made, GateSettings(guess_floor=share))
    assert (routing.route, routing.by_floor) == (route, by_floor)


def test_a_placebo_passes_by_the_comparison_of_counts_alone() -> None:
    made = count(plain_right=1, plain_valid=8)
    passes = [more_often(right, 8, made.plain_right, made.plain_valid, guess_floor(8, 0)) for right in range(4)]
    assert passes == [False, False, True, True]
    assert not more_often(6, 8, made.plain_right, made.plain_valid, guess_floor(8, 0.5))


def test_every_survivor_gets_the_fresh_arm_under_intervals_and_a_seeded_share_otherwise() -> None:
    names = [f"q{number}" for number in range(2_000)]
    assert all(GateSettings(rule="interval", fresh_share=0).asks_fresh(name) for name in names)
    drawn = [name for name in names if GateSettings(fresh_share=0.25).asks_fresh(name)]
    assert 0.21 < len(drawn) / len(names) < 0.29  # four standard errors
    assert set(drawn) <= {name for name in names if GateSettings(fresh_share=0.5).asks_fresh(name)}


def test_an_arm_counts_what_was_graded_and_names_what_it_was() -> None:
    verdicts: tuple[Verdict, ...] = ("right", "wrong", "unknown")
    asked = [
        rollout(ANSWER, sample=sample, mode="plain", verdict=verdict).model_copy(update={"arm": "blind"})
        for sample, verdict in enumerate(verdicts)
    ]
    counted = counted_arm(asked, max_pixels=0, easy_from=2)
    assert (counted.arm, counted.asked, counted.right, counted.valid) == ("blind", 3, 1, 2)
    assert (counted.low, counted.high) == wilson(1, 2)
    assert [counted_arm(asked, max_pixels=0, easy_from=n).above for n in (1, 2)] == [True, False]
    with pytest.raises(ValueError, match="not a plain gate rollout"):
        counted_arm([*asked, rollout(ANSWER, sample=3, mode="plain")], max_pixels=0, easy_from=2)
    with pytest.raises(ValueError, match="without rollouts"):
        counted_arm([], max_pixels=0, easy_from=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 2, "max_plain_right": 2}, "max_plain_right 2 must be below k 2"),
        ({"k": 4, "min_valid": 5}, "nothing is ever decided"),
        ({"max_blind_right": 8}, "max_blind_right 8 must be below k 8"),
        ({"max_right_without_call": 9}, "max_right_without_call 9 must be below k 8"),
        ({"min_tools_right": 9}, "nothing is ever rl"),
        ({"k": 1, "max_plain_right": 0, "rule": "interval"}, "may be chance; raise k"),
        ({"early_stop": True, "early_stop_exempt": 1.0}, "early_stop never stops"),
        ({"guess_floor": 0.0}, "greater than 0"),
        ({"max_malformed": 0.0}, "greater than 0"),
    ],
)
def test_a_threshold_that_cannot_act_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GateSettings(**settings)


@pytest.mark.parametrize("k", [1, 2, 3, 8])
def test_what_is_left_to_its_default_acts_under_any_k(k: int) -> None:
    settings = GateSettings(k=k, max_plain_right=0)
    assert settings.enough == (k + 1) // 2
    assert settings.most_blind == settings.most_without_call == min(2, k - 1)
