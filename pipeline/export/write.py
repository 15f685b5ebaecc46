"""Write the exports of a shard, one directory per format."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Literal, TypeVar

import pyarrow as pa

from pipeline.errors import RowError
from pipeline.export.card import render_card
from pipeline.export.formats import deepeyesv2, huggingface, llamafactory, verl
from pipeline.export.layout import Facts, Format, Published, RowKey, Shard, licence_folder, row_hash, write_export
from pipeline.export.parquet import DATA, file_name, write_parquet
from pipeline.export.rows import (
    ExportContext,
    Refused,
    RlRow,
    Sample,
    SftRow,
    refuse,
    render_all,
    render_rl,
    render_sft,
)
from pipeline.export.shipped import ExportImage, export_image

R = TypeVar("R", SftRow, RlRow)

SftFormat = Literal["llamafactory", "huggingface"]
RlFormat = Literal["huggingface", "deepeyesv2", "verl"]
Written = Iterator[tuple[int, Sample[R], dict[str, Any]]]
"""(number of the data file, sample, canonical row), in the order of the rows."""


def publish_sft(
    directory: Path, rows: Sequence[SftRow], formats: Sequence[SftFormat], context: ExportContext
) -> tuple[Published, ...]:
    """Write `directory/<format>` for each format; equal rows give equal bytes in any order of `rows`.

    Rows that cannot be rendered are left out of every format and named in its manifest.

    Raises:
        InfrastructureError: an image is missing from the store or damaged; that export is unchanged.
    """
    samples, refused = render_all(rows, render_sft, context)
    return tuple(
        _publish(directory / kind, _facts("sft", kind, refused, context), samples, context, _sft_writer(kind))
        for kind in formats
    )


def publish_rl(
    directory: Path, rows: Sequence[RlRow], formats: Sequence[RlFormat], context: ExportContext
) -> tuple[Published, ...]:
    """As `publish_sft`, for questions. `deepeyesv2` also refuses rows without an image.

    Raises:
        InfrastructureError: as `publish_sft`.
    """
    samples, refused = render_all(rows, render_rl, context)
    published = []
    for kind in formats:
        fit, unfit = _split_unfit(samples) if kind == "deepeyesv2" else (samples, [])
        facts = _facts("rl", kind, [*refused, *unfit], context)
        published.append(_publish(directory / kind, facts, fit, context, _rl_writer(kind)))
    return tuple(published)


WriteRows = Callable[[Path, Sequence[Sample[R]], ExportContext, str], Written[R]]
"""(export, rows, context, folder of the data files) → what was written."""


def _facts(shard: Shard, kind: Format, refused: Sequence[Refused], context: ExportContext) -> Facts:
    # A question to train on by reinforcement is always told the tools.
    told = tuple(prompt for told in context.told for prompt in (told if shard == "sft" else (told.tools,)))
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
        sources=context.sources,
        corpus=context.corpus,
        benchmarks=context.benchmarks,
        refused=tuple(sorted(refused, key=lambda row: row.record_id)),
    )


def _publish(
    target: Path, facts: Facts, samples: Sequence[Sample[R]], context: ExportContext, write: WriteRows[R]
) -> Published:
    def write_data(directory: Path) -> Iterator[RowKey]:
        numbers = count()
        for folder, part in _folders(facts.format, samples, context):
            written = [(file, sample, row_hash(row)) for file, sample, row in write(directory, part, context, folder)]
            files = written[-1][0] + 1 if written else 1
            for file, sample, sha256 in written:
                yield _key(next(numbers), data_file(facts.format, file, files, folder), sample, sha256, context)

    return write_export(target, facts, write_data, partial(render_card, facts, samples, context))


def _key(index: int, file: str, sample: Sample[R], sha256: str, context: ExportContext) -> RowKey:
    return RowKey(
        index=index,
        file=file,
        record_id=sample.record_id,
        question_id=sample.question.id,
        cluster_id=sample.cluster_id,
        source=sample.question.source,
        source_row=sample.question.source_row,
        files=context.rights.files_of(sample.images),
        category=sample.question.category,
        lane=sample.lane,
        loss_tokens=sample.loss_tokens,
        labels=sample.row.labels,
        personal_data=dict(sample.row.personal_data),
        sha256=sha256,
    )


def _folders(
    kind: Format, samples: Sequence[Sample[R]], context: ExportContext
) -> Sequence[tuple[str, Sequence[Sample[R]]]]:
    """Return the rows by the folder of their files, in the order of their paths, which is that of the rows."""
    if kind != "huggingface" or not context.split_by_licence or not samples:
        return [(DATA, samples)]
    folders: defaultdict[str, list[Sample[R]]] = defaultdict(list)
    for sample in samples:
        folders[licence_folder(sample.question.licence)].append(sample)
    return sorted(folders.items(), key=lambda folder: f"{folder[0]}/")


def _sft_writer(kind: SftFormat) -> WriteRows[SftRow]:
    match kind:
        case "llamafactory":
            return _write_llamafactory
        case "huggingface":
            return _parquet_writer(huggingface.SFT_SCHEMA, huggingface.sft_row)


def _rl_writer(kind: RlFormat) -> WriteRows[RlRow]:
    match kind:
        case "huggingface":
            return _parquet_writer(huggingface.RL_SCHEMA, huggingface.rl_row)
        case "deepeyesv2":
            return _parquet_writer(deepeyesv2.SCHEMA, deepeyesv2.rl_row)
        case "verl":
            return _parquet_writer(verl.SCHEMA, verl.rl_row)


def _write_llamafactory(
    target: Path, samples: Sequence[Sample[SftRow]], context: ExportContext, folder: str
) -> Written[SftRow]:
    del folder  # all its files stand side by side
    return llamafactory.write_parts(target, samples, lambda sample: _images(sample, context), context.name)


def _parquet_writer(schema: pa.Schema, encode: Callable[[Sample[R], list[bytes]], dict[str, Any]]) -> WriteRows[R]:
    def write(target: Path, samples: Sequence[Sample[R]], context: ExportContext, folder: str) -> Written[R]:
        return write_parquet(
            target,
            schema,
            samples,
            lambda sample: encode(sample, [image.content for image in _images(sample, context)]),
            folder,
        )

    return write


def data_file(kind: Format, number: int, files: int, folder: str = DATA) -> str:
    """Return the path of a data file within an export, of so many in its folder."""
    return llamafactory.part_name(number) if kind == "llamafactory" else file_name(number, files, folder)


def _images(sample: Sample[SftRow] | Sample[RlRow], context: ExportContext) -> list[ExportImage]:
    return [export_image(image, context.blobs) for image in sample.images]


def _split_unfit(samples: Sequence[Sample[RlRow]]) -> tuple[list[Sample[RlRow]], list[Refused]]:
    """Return the rows that the DeepEyesV2 environment can hold, and those it cannot."""
    fit, unfit = [], []
    for sample in samples:
        try:
            deepeyesv2.require_image(sample)
        except RowError as error:
            unfit.append(refuse(sample.row, error))
        else:
            fit.append(sample)
    return fit, unfit
