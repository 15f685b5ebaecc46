"""The questions of a run, each with its rollouts and what became of them, read range by range.

One range of the run is in memory at a time. What stages over the whole run decided is read as columns. What stopped
before a model was asked comes without rollouts: the first of each reason, and all that the report names.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from flows.ledger.snapshot import TRAJECTORY_TABLES
from flows.report.duplicates import dropped_beside, told_questions
from flows.report.lookup import finished_stages
from flows.report.tables import query_table
from pipeline.engine.done import Done, Finished
from pipeline.engine.units import WHOLE, Range, spans
from pipeline.errors import InfrastructureError
from pipeline.records import ArmCount, Decision, GateCount, Outcome, Question, Record, SourceRow, Suspicion, Trajectory
from pipeline.store.shards import RecordColumns

R = TypeVar("R", bound=Record)

STOPPED_EACH = 1000
"""Questions and rows of each reason that are shown without a rollout: of a million repeats nobody reads more."""


class Member(NamedTuple):
    """One rollout of a question."""

    trajectory: Trajectory
    stage: str
    """That asked it: gate1, gate2 or synthesize."""
    life: Sequence[Outcome]
    """Of the trajectory itself, in the order of stages; gate rollouts have none."""
    fate: str
    """What became of it and where, `rejected: validate`; as `member` says, that of its question."""
    reason: str
    """Why it, or its question, was stopped: `validate: not_used`; else empty."""
    decisions: Sequence[Decision] = ()
    """Of the validators."""


class Beside(NamedTuple):
    """A question that another was dropped for."""

    verdict: str
    """What became of the other: `dropped: a repeat`."""
    bits: tuple[int, int] | None
    """How far their pictures are apart: of phash and of dhash, each of 64; None without pictures."""
    question: Mapping[str, Any]
    """As the ledger's table `questions` has it."""


class Group(NamedTuple):
    """A question and all its rollouts; or what stopped before it was asked, which has none."""

    question: Question | SourceRow
    """A row where it became no question."""
    labels: frozenset[str]
    life: Sequence[Outcome]
    """Of the question, in the order of stages, from the screen on; without rollouts of its row, too."""
    members: Sequence[Member]
    right: Mapping[str, int] = {}
    """Right rollouts as the gates count them, by `gate1`, `placebo` and `gate2`, as far as asked."""
    beside: Sequence[Beside] = ()


