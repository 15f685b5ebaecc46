"""A plan's arithmetic, computed by hand on a small recipe."""

from __future__ import annotations

from typing import Any

import pytest

from filters.gates.lanes import LaneSettings
from filters.gates.rules import GateSettings
from flows.cost.asks import early_stop_saves, expected_attempts, expected_plain
from flows.cost.estimate import Expected, Rows, estimate, reached_limits, totals
from flows.cost.measure import Share
from flows.cost.prices import image_rule, view_tokens
from flows.recipe.recipe import Recipe, SynthesisUse
from flows.recipe.roles import HostedRole, ProfileUse
from pipeline.models.providers.image_tokens import image_tokens
from pipeline.models.samples import Budget
from pipeline.prompts.sets import Prompts
from pipeline.students.family import Size

PROMPTS = Prompts(
    plain_system="p" * 400,  # 100 tokens
    tools_system="t" * 398,  # 200 with what comes before, and the line between
    calls_system="",
    plain_user="",
    tools_user="",
    guidance="g" * 398,  # 300 with both
    no_call_guidance="n" * 398,
    plain_guidance="q" * 198,  # 150 with the plain text
)
PRICE = {"prompt": 1_000, "cached": 100, "completion": 2_000}


def server(name: str, **more: Any) -> dict[str, Any]:
    return {
        "backend": "openai",
        "model": name,
        "served_name": name,
        "base_url": "http://127.0.0.1:9/v1",
        "in_flight": 10,
        **more,
    }


def recipe(*teachers: dict[str, Any], **more: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "small",
            "sources": [{"source": "demo"}],
            "student": {"family": "qwen2_5_vl", "revision": "r", "max_pixels": 262_144},
            "models": {"base": server("base", price=PRICE, rpm=2), "teachers": teachers or [server("teacher")]},
            "gate": {"k": 4, "fresh_share": 0},
            "synthesize": {"attempts": 2},
            **more,
        }
    )


def numbers(line: Expected) -> tuple[int, ...]:
    return (line.records, line.calls, line.prompt_tokens, line.cached_tokens, line.completion_tokens)


def test_calls_and_tokens_are_those_computed_by_hand() -> None:
    # A view of 504 x 504 has 324 tokens and a question 60; a message has 250, and what it brings back 80 and a view.
    gate1, gate2, synthesize = estimate(recipe(), PROMPTS, Rows(10))
    first = 60 + 324
    assert numbers(gate1) == (10, 40, 40 * (100 + first), 40 * (100 + first) - 10 * first - 100, 40 * 250)
    step = 250 + 80 + 324
    rollout = 3 * (200 + first) + (1 + 2) * step
    assert numbers(gate2) == (5, 60, 20 * rollout, 20 * rollout - 5 * first - 20 * 2 * step - 200, 60 * 250)
    # 2.5 questions have 1.5 attempts each: the second one is made by the half whose first was not accepted.
    assert numbers(synthesize) == (2, 11, 15_052, 8_888, 2_812)
    assert [line.calls_at_most for line in (gate1, gate2, synthesize)] == [3 * 40, 360, 180]


def test_every_arm_that_a_recipe_asks_for_is_in_the_plan() -> None:
    plain = estimate(recipe(), PROMPTS, Rows(10))
    interval = estimate(recipe(gate={"k": 4, "rule": "interval"}), PROMPTS, Rows(10))
    assert interval[1].calls - plain[1].calls == 5 * 4  # each of 5 survivors once more without tools
    half = estimate(recipe(gate={"k": 4, "fresh_share": 0.5}), PROMPTS, Rows(10))
    assert half[1].calls - plain[1].calls == 10
    blind = estimate(recipe(gate={"k": 4, "fresh_share": 0, "blind": True}), PROMPTS, Rows(10))[0]
    assert blind.calls - plain[0].calls == 40
    assert blind.prompt_tokens - plain[0].prompt_tokens == 40 * (100 + 60)  # no view
    assert blind.calls_at_most == plain[0].calls_at_most + 40
    sweep = estimate(recipe(gate={"k": 4, "fresh_share": 0, "sweep": [65_536, 1_048_576]}), PROMPTS, Rows(10))[0]
    assert sweep.calls - plain[0].calls == 2 * 5 * 4


