"""Pictures that stand in the rows themselves: bytes, a struct of bytes and path, a `data:` URL, or a path."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any

from pipeline.errors import RowError
from pipeline.images import is_picture
from pipeline.sources.values.wording import quoted
from pipeline.store.blobs import BlobStore

CALLED = ("image", "image_path", "image_paths", "img", "picture", "pictures")
"""What other layouts call `images`. Where that is missing such a column is a mistake, and none to carry along."""


def holds_picture(value: object) -> bool:
    """Return whether a value holds pictures themselves: bytes that begin as one, a struct or a list of such."""
    match value:
        case bytes():
            return is_picture(value)
        case Mapping():
            return holds_picture(value.get("bytes"))
        case list() | tuple():
            return any(map(holds_picture, value))
        case _:
            return False


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
        return _stored(held, blobs)
    if isinstance(held, str):
        return _stored(_of_data_url(held), blobs) if held.startswith("data:") else held
    raise RowError("row_column", f"columns.images: {quoted(value)} is no picture: neither bytes nor a path")


def _stored(content: bytes, blobs: BlobStore) -> str:
    return blobs.path(blobs.put(content)).relative_to(blobs.root).as_posix()


def _of_data_url(url: str) -> bytes:
    """Return the bytes of a `data:` URL in base64 (RFC 2397), as chats for models have pictures in their parts.

    Raises:
        RowError: `row_column`, it is none.
    """
    head, _, content = url.partition(",")
    try:
        if head.endswith(";base64"):
            return base64.b64decode(re.sub(r"\s", "", content), validate=True)
    except ValueError:
        pass
    raise RowError("row_column", f"columns.images: {quoted(url)} is no picture in base64")
