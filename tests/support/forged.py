"""Exports whose rows were changed together with every hash: only what the rows say can give the change away."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipeline.export.building import Beside, Building, DataFiles, Place, write_file
from pipeline.export.formats import llamafactory
from pipeline.export.formats.json_files import JsonFiles
from pipeline.export.kits import kit_files
from pipeline.export.layout import DATA, MANIFEST, ROWS, Manifest, RowKey, by_split, is_json, row_hash
from pipeline.export.parquet import ParquetFiles
from pipeline.export.schemas import schema_of
from pipeline.export.verify.format_checks import view_row

Row = dict[str, Any]


def rows_of(path: Path) -> list[Row]:
    match path.suffix:
        case ".json":
            rows: list[Row] = json.loads(path.read_text())
        case ".jsonl":
            rows = [json.loads(line) for line in path.read_text().splitlines()]
        case _:
            rows = pq.read_table(path).to_pylist()
    return rows


def forge(
    export: Path,
    edit: Callable[[list[Row]], None],
    claim: Callable[[RowKey], dict[str, str]] = lambda _key: {},
) -> None:
    """Change rows and make every hash, the manifest and the index agree with them: a careful liar, or a bug of ours."""
    manifest = Manifest.model_validate_json((export / MANIFEST).read_text())
    keys = [RowKey.model_validate_json(line) for line in (export / ROWS).read_text().splitlines()]
    rows = [row for file in manifest.data for row in rows_of(export / file.path)]
    edit(rows)

    def opened(directory: Path) -> DataFiles:
        if is_json(manifest.format):
            return JsonFiles(directory, array=manifest.format == "llamafactory")
        return ParquetFiles(directory, schema_of(manifest.shard, manifest.format))

    building = Building(export, manifest.format, opened)
    for file in manifest.files:
        if file.rows is None and file.path != ROWS:
            write_file(building.directory / file.path, (export / file.path).read_bytes())
    for key, row in zip(keys, rows, strict=True):
        claimed = key.model_copy(update={"sha256": _hash(row, manifest, export, key), **claim(key)})
        building.add(Place(DATA, key.split), row, claimed)
    facts = manifest.facts
    info = export / llamafactory.DATASET_INFO
    old = info.read_text() if info.exists() else ""

    def tell(files: Sequence[str]) -> Beside:
        summary = manifest.summary.model_copy(update={"files": by_split(files)})
        info = {llamafactory.DATASET_INFO: old.replace(manifest.data[0].path, files[0]).encode()} if old else {}
        return Beside(summary, {**info, **kit_files(facts, summary)})

    building.close(facts, manifest.mix, tell)
    building.put()


def _hash(row: Row, manifest: Manifest, export: Path, key: RowKey) -> str:
    try:
        return row_hash(view_row(row, manifest.format, export).canonical)
    except ValueError:
        return key.sha256  # of what is no row any more