def test_lanes_and_further_models_are_in_the_plan() -> None:
    plain = estimate(recipe(), PROMPTS, Rows(10))
    lanes = estimate(recipe(lanes={"no_call": 0.2, "plain_cot": 0.2}), PROMPTS, Rows(10))
    # 2 of the 5 easy questions besides, each one message for each of 1.5 attempts.
    assert lanes[2].records == plain[2].records + 2
    assert lanes[2].calls - plain[2].calls == 3
    models = {"base": server("base"), "teachers": [server("t")], "stronger": server("s"), "judge": server("j")}
    lines = {(line.stage, line.model): line for line in estimate(recipe(models=models), PROMPTS, Rows(10))}
    assert lines["gate1", "stronger"].calls == 5 * 4
    assert lines["gate1", "judge"].calls == 3 * 2  # three votes on 5 % of 40 answers
    screen = estimate(recipe(models=models, gate={"k": 4, "judge_questions": True}), PROMPTS, Rows(10))
    (judge,) = [line for line in screen if (line.stage, line.model) == ("gate1", "judge")]
    assert judge.calls == 3 * (2 + 5)


def test_a_text_with_its_solution_asks_no_model() -> None:
    assert estimate(recipe(), PROMPTS, Rows(10, solved=90)) == estimate(recipe(), PROMPTS, Rows(10))


def test_money_tells_cached_tokens_apart_and_hours_follow_the_tightest_limit() -> None:
    gate1, gate2, synthesize = estimate(recipe(), PROMPTS, Rows(10))
    assert gate1.cost == pytest.approx((3_940 * 1_000 + 15_420 * 100 + 10_000 * 2_000) / 1e6)
    assert gate1.hours == pytest.approx(40 / 2 / 60, abs=1e-4)  # two requests per minute
    assert synthesize.cost is None
    # 11.25 calls of 1 s and 250 tokens at 40 per second, ten at once, and what a replica reads of their prompts.
    reading = (synthesize.prompt_tokens - synthesize.cached_tokens) / 8_000
    assert synthesize.hours == pytest.approx((11.25 * (1 + 250 / 40) / 10 + reading) / 3_600, abs=1e-4)
    total = totals([gate1, gate2, synthesize])
    assert total.cost == pytest.approx((gate1.cost or 0) + (gate2.cost or 0))
    assert total.calls == 111


def hours_of(role: dict[str, Any]) -> Expected:
    role = {**role, "in_flight": None}
    return estimate(recipe(role, gate={"k": 4, "fresh_share": 0}), PROMPTS, Rows(10_000))[2]


def test_replicas_of_ones_own_share_the_answers_and_the_reading_of_prompts() -> None:
    one = hours_of(server("teacher"))
    assert one.hours is not None
    assert one.hours > (one.prompt_tokens - one.cached_tokens) / 8_000 / 3_600
    four = hours_of(server("teacher", base_url=[f"http://h{n}/v1" for n in range(4)]))
    assert four.hours == pytest.approx(one.hours / 4, rel=1e-3)
    # A service has GPUs of its own, which nobody sees.
    service = hours_of(server("teacher", api_key_env="KEY"))
    assert service.hours is not None
    assert service.hours < one.hours
    assert (one.gpu_hours, four.gpu_hours) == (None, None)
    ours = {name: value for name, value in server("teacher").items() if name not in {"base_url", "served_name"}}
    started = hours_of({**ours, "serve": {"model": "teacher", "tp": 2, "dp": 4}})
    assert started.hours == four.hours
    assert started.gpu_hours == pytest.approx(8 * (started.hours or 0), abs=1e-3)
    assert totals([one, started]).gpu_hours == started.gpu_hours


def test_calls_and_conversations_in_flight_follow_the_replicas() -> None:
    urls = [f"http://h{n}/v1" for n in range(8)]
    many = server("teacher", base_url=urls, in_flight=None)
    assert recipe().rollouts == 256
    assert recipe(many).rollouts == 2 * 8 * 64
    assert recipe({**many, "in_flight": 16}).rollouts == 256
    assert recipe(many, runtime={"rollouts": 7}).rollouts == 7


def test_batches_are_cheaper_promise_no_cache_and_take_a_batch_per_turn() -> None:
    batched = server("teacher", price=PRICE, batch={}, api_key_env="KEY")
    line = estimate(recipe(batched), PROMPTS, Rows(10))[2]
    assert (line.batch, line.cached_tokens) == (True, 0)
    assert line.cost == pytest.approx((15_052.5 * 1_000 + 2_812.5 * 2_000) / 2 / 1e6, abs=1e-3)
    assert line.hours == 3 * 1.5
    assert totals([line]).batch_calls == line.calls


