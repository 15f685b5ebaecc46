"""What a run tells a plan, where gates have more arms than one and synthesis more lanes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from flows.cost.measure import Measures, measure
from flows.ledger.query import query
from flows.ledger.snapshot import build_ledger
from pipeline.identity import canonical_json
from pipeline.records import Arm, Mode, Outcome, Purpose, Record, Route, Trajectory
from tests.support.runs import DEPLOY_PIXELS, attempt, facts, opened, outcome, row, stage
from tests.support.staged import after, begun

BASE, STRONGER, TEACHER = "base/1", "stronger/1", "teacher/1"
HARD = (4, 5, 6)
"""Of the questions 2 to 9; 6 is solved with tools, 3 is answered without a call, 2 brings its own solution."""


def asked(number: int, purpose: Purpose, arm: Arm, mode: Mode, model: str) -> Trajectory:
    sample = 8 if arm == "fresh" else 0
    one = attempt(number, purpose, mode, sample, "right")
    identity = Trajectory.make_id(
        question_id=one.question_id,
        purpose=purpose,
        arm=arm,
        mode=mode,
        sample=sample,
        model=model,
        sampling="{}",
        prompts="{}",
        view=one.view,
        seed=0,
    )
    return one.model_copy(update={"id": identity, "arm": arm, "model": model})


def rollouts(name: str, number: int) -> Sequence[Trajectory]:
    match name:
        case "gate1" if number != 2:
            plain = [asked(number, "gate", "main", "plain", BASE), asked(number, "gate", "blind", "plain", BASE)]
            return plain + [asked(number, "gate", "stronger", "plain", STRONGER)] * (number in HARD)
        case "gate2":
            return [asked(number, "gate", "main", "tools", BASE), asked(number, "gate", "fresh", "plain", BASE)]
        case "synthesize" if number == 2:
            return [asked(number, "synthesis", "long_cot", "plain", "source/hand")]
        case "synthesize":
            return [asked(number, "synthesis", "no_call" if number == 3 else "tools", "tools", TEACHER)]
        case _:
            return []


def way(name: str, number: int) -> tuple[Route | None, str]:
    match name:
        case "gate1" if number in HARD:
            return "next", ""
        case "gate1":
            routes: dict[int, Route] = {2: "long_cot", 3: "no_call"}
            return (routes[number], "") if number in routes else (None, "too_easy")
        case "gate2":
            return "rl" if number == 6 else "sft", ""
        case _:
            return "next" if name == "ingest" else "sft", ""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("measured") / "arms"
    inputs = {"ingest": range(10), "gate1": range(2, 10), "gate2": HARD, "synthesize": (2, 3, 4, 5)}
    done = begun(base, map(row, range(10)))
    for name, numbers in inputs.items():
        roots = {row(n).id: n for n in numbers}

        def made(root: str, name: str = name, roots: dict[str, int] = roots) -> list[tuple[str, Record]]:
            return [("trajectories", one) for one in rollouts(name, roots[root])]

        def decide(number: int, name: str = name) -> Outcome:
            return outcome(name, row(number) if name == "ingest" else opened(number), *way(name, number))

        finished = stage(
            done,
            name,
            inputs=[(root, row(n) if name == "ingest" else opened(n), decide(n)) for root, n in roots.items()],
            tables={"trajectories": Trajectory} if name != "ingest" else {},
            made=made if name != "ingest" else lambda _: (),
        )
        done = after(done, finished)
    about = canonical_json({"base": BASE, "teachers": [TEACHER], "stronger": STRONGER, "judge": None})
    build_ledger(base, list(done.stages.values()), facts("arms", environment=about, deploy_pixels=DEPLOY_PIXELS))
    return base


@pytest.fixture(scope="module")
def measures(run: Path) -> Measures:
    return measure(run)


def test_every_arm_is_counted_where_it_was_asked(measures: Measures) -> None:
    told = {(seen.stage, seen.model): (seen.records, seen.rollouts) for seen in measures.asked}
    assert told == {
        ("gate1", "base"): (8, 14),
        ("gate1", "stronger"): (3, 3),
        ("gate2", "base"): (3, 6),
        ("synthesize", "teachers.0"): (4, 3),
    }


def test_what_needs_no_tools_was_not_sent_by_gate_2(measures: Measures) -> None:
    assert measures.reached == {"gate1": 8, "gate2": 3, "synthesize": 4}
    assert measures.passed("gate1", "base") == (3, 8)
    assert measures.passed("gate1", "stronger") == (3, 3)
    assert measures.passed("gate2", "base") == (2, 3)
    assert 0 < measures.passed("gate2", "base").interval.low < 2 / 3


def test_the_lanes_without_calls_are_not_counted_as_failing_to_execute(run: Path) -> None:
    told = {row["purpose"]: row["trajectories"] for row in query(run, "SELECT * FROM execution").to_pylist()}
    assert told == {"gate": 3, "synthesis": 2}


def test_what_came_with_a_source_costs_nothing_and_has_no_teacher(run: Path) -> None:
    told = query(run, "SELECT lane, attempts FROM yield_by_teacher ORDER BY lane").to_pylist()
    assert told == [{"lane": lane, "attempts": n} for lane, n in (("long_cot", 1), ("no_call", 1), ("tools", 2))]
    assert measure(run).of("synthesize", "source/hand") is None
