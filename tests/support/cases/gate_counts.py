"""A finished run of both gates whose counts are drawn, and whose decisions are those of the filters."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from filters.gates.counts import TOP_UP, Kind, answered, derived
from filters.gates.rules import GateSettings, gate1, gate2, wanted
from flows.ledger.snapshot import build_ledger
from pipeline.engine.done import Done, Finished
from pipeline.engine.units import UnitInput, UnitOutput
from pipeline.records import ArmCount, GateCount, Outcome, Question, Record, Route
from tests.support.builders import arm_count, gate_count
from tests.support.runs import facts, marked
from tests.support.staged import after, begun, declared, run_given

T = TypeVar("T")

PLAIN: tuple[Kind, ...] = ("right", "wrong", "unjudged", "malformed", "limit", "lost", "unknown")
CHANCES = (0.0, 0.0, 0.0, 0.5, 0.25, 0.1)


class Asked(NamedTuple):
    """A question with all that its rollouts would come to; `fresh` is None where it has no such arm."""

    question: Question
    counts: GateCount
    fresh: ArmCount | None


def drawn(number: int, settings: GateSettings) -> Asked:
    """Return a question whose counts are anything that its rollouts can come to, asked as gate 1 asks."""
    draw = random.Random(number)
    asked, k = marked(number), settings.k

    def kinds(names: Sequence[T], n: int = k) -> list[T]:
        """Draw rollouts; mostly of one or two kinds, as they are."""
        return draw.choices(names, [draw.random() ** draw.choice((1, 4)) for _ in names], k=n)

    plain = kinds(PLAIN, TOP_UP * k)
    with_tools = kinds(("helped", "without_call", "wrong", "malformed", "limit", "lost", "unknown"))
    again = kinds(("right", "wrong", "malformed", "limit"))
    valid = again.count("right") + again.count("wrong")
    fresh = arm_count("fresh", again.count("right"), valid, question_id=asked.id, malformed=again.count("malformed"))
    placebo = fresh if settings.asks_fresh(asked.id) else None
    helped, without_call, wrong = (with_tools.count(kind) for kind in ("helped", "without_call", "wrong"))
    chance = draw.choice(CHANCES)
    count = gate_count(
        asked.id,
        fresh=placebo,
        **plain_numbers(asked_of(plain, settings, all_k=settings.asks_all(asked.id)), k),
        tools_right=helped,
        tools_right_without_call=without_call,
        tools_right_uninformed=draw.randint(0, without_call),
        tools_bad_format=with_tools.count("malformed"),
        tools_limit=with_tools.count("limit"),
        tools_lost=with_tools.count("lost"),
        tools_unknown=with_tools.count("unknown"),
        tools_valid=helped + without_call + wrong,
        saturated=helped + without_call == k,
        chance=chance,
        guess_floor=settings.floor(chance),
    )
    return Asked(asked, count, placebo)


def asked_of(kinds: Sequence[Kind], settings: GateSettings, *, all_k: bool = True) -> Sequence[Kind]:
    """Return which plain rollouts gate 1 asks for, of those that it would get."""
    asked: Sequence[Kind] = ()
    while more := wanted(asked, settings, all_k=all_k):
        asked = kinds[: len(asked) + more]
    return asked


def plain_numbers(kinds: Sequence[Kind], k: int) -> dict[str, Any]:
    """Return the counts of plain rollouts, by the names of `GateCount`."""
    seen = Counter(kinds)
    return {
        "k": k,
        "plain_right": seen["right"],
        "plain_valid": answered(seen),
        "plain_malformed": seen["malformed"],
        "plain_limit": seen["limit"],
        "plain_lost": seen["lost"],
        "plain_unknown": seen["unknown"],
        "censored": max(0, k - len(kinds)),
    }


def way(asked: Asked, settings: GateSettings) -> tuple[str, str]:
    """Return the stage that a question leaves the gates at, and by which route or for which reason."""
    hard = gate1(asked.counts, settings)
    if hard.outcome != "keep":
        return "gate1", hard.reason
    routing = gate2(asked.counts, settings, asked.fresh)
    return "gate2", routing.route or routing.decision.reason


def _routed(asked: Asked, settings: GateSettings) -> GateCount:
    routing = gate2(asked.counts, settings, asked.fresh)
    return asked.counts.model_copy(update={"route": routing.route, "by_floor": routing.by_floor})


def gated_run(run: Path, asked: Sequence[Asked], settings: GateSettings) -> Path:
    """Write screen and gates of a run, as the gates decide under these settings, and its ledger."""
    ways = {item.question.id: way(item, settings) for item in asked}
    hard = [item for item in asked if ways[item.question.id][0] == "gate2"]
    blank = dict.fromkeys(TOOLS, 0)
    done = begun(run)
    steps: tuple[tuple[str, Sequence[Asked], list[tuple[str, str]], Mapping[str, Sequence[Record]]], ...] = (
        ("screen", asked, [("gate1", "next")] * len(asked), {"questions": [item.question for item in asked]}),
        (
            "gate1",
            asked,
            [ways[item.question.id] for item in asked],
            {"counts": [derived(item.counts.model_copy(update=blank)) for item in asked]},
        ),
        (
            "gate2",
            hard,
            [ways[item.question.id] for item in hard],
            {
                "counts": [_routed(item, settings) for item in hard],
                "arms": [item.fresh for item in hard if item.fresh is not None],
            },
        ),
    )
    for name, these, left, tables in steps:
        outcomes = [_outcome(name, item.question, *how) for item, how in zip(these, left, strict=True)]
        done = after(done, _commit(done, name, these, outcomes, tables))
    build_ledger(run, list(done.stages.values()), facts("drawn", gate=settings))
    return run


TOOLS = frozenset(
    {"tools_right", "tools_right_without_call", "tools_bad_format", "tools_limit", "tools_lost", "tools_unknown"}
    | {"tools_right_uninformed", "tools_valid"}
)
KINDS: dict[str, type[Record]] = {"questions": Question, "counts": GateCount, "arms": ArmCount}


def _commit(
    done: Done,
    name: str,
    asked: Sequence[Asked],
    outcomes: Sequence[Outcome],
    tables: Mapping[str, Sequence[Record]],
) -> Finished:
    stage = declared(done.run, name, kind="global", tables={table: KINDS[table] for table in tables})
    made = UnitOutput(tuple(outcomes), {table: tuple(rows) for table, rows in tables.items()})
    unit = UnitInput(tuple(item.question for item in asked))
    return run_given(stage, done, lambda _: unit, lambda _: made, expected=len(asked))


def _outcome(stage: str, asked: Question, left_at: str, left_by: str) -> Outcome:
    routes: dict[str, Route] = {"rl": "rl", "sft": "sft"}
    route: Route | None = "next" if left_at != stage else routes.get(left_by)
    return Outcome(
        stage=stage,
        unit="question",
        record_id=asked.id,
        question_id=asked.id,
        source="hand",
        category="perception",
        outcome="rejected" if route is None else "kept",
        route=route,
        reason=left_by if route is None else "",
        detail="",
        payload="",
        score=None,
    )
