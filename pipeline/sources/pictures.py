"""Pictures that stand in the rows themselves, as tables hold them: bytes, a struct of bytes and path, or a path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.errors import RowError
from pipeline.sources.wording import quoted
from pipeline.store.blobs import BlobStore


def picture_names(value: Any, blobs: BlobStore) -> list[str]:
    """Return the name of each picture of a row; bytes are put into `blobs`, below which they have their name.

    Nothing is decoded: bytes that are no picture are found at ingest, with the row.

    Raises:
        RowError: `row_column`, where a value is neither.
    """
    items = value if isinstance(value, list | tuple) else (value,)
    return [_name(item, blobs) for item in items if item is not None]


def _name(value: Any, blobs: BlobStore) -> str:
    # The Hub's struct (datasets.Image): bytes win, and a path alone is that of a file beside the table.
    held = value
    if isinstance(value, Mapping) and {"bytes", "path"} & value.keys():
        held = value.get("path") if value.get("bytes") is None else value["bytes"]
    if isinstance(held, bytes):
        sha256 = blobs.put(held)
        return blobs.path(sha256).relative_to(blobs.root).as_posix()
    if isinstance(held, str):
        return held
    raise RowError("row_column", f"columns.images: {quoted(value)} is no picture: neither bytes nor a path")