def groups(run: Path, named: Collection[str] = ()) -> Iterator[Group]:
    """Yield the questions of a run, by range and then by the root of the question.

    Args:
        run: with a ledger.
        named: ids that are shown whether or not a model was asked; of others, without rollouts, the first of a reason.

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
        if name not in {"ingest", "screen"} and [part.range for part in stage.parts] == [WHOLE]
    }
    shown = Counter[str]()
    for span in spans(len(stages["screen"].parts)):
        asked, unasked = _of_range(run, stages, overall, span, pixels)
        chosen = []
        for group in unasked:
            _, reason = fate_of(group.life)
            shown[reason] += 1
            ids = {group.question.id, *(one.record_id for one in group.life)}
            if not ids.isdisjoint(named) or (reason and shown[reason] <= STOPPED_EACH):
                chosen.append(group)
        yield from sorted([*asked, *_with_pairs(run, chosen)], key=lambda one: (_root(one.question), one.question.id))


def _of_range(
    run: Path,
    stages: Mapping[str, Finished],
    overall: Mapping[str, RecordColumns[Outcome]],
    span: Range,
    pixels: int | None,
) -> tuple[list[Group], list[Group]]:
    """Return the questions of a range that were asked anything, and what was not."""
    questions = {question.id: question for question in stages["screen"].records("questions", Question, span)}
    rollouts: defaultdict[str, list[Trajectory]] = defaultdict(list)
    for trajectory in _rollouts(stages, span):
        rollouts[trajectory.question_id].append(trajectory)
    life: defaultdict[str, list[Outcome]] = defaultdict(list)
    ended: dict[str, Outcome] = {}
    for outcome in _outcomes(stages, overall, questions, span):
        life[outcome.record_id].append(outcome)
        latest = ended.get(outcome.question_id)
        if latest is None or latest.stage != outcome.stage or latest.outcome != "kept":
            ended[outcome.question_id] = outcome
    decisions: defaultdict[str, list[Decision]] = defaultdict(list)
    for decision in _records(stages, ("validate",), "decisions", Decision, span):
        decisions[decision.record_id].append(decision)
    labels, right = _labels(stages, span, pixels), _right(stages, span)
    asked, unasked = [], []
    ingested = {_root(one): one for one in _records(stages, ("ingest",), "questions", Question, span)}
    for question in questions.values():
        own, told = life[question.id], frozenset(labels[question.id])
        if rollouts[question.id]:
            made = sorted(rollouts[question.id], key=_place)
            members = [member(one, life[one.id], own, ended.get(question.id), decisions[one.id]) for one in made]
            asked.append(Group(question, told, own, members, right[question.id]))
        else:
            before = [one.id for one in (ingested.get(_root(question)),) if one is not None and one.id != question.id]
            whole = [*life[_root(question)], *(one for name in before for one in life[name]), *own]
            unasked.append(Group(question, told, whole, []))
    screened = {_root(question) for question in questions.values()}
    for root, question in ingested.items():
        if root not in screened:
            unasked.append(Group(question, frozenset(), [*life[root], *life[question.id]], []))
    unasked += _stopped_rows(run, span, [own[0] for own in life.values() if own and own[0].unit == "row"])
    return asked, unasked


def _outcomes(
    stages: Mapping[str, Finished],
    overall: Mapping[str, RecordColumns[Outcome]],
    questions: Mapping[str, Question],
    span: Range,
) -> Iterator[Outcome]:
    """Yield the outcomes of a range, in the order of the stages."""
    for name, stage in stages.items():
        yield from _about(overall[name], questions) if name in overall else stage.records("outcomes", Outcome, span)


def _stopped_rows(run: Path, span: Range, outcomes: Iterable[Outcome]) -> Iterator[Group]:
    """Yield the rows of a range that became no question; of rows that the run no longer holds, what their end tells."""
    stopped = [one for one in outcomes if one.outcome != "kept"]
    if not stopped:
        return
    try:
        rows = {row.id: row for row in Done(run, {}).rows(span)}
    except (InfrastructureError, OSError):
        rows = {}
    for one in stopped:
        told = SourceRow(
            id=one.record_id,
            source=one.source,
            source_revision="",
            source_row="",
            category=one.category,
            payload=one.payload,
        )
        yield Group(rows.get(one.record_id, told), frozenset(), [one], [])


def _with_pairs(run: Path, unasked: Sequence[Group]) -> Iterator[Group]:
    """Yield them, each with the questions that it was dropped for."""
    repeats = (group for group in unasked if fate_of(group.life)[1].startswith("dedup: "))
    pairs = dropped_beside(run, {group.question.id for group in repeats})
    others = told_questions(run, {str(pair[1]) for found in pairs.values() for pair in found})
    for group in unasked:
        found = pairs.get(group.question.id, ())
        beside = [Beside(verdict, bits, others[other]) for verdict, other, bits in found if other in others]
        yield group._replace(beside=beside)


def _root(question: Question | SourceRow) -> str:
    return question.root_id if isinstance(question, Question) else question.id


def fate_of(told: Sequence[Outcome]) -> tuple[str, str]:
    """Return what became of a record by its last outcome, `rejected: validate`, and why it was stopped, or nothing."""
    if not told:
        return "not decided", ""
    last = told[-1]
    return f"{last.outcome}: {last.stage}", f"{last.stage}: {last.reason}" if last.reason else ""


def member(
    trajectory: Trajectory,
    life: Sequence[Outcome],
    question: Sequence[Outcome],
    ended: Outcome | None = None,
    decisions: Sequence[Decision] = (),
) -> Member:
    """Return a rollout with what became of it.

    That is what its own outcomes say. A gate rollout has none: it shares how far its question came, be it in attempts
    of teachers, and why the question itself was stopped. An attempt without any was not looked at by itself: it shares
    what `synthesize` made of its question, which may have been stopped for what the attempts say, and is `no answer`
    where it gave none.

    `life` are its own outcomes in the order of stages, `question` those of its question. `ended` is of the last stage
    that the question or an attempt at it came to, one that was kept there before others; None takes the question's.
    """
    asked = [one for one in question if one.unit == "question"]
    if trajectory.purpose == "gate":
        _, reason = fate_of(asked)
        fate, _ = fate_of(asked if ended is None else [ended])
    elif life:
        fate, reason = fate_of(life)
    else:
        fate, reason = fate_of([one for one in asked if one.stage == "synthesize"])
        fate = fate if trajectory.finish == "answer" else "no answer"
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


def _right(stages: Mapping[str, Finished], span: Range) -> Mapping[str, dict[str, int]]:
    """Return by question how many rollouts are right, as the chart of the gates counts them."""
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for stage in ("gate1", "gate2"):
        for count in _records(stages, (stage,), "counts", GateCount, span):
            found[count.question_id]["gate1"] = count.plain_right
            if stage == "gate2":
                found[count.question_id]["gate2"] = count.tools_right
    for arm in _records(stages, ("gate1", "gate2"), "arms", ArmCount, span):
        if arm.arm == "fresh":
            found[arm.question_id]["placebo"] = arm.right
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
