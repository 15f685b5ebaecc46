"""Publish: what was selected, in the formats of the recipe, each export swapped in whole."""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TypeVar, get_args

from filters.dedup.contamination import kept_out
from flows.asking.resources import Revisions
from flows.recipe.inputs import Inputs, Job
from flows.recipe.recipe import Recipe
from flows.stages.fetching import question_keys
from flows.stages.labels import Measured
from flows.stages.outcomes import kept, key_outcome
from pipeline.dialects import DialectName, by_name
from pipeline.engine.done import Done
from pipeline.engine.stage import Stage, StageSettings
from pipeline.engine.units import Part, Reader, UnitInput, UnitOutput, part_range, part_table
from pipeline.errors import UsageError
from pipeline.export.building import require_listed
from pipeline.export.kits import kits_revision
from pipeline.export.layout import MANIFEST, Manifest, Published, RlFormat, SftFormat, Shard, file_hash
from pipeline.export.rights import PictureNames, Rights, WithheldImages
from pipeline.export.rows import ExportContext, Refused, RlRow, RolloutFacts, SftRow
from pipeline.export.told import ExportPrompt, Told, told_by
from pipeline.export.tombstones import Tombstone, Tombstones
from pipeline.export.verify.file_checks import check_files, read_manifest
from pipeline.export.write import publish
from pipeline.identity import Identity, Place, Revision
from pipeline.records import (
    ArmCount,
    Cluster,
    ExportWritten,
    GateCount,
    ImageFacts,
    ImageOrigin,
    JudgeVotes,
    Outcome,
    PartRead,
    PersonalData,
    Question,
    QuestionKey,
    Record,
    StockEnv,
    TemplateFacts,
    Terms,
    Trajectory,
    TrajectoryKey,
)
from pipeline.store import Store
from pipeline.store.blobs import naming
from pipeline.store.shards import RecordColumns, Together, read_records
from pipeline.students.family import Student
from pipeline.students.tokens import TokenCounter

R = TypeVar("R", bound=Record)


class Formats(Identity):
    """Which formats are written for each shard, and of what."""

    sft: tuple[SftFormat, ...]
    rl: tuple[RlFormat, ...]
    withheld_images: WithheldImages
    split_by_licence: bool
    validation: float

    @classmethod
    def of(cls, recipe: Recipe) -> Formats:
        """Return what a recipe asks for."""
        use = recipe.export
        return cls(
            sft=use.sft,
            rl=recipe.rl_formats,
            withheld_images=use.withheld_images,
            split_by_licence=use.split_by_licence,
            validation=use.validation,
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
    seed: int
    max_turns: int
    max_completion_tokens: int
    """How rollouts acted, which kits tell trainers."""
    kits: Revision[str] = kits_revision()
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
            **rollout_of(recipe)._asdict(),
            tombstones=inputs.tombstones,
        )


def read(done: Done, settings: PublishSettings) -> Reader:
    """Hand over the keys of what was selected, and the parts that its rows are made of."""
    del settings
    selected = done.kept("select")
    return Reader(len(selected), lambda _: selected_rows(done, selected))


def selected_rows(done: Done, selected: frozenset[str]) -> UnitInput:
    """Return what is published of a run: keys as records, and the parts that the rows are made of as files."""
    keys = RecordColumns.of(
        TrajectoryKey, (k for k in done.records("validate", "keys", TrajectoryKey) if k.id in selected)
    )
    questions = question_keys(done, selected)
    needed = {*keys.table["question_id"].to_pylist(), *questions.table["id"].to_pylist()}
    clusters = (cluster for cluster in done.records("dedup", "clusters", Cluster) if cluster.question_id in needed)
    templates = (facts for facts in done.records("dedup", "templates", TemplateFacts) if facts.question_id in needed)
    files = tuple(path for stage, table, _ in _PARTS for path in done.paths(stage, table))
    context = Together(
        RecordColumns.of(Cluster, clusters),
        RecordColumns.of(TemplateFacts, templates),
        tuple(PartRead(name=f"{path.parent.name}/{path.name}", sha256=file_hash(path)) for path in files),
    )
    return UnitInput(Together(keys, questions), context, files)


