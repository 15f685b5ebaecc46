"""What `coldforge stats` tells about the gates, counted by hand on drawn counts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from filters.answers.chance import guess_floor
from filters.gates.benefit import net_benefit, question_benefit
from filters.gates.rules import GateSettings, more_often
from filters.intervals import wilson
from flows.ledger.query import query
from flows.ledger.snapshot import build_ledger, read_facts
from flows.report.lookup import finished_stages
from flows.report.tables import Table, run_tables
from pipeline.engine.done import Done
from tests.support.cases.gate_counts import Asked, drawn, gated_run, way
from tests.support.runs import DEPLOY_PIXELS, attempt, outcome, small_run, stage
from tests.support.runs import row as source_row

SETTINGS = GateSettings(fresh_share=0.6, max_plain_right=4)
ASKED = [drawn(number, SETTINGS) for number in range(200)]
HARD = [one for one in ASKED if way(one, SETTINGS)[0] == "gate2"]
FRESH = [one for one in HARD if one.fresh is not None]

Tables = dict[str, Table]


def records(table: Table) -> list[dict[str, Any]]:
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


@pytest.fixture(scope="module")
def gated(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    run = gated_run(tmp_path_factory.mktemp("tables") / "gated", ASKED, SETTINGS)
    return {table.name: table for table in run_tables(run)}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Tables:
    """The small run, of whose right attempts `select` keeps all but one."""
    run = small_run(tmp_path_factory.mktemp("tables") / "small")
    right = {n: attempt(n, "synthesis", "tools", 1, "right") for n in (2, 7, 8, 9, 10, 11)}
    inputs = [
        (source_row(n).id, one, outcome("select", one, "sft", "duplicate" if n == 11 else ""))
        for n, one in right.items()
    ]
    done = Done(run, finished_stages(run))
    selected = stage(done, "select", inputs=inputs, tables={})
    build_ledger(run, [*done.stages.values(), selected], read_facts(run))
    return {table.name: table for table in run_tables(run)}


def test_routes_are_counted_per_gate(gated: Tables) -> None:
    told = records(gated["routes"])
    by_way = Counter(way(one, SETTINGS) for one in ASKED)
    assert {(row["stage"], row["route or reason"]): row["n"] for row in told} == {
        **by_way,
        ("gate1", "next"): len(HARD),
    }
    for name in ("gate1", "gate2"):
        assert sum(row["share"] for row in told if row["stage"] == name) == pytest.approx(1, abs=1e-3)


def passes(one: Asked, right: int, told: int, valid: int) -> bool:
    """Gate 2's comparison of counts, on other rollouts than those with a call."""
    floor = guess_floor(one.counts.k, one.counts.chance)
    raised = more_often(right, told, one.counts.plain_right, one.counts.plain_valid, floor)
    return raised and valid >= SETTINGS.enough


def test_the_placebo_stands_beside_the_real_rates_on_the_same_questions(gated: Tables) -> None:
    told = records(gated["placebo"])
    of_tools = [(one, one.counts.tools_right, one.counts.tools_right_without_call) for one in FRESH]
    expected = [
        sum(passes(one, one.fresh.right, *[one.fresh.valid] * 2) for one in FRESH if one.fresh is not None),
        sum(passes(one, right, one.counts.tools_decided, one.counts.tools_valid) for one, right, _ in of_tools),
        sum(
            passes(one, right + without, one.counts.tools_decided, one.counts.tools_valid)
            for one, right, without in of_tools
        ),
    ]
    assert 0 < expected[0] < len(FRESH) < len(HARD)
    assert [(row["questions"], row["passed"]) for row in told] == [(len(FRESH), n) for n in expected]
    for row in told:
        assert row["share"] == pytest.approx(row["passed"] / row["questions"], abs=1e-4)
        assert (row["low"], row["high"]) == pytest.approx(wilson(row["passed"], row["questions"]), abs=1e-4)


def test_the_rate_with_a_call_is_that_of_the_route(gated: Tables) -> None:
    with_call = records(gated["placebo"])[1]
    assert with_call["passed"] == sum(way(one, SETTINGS) == ("gate2", "rl") for one in FRESH)


def test_what_the_guess_floor_alone_sent_to_the_teachers_is_told_by_chance(gated: Tables) -> None:
    def by_floor(one: Asked) -> bool:
        counts = one.counts
        return passes(
            one._replace(counts=counts.model_copy(update={"chance": 0.0})),
            counts.tools_right,
            counts.tools_decided,
            counts.tools_valid,
        ) and way(one, SETTINGS) == ("gate2", "sft")

    told = {row["chance"]: row for row in records(gated["guess_floor"])}
    assert set(told) == {one.counts.chance for one in HARD if one.counts.chance}
    for chance, row in told.items():
        some = [one for one in HARD if one.counts.chance == chance]
        sent = [one.question.id for one in some if by_floor(one)]
        assert (row["questions"], row["sent_to_teachers"]) == (len(some), len(sent))
        assert row["floor"] == guess_floor(8, chance)
        assert row["example"] == min(sent, default=None)
    assert sum(row["sent_to_teachers"] for row in told.values()) > 0


