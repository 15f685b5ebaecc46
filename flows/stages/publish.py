"""Publish: what was selected, in the formats of the recipe, each export swapped in whole."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from filters.dedup.contamination import kept_out
from flows.asking.resources import Revisions
from flows.recipe.inputs import Inputs, Job
from flows.recipe.recipe import Recipe, RlFormat
from flows.stages.labels import Measured
from flows.stages.outcomes import kept, trajectory_outcome
from pipeline.dialects import DialectName, by_name
from pipeline.engine.done import Done
from pipeline.engine.stage import Stage, StageSettings
from pipeline.engine.units import Part, Reader, UnitInput, UnitOutput
from pipeline.errors import UsageError
from pipeline.export.layout import MANIFEST, Manifest, Published, Shard, file_hash
from pipeline.export.rights import Rights, WithheldImages
from pipeline.export.rows import ExportContext, RlRow, SftRow, shared_pictures
from pipeline.export.told import ExportPrompt, Told, told_by
from pipeline.export.tombstones import Tombstone, Tombstones
from pipeline.export.verify.file_checks import check_files, read_manifest
from pipeline.export.write import publish_rl, publish_sft
from pipeline.identity import Identity, Place
from pipeline.records import (
    ArmCount,
    Cluster,
    ExportWritten,
    GateCount,
    ImageFacts,
    ImageOrigin,
    Outcome,
    PersonalData,
    Question,
    Record,
    TemplateFacts,
    Terms,
    Trajectory,
)
from pipeline.store import Store
from pipeline.store.shards import read_records
from pipeline.students.family import Student
from pipeline.students.tokens import TokenCounter

GATES = ("gate1", "gate2")


class Formats(Identity):
    """Which formats are written for each shard, and of what."""

    sft: tuple[Literal["llamafactory", "huggingface"], ...]
    rl: tuple[RlFormat, ...]
    withheld_images: WithheldImages
    split_by_licence: bool

    @classmethod
    def of(cls, recipe: Recipe) -> Formats:
        """Return what a recipe asks for."""
        use = recipe.export
        return cls(
            sft=use.sft,
            rl=recipe.rl_formats,
            withheld_images=use.withheld_images,
            split_by_licence=use.split_by_licence,
        )


class PublishSettings(StageSettings):
    """What publishing sees of a recipe."""

    name: Place[str] = ""
    """Of the data set: exports that were written under another name do not stand."""
    exports: Place[Path] = Path()
    """Where they are written."""
    export: Formats
    student: Student
    dialect: DialectName
    told: tuple[ExportPrompt, ...]
    """What the student is told: with tools, and without."""
    prompts: Mapping[str, str]
    """Role → sha256 of every prompt text of the run."""
    sources: Mapping[str, Terms]
    """From where each source is and under which terms, by key."""
    corpus: str | None
    benchmarks: Mapping[str, str]
    """How each benchmark was kept out, by its key."""
    tokens: str
    """What counts tokens."""
    tombstones: tuple[Tombstone, ...]
    """What no export may hold."""

    @classmethod
    def of(cls, job: Job, inputs: Inputs, revisions: Revisions) -> PublishSettings:
        """Return the settings of a run."""
        del revisions
        recipe = job.recipe
        return cls(
            name=recipe.name,
            exports=job.out / "export",
            export=Formats.of(recipe),
            student=recipe.student,
            dialect=recipe.dialect,
            told=tuple(told_by(inputs.prompts)),
            prompts=inputs.prompts.hashes(),
            sources=inputs.terms,
            corpus=inputs.searched,
            benchmarks={b.key: kept_out(b, recipe.decontaminate) for b in inputs.benchmarks},
            tokens=inputs.tokens.name,
            tombstones=inputs.tombstones,
        )


def read(done: Done, settings: PublishSettings) -> Reader:
    """Hand over what was selected, and what the rows say of it."""
    del settings
    selected = done.kept("select")
    return Reader(len(selected), lambda _: selected_records(done, selected))


def selected_records(done: Done, selected: frozenset[str]) -> UnitInput:
    """Return what is published of a run: the selected trajectories and questions, and what their rows say of them."""
    trajectories = [t for t in done.records("synthesize", "trajectories", Trajectory) if t.id in selected]
    needed = {trajectory.question_id for trajectory in trajectories} | selected
    questions = [question for question in done.records("screen", "questions", Question) if question.id in needed]
    records: list[Record] = [*trajectories, *(question for question in questions if question.id in selected)]
    context: list[Record] = [question for question in questions if question.id not in selected]
    context += [cluster for cluster in done.records("dedup", "clusters", Cluster) if cluster.question_id in needed]
    context += [facts for facts in done.records("dedup", "templates", TemplateFacts) if facts.question_id in needed]
    # Gate 2 counts further what gate 1 had counted; what needs no tool never got there.
    counts = {
        c.question_id: c for gate in GATES for c in done.records(gate, "counts", GateCount) if c.question_id in needed
    }
    context += counts.values()
    context += [arm for gate in GATES for arm in done.records(gate, "arms", ArmCount) if arm.question_id in needed]
    shown = {image.sha256 for question in questions for image in question.images}
    # One question's facts tell of a picture what another's would.
    context += {f.sha256: f for f in done.records("screen", "facts", ImageFacts) if f.sha256 in shown}.values()
    context += [made for made in done.records("ingest", "origins", ImageOrigin) if made.sha256 in shown]
    personal = (found for stage in ("screen", "validate") for found in done.records(stage, "personal", PersonalData))
    context += [found for found in personal if found.record_id in needed | selected]
    return UnitInput(tuple(records), tuple(context))


def run(unit: UnitInput, settings: PublishSettings, store: Store) -> UnitOutput:
    """Write every export.

    Raises:
        InfrastructureError: an image is missing from the store or damaged.
    """
    measured = Measured.of(unit.context, settings.student.deploy_pixels)
    rights = rights_of(unit.context, settings.tombstones, settings.export.withheld_images)
    context = replace(context_of(settings, store), rights=rights, split_by_licence=settings.export.split_by_licence)
    published = write_exports(settings.exports, unit, settings.export, measured, context)
    written = (
        ExportWritten(shard=p.shard, format=p.format, manifest=file_hash(p.directory / MANIFEST)) for p in published
    )
    return UnitOutput(tuple(_outcome(outcome, published) for outcome in _outcomes(unit)), {"exports": tuple(written)})


def stands(directory: Path, part: Part, settings: PublishSettings) -> bool:
    """Return whether the exports of a committed unit are on disk, every file with its recorded bytes."""
    written = read_records(part.path(directory, "exports"), ExportWritten)
    return all(_intact(settings.exports / made.shard / made.format, made.manifest, settings.name) for made in written)


def context_of(settings: PublishSettings, store: Store) -> ExportContext:
    """Return what all exports share.

    Raises:
        UsageError: the student's tokenizer is another one by now.
    """
    counter = TokenCounter.open(settings.student.tokenizer)
    if counter.name != settings.tokens:
        raise UsageError(
            f"student.tokenizer: tokens were counted by {settings.tokens}, and would be by {counter.name}; run again"
        )
    return ExportContext(
        name=settings.name,
        blobs=store.blobs,
        dialect=by_name(settings.dialect),
        told=(Told(*settings.told),),
        prompts=settings.prompts,
        student=settings.student,
        counter=counter,
        sources=settings.sources,
        corpus=settings.corpus,
        benchmarks=settings.benchmarks,
    )


def rights_of(records: Iterable[Record], tombstones: Iterable[Tombstone], withheld_images: WithheldImages) -> Rights:
    """Return what exports go by, with the other names of pictures that ingest and the screen have found."""
    pixels: dict[str, str] = {}
    files: defaultdict[str, set[str]] = defaultdict(set)
    for record in records:
        match record:
            case ImageFacts(pixels=str()):
                pixels[record.sha256] = str(record.pixels)
            case ImageOrigin():
                files[record.sha256].add(record.file)
            case _:
                pass
    names = {kept: frozenset(made_of) for kept, made_of in files.items()}
    return Rights(Tombstones.of(tombstones), withheld_images, pixels, names)


def write_exports(
    exports: Path, unit: UnitInput, formats: Formats, measured: Measured, context: ExportContext
) -> tuple[Published, ...]:
    """Write `exports/<shard>/<format>` for each format, and remove others that stand there.

    Raises:
        InfrastructureError: an image is missing from the store or damaged.
    """
    questions = {r.id: r for r in (*unit.records, *unit.context) if isinstance(r, Question)}
    clusters = {r.question_id: r.cluster_id for r in unit.context if isinstance(r, Cluster)}
    sft = [
        SftRow(
            trajectory=record,
            question=questions[record.question_id],
            cluster_id=clusters[record.question_id],
            labels=measured.labels(record.question_id),
            personal_data=measured.personal_data(record.question_id, record.id),
        )
        for record in unit.records
        if isinstance(record, Trajectory)
    ]
    rl = [
        RlRow(
            question=record,
            cluster_id=clusters[record.id],
            labels=measured.labels(record.id),
            saturated=measured.counts[record.id].saturated,
            personal_data=measured.personal_data(record.id),
        )
        for record in unit.records
        if isinstance(record, Question)
    ]
    context = replace(context, shared=shared_pictures(sft, rl))
    published = (
        *publish_sft(exports / "sft", sft, formats.sft, context),
        *publish_rl(exports / "rl", rl, formats.rl, context),
    )
    _remove_others(exports, published)
    return published


def _outcomes(unit: UnitInput) -> tuple[Outcome, ...]:
    questions = {r.id: r for r in (*unit.records, *unit.context) if isinstance(r, Question)}
    sft = (
        trajectory_outcome("publish", record, questions[record.question_id], None)
        for record in unit.records
        if isinstance(record, Trajectory)
    )
    rl = (kept("publish", record, route="rl") for record in unit.records if isinstance(record, Question))
    return (*sft, *rl)


def _outcome(outcome: Outcome, published: Sequence[Published]) -> Outcome:
    """Return the outcome as it is, or rejected where every format of the shard had to leave the record out."""
    own = "rl" if outcome.unit == "question" else "sft"
    shard = [export for export in published if export.shard == own]
    refused = [refusal for export in shard for refusal in export.refused if refusal.record_id == outcome.record_id]
    if not shard or len(refused) < len(shard):
        return outcome
    update = {"outcome": "rejected", "route": None, "reason": refused[0].reason, "detail": refused[0].detail}
    return outcome.model_copy(update=update)


def _intact(export: Path, sha256: str, name: str) -> bool:
    manifest = export / MANIFEST
    if not manifest.exists() or file_hash(manifest) != sha256:
        return False
    content = read_manifest(export)
    return isinstance(content, Manifest) and content.name == name and not any(check_files(export, content))


def _remove_others(exports: Path, published: Sequence[Published]) -> None:
    """Remove exports of an earlier recipe: what stands in the directory is what this run says."""
    current = {export.directory for export in published}
    for manifest in (path for shard in get_args(Shard) for path in exports.glob(f"{shard}/*/{MANIFEST}")):
        if manifest.parent not in current:
            shutil.rmtree(manifest.parent)


PUBLISH: Stage[PublishSettings, Store] = Stage(
    name="publish",
    version=6,
    kind="global",
    resource="cpu",
    settings=PublishSettings,
    read=read,
    run=run,
    tables={"exports": ExportWritten},
    stands=stands,
)
