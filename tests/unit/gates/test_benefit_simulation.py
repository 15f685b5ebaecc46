"""What the gates say of a tool whose worth is known, because the rollouts are drawn.

Every question has its own chance of success; a run asks k rollouts of it at gate 1, keeps it where few are right, and
asks k more with tools and k more without (the fresh arm).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from filters.gates.benefit import net_benefit, question_benefit
from filters.gates.rules import GateSettings, gate1, gate2, more_often
from pipeline.records import ArmCount, GateCount
from tests.support.builders import arm_count, gate_count

K, HARD = 8, 2
RUNS = 2_000
"""At 0.95 the standard error of a share of them is half a point, so 93 to 97 % is four of them either way."""
QUESTIONS = 200

Counts = NDArray[np.int64]


class Run(NamedTuple):
    """Right rollouts of each survivor of gate 1."""

    plain: Counts
    fresh: Counts
    tools: Counts


def simulated(seed: int, effect: float) -> Run:
    """Return QUESTIONS survivors: half of the questions are nearly hopeless, the others spread, some are easy."""
    draw = np.random.default_rng(seed)
    kinds = np.array([(0.6, 8.0), (2.0, 3.0), (5.0, 2.0)])[draw.choice(3, size=8 * QUESTIONS, p=(0.5, 0.3, 0.2))]
    chance = draw.beta(kinds[:, 0], kinds[:, 1])
    plain = draw.binomial(K, chance)
    kept = np.flatnonzero(plain <= HARD)[:QUESTIONS]
    assert len(kept) == QUESTIONS
    helped = np.minimum(1.0, chance[kept] + effect)
    return Run(plain[kept], draw.binomial(K, chance[kept]), draw.binomial(K, helped))


@cache
def runs(effect: float) -> Sequence[Run]:
    return [simulated(seed, effect) for seed in range(RUNS)]


def benefits(effect: float, against: str = "fresh") -> NDArray[np.float64]:
    """Return the interval of the net benefit of each run, against one of the arms without tools."""
    differences = (((run.tools - getattr(run, against)) / K).tolist() for run in runs(effect))
    return np.array([net_benefit(values).interval for values in differences])


def tried(plain: int, tools: int) -> GateCount:
    return gate_count(k=K, plain_right=plain, tools_right=tools, tools_valid=K)


def fresh_count(right: int) -> ArmCount:
    return arm_count("fresh", right)


class Survivors(NamedTuple):
    """Rollouts of what gate 1 keeps of many questions whose chances of success are Beta(a, b)."""

    right: Run
    chance: NDArray[np.float64]


@cache
def survivors(a: float, b: float) -> Survivors:
    draw = np.random.default_rng(5)
    chance = draw.beta(a, b, size=100_000)
    plain = draw.binomial(K, chance)
    kept = plain <= HARD
    chance = chance[kept]
    return Survivors(Run(plain[kept], draw.binomial(K, chance), draw.binomial(K, chance)), chance)


def share_to_rl(run: Run, settings: GateSettings) -> float:
    """Return the share of survivors that gate 2 routes to RL."""
    routes = np.zeros((HARD + 1, K + 1, K + 1))
    for plain, fresh, tools in product(range(HARD + 1), range(K + 1), range(K + 1)):
        routes[plain, fresh, tools] = gate2(tried(plain, tools), settings, fresh_count(fresh)).route == "rl"
    return float(routes[run.plain, run.fresh, run.tools].mean())


def test_the_runs_are_what_the_gates_see() -> None:
    run = runs(0.0)[0]
    assert all(gate1(tried(int(plain), 0), GateSettings()).outcome == "keep" for plain in run.plain)
    for plain, fresh, tools in zip(*(arm[:20].tolist() for arm in run), strict=True):
        benefit = question_benefit(tried(plain, tools), fresh_count(fresh))
        assert benefit is not None
        assert benefit.value == pytest.approx((tools - fresh) / K)


def test_the_interval_of_a_tool_of_no_effect_holds_zero_as_often_as_it_says() -> None:
    low, high = benefits(0.0).T
    assert 0.93 <= np.mean((low <= 0) & (high >= 0)) <= 0.97


def test_a_real_effect_is_found_and_the_interval_holds_it() -> None:
    low, high = benefits(0.1).T
    assert np.mean(low > 0) >= 0.95
    effect = 0.1  # No chance of these reaches 1 with it but for a few, which are 2 points at most.
    assert np.mean((low <= effect) & (high >= effect)) >= 0.93


def test_the_counts_that_selected_the_questions_make_a_tool_of_no_effect_look_like_a_help() -> None:
    low, _ = benefits(0.0, against="plain").T
    assert np.mean(low > 0) > 0.9


@pytest.mark.parametrize(
    ("a", "b", "by_count", "by_interval"),
    [
        (0.5, 2.0, 0.281, 0.006),  # 45 % of survivors have less than 1 chance in 20
        (1.0, 4.0, 0.359, 0.008),
        (2.0, 4.0, 0.497, 0.016),
        (4.0, 8.0, 0.557, 0.021),
        (8.0, 8.0, 0.742, 0.032),  # all are solved half of the time, and those that pass gate 1 had bad luck
    ],
)
def test_a_tool_of_no_effect_passes_the_comparison_of_counts_and_hardly_the_interval(
    a: float, b: float, by_count: float, by_interval: float
) -> None:
    run = survivors(a, b).right
    assert share_to_rl(run, GateSettings()) == pytest.approx(by_count, abs=0.006)
    assert share_to_rl(run, GateSettings(rule="interval")) == pytest.approx(by_interval, abs=0.003)


def test_a_strong_effect_passes_the_interval() -> None:
    right, chance = survivors(1.0, 4.0)
    helped = np.random.default_rng(6).binomial(K, np.minimum(1.0, chance + 0.5))
    assert share_to_rl(right._replace(tools=helped), GateSettings(rule="interval")) > 0.6


def test_the_placebo_rate_is_what_a_tool_of_no_effect_would_pass() -> None:
    passes = np.zeros((HARD + 1, K + 1))
    for plain, fresh in product(range(HARD + 1), range(K + 1)):
        passes[plain, fresh] = more_often(fresh, K, plain, K, 1)
    run = survivors(2.0, 4.0).right
    assert passes[run.plain, run.fresh].mean() == pytest.approx(share_to_rl(run, GateSettings()), abs=0.01)
