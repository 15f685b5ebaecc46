"""The store: what was paid for and every image, shared by runs."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from pipeline.store.blobs import BlobStore
from pipeline.store.calls import CallCache


class Store:
    """One directory of blobs and calls. Any process may use the blobs; calls need the store as a context manager."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.blobs = BlobStore(directory / "blobs")
        self.calls = CallCache(directory / "calls.sqlite")

    def __enter__(self) -> Self:
        self.calls.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.calls.__exit__(kind, error, trace)