def test_early_stopping_asks_easy_questions_until_one_is_right_too_often() -> None:
    lanes = LaneSettings()
    assert expected_plain(GateSettings(k=8), 0.5, lanes) == 8
    early = GateSettings(k=8, max_plain_right=2, early_stop=True, early_stop_exempt=0.0)
    assert expected_plain(early, 0.0, lanes) == pytest.approx(3 / 0.9)
    assert expected_plain(early, 1.0, lanes) == 8
    exempt = early.model_copy(update={"early_stop_exempt": 0.5})
    assert expected_plain(exempt, 0.5, lanes) == pytest.approx(0.75 * 8 + 0.25 * 3 / 0.9)
    # Who may come to the lane no_call is asked all k times, too.
    assert expected_plain(early, 0.5, LaneSettings(no_call=0.5)) == pytest.approx(0.75 * 8 + 0.25 * 3 / 0.9)


def test_a_plan_tells_what_early_stopping_would_save() -> None:
    assert early_stop_saves(recipe(gate={"k": 8}), 0.0) == pytest.approx(0.9 * (1 - 3 / 0.9 / 8))
    assert early_stop_saves(recipe(gate={"k": 8}), 1.0) == 0
    assert early_stop_saves(recipe(gate={"k": 8, "early_stop": True}), 0.5) == 0


def test_teachers_are_asked_in_turn_until_enough_attempts_are_accepted() -> None:
    assert expected_attempts(SynthesisUse(attempts=4), [1.0]) == (1.0,)
    assert expected_attempts(SynthesisUse(attempts=4), [0.0]) == (4.0,)
    assert expected_attempts(SynthesisUse(attempts=2), [0.5, 0.5]) == (1.5, 0.375)
    # Two of three must be accepted: the third is asked for unless both before it were.
    assert expected_attempts(SynthesisUse(attempts=3, accept=2), [0.5]) == (2.75,)


def test_a_weighted_policy_draws_the_order_by_weight() -> None:
    use = SynthesisUse(attempts=1, policy="weighted", weights=(3.0, 1.0))
    # Each is asked when it comes first, or when the other before it failed.
    assert expected_attempts(use, [0.5, 0.5]) == pytest.approx((0.75 + 0.25 / 2, 0.25 + 0.75 / 2))
    alike = expected_attempts(SynthesisUse(attempts=2, policy="weighted"), [0.5] * 10)
    assert alike == pytest.approx([sum(0.5**tries for tries in range(20)) / 10] * 10)


def test_images_count_by_the_rule_of_whoever_reads_them() -> None:
    view = Size(504, 504)
    assert image_tokens("claude", Size(1_000, 1_000)) == 36 * 36
    assert image_tokens("claude_before_4_7", Size(4_000, 4_000)) == 1_568
    assert image_tokens("claude", Size(4_000, 4_000)) == 4_784
    assert image_tokens("gemini", view) == image_tokens("gemini", Size(4_000, 100)) == 1_120
    assert image_tokens("gemini_2", Size(384, 384)) == 258
    assert image_tokens("gemini_2", Size(960, 540)) == 6 * 258
    claude, gemini = (HostedRole(backend=name, model="m") for name in ("anthropic", "gemini"))
    older = claude.model_copy(update={"profile": ProfileUse(thinking="budget")})
    assert [image_rule(role) for role in (claude, gemini, older)] == ["claude", "gemini", "claude_before_4_7"]
    assert view_tokens(recipe().models.base, recipe(), 262_144) == 18 * 18  # an open model counts as the student


def test_a_plan_tells_which_limit_stops_it_first_and_where() -> None:
    lines = estimate(recipe(), PROMPTS, Rows(10))
    assert reached_limits(Budget(), lines) == ()
    assert reached_limits(Budget(max_calls=112), lines) == ()
    first, second = reached_limits(Budget(max_calls=70, max_tokens=29_360), lines)
    assert (first.limit, first.stage, first.share) == ("max_tokens", "gate1", 1.0)
    assert (second.limit, second.stage, second.share, second.expected) == ("max_calls", "gate2", 0.5, 111)


def test_intervals_are_wilsons() -> None:
    # Newcombe (1998), table I: 81 of 263 and 15 of 148.
    assert Share(81, 263).interval == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert Share(15, 148).interval == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert Share(0, 20).interval == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert Share(0, 0).interval == (0.0, 1.0)