_PARTS: tuple[tuple[str, str, type[Record]], ...] = (
    ("ingest", "origins", ImageOrigin),
    ("screen", "questions", Question),
    ("screen", "facts", ImageFacts),
    ("screen", "personal", PersonalData),
    # Gate 2 counts further what gate 1 had counted; what needs no tool never got there.
    *((gate, "counts", GateCount) for gate in ("gate1", "gate2")),
    *((gate, "arms", ArmCount) for gate in ("gate1", "gate2")),
    ("gate2", "votes", JudgeVotes),
    ("synthesize", "trajectories", Trajectory),
    ("validate", "personal", PersonalData),
    ("validate", "stock", StockEnv),
)
"""Stage, table and kind of what the rows of one range are made of, in the order in which it is read."""


def rows_of(unit: UnitInput, deploy_pixels: int | None) -> Iterator[SftRow | RlRow]:
    """Yield the rows, by the roots of their questions and then by id; one range of the run is in memory.

    The order is that of the rows themselves, in however many ranges the run worked.
    """
    selected = {record.id for record in unit.records if isinstance(record, TrajectoryKey | QuestionKey)}
    clusters = RecordColumns.of(Cluster, (record for record in unit.context if isinstance(record, Cluster)))
    templates = RecordColumns.of(TemplateFacts, (r for r in unit.context if isinstance(r, TemplateFacts)))
    kinds = {(stage, table): kind for stage, table, kind in _PARTS}
    for _, paths in groupby(sorted(unit.files, key=part_range), key=part_range):
        by_table = sorted(paths, key=lambda path: list(kinds).index(part_table(path)))
        records = [record for path in by_table for record in read_records(path, kinds[part_table(path)])]
        questions = {record.id for record in records if isinstance(record, Question)}
        about = [*_of(clusters, questions), *_of(templates, questions)]
        yield from _rows(selected, [*records, *about], deploy_pixels)


def _of(columns: RecordColumns[R], questions: Container[str]) -> Iterator[R]:
    """Yield the records about some questions."""
    import pyarrow as pa
    import pyarrow.compute as pc

    named = pc.is_in(columns.table["question_id"], pa.array(questions, pa.string()))
    return iter(RecordColumns(columns.kind, columns.table.filter(named)))


def _rows(selected: Container[str], records: Sequence[Record], deploy_pixels: int | None) -> list[SftRow | RlRow]:
    """Return the rows of one range, in order."""
    questions = {record.id: record for record in records if isinstance(record, Question)}
    clusters = {record.question_id: record for record in records if isinstance(record, Cluster)}
    measured, names = Measured.of(records, deploy_pixels), names_of(records)
    stock = {record.trajectory_id: record for record in records if isinstance(record, StockEnv)}
    judged = Counter(
        votes.question_id for votes in records if isinstance(votes, JudgeVotes) and votes.asked == "answer"
    )
    rows: list[tuple[str, str, SftRow | RlRow]] = []
    for record in records:
        match record:
            case Trajectory() if record.id in selected:
                question, cluster = questions[record.question_id], clusters[record.question_id]
                sft = SftRow(
                    trajectory=record,
                    question=question,
                    cluster_id=cluster.cluster_id,
                    labels=measured.labels(question.id),
                    pictures=cluster.pictures,
                    personal_data=measured.personal_data(question.id, record.id),
                    names=names,
                    stock=stock[record.id],
                )
                rows.append((question.root_id, record.id, sft))
            case Question() if record.id in selected:
                cluster = clusters[record.id]
                rl = RlRow(
                    question=record,
                    cluster_id=cluster.cluster_id,
                    labels=measured.labels(record.id),
                    saturated=measured.counts[record.id].saturated,
                    judged=judged[record.id],
                    pictures=cluster.pictures,
                    personal_data=measured.personal_data(record.id),
                    names=names,
                )
                rows.append((record.root_id, record.id, rl))
            case _:
                pass
    return [row for _, _, row in sorted(rows, key=itemgetter(0, 1))]


