"""Parquet of exports: typed for Hugging Face `datasets`, bounded, and the same bytes for the same rows.

The schemas carry the `huggingface` metadata that `datasets.Features` would write, without importing
it (seconds of CPU per process); a test compares the two. Settings follow measurements on 3,000 rows with
JPEG images: compressing them costs three times the CPU for a few per cent, so only text is compressed.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.export.building import DataFile

GROUP_ROWS = 100
"""Rows per row group: a reader that wants one row decodes at most these."""
GROUP_BYTES = 128 * 2**20
"""Per row group: it is held twice to be written, as rows and as columns, and readers break at 2 GiB in one column."""
FILE_BYTES = 500 * 10**6
"""Per file: the shard size of `datasets`, which the viewer of its hub expects."""

_MESSAGE = {"role": "string", "content": "string"}
_IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

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
    """The Parquet files of one folder and split; one row group is in memory.

    Groups and files are cut by the bytes of the rows that are written: what a record says of its images is how they
    lie in the store, and one that had to be made anew for readers is many times as large.
    """

    def __init__(self, directory: Path, schema: pa.Schema) -> None:
        self._directory, self._schema = directory, schema
        self._rows: list[dict[str, Any]] = []
        self._held, self._filled = 0, 0
        self._file: _File | None = None
        self._made: list[DataFile] = []

    def add(self, row: dict[str, Any]) -> None:
        """Write a row."""
        size = row_bytes(row)
        if self._rows and (len(self._rows) == GROUP_ROWS or self._held + size > GROUP_BYTES):
            self._write()
        self._rows.append(row)
        self._held += size

    def close(self) -> list[DataFile]:
        """Return the files, in the order of the rows."""
        if self._rows:
            self._write()
        self._end()
        return self._made

    def _write(self) -> None:
        """Write what is held as a row group."""
        if self._file is not None and self._filled + self._held > FILE_BYTES:
            self._end()
        if self._file is None:
            self._file, self._filled = _File(self._directory / f"{len(self._made)}.parquet", self._schema), 0
        # One chunk per column: the same rows in other chunks give other bytes.
        table = pa.Table.from_pylist(self._rows, schema=self._schema).combine_chunks()
        self._filled += self._held
        self._rows, self._held = [], 0
        self._file.write(table)
        del table
        # Arrow gives memory back when it finds the time, which on a busy machine is after the next group.
        pa.default_memory_pool().release_unused()

    def _end(self) -> None:
        if self._file is not None:
            self._made.append(self._file.close())
            self._file = None


class _File:
    """A file that is hashed as it is written, for reading it again would take as long."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path, self._rows = path, 0
        self._sink = _Hashing(path)
        self._writer = pq.ParquetWriter(self._sink, schema, **_settings(schema))

    def write(self, table: pa.Table) -> None:
        self._writer.write_table(table, row_group_size=table.num_rows)
        self._rows += table.num_rows

    def close(self) -> DataFile:
        self._writer.close()
        self._sink.close()
        return DataFile(self._path, self._sink.sha256, self._path.stat().st_size, self._rows)


class _Hashing(io.RawIOBase):
    """A file for writing from its beginning to its end."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file, self._hash = path.open("wb"), hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def write(self, content: Any) -> int:
        self._hash.update(content)
        return self._file.write(content)

    def close(self) -> None:
        self._file.close()
        super().close()


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
