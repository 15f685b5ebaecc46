"""Parquet of exports: typed for Hugging Face `datasets`, bounded, and the same bytes for the same rows.

The schemas carry the `huggingface` metadata that `datasets.Features` would write, without importing
it (seconds of CPU per process); a test compares the two. Settings follow measurements on 3,000 rows with
JPEG images: compressing them costs three times the CPU for a few per cent, so only text is compressed.
"""

from __future__ import annotations

import hashlib
import json
import struct
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.export.building import DataFile
from pipeline.store.blobs import sync

GROUP_ROWS = 100
"""Rows per row group: a reader that wants one row decodes at most these."""
GROUP_BYTES = 128 * 2**20
"""Per row group: it is held twice to be written, as rows and as columns, and readers break at 2 GiB in one column."""
PAGE_BYTES = 2**16
"""Of images, after which a page ends with its row: a chunk of the hub's storage."""
FILE_BYTES = 500 * 10**6
"""Per file: the shard size of `datasets`, which the viewer of its hub expects."""

_MESSAGE = {"role": "string", "content": "string"}
_IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_IMAGES_TYPE = pa.list_(_IMAGE_TYPE)
_NO_PATH, _ONE = pa.nulls(1, pa.string()), pa.py_buffer(struct.pack("<ii", 0, 1))

Feature = str | dict[str, "Feature"] | list["Feature"]
"""A column: a type name (`string`, `int32`, `bool`, `image`), a mapping (struct) or a list of one feature."""
MESSAGES: Feature = [{**_MESSAGE}]
PART_MESSAGES: Feature = [{"role": "string", "content": [{"type": "string", "text": "string"}]}]
"""Contents as lists of parts: `{"type": "text", "text": …}` and `{"type": "image"}`."""
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


class ParquetFiles:
    """The Parquet files of one folder and split. Two row groups are in memory: rows that come, and rows being written.

    Groups and files are cut by the bytes of the rows that are written: what a record says of its images is how they
    lie in the store, and one that had to be made anew for readers is many times as large.
    """

    def __init__(self, directory: Path, schema: pa.Schema) -> None:
        self._directory, self._schema = directory, schema
        self._rows: list[dict[str, Any]] = []
        self._held, self._filled = 0, 0
        self._file: _File | None = None
        self._made: list[DataFile] = []
        # Arrow and the hash leave Python's lock alone, so that rows are rendered meanwhile.
        self._writer = ThreadPoolExecutor(1)
        self._written: Future[None] | None = None

    def add(self, row: dict[str, Any]) -> None:
        """Write a row."""
        size = row_bytes(row)
        if self._rows and (len(self._rows) == GROUP_ROWS or self._held + size > GROUP_BYTES):
            self._write()
        self._rows.append(row)
        self._held += size

    def close(self) -> list[DataFile]:
        """Return the files, in the order of the rows."""
        with self._writer:
            if self._rows:
                self._write()
            self._wait()
            self._end()
        return self._made

    def _write(self) -> None:
        """Have what is held written as a row group, once the one before it is."""
        table = pa.Table.from_arrays([self._column(field) for field in self._schema], schema=self._schema)
        nbytes, self._rows, self._held = self._held, [], 0
        self._wait()
        self._written = self._writer.submit(self._put, table, nbytes)

    def _wait(self) -> None:
        written, self._written = self._written, None
        if written is not None:
            written.result()

    def _column(self, field: pa.Field) -> pa.Array | pa.ChunkedArray:
        values = [row.get(field.name) for row in self._rows]
        if field.type == _IMAGES_TYPE:
            # A chunk is a page, if it is as large as one (`_settings`).
            return pa.chunked_array([_images(value) for value in values], field.type)
        return pa.array(values, field.type)

    def _put(self, table: pa.Table, nbytes: int) -> None:
        if self._file is not None and self._filled + nbytes > FILE_BYTES:
            self._end()
        if self._file is None:
            self._file, self._filled = _File(self._directory / f"{len(self._made)}.parquet", self._schema), 0
        self._filled += nbytes
        self._file.write(table)

    def _end(self) -> None:
        if self._file is not None:
            self._made.append(self._file.close())
            self._file = None


def _images(value: Any) -> pa.Array:
    """Return the images of one row as a column; the bytes of one that is alone are not copied."""
    match value:
        case [{"bytes": bytes(content), "path": None}]:
            ends = pa.py_buffer(struct.pack("<ii", 0, len(content)))
            held = pa.Array.from_buffers(pa.binary(), 1, [None, ends, pa.py_buffer(content)])
            image = pa.Array.from_buffers(_IMAGE_TYPE, 1, [None], children=[held, _NO_PATH])
            return pa.Array.from_buffers(_IMAGES_TYPE, 1, [None, _ONE], children=[image])
        case _:
            return pa.array([value], _IMAGES_TYPE)


class _File:
    """A file that is hashed as it is written, for what was written last is still in memory."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._rows = path, 0
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pq.ParquetWriter(self._sink, schema, **_settings(schema))
        self._hash, self._hashed = hashlib.sha256(), 0

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._rows += table.num_rows
        self._take_in()
        # Here nobody waits for the disk but the next group; at the end of an export everybody would.
        sync(self._path)

    def close(self) -> DataFile:
        self._writer.close()
        self._sink.close()
        self._take_in()
        return DataFile(self._path, self._hash.hexdigest(), self._hashed, self._rows)

    def _take_in(self) -> None:
        """Hash what is new in the file, without a copy."""
        with pa.memory_map(str(self._path)) as file:
            file.seek(self._hashed)
            self._hash.update(file.read_buffer())
            self._hashed = file.size()


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
        # Images begin a page of their own, so that a changed row moves no other's bytes against their page: hubs with
        # chunked storage then send less than with Arrow's own chunking by content, which reads every byte once more.
        "data_page_size": PAGE_BYTES,
        "write_page_index": True,
    }


def _leaves(path: str, kind: pa.DataType) -> list[str]:
    """Return the Parquet column paths under a field."""
    if pa.types.is_list(kind):
        return _leaves(f"{path}.list.element", kind.value_type)
    if pa.types.is_struct(kind):
        return [leaf for field in kind for leaf in _leaves(f"{path}.{field.name}", field.type)]
    return [path]
