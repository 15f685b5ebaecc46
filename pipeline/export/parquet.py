"""Parquet of exports: typed for Hugging Face `datasets`, bounded, and the same bytes for the same rows.

The schemas carry the `huggingface` metadata that `datasets.Features` would write, without importing
it (seconds of CPU per process); a test compares the two. Settings follow measurements on 3,000 rows with
JPEG images: compressing them costs three times the CPU for a few per cent, so only text is compressed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

GROUP_ROWS = 100
"""Rows per row group: a reader that wants one row decodes at most these."""
GROUP_BYTES = 256 * 2**20
"""Image bytes per row group: readers break at 2 GiB in one column, and a group is held in memory to write it."""
FILE_BYTES = 500 * 10**6
"""Image bytes per file: the shard size of `datasets`, which the viewer of its hub expects."""

S = TypeVar("S")

_MESSAGE = {"role": "string", "content": "string"}
_IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

Feature = str | dict[str, "Feature"] | list["Feature"]
"""A column: a type name (`string`, `int32`, `bool`, `image`), a mapping (struct) or a list of one feature."""
MESSAGES: Feature = [{**_MESSAGE}]
IMAGES: Feature = ["image"]


def hf_schema(columns: dict[str, Feature]) -> pa.Schema:
    """Return the Arrow schema that `datasets` writes for these columns, metadata included."""
    features = {name: _feature_json(feature) for name, feature in columns.items()}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema([(name, _arrow_type(feature)) for name, feature in columns.items()], metadata=metadata)


def _feature_json(feature: Feature) -> Any:
    match feature:
        case "image":
            return {"_type": "Image"}
        case str():
            return {"dtype": feature, "_type": "Value"}
        case list():
            return {"feature": _feature_json(feature[0]), "_type": "List"}
        case dict():
            return {name: _feature_json(part) for name, part in feature.items()}


def _arrow_type(feature: Feature) -> pa.DataType:
    match feature:
        case "image":
            return _IMAGE_TYPE
        case str():
            return pa.type_for_alias(feature)
        case list():
            return pa.list_(_arrow_type(feature[0]))
        case dict():
            return pa.struct([(name, _arrow_type(part)) for name, part in feature.items()])


def plan_files(sizes: Sequence[int]) -> list[list[range]]:
    """Cut rows of these image sizes (bytes) into files of row groups, from the sizes alone.

    No row still makes one file, without a row group.
    """
    groups: list[range] = []
    start = held = 0
    for row, size in enumerate(sizes):
        if row > start and (row - start == GROUP_ROWS or held + size > GROUP_BYTES):
            groups.append(range(start, row))
            start, held = row, 0
        held += size
    if start < len(sizes):
        groups.append(range(start, len(sizes)))
    files: list[list[range]] = [[]]
    filled = 0
    for group in groups:
        nbytes = sum(sizes[row] for row in group)
        if files[-1] and filled + nbytes > FILE_BYTES:
            files.append([])
            filled = 0
        files[-1].append(group)
        filled += nbytes
    return files


def write_parquet(
    directory: Path,
    schema: pa.Schema,
    samples: Sequence[S],
    sizes: Sequence[int],
    encode: Callable[[S], dict[str, Any]],
) -> Iterator[tuple[str, S, dict[str, Any]]]:
    """Write `data/train-…parquet` and yield (file, sample, row) in order; one row group is in memory at a time."""
    plan = plan_files(sizes)
    (directory / "data").mkdir()
    for number, groups in enumerate(plan):
        name = f"data/train-{number:05d}-of-{len(plan):05d}.parquet"
        with pq.ParquetWriter(directory / name, schema, **_settings(schema)) as writer:
            for group in groups:
                rows = [encode(samples[i]) for i in group]
                # One chunk per column: the same rows in other chunks give other bytes.
                table = pa.Table.from_pylist(rows, schema=schema).combine_chunks()
                writer.write_table(table, row_group_size=len(rows))
                for i, row in zip(group, rows, strict=True):
                    yield name, samples[i], row


def _settings(schema: pa.Schema) -> dict[str, Any]:
    leaves = [leaf for field in schema for leaf in _leaves(field.name, field.type)]
    text = [leaf for leaf in leaves if not leaf.startswith("images.")]
    return {
        "compression": {leaf: "ZSTD" if leaf in text else "NONE" for leaf in leaves},
        # Ids are all different, so a dictionary of them is only overhead.
        "use_dictionary": [leaf for leaf in text if leaf != "id"],
        "write_statistics": text,
        # A changed row moves few pages, so that hubs with chunked storage send only those.
        "use_content_defined_chunking": True,
        "write_page_index": True,
        "write_page_checksum": True,
    }


def _leaves(path: str, kind: pa.DataType) -> list[str]:
    """Return the Parquet column paths under a field."""
    if pa.types.is_list(kind):
        return _leaves(f"{path}.list.element", kind.value_type)
    if pa.types.is_struct(kind):
        return [leaf for field in kind for leaf in _leaves(f"{path}.{field.name}", field.type)]
    return [path]