def test_what_gave_no_answer_is_counted_by_gate_and_kind(gated: Tables) -> None:
    told = {(row["stage"], row["kind"]): row for row in records(gated["without_answer"])}
    for kind in ("malformed", "limit", "lost", "unknown"):
        plain = [getattr(one.counts, f"plain_{kind}") for one in ASKED]
        name = "tools_bad_format" if kind == "malformed" else f"tools_{kind}"
        tools = [getattr(one.counts, name) for one in HARD]
        for gate, numbers, asked in (("gate1", plain, ASKED), ("gate2", tools, HARD)):
            undecided = sum(
                n > 0 and way(one, SETTINGS) == (gate, "undecided") for n, one in zip(numbers, asked, strict=True)
            )
            row = told[gate, kind]
            assert (row["questions"], row["rollouts"]) == (sum(n > 0 for n in numbers), sum(numbers))
            assert row["undecided"] == undecided


def test_right_rollouts_are_told_apart_by_what_calls_had_shown(gated: Tables) -> None:
    counts = [one.counts for one in HARD]
    helped, useless = (sum(getattr(c, name) for c in counts) for name in ("tools_right", "tools_right_uninformed"))
    rest = sum(c.tools_right_without_call for c in counts) - useless
    told = records(gated["help"])
    assert [row["rollouts"] for row in told] == [helped, useless, rest]
    assert sum(row["share"] for row in told) == pytest.approx(1, abs=1e-3)


def test_of_a_single_question_the_net_benefit_has_no_interval(tmp_path: Path) -> None:
    benefits = [(one, question_benefit(one.counts, one.fresh)) for one in FRESH if one.fresh is not None]
    single, benefit = next((one, found) for one, found in benefits if found is not None)
    tables = {table.name: table for table in run_tables(gated_run(tmp_path / "one", [single], SETTINGS))}
    assert benefit is not None
    assert records(tables["benefit"]) == [
        {"questions": 1, "net_benefit": pytest.approx(benefit.value, abs=1e-4), "low": None, "high": None}
    ]


def test_the_net_benefit_is_that_of_the_filters(gated: Tables) -> None:
    (told,) = records(gated["benefit"])
    found = [question_benefit(one.counts, one.fresh) for one in FRESH if one.fresh is not None]
    expected = net_benefit([benefit.value for benefit in found if benefit is not None])
    assert told["questions"] == expected.questions
    assert (told["net_benefit"], told["low"], told["high"]) == pytest.approx(
        (expected.mean, *expected.interval), abs=1e-4
    )


def test_an_arm_tells_the_share_above_the_threshold(small: Tables, gated: Tables) -> None:
    told = {row["arm"]: row for row in records(small["arms"])}
    assert {arm: row["questions"] for arm, row in told.items()} == {"blind": 10, "pixels": 9, "fresh": 9}
    assert told["pixels"]["max_pixels"] == DEPLOY_PIXELS
    assert told["pixels"]["solved_share"] == pytest.approx(1 / 9, abs=1e-4)
    assert (told["blind"]["right_share"], told["blind"]["solved_share"]) == (0, 0)
    assert told["fresh"]["right_share"] == 0.25
    (fresh,) = records(gated["arms"])
    above = [one.fresh is not None and one.fresh.above for one in FRESH]
    assert fresh["solved_share"] == pytest.approx(sum(above) / len(above), abs=1e-4)


def test_the_mix_is_of_what_was_selected(small: Tables, gated: Tables) -> None:
    assert records(small["mix"]) == [
        {"teaches": "perception", "n_rows": 5, "share": 1.0, "loss_tokens": 5 * 20, "token_share": 1.0}
    ]
    assert gated["mix"].rows == ()


def test_what_was_not_asked_has_no_table(tmp_path: Path) -> None:
    settings = GateSettings(fresh_share=0.0)
    run = gated_run(tmp_path / "bare", [drawn(number, settings) for number in range(40)], settings)
    tables = {table.name: table for table in run_tables(run)}
    assert [tables[name].rows for name in ("arms", "placebo", "benefit")] == [(), (), ()]


def test_where_gate_1_stopped_early_a_share_has_neither_interval_nor_difficulty(tmp_path: Path) -> None:
    settings = GateSettings(early_stop=True, early_stop_exempt=0.0)
    asked = [drawn(number, settings) for number in range(40)]
    run = gated_run(tmp_path / "early", asked, settings)
    told = query(
        run, "SELECT question_id, difficulty, plain_low, plain_high FROM labels JOIN gates USING (question_id)"
    )
    stopped = {one.question.id for one in asked if one.counts.censored}
    assert 0 < len(stopped) < len(asked)
    for row in told.to_pylist():
        assert (row["plain_low"] is None) == (row["plain_high"] is None) == (row["question_id"] in stopped)
        assert row["difficulty"] is None or row["question_id"] not in stopped
