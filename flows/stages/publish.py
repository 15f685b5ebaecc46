"""Publish: what was selected, in the formats of the recipe, each export swapped in whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar, get_args

from flows.recipe.recipe import Recipe
from flows.stages.common import kept, trajectory_outcome
from flows.stages.curation import Curation, Work, kept_ids
from flows.stages.labels import Measured
from pipeline.dialects import by_name
from pipeline.engine.commits import begin_unit, commit_unit, stage_directory
from pipeline.engine.stage import Stage
from pipeline.engine.units import Part, Range, UnitInput, UnitOutput, UnitResult
from pipeline.export.layout import MANIFEST, Manifest, Published, Shard, file_hash
from pipeline.export.rows import ExportContext, RlRow, SftRow
from pipeline.export.told import told_by
from pipeline.export.verify.file_checks import check_files, read_manifest
from pipeline.export.write import publish_rl, publish_sft
from pipeline.identity import canonical_json, parse_json
from pipeline.records import (
    ArmCount,
    Cluster,
    GateCount,
    Outcome,
    Question,
    Record,
    TemplateFacts,
    Trajectory,
)
from pipeline.store.blobs import write_atomic
from pipeline.store.shards import read_records

R = TypeVar("R", bound=Record)

GATES = ("gate1", "gate2")


def work(curation: Curation, stage: Stage) -> Work:
    """Write every export, unless what was written from the same input still stands."""
    selected = kept_ids(curation.done["select"])
    unit_input = selected_records(curation.done, selected)
    return Work(len(selected), partial(_unit, curation, stage, unit_input))


class Finished(Protocol):
    """A finished stage: its result in this run, or its manifest of an earlier one."""

    def paths(self, table: str) -> list[Path]:
        """Return the files of one table."""
        ...


def selected_records(done: Mapping[str, Finished], selected: frozenset[str]) -> UnitInput:
    """Return what is published of a run: the selected trajectories and questions, and what their rows say of them."""

    def read(stage: str, table: str, kind: type[R]) -> Iterator[R]:
        return (record for path in done[stage].paths(table) for record in read_records(path, kind))

    trajectories = [t for t in read("synthesize", "trajectories", Trajectory) if t.id in selected]
    needed = {trajectory.question_id for trajectory in trajectories} | selected
    questions = [question for question in read("screen", "questions", Question) if question.id in needed]
    records: list[Record] = [*trajectories, *(question for question in questions if question.id in selected)]
    context: list[Record] = [question for question in questions if question.id not in selected]
    context += [cluster for cluster in read("dedup", "clusters", Cluster) if cluster.question_id in needed]
    context += [facts for facts in read("dedup", "templates", TemplateFacts) if facts.question_id in needed]
    # Gate 2 counts further what gate 1 had counted; what needs no tool never got there.
    counts = {c.question_id: c for gate in GATES for c in read(gate, "counts", GateCount) if c.question_id in needed}
    context += counts.values()
    context += [arm for gate in GATES for arm in read(gate, "arms", ArmCount) if arm.question_id in needed]
    return UnitInput(tuple(records), tuple(context))


def _unit(curation: Curation, stage: Stage, unit: UnitInput, span: Range, _: int) -> UnitResult:
    exports, directory = curation.job.out / "export", stage_directory(curation.job.out, stage)
    part, before = begin_unit(stage, directory, span, unit)
    record = _record(directory, part)
    if before is not None and _stands(exports, record):
        return UnitResult(part, reused=True, counts=before)
    published = write_exports(exports, unit, curation.job.recipe, _context(curation))
    hashes = {f"{p.shard}/{p.format}": file_hash(p.directory / MANIFEST) for p in published}
    write_atomic(record, canonical_json(hashes).encode())
    outcomes = tuple(_outcome(outcome, published) for outcome in _outcomes(unit))
    return commit_unit(stage, directory, part, unit, UnitOutput(outcomes, {}))


def write_exports(exports: Path, unit: UnitInput, recipe: Recipe, context: ExportContext) -> tuple[Published, ...]:
    """Write `exports/<shard>/<format>` for each format of the recipe, and remove others that stand there.

    Raises:
        InfrastructureError: an image is missing from the store or damaged.
    """
    questions = {r.id: r for r in (*unit.records, *unit.context) if isinstance(r, Question)}
    clusters = {r.question_id: r.cluster_id for r in unit.context if isinstance(r, Cluster)}
    measured = Measured.of(unit.context, recipe.student.deploy_pixels, recipe.gate.max_plain_right)
    sft = [
        SftRow(
            trajectory=record,
            question=questions[record.question_id],
            cluster_id=clusters[record.question_id],
            labels=measured.labels(record.question_id),
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
        )
        for record in unit.records
        if isinstance(record, Question)
    ]
    published = (
        *publish_sft(exports / "sft", sft, recipe.export.sft, context),
        *publish_rl(exports / "rl", rl, recipe.rl_formats, context),
    )
    _remove_others(exports, published)
    return published


def _context(curation: Curation) -> ExportContext:
    recipe, prompts = curation.job.recipe, curation.inputs.prompts
    return ExportContext(
        name=recipe.name,
        blobs=curation.store.blobs,
        dialect=by_name(recipe.dialect),
        told=(told_by(prompts),),
        prompts=prompts.hashes(),
        student=recipe.student,
        counter=curation.inputs.tokens,
        sources=curation.inputs.terms,
        corpus=curation.inputs.search.key if curation.inputs.search else None,
    )


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


def _record(directory: Path, part: Part) -> Path:
    """Return the file that says which exports were written from this input."""
    return directory / f"exports-{part.key[:16]}.json"


def _stands(exports: Path, record: Path) -> bool:
    """Return whether the exports of this input are on disk, every file with its recorded bytes."""
    if not record.exists():
        return False
    return all(_intact(exports / name, sha256) for name, sha256 in parse_json(record.read_text()).items())


def _intact(export: Path, sha256: str) -> bool:
    manifest = export / MANIFEST
    if not manifest.exists() or file_hash(manifest) != sha256:
        return False
    content = read_manifest(export)
    return isinstance(content, Manifest) and not any(check_files(export, content))


def _remove_others(exports: Path, published: Sequence[Published]) -> None:
    """Remove exports of an earlier recipe: what stands in the directory is what this run says."""
    current = {export.directory for export in published}
    for manifest in (path for shard in get_args(Shard) for path in exports.glob(f"{shard}/*/{MANIFEST}")):
        if manifest.parent not in current:
            shutil.rmtree(manifest.parent)
