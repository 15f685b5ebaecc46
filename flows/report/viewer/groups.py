"""The questions of a run, each with its rollouts and what became of them, read range by range.

One range of the run is in memory at a time. What stages over the whole run decided is read as columns.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from flows.ledger.snapshot import TRAJECTORY_TABLES
from flows.report.lookup import finished_stages
from flows.report.tables import query_table
from pipeline.engine.done import Finished
from pipeline.engine.units import WHOLE, Range, spans
from pipeline.records import ArmCount, Decision, GateCount, Outcome, Question, Record, Suspicion, Trajectory
from pipeline.store.shards import RecordColumns

R = TypeVar("R", bound=Record)


class Member(NamedTuple):
    """One rollout of a question."""

    trajectory: Trajectory
    stage: str
    """That asked it: gate1, gate2 or synthesize."""
    life: Sequence[Outcome]
    """Of the trajectory itself, in the order of stages; gate rollouts have none."""
    fate: str
    """What became of it, or of the question of a gate rollout, and where: `rejected: validate`."""
    reason: str
    """Why, where it was stopped: `validate: not_used`; else empty."""
    decisions: Sequence[Decision] = ()
    """Of the validators."""


class Group(NamedTuple):
    """A question and all its rollouts."""

    question: Question
    labels: frozenset[str]
    life: Sequence[Outcome]
    """Of the question, in the order of stages, from the screen on."""
    members: Sequence[Member]


def groups(run: Path) -> Iterator[Group]:
    """Yield the questions of a run that were asked anything, by range and then by the root of the question.

    Raises:
        UsageError: `run` has no ledger.
        InfrastructureError: a part is missing or damaged.
    """
    stages = finished_stages(run)
    if "screen" not in stages:
        return
    deploy = [row[0] for row in query_table(run, "SELECT deploy_pixels FROM gate_settings").rows]
    pixels = next((value for value in deploy if isinstance(value, int)), None)
    overall = {
        name: RecordColumns.of(Outcome, stage.records("outcomes", Outcome))
        for name, stage in stages.items()
        if [part.range for part in stage.parts] == [WHOLE]
    }
    for span in spans(len(stages["screen"].parts)):
        yield from _of_range(stages, overall, span, pixels)


def _of_range(
    stages: Mapping[str, Finished], overall: Mapping[str, RecordColumns[Outcome]], span: Range, pixels: int | None
) -> Iterator[Group]:
    questions = {question.id: question for question in stages["screen"].records("questions", Question, span)}
    asked: defaultdict[str, list[Trajectory]] = defaultdict(list)
    for trajectory in _rollouts(stages, span):
        asked[trajectory.question_id].append(trajectory)
    life: defaultdict[str, list[Outcome]] = defaultdict(list)
    for name, stage in stages.items():
        found = _about(overall[name], questions) if name in overall else stage.records("outcomes", Outcome, span)
        for outcome in found:
            life[outcome.record_id].append(outcome)
    decisions: defaultdict[str, list[Decision]] = defaultdict(list)
    for decision in _records(stages, ("validate",), "decisions", Decision, span):
        decisions[decision.record_id].append(decision)
    labels = _labels(stages, span, pixels)
    for question in sorted(questions.values(), key=lambda question: (question.root_id, question.id)):
        rollouts = asked.get(question.id)
        if rollouts:
            own = life[question.id]
            members = [member(one, life[one.id], own, decisions[one.id]) for one in sorted(rollouts, key=_place)]
            yield Group(question, frozenset(labels[question.id]), own, members)


def member(
    trajectory: Trajectory, life: Sequence[Outcome], question: Sequence[Outcome], decisions: Sequence[Decision]
) -> Member:
    """Return a rollout with what became of it: by its own outcomes, of a gate rollout by those of its question."""
    told = [one for one in question if one.unit == "question"] if trajectory.purpose == "gate" else life
    last = told[-1] if told else None
    fate = "no answer" if last is None else f"{last.outcome}: {last.stage}"
    reason = f"{last.stage}: {last.reason}" if last is not None and last.reason else ""
    return Member(trajectory, asked_by(trajectory), life, fate, reason, decisions)


def asked_by(trajectory: Trajectory) -> str:
    """Return the stage that asked for a rollout, as the ledger's table `trajectories` tells it."""
    if trajectory.purpose == "synthesis":
        return "synthesize"
    return "gate2" if trajectory.mode == "tools" or trajectory.arm == "fresh" else "gate1"


def _place(trajectory: Trajectory) -> tuple[object, ...]:
    """Return where a rollout stands among those of its question: the teachers' first, which ship."""
    return (
        -len(asked_by(trajectory)),
        asked_by(trajectory),
        trajectory.arm,
        trajectory.model,
        trajectory.sample,
        trajectory.id,
    )


def _rollouts(stages: Mapping[str, Finished], span: Range) -> Iterator[Trajectory]:
    for table in TRAJECTORY_TABLES:
        yield from _records(stages, ("gate1", "gate2", "synthesize"), table, Trajectory, span)


def _labels(stages: Mapping[str, Finished], span: Range, pixels: int | None) -> Mapping[str, set[str]]:
    """Return by question what the ledger's table `labels` says yes to, and whether its stored answer is in doubt."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for arm in _records(stages, ("gate1", "gate2"), "arms", ArmCount, span):
        if arm.above and arm.arm == "blind":
            found[arm.question_id].add("answerable_blind")
        if arm.above and arm.arm == "pixels" and arm.max_pixels == pixels:
            found[arm.question_id].add("resolution_artifact")
    for count in _records(stages, ("gate2",), "counts", GateCount, span):
        if count.by_floor:
            found[count.question_id].add("by_floor")
    for suspicion in _records(stages, ("gate2", "synthesize"), "suspicions", Suspicion, span):
        found[suspicion.question_id].add("suspected_wrong_gold" if suspicion.contradicts else "other_words")
    return found


def _records(
    stages: Mapping[str, Finished], names: Iterable[str], table: str, kind: type[R], span: Range
) -> Iterator[R]:
    """Yield the records of one range of a table; a part without that table has none."""
    for stage in (stages[name] for name in names if name in stages):
        for part in stage.parts:
            if part.range == span and part.path(stage.directory, table).exists():
                yield from stage.records(table, kind, span)


def _about(outcomes: RecordColumns[Outcome], questions: Mapping[str, Question]) -> Iterator[Outcome]:
    import pyarrow as pa
    import pyarrow.compute as pc

    named = pc.is_in(outcomes.table["question_id"], pa.array(questions, pa.string()))
    return iter(RecordColumns(Outcome, outcomes.table.filter(named)))
