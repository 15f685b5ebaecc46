"""Which files of a source hold its rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.sources.manifest import SourceKind, SourceManifest
from pipeline.sources.source import ROWS

CONVERSATIONS: tuple[SourceKind, ...] = ("llava", "sharegpt", "messages")
_SUFFIXES: dict[SourceKind, tuple[str, ...]] = {
    "parquet": (".parquet",),
    "json": (".json",),
    "csv": (".csv",),
    "tsv": (".tsv", ".tab"),
    "webdataset": (".tar", ".tgz", ".gz", ".zst"),
    **dict.fromkeys(CONVERSATIONS, (".json", ".jsonl", ".parquet")),
}


def row_files(said: SourceManifest, manifest: Path, path: Path) -> tuple[Path, tuple[Path, ...]]:
    """Return the directory at which paths of rows begin, and the files with rows, in their order.

    `path` is what the manifest at `manifest` names: a file, a pattern of files, or a directory.

    Raises:
        UsageError: there is no such file or directory.
    """
    if path.is_file():
        return path.parent, (path,)
    if path.is_dir():
        found = files_inside(said.kind, path, said.files)
        if not found:
            wanted = " or ".join(said.files or _SUFFIXES.get(said.kind, ("files",)))
            raise UsageError(f"source manifest {manifest}: {path} holds no {wanted}; state where the rows are")
        return path, found
    found = tuple(sorted(path.parent.glob(path.name))) if path.parent.is_dir() else ()
    if not found:
        raise UsageError(f"source manifest {manifest}: nothing at {path}; state where the source is")
    return path.parent, found


def files_inside(kind: SourceKind, directory: Path, patterns: Sequence[str] = ()) -> tuple[Path, ...]:
    """Return the files with rows of a directory: those of `patterns`, by default those of the kind."""
    if patterns:
        return tuple(sorted({file for pattern in patterns for file in directory.glob(pattern) if file.is_file()}))
    others = sorted(directory.glob("*.jsonl")) if kind == "jsonl" and not (directory / ROWS).exists() else []
    if kind in {"demo", "jsonl"}:
        # One that is missing is told by whoever reads it.
        return tuple(others) or (directory / ROWS,)
    suffixes = _SUFFIXES.get(kind)
    files = (file for file in directory.rglob("*") if file.is_file())
    return tuple(sorted(file for file in files if suffixes is None or file.suffix.lower() in suffixes))
