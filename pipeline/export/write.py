"""Write the exports of a run: one pass over its rows, every format beside the others, all put in place or none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.errors import RowError
from pipeline.export.building import Beside, Building, DataFiles, Place
from pipeline.export.card import render_card
from pipeline.export.configurations import shard_card
from pipeline.export.formats import deepeyesv2, huggingface, llamafactory, ms_swift, trl, verl
from pipeline.export.formats.huggingface import Bytes, image_structs
from pipeline.export.formats.json_files import JsonFiles, canonical_row, write_images
from pipeline.export.kits import kit_files
from pipeline.export.layout import (
    CARD,
    DATA,
    Facts,
    Format,
    Published,
    RlFormat,
    RowKey,
    SftFormat,
    Shard,
    by_split,
    hashed,
    is_json,
    licence_folder,
    rl_mode,
)
from pipeline.export.parquet import ParquetFiles
from pipeline.export.rows import (
    ExportContext,
    Refused,
    RlRow,
    Sample,
    SftRow,
    SharedPictures,
    refuse,
    render_rl,
    render_sft,
    require_learnable,
)
from pipeline.export.schemas import schema_of
from pipeline.export.shipped import ExportImage, export_image
from pipeline.export.tally import Tally, summary_of
from pipeline.identity import digest
from pipeline.records import Mode
from pipeline.store.blobs import write_atomic


def publish(
    directory: Path,
    rows: Iterable[SftRow | RlRow],
    sft: Sequence[SftFormat],
    rl: Sequence[RlFormat],
    context: ExportContext,
) -> tuple[Published, ...]:
    """Write `directory/<shard>/<format>` for each format of both shards, rows in the order in which they come.

    A row that cannot be rendered is left out of every format, one that a format cannot hold out of that one, and named
    in the manifest. A format without a row is not written.

    Raises:
        InfrastructureError: an image is missing from the store or damaged; no export is changed.
        UsageError: somebody put something into an export that stands there; no export is changed.
        AssertionError: two rows of a shard have one id.
    """
    with ExitStack() as stack:

        def opened(shard: Shard, kind: Format) -> _Export:
            made = _Export(directory / shard / kind, shard, kind, context)
            stack.callback(made.building.discard)
            return made

        exports: dict[Shard, list[_Export]] = {
            "sft": [opened("sft", kind) for kind in sft],
            "rl": [opened("rl", kind) for kind in rl],
        }
        shown = _Shown()
        ids = set[tuple[Shard, str]]()
        for row in rows:
            shard: Shard = "sft" if isinstance(row, SftRow) else "rl"
            if (shard, row.id) in ids:
                raise AssertionError(f"two rows of {shard} have the id {row.id}")
            ids.add((shard, row.id))
            if _add(row, exports[shard], context):
                shown.add(row)
        every = [export for shard in exports.values() for export in shard]
        shared = shown.shared() if sft and rl else None
        published = [export.close(context, shared, shown.sandbox) for export in every]
        written = [export for export, told in zip(every, published, strict=True) if told.n_rows]
        for export in written:
            export.building.require_place()
        for export in written:
            export.building.put()
        for name in (name for name, some in exports.items() if some):
            _write_shard_card(directory / name, exports[name])
    return tuple(published)


def _write_shard_card(directory: Path, exports: Sequence[_Export]) -> None:
    """Write the README of a folder of exports, or remove an earlier one's."""
    plain = next((export.building.manifest for export in exports if export.kind == "huggingface"), None)
    path, card = directory / CARD, None if plain is None else shard_card(plain)
    if card is None:
        path.unlink(missing_ok=True)
    elif not path.exists() or path.read_text("utf-8") != card:
        write_atomic(path, card.encode())


class _Export:
    """One format of one shard, as it is written."""

    def __init__(self, target: Path, shard: Shard, kind: Format, context: ExportContext) -> None:
        self.shard, self.kind = shard, kind
        self.refused: list[Refused] = []
        self.tally = Tally()
        self.building = Building(target, kind, partial(_open_files, shard, kind))
        self._by_licence = context.split_by_licence and kind == "huggingface"

    def add(self, sample: Sample[Any], images: Sequence[ExportImage], key: Callable[[str], RowKey]) -> bool:
        """Write a row, or name it as left out; return whether it is written."""
        try:
            _require(self.kind, sample)
        except RowError as error:
            self.refused.append(refuse(sample.row, error))
            return False
        # The store has verified the pictures by their hashes; they need not be hashed again for each row and format.
        hashes = [hashed(image.sha256) for image in images]
        if is_json(self.kind):
            row = _json_row(self.kind, sample, write_images(self.building.directory, images))
            canonical = canonical_row(row, hashes)
        else:
            canonical = _parquet_row(self.shard, self.kind, sample, hashes)
            row = {**canonical, "images": image_structs([image.content for image in images])}
        folder = licence_folder(sample.question.licence) if self._by_licence else DATA
        self.building.add(Place(folder, sample.split), row, key(digest(canonical)))
        self.tally.add(sample)
        return True

    def close(self, context: ExportContext, shared: SharedPictures | None, sandbox: str) -> Published:
        """Write what stands beside the rows."""
        refused = tuple(sorted(self.refused, key=lambda row: row.record_id))
        facts = _facts(self.shard, self.kind, context)._replace(refused=refused)

        def tell(files: Sequence[str]) -> Beside:
            summary = summary_of(self.tally, by_split(files), context.rollout, sandbox, search=facts.corpus is not None)
            told = {CARD: render_card(facts, self.tally, shared, files).encode(), **kit_files(facts, summary)}
            if self.kind == "llamafactory":
                told[llamafactory.DATASET_INFO] = llamafactory.dataset_info(context.name, by_split(files))
            return Beside(summary, told)

        return self.building.close(facts, self.tally.mix.parts(), tell)


