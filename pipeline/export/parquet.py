"""Parquet of exports: typed for Hugging Face `datasets`, bounded, and the same bytes for the same rows.

The schemas carry the `huggingface` metadata that `datasets.Features` would write, without importing
it (seconds of CPU per process); a test compares the two. Settings follow measurements on 3,000 rows with
JPEG images: compressing them costs three times the CPU for a few per cent, so only text is compressed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

GROUP_ROWS = 100
"""Rows per row group: a reader that wants one row decodes at most these."""
GROUP_BYTES = 128 * 2**20
"""Per row group: it is held twice to be written, as rows and as columns, and readers break at 2 GiB in one column."""
FILE_BYTES = 500 * 10**6
"""Per file: the shard size of `datasets`, which the viewer of its hub expects."""

DATA = "data"
"""Folder of an export that holds its data files, or a folder of them for each licence."""

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


def write_parquet(
    directory: Path,
    schema: pa.Schema,
    samples: Iterable[S],
    encode: Callable[[S], dict[str, Any]],
    folder: str = DATA,
) -> Iterator[tuple[int, S, dict[str, Any]]]:
    """Write `train-…parquet` into a folder of the export and yield (number of the file, sample, row) in order.

    One row group is in memory.

    Groups and files are cut by the bytes of the rows that are written: what a record says of its images is how they
    lie in the store, and one that had to be made anew for readers is many times as large. No row still makes one file.
    """
    data = directory / folder
    data.mkdir(parents=True)
    number, filled, writer = -1, 0, None
    try:
        for group in _groups((sample, encode(sample)) for sample in samples):
            if writer is None or filled + group.nbytes > FILE_BYTES:
                number, filled = number + 1, 0
                writer = _next_file(writer, data / _name(number), schema)
            filled += group.nbytes
            # One chunk per column: the same rows in other chunks give other bytes.
            table = pa.Table.from_pylist([row for _, row in group.rows], schema=schema).combine_chunks()
            writer.write_table(table, row_group_size=len(group.rows))
            del table
            # Arrow gives memory back when it finds the time, which on a busy machine is after the next group.
            pa.default_memory_pool().release_unused()
            for sample, row in group.rows:
                yield number, sample, row
            del group  # or it would be held while the next one is gathered
        if writer is None:
            number, writer = 0, _next_file(None, data / _name(0), schema)
    finally:
        if writer is not None:
            writer.close()
    for made in range(number + 1):
        (data / _name(made)).rename(directory / file_name(made, number + 1, folder))


def file_name(number: int, files: int, folder: str = DATA) -> str:
    """Return the path of a data file within its export, of so many in its folder."""
    return f"{folder}/train-{number:05d}-of-{files:05d}.parquet"


def _name(number: int) -> str:
    """Return what a file is called until it is known how many there are."""
    return f"{number:05d}.parquet"


def _next_file(before: pq.ParquetWriter | None, path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    if before is not None:
        before.close()
    return pq.ParquetWriter(path, schema, **_settings(schema))


class _Group(NamedTuple, Generic[S]):
    rows: list[tuple[S, dict[str, Any]]]
    nbytes: int


def _groups(rows: Iterable[tuple[S, dict[str, Any]]]) -> Iterator[_Group[S]]:
    group, held = list[tuple[S, dict[str, Any]]](), 0
    for sample, row in rows:
        size = row_bytes(row)
        if group and (len(group) == GROUP_ROWS or held + size > GROUP_BYTES):
            yield _Group(group, held)
            group, held = [], 0
        group.append((sample, row))
        held += size
    if group:
        yield _Group(group, held)


def row_bytes(value: Any) -> int:
    """Return the bytes of all texts and images in a row."""
    match value:
        case bytes():
            return len(value)
        case str():
            return len(value.encode())
        case dict():
            return sum(map(row_bytes, value.values()))
        case list() | tuple():
            return sum(map(row_bytes, value))
        case _:
            return 0


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
