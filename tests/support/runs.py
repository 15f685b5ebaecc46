"""A small finished run made of records written by hand: every stage, no model, no sandbox."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from filters.gates.rules import GateSettings
from flows.ledger.snapshot import RunFacts, Shard, StageCost, build_ledger
from pipeline.engine.done import Done, Finished
from pipeline.engine.units import Range, UnitInput, UnitOutput
from pipeline.identity import canonical_json
from pipeline.records import (
    Arm,
    ArmCount,
    Cluster,
    GateCount,
    ImageRef,
    JudgeVotes,
    Mode,
    Outcome,
    Purpose,
    Question,
    Record,
    Route,
    SourceRow,
    Suspicion,
    TemplateFacts,
    Tokens,
    Trajectory,
    TrajectoryKey,
    Verdict,
    root_id,
)
from tests.support.builders import arm_count, gate_count, key, question, suspicion, template, trajectory, turn, votes
from tests.support.command import DEMO
from tests.support.staged import after, begun, declared, run_given

ROWS = 12
HOSTILE = "\x1b[2J\x1b]0;owned\x07 Springfield [red]not markup[/red]"
"""What a model may write: terminal escapes, and markup that rich would obey."""

DEPLOY_PIXELS = 1_048_576

VIEW = canonical_json({"family": "qwen2_5_vl", "max_pixels": 262_144, "policy": "student", "seen": [[588, 420]]})
PIXELS = io.BytesIO()
Image.new("RGB", (40, 30), "white").save(PIXELS, "PNG")
IMAGE = ImageRef(
    sha256=hashlib.sha256(PIXELS.getvalue()).hexdigest(),
    mime="image/png",
    width=40,
    height=30,
    nbytes=len(PIXELS.getvalue()),
)


def row(number: int) -> SourceRow:
    return SourceRow(
        id=root_id("hand", "1", f"row-{number}"),
        source="hand",
        source_revision="1",
        source_row=f"row-{number}",
        category="perception",
        payload="{}",
    )


def marked(number: int, text: str = "") -> Question:
    return question(
        text or f"Which place name is printed next to marker {number}?",
        source_row=f"row-{number}",
        images=(IMAGE,),
        meta={"family": "hand"},
    )


def opened(number: int) -> Question:
    """The question as it left the screen; row 2 was made open-ended and so has another id."""
    return marked(number, "Which place is it?" if number == 2 else "")


def attempt(number: int, purpose: Purpose, mode: Mode, sample: int, verdict: Verdict) -> Trajectory:
    look = turn("python", "print(image_1.size)", think="The marker is small.", raw_text="…", observation=HOSTILE)
    said = turn("answer", "Springfield", think="The marker is small.", raw_text="…")
    arm: Arm = "main" if purpose == "gate" else "tools"
    about: dict[str, Any] = {"purpose": purpose, "arm": arm, "mode": mode, "sample": sample, "verdict": verdict}
    turns = (said,) if mode == "plain" else (look, said)
    tokens = Tokens(prompt=100, completion=20)
    return trajectory(*turns, asked=opened(number), model="m/1", view=VIEW, answer=HOSTILE, tokens=tokens, **about)


def unfinished(number: int) -> Trajectory:
    """A third attempt of a teacher, which ran into a limit without a single well-formed call."""
    whole = attempt(number, "synthesis", "tools", 2, "unknown")
    turn = whole.turns[0].model_copy(update={"action": "none", "arguments": "{}", "status": "bad_call", "loss": False})
    return whole.model_copy(update={"turns": (turn,), "answer": None, "finish": "max_turns"})


def outcome(
    stage: str, record: SourceRow | Question | Trajectory, route: Route | None = "next", reason: str = ""
) -> Outcome:
    kept = not reason
    return Outcome(
        stage=stage,
        unit="row" if isinstance(record, SourceRow) else "trajectory" if isinstance(record, Trajectory) else "question",
        record_id=record.id,
        question_id=record.question_id if isinstance(record, Trajectory) else record.id,
        source="hand",
        category="perception",
        outcome="kept" if kept else "quarantined" if reason == "bad_image" else "rejected",
        route=route if kept else None,
        reason=reason,
        detail="",
        payload="{}" if reason == "bad_image" else "",
        score=None,
    )


Made = dict[str, type[Record]]
Given = tuple[str, Record, Outcome]
"""Root id, input record, its outcome."""
Make = Callable[[str], Sequence[tuple[str, Record]]]
"""Root id → (table, record)."""


def stage(
    done: Done,
    name: str,
    *,
    inputs: Iterable[Given],
    tables: Made,
    made: Make = lambda _: (),
) -> Finished:
    """Commit a stage whose inputs (root, record, outcome) are known; `made` gives the rows that a root makes."""
    given = list(inputs)
    last = tuple(finished.fingerprint for finished in done.stages.values())[-1:]
    kind = declared(done.run, name, model="m/1", tables=tables, upstream=last)

    def unit(span: Range) -> UnitInput:
        return UnitInput(tuple(record for root, record, _ in given if Range.of(root, done.units) == span))

    def output(unit: UnitInput) -> UnitOutput:
        ids = {record.id for record in unit.records}  # type: ignore[attr-defined] # inputs have ids
        own = [(root, result) for root, record, result in given if record.id in ids]  # type: ignore[attr-defined]
        rows = [item for root in sorted({root for root, _ in own}) for item in made(root)]
        return UnitOutput(
            tuple(result for _, result in own),
            {table: tuple(record for where, record in rows if where == table) for table in tables},
        )

    return run_given(kind, done, unit, output, expected=len(given))


def facts(
    name: str,
    *,
    environment: str = "{}",
    costs: Sequence[StageCost] = (),
    shards: Sequence[Shard] = (),
    gate: GateSettings | None = None,
    deploy_pixels: int | None = None,
) -> RunFacts:
    """What a ledger tells of a run of ours beside its parts."""
    return RunFacts(name, "0" * 64, "0.1.0", environment, costs, shards, gate or GateSettings(), deploy_pixels)


def deployed(number: int) -> ArmCount:
    """Without tools at the size of deployment: row 7 is easy there."""
    return arm_count("pixels", 6 if number == 7 else 1, question_id=opened(number).id, max_pixels=DEPLOY_PIXELS)


def fresh(number: int) -> ArmCount:
    return arm_count("fresh", 2, question_id=opened(number).id, max_pixels=262_144)


def tried_with_tools(number: int) -> GateCount:
    """Tools solve rows 4 to 6."""
    solved = number in {4, 5, 6}
    return gate_count(
        opened(number).id,
        fresh=fresh(number),
        plain_right=1,
        tools_right=4 if solved else number % 2,
        tools_valid=8,
        route="rl" if solved else "sft",
    )


def small_run(run: Path) -> Path:
    """Write the run and its ledger.

    Row 0 does not become a question, 1 stops at the screen, 2 changes its id there, 3 is too easy; 4 to 6
    go to RL; 7 to 11 and 2 to SFT, each with a wrong and a right attempt, of which the right one is valid.
    Number 7 has an unfinished attempt as well, and is easy at the pixels of deployment. Of 9 another answer is
    suspected, and a judge was asked about 8. Every survivor of gate 1 has a fresh arm with 2 of 8 right.
    """
    roots = {row(number).id: number for number in range(ROWS)}
    of = {number: root for root, number in roots.items()}
    done = begun(run, map(row, range(ROWS)))

    def add(name: str, inputs: Iterable[Given], tables: Made, made: Make = lambda _: ()) -> None:
        nonlocal done
        done = after(done, stage(done, name, inputs=inputs, tables=tables, made=made))

    def asks(stage_name: str, numbers: Iterable[int], decide: Callable[[int], tuple[Route | None, str]]) -> list[Given]:
        return [(of[n], opened(n), outcome(stage_name, opened(n), *decide(n))) for n in numbers]

    add(
        "ingest",
        [(of[n], row(n), outcome("ingest", row(n), reason="" if n else "bad_image")) for n in range(ROWS)],
        {"questions": Question},
        lambda root: [("questions", marked(roots[root]))] if roots[root] else [],
    )
    add(
        "screen",
        [
            (of[n], marked(n), outcome("screen", marked(n), reason="unverifiable" if n == 1 else ""))
            for n in range(1, ROWS)
        ],
        {"questions": Question},
        lambda root: [("questions", opened(roots[root]))] if roots[root] > 1 else [],
    )
    add(
        "dedup",
        asks("dedup", range(2, ROWS), lambda _: ("next", "")),
        {"clusters": Cluster, "templates": TemplateFacts},
        lambda root: [
            ("clusters", Cluster(question_id=(q := opened(roots[root])).id, cluster_id=q.id, representative=q.id)),
            ("templates", template(q.id)),
        ],
    )
    add(
        "gate1",
        asks("gate1", range(2, ROWS), lambda n: ("next", "too_easy" if n == 3 else "")),
        {"counts": GateCount, "trajectories": Trajectory, "arms": ArmCount, "votes": JudgeVotes},
        lambda root: [
            ("counts", gate_count(opened(roots[root]).id, plain_right=8 if roots[root] == 3 else 1)),
            ("arms", arm_count("blind", 0, question_id=opened(roots[root]).id, max_pixels=0)),
            *([("arms", deployed(roots[root]))] if roots[root] != 3 else []),
            *([("votes", votes(opened(roots[root]).id))] if roots[root] == 8 else []),
            *(("trajectories", attempt(roots[root], "gate", "plain", n, "wrong")) for n in range(2)),
        ],
    )
    hard = [2, *range(4, ROWS)]
    add(
        "gate2",
        asks("gate2", hard, lambda n: ("rl" if n in {4, 5, 6} else "sft", "")),
        {"counts": GateCount, "arms": ArmCount, "trajectories": Trajectory},
        lambda root: [
            ("counts", tried_with_tools(roots[root])),
            ("arms", fresh(roots[root])),
        ],
    )
    unsolved = [2, *range(7, ROWS)]
    verdicts: tuple[Verdict, Verdict] = ("wrong", "right")
    tried = {n: [attempt(n, "synthesis", "tools", s, verdict) for s, verdict in enumerate(verdicts)] for n in unsolved}
    add(
        "synthesize",
        asks("synthesize", unsolved, lambda _: ("sft", "")),
        {"trajectories": Trajectory, "unfinished": Trajectory, "suspicions": Suspicion},
        lambda root: [
            *(("trajectories", one) for one in tried[roots[root]]),
            *([("suspicions", suspicion(opened(9).id))] if roots[root] == 9 else []),
            *([("unfinished", unfinished(7))] if roots[root] == 7 else []),
        ],
    )
    add(
        "validate",
        [
            (of[n], one, outcome("validate", one, "sft", "" if one.verdict == "right" else "wrong_answer"))
            for n in unsolved
            for one in tried[n]
        ],
        {"keys": TrajectoryKey},
        lambda root: [("keys", key(one)) for one in tried.get(roots[root], ()) if one.verdict == "right"],
    )
    stages = list(done.stages.values())
    costs = [StageCost(0, finished.name, 1.25, 2.5, 4, 0, 96, 3, 12, 5) for finished in stages]
    shards = [Shard("sft", "huggingface", 6, 123_456)]
    shutil.copy(DEMO, run / "recipe.yaml")
    build_ledger(run, stages, facts("small", costs=costs, shards=shards, deploy_pixels=DEPLOY_PIXELS))
    return run
