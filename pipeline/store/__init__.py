"""The store: what was paid for, every image, and which bytes files have, shared by runs."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.store.blobs import BlobStore
from pipeline.store.calls import CallCache
from pipeline.store.hashes import FileHashes

CALLS = "calls.sqlite"


class Store:
    """One directory of blobs, hashes of files, and calls; these need the store as a context manager, in one process."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.blobs = BlobStore(directory / "blobs")
        self.calls = CallCache(directory / CALLS)
        self.hashes = FileHashes(directory / "hashes.sqlite")

    def __enter__(self) -> Self:
        self.calls.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.calls.__exit__(kind, error, trace)
