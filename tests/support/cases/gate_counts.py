"""A finished run of both gates whose counts are drawn, and whose decisions are those of the filters."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from filters.gates.counts import derived
from filters.gates.rules import GateSettings, gate1, gate2
from flows.ledger.snapshot import build_ledger
from pipeline.engine.done import Done, Finished
from pipeline.engine.units import UnitInput, UnitOutput
from pipeline.records import ArmCount, GateCount, Outcome, Question, Record, Route
from tests.support.builders import arm_count, gate_count
from tests.support.runs import facts, marked
from tests.support.staged import after, begun, declared, run_given

CHANCES = (0.0, 0.0, 0.0, 0.5, 0.25, 0.1)


class Asked(NamedTuple):
    """A question with all that its rollouts would come to; `fresh` is None where it has no such arm."""

    question: Question
    counts: GateCount
    fresh: ArmCount | None


def drawn(number: int, settings: GateSettings) -> Asked:
    """Return a question whose counts are anything that k rollouts per arm can come to."""
    draw = random.Random(number)
    asked, k = marked(number), settings.k

    def parts(n: int) -> list[int]:
        """Split k rollouts into n kinds; mostly right or wrong, as they are."""
        weights = [draw.random() ** draw.choice((1, 4)) for _ in range(n)]
        kinds = draw.choices(range(n), weights, k=k)
        return [kinds.count(kind) for kind in range(n)]

    right, wrong, _ = parts(3)
    helped, without_call, wrong_with, malformed, limit, _ = parts(6)
    fresh_right, fresh_wrong, fresh_malformed, _ = parts(4)
    fresh = arm_count("fresh", fresh_right, fresh_right + fresh_wrong, question_id=asked.id, malformed=fresh_malformed)
    placebo = fresh if settings.asks_fresh(asked.id) else None
    count = gate_count(
        asked.id,
        fresh=placebo,
        k=k,
        plain_right=right,
        plain_valid=right + wrong,
        tools_right=helped,
        tools_right_without_call=without_call,
        tools_bad_format=malformed,
        tools_limit=limit,
        tools_valid=helped + without_call + wrong_with,
        saturated=wrong_with == 0,
        chance=draw.choice(CHANCES),
    )
    return Asked(asked, count, placebo)


def censored(asked: Asked, settings: GateSettings) -> Asked:
    """Return the same as early stop leaves it: not asked further once there are too many right."""
    first = settings.max_plain_right + 1
    if asked.counts.plain_right < first:
        return asked
    # The right ones came first, so nothing else was asked.
    changes = {"plain_right": first, "plain_valid": first, "censored": settings.k - first}
    return asked._replace(counts=derived(asked.counts.model_copy(update=changes), asked.fresh))


def way(asked: Asked, settings: GateSettings) -> tuple[str, str]:
    """Return the stage that a question leaves the gates at, and by which route or for which reason."""
    hard = gate1(asked.counts, settings)
    if hard.outcome != "keep":
        return "gate1", hard.reason
    routing = gate2(asked.counts, settings, asked.fresh)
    return "gate2", routing.route or routing.decision.reason


def gated_run(run: Path, asked: Sequence[Asked], settings: GateSettings) -> Path:
    """Write screen and gates of a run, as the gates decide under these settings, and its ledger."""
    ways = {item.question.id: way(item, settings) for item in asked}
    hard = [item for item in asked if ways[item.question.id][0] == "gate2"]
    blank = dict.fromkeys(
        ("tools_right", "tools_right_without_call", "tools_bad_format", "tools_limit", "tools_valid"), 0
    )
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
                "counts": [item.counts for item in hard],
                "arms": [item.fresh for item in hard if item.fresh is not None],
            },
        ),
    )
    for name, these, left, tables in steps:
        outcomes = [_outcome(name, item.question, *how) for item, how in zip(these, left, strict=True)]
        done = after(done, _commit(done, name, these, outcomes, tables))
    build_ledger(run, list(done.stages.values()), facts("drawn", gate=settings))
    return run


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