def _add(row: SftRow | RlRow, exports: Sequence[_Export], context: ExportContext) -> bool:
    """Render a row as its formats tell it and write it into each; return whether it is in one."""
    if not exports:
        return False
    try:
        samples = _rendered(row, {rl_mode(export.kind) for export in exports}, context)
    except RowError as error:
        for export in exports:
            export.refused.append(refuse(row, error))
        return False
    images = [export_image(image, context.blobs) for image in row.images]
    written = False
    for export in exports:
        sample = samples[rl_mode(export.kind)]
        written |= export.add(sample, images, partial(_key, sample))
    return written


def _rendered(row: SftRow | RlRow, modes: Collection[Mode], context: ExportContext) -> Mapping[Mode, Sample[Any]]:
    """Return a question as it is told in each mode; a transcript is one and the same, as its lane is told."""
    if isinstance(row, SftRow):
        return dict.fromkeys(modes, render_sft(row, context))
    return {mode: render_rl(row, context, mode) for mode in modes}


def _key(sample: Sample[Any], sha256: str) -> RowKey:
    return RowKey(
        index=0,  # counted once all rows are written
        split=sample.split,
        record_id=sample.record_id,
        question_id=sample.question.id,
        cluster_id=sample.cluster_id,
        source=sample.question.source,
        source_row=sample.question.source_row,
        files=sample.row.names.files_of(sample.images),
        category=sample.question.category,
        lane=sample.lane,
        loss_tokens=sample.loss_tokens,
        labels=sample.row.labels,
        personal_data=dict(sample.row.personal_data),
        sha256=sha256,
    )


def _facts(shard: Shard, kind: Format, context: ExportContext) -> Facts:
    told = tuple(prompt for told in context.told for prompt in (told if shard == "sft" else (told.of(rl_mode(kind)),)))
    every = {prompt.name: prompt.sha256 for variant in context.told for prompt in variant}
    return Facts(
        name=context.name,
        shard=shard,
        format=kind,
        dialect=context.dialect.name,
        prompts=dict(sorted({**context.prompts, **every}.items())),
        told=told,
        tokens=context.counter.name,
        student=context.student,
        validation=context.validation,
        sources=context.sources,
        corpus=context.corpus,
        benchmarks=context.benchmarks,
    )


def _open_files(shard: Shard, kind: Format, directory: Path) -> DataFiles:
    if is_json(kind):
        return JsonFiles(directory, array=kind == "llamafactory")
    return ParquetFiles(directory, schema_of(shard, kind))


def _require(kind: Format, sample: Sample[Any]) -> None:
    """Refuse a row that a format cannot hold.

    Raises:
        RowError: `unlearnable_turn`, or `text_only`.
    """
    if kind != "ms_swift":
        require_learnable(sample)
    if kind == "deepeyesv2":
        deepeyesv2.require_image(sample)


def _json_row(kind: Format, sample: Sample[SftRow], paths: list[str]) -> dict[str, Any]:
    return ms_swift.sft_row(sample, paths) if kind == "ms_swift" else llamafactory.sft_row(sample, paths)


def _parquet_row(shard: Shard, kind: Format, sample: Sample[Any], images: Sequence[Bytes]) -> dict[str, Any]:
    match shard, kind:
        case "sft", "trl":
            return trl.sft_row(sample, images)
        case "sft", "verl":
            return verl.sft_row(sample, images)
        case "sft", _:
            return huggingface.sft_row(sample, images)
        case _, "trl":
            return trl.rl_row(sample, images)
        case _, "verl":
            return verl.rl_row(sample, images)
        case _, "deepeyesv2":
            return deepeyesv2.rl_row(sample, images)
        case _:
            return huggingface.rl_row(sample, images)


@dataclass
class _Shown:
    """What the rows that are written show, of both shards."""

    sft: set[str] = field(default_factory=set)
    """Pictures of a shard, by the bytes of the stored files."""
    rl: set[str] = field(default_factory=set)
    sandbox: str = ""
    """The first by name, of those that cells were executed in."""

    def add(self, row: SftRow | RlRow) -> None:
        """Count what a row shows, in its question or as an observation."""
        if isinstance(row, SftRow):
            self.sandbox = min(filter(None, (self.sandbox, row.trajectory.sandbox)), default="")
        (self.sft if isinstance(row, SftRow) else self.rl).update(image.sha256 for image in row.images)

    def shared(self) -> SharedPictures:
        return SharedPictures(len(self.sft & self.rl), len(self.rl))