def names_of(records: Iterable[Record]) -> PictureNames:
    """Return what else pictures are known by, as ingest and the screen have found."""
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
    return PictureNames(pixels, {kept: frozenset(made_of) for kept, made_of in files.items()})


def run(unit: UnitInput, settings: PublishSettings, store: Store) -> UnitOutput:
    """Write every export.

    Raises:
        InfrastructureError: an image is missing from the store or damaged.
    """
    context = context_of(settings, store)
    published = write_exports(settings.exports, unit, settings.export, settings.student.deploy_pixels, context)
    written = (
        ExportWritten(shard=p.shard, format=p.format, manifest=file_hash(p.directory / MANIFEST))
        for p in published
        if p.n_rows
    )
    return UnitOutput(_outcomes(unit, published), {"exports": tuple(written)})


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
        rights=Rights(Tombstones.of(settings.tombstones), settings.export.withheld_images),
        split_by_licence=settings.export.split_by_licence,
        validation=settings.export.validation,
        rollout=RolloutFacts(settings.seed, settings.max_turns, settings.max_completion_tokens),
        benchmarks=settings.benchmarks,
    )


def rollout_of(recipe: Recipe) -> RolloutFacts:
    """Return how rollouts of a recipe act."""
    return RolloutFacts(recipe.seed, recipe.rollout.max_turns, recipe.rollout.max_completion_tokens)


def write_exports(
    exports: Path, unit: UnitInput, formats: Formats, deploy_pixels: int | None, context: ExportContext
) -> tuple[Published, ...]:
    """Write `exports/<shard>/<format>` for each format, and remove others that stand there.

    Raises:
        InfrastructureError: an image is missing from the store or damaged.
        OSError: something cannot be written; it names the file, or else `exports`.
    """
    with naming(exports):
        published = publish(exports, rows_of(unit, deploy_pixels), formats.sft, formats.rl, context)
        _remove_others(exports, published)
    return published


def _outcomes(unit: UnitInput, published: Sequence[Published]) -> Iterator[Outcome]:
    """Yield the outcome of each record: rejected where every format of the shard had to leave it out."""
    left_out = {shard: _left_out([p for p in published if p.shard == shard]) for shard in get_args(Shard)}
    for record in unit.records:
        match record:
            case TrajectoryKey():
                yield _outcome(key_outcome("publish", record, None), left_out["sft"])
            case QuestionKey():
                yield _outcome(kept("publish", record, route="rl"), left_out["rl"])
            case _:
                raise TypeError(f"publishing was handed a {type(record).__name__}")


def _left_out(exports: Sequence[Published]) -> Mapping[str, Refused]:
    """Return what no format of a shard holds, by record."""
    times = Counter(refused.record_id for export in exports for refused in export.refused)
    first = {refused.record_id: refused for export in reversed(exports) for refused in export.refused}
    return {name: first[name] for name, formats in times.items() if formats == len(exports)}


def _outcome(outcome: Outcome, left_out: Mapping[str, Refused]) -> Outcome:
    refused = left_out.get(outcome.record_id)
    if refused is None:
        return outcome
    update = {"outcome": "rejected", "route": None, "reason": refused.reason, "detail": refused.detail}
    return outcome.model_copy(update=update)


def _intact(export: Path, sha256: str, name: str) -> bool:
    manifest = export / MANIFEST
    if not manifest.exists() or file_hash(manifest) != sha256:
        return False
    content = read_manifest(export)
    return isinstance(content, Manifest) and content.name == name and not any(check_files(export, content))


def _remove_others(exports: Path, published: Sequence[Published]) -> None:
    """Remove exports of an earlier recipe: what stands in the directory is what this run says."""
    current = {export.directory for export in published if export.n_rows}
    for manifest in (path for shard in get_args(Shard) for path in exports.glob(f"{shard}/*/{MANIFEST}")):
        if manifest.parent not in current:
            require_listed(manifest.parent)
            shutil.rmtree(manifest.parent)


PUBLISH: Stage[PublishSettings, Store] = Stage(
    name="publish",
    version=12,
    kind="global",
    resource="cpu",
    settings=PublishSettings,
    read=read,
    run=run,
    tables={"exports": ExportWritten},
    stands=stands,
)
