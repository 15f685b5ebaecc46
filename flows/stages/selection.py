"""Select: one trajectory per question cluster for SFT, in the mix asked for, questions for RL, no cluster in both."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple, Self

from filters.selection.choose import RlCandidate, Selection, SelectionSettings, SftCandidate, select
from filters.selection.mix import UnmetMixError
from flows.asking.resources import Revisions
from flows.recipe.inputs import Inputs, Job
from flows.stages.fetching import question_keys
from flows.stages.outcomes import decided, key_outcome
from pipeline.engine.done import Done
from pipeline.engine.stage import Stage, StageSettings
from pipeline.engine.units import Range, Reader, UnitInput, UnitOutput
from pipeline.errors import UsageError
from pipeline.identity import digest
from pipeline.records import ArmCount, Cluster, GateCount, Outcome, QuestionKey, TrajectoryKey
from pipeline.store import Store
from pipeline.store.shards import RecordColumns, Together


class SelectSettings(StageSettings):
    """What selection sees of a recipe."""

    select: SelectionSettings
    deploy_pixels: int | None
    """A question is hard by our resizing alone if gate 1, asked at this size, would call it too easy."""
    excluded: tuple[str, ...] = ()
    """Ids of trajectories, and of questions with all that answers them."""

    @classmethod
    def of(cls, job: Job, inputs: Inputs, revisions: Revisions) -> SelectSettings:
        """Return the settings of a run."""
        del revisions
        recipe = job.recipe
        return cls(
            select=recipe.select.rules,
            excluded=inputs.excluded,
            deploy_pixels=recipe.student.deploy_pixels,
        )


def read(done: Done, settings: SelectSettings) -> Reader:
    """Hand over the keys of all valid trajectories, and the questions that gate 2 sent to RL."""
    valid, rl = done.kept("validate"), done.kept("gate2", "rl")

    def unit(_: Range) -> UnitInput:
        keys = done.columns("validate", "keys", TrajectoryKey)
        involved = rl.union(keys.table["question_id"].to_pylist())
        clusters = done.records("dedup", "clusters", Cluster)
        counts, arms = done.records("gate2", "counts", GateCount), done.records("gate1", "arms", ArmCount)
        context = Together(
            question_keys(done, involved - rl),
            RecordColumns.of(Cluster, (c for c in clusters if c.question_id in involved)),
            RecordColumns.of(GateCount, (c for c in counts if c.question_id in rl)),
            RecordColumns.of(ArmCount, (c for c in arms if _deployed(c) and c.question_id in involved)),
        )
        return UnitInput(Together(keys, question_keys(done, rl)), context)

    def _deployed(count: ArmCount) -> bool:
        return (count.arm, count.max_pixels) == ("pixels", settings.deploy_pixels)

    return Reader(len(valid) + len(rl), unit)


class _Own(NamedTuple):
    """What selection goes by of a question's cluster: a fifth of its record."""

    cluster_id: str
    pictures: str
    representative: str


@dataclass(frozen=True)
class _Known:
    """What is known of the questions, by their ids."""

    clusters: dict[str, _Own] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    """Which they are about, empty for none."""
    saturated: set[str] = field(default_factory=set)
    artifacts: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, unit: UnitInput) -> Self:
        """Read the evidence, and the questions among the records."""
        known = cls()
        for record in chain(unit.context, unit.records):
            match record:
                case Cluster():
                    own = _Own(record.cluster_id, record.pictures, record.representative)
                    known.clusters[record.question_id] = own
                case QuestionKey():
                    known.images[record.id] = digest(record.images) if record.images else ""
                case GateCount() if record.saturated:
                    known.saturated.add(record.question_id)
                case ArmCount() if record.above:
                    known.artifacts.add(record.question_id)
                case _:
                    pass
        return known

    def rl_candidate(self, question: QuestionKey) -> RlCandidate:
        """Return a question that gate 2 sent to RL."""
        own = self.clusters[question.id]
        return RlCandidate(
            question.id,
            own.cluster_id,
            question.category,
            saturated=question.id in self.saturated,
            resolution_artifact=question.id in self.artifacts,
            pictures=own.pictures,
            representative=own.representative,
        )

    def sft_candidate(self, key: TrajectoryKey) -> SftCandidate:
        """Return a valid trajectory."""
        own = self.clusters[key.question_id]
        return SftCandidate(
            trajectory_id=key.id,
            question_id=key.question_id,
            cluster_id=own.cluster_id,
            category=key.category,
            lane=key.lane,
            sample=key.sample,
            skeleton=key.skeleton,
            images=self.images[key.question_id],
            loss_tokens=key.loss_tokens,
            resolution_artifact=key.question_id in self.artifacts,
            pictures=own.pictures,
            representative=own.representative,
        )


def run(unit: UnitInput, settings: SelectSettings, store: Store) -> UnitOutput:
    """Decide on every trajectory and every RL question.

    Raises:
        UsageError: the mix asks for a group that has no trajectory.
    """
    del store
    known = _Known.of(unit)
    rl = [known.rl_candidate(record) for record in unit.records if isinstance(record, QuestionKey)]
    sft = [known.sft_candidate(record) for record in unit.records if isinstance(record, TrajectoryKey)]
    try:
        chosen = select(rl, sft, settings.select, frozenset(settings.excluded))
    except UnmetMixError as error:
        raise UsageError(str(error)) from error
    return UnitOutput(_outcomes(unit, chosen), {})


def _outcomes(unit: UnitInput, chosen: Selection) -> Iterator[Outcome]:
    decisions = {decision.record_id: decision for decision in (*chosen.rl, *chosen.sft)}
    for record in unit.records:
        match record:
            case QuestionKey():
                yield decided("select", record, [decisions[record.id]], route="rl")
            case TrajectoryKey():
                decision = decisions[record.id]
                yield key_outcome("select", record, None if decision.outcome == "keep" else decision)
            case _:
                raise TypeError(f"selection was handed a {type(record).__name__}")


SELECT: Stage[SelectSettings, Store] = Stage(
    name="select",
    version=3,
    kind="global",
    resource="cpu",
    settings=SelectSettings,
    read=read,
    run=run,
    tables={},
)
