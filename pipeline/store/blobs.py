"""Content-addressed files: images and other bytes, named by their sha256.

Any process may write: equal content has one name, and a file appears under that name only when it is
complete. What is read is verified, so a damaged disk shows up here and not in a data set.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InfrastructureError


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name `path` in an `OSError` of the block that names no file: what an open file is asked for fails without one."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def write_atomic(path: Path, content: bytes | memoryview) -> None:
    """Write `content` to `path` so that no reader ever sees a part of it (temporary file, fsync, rename)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        handle, name = _temporary(path)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            # mkstemp makes the file private; a store is shared like any other directory.
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _temporary(path: Path) -> tuple[int, str]:
    """Return a new file beside `path`; where none can be made it is `path` that cannot be written."""
    try:
        return tempfile.mkstemp(dir=path.parent, prefix=".tmp-")
    except OSError as error:
        error.filename = str(path)
        raise


def sync(path: Path) -> None:
    """Wait until a file that was written is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@dataclass(frozen=True)
class BlobStore:
    """Blobs under `root/<first two hex digits>/<sha256>`."""

    root: Path

    def path(self, sha256: str) -> Path:
        """Return where the blob is or would be."""
        return self.root / sha256[:2] / sha256

    def put(self, content: bytes) -> str:
        """Store `content` and return its sha256; storing what is there costs one `stat`."""
        sha256 = hashlib.sha256(content).hexdigest()
        path = self.path(sha256)
        if not path.exists():
            write_atomic(path, content)
        return sha256

    def get(self, sha256: str) -> bytes:
        """Return the blob.

        Raises:
            InfrastructureError: it is missing, or its bytes no longer have this sha256.
        """
        path = self.path(sha256)
        try:
            content = path.read_bytes()
        except FileNotFoundError as error:
            raise InfrastructureError(
                f"blob {sha256} is missing from {self.root}; delete the stage that made it and run again"
            ) from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise InfrastructureError(f"blob {path} is damaged; delete it and the stage that made it, and run again")
        return content

    def __contains__(self, sha256: str) -> bool:
        return self.path(sha256).exists()
