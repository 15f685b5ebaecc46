"""Sources of questions, described by `manifests/sources/*.yaml`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.sources.conversations import COLUMNS
from pipeline.sources.manifest import SourceKind, SourceManifest, load_manifest
from pipeline.sources.rows import read_source
from pipeline.sources.source import DESCRIPTION, HubData, Source, check_files, read_description

__all__ = ["Source", "open_source", "read_source"]

Generate = Callable[[Path], Path]
"""Makes a generated source below a directory, if it is not there yet, and returns where it is."""


def open_source(
    name_or_path: str, store: Path, *, base: Path | None = None, generate: Generate | None = None
) -> Source:
    """Return a source whose files are on disk and checked.

    `name_or_path` is a name in `manifests/sources`, or the path of such a file, relative to `base`. A source of kind
    `demo` is made by `generate` under `store/sources/`.

    Raises:
        UsageError: the manifest is wrong, or a file is missing or not the one it describes.
    """
    manifest, file = load_manifest(name_or_path, base)
    match manifest.kind:
        case "demo":
            if generate is None:
                raise UsageError(f"source {manifest.key} ({file}) is generated, and cannot be made here")
            return _generated(manifest, generate(store / "sources"))
        case _:
            return _given(manifest, file, store / "blobs")


def _generated(manifest: SourceManifest, directory: Path) -> Source:
    description = read_description(directory)
    check_files(directory, description.files, directory / DESCRIPTION, f"delete {directory}, and it is made again")
    return _source(manifest, description.revision, directory)


def _given(manifest: SourceManifest, file: Path, blobs: Path) -> Source:
    # The manifest's validator has checked that such a source has both path and revision.
    if manifest.hub is not None:
        hub = HubData(manifest.hub, str(manifest.revision), manifest.config, manifest.split, blobs.parent / "hub")
        return _of_hub(manifest, hub, blobs)
    directory, files = _files(file, file.parent / str(manifest.path), manifest)
    fix = "get the source again, or state the new sha256 and revision"
    check_files(directory, manifest.sha256, file, fix)
    if (directory / DESCRIPTION).exists():
        check_files(directory, read_description(directory).files, directory / DESCRIPTION, fix)
    source = _source(manifest, str(manifest.revision), directory, _image_root(manifest, file))
    columns = manifest.columns or (COLUMNS if manifest.kind in _CONVERSATIONS else None)
    local = HubData(str(directory), "", manifest.config, manifest.split) if manifest.kind == "hf" else None
    return source._replace(
        kind=manifest.kind, files=files, columns=columns, turns=manifest.turns, hub=local, blobs=blobs
    )


def _of_hub(manifest: SourceManifest, hub: HubData, blobs: Path) -> Source:
    # It has no files of its own here: its pictures stand in its rows.
    source = _source(manifest, hub.revision, blobs)
    return source._replace(kind="hf", columns=manifest.columns, hub=hub, blobs=blobs)


_CONVERSATIONS: tuple[SourceKind, ...] = ("llava", "sharegpt", "messages")
_SUFFIXES: dict[SourceKind, tuple[str, ...]] = {
    "parquet": (".parquet",),
    "json": (".json",),
    "csv": (".csv",),
    "tsv": (".tsv", ".tab"),
    "webdataset": (".tar", ".tgz", ".gz", ".zst"),
    **dict.fromkeys(_CONVERSATIONS, (".json", ".jsonl")),
}


def _files(manifest: Path, path: Path, said: SourceManifest) -> tuple[Path, tuple[Path, ...]]:
    """Return the directory at which paths of rows begin, and the files with rows; none for `rows.jsonl` in it.

    Raises:
        UsageError: there is no such file or directory.
    """
    if path.is_file():
        return path.parent, (path,)
    if path.is_dir():
        if said.kind in {"jsonl", "folder", "hf"}:
            return path, ()
        suffixes = _SUFFIXES[said.kind]
        found = sorted(file for file in path.rglob("*") if file.suffix.lower() in suffixes and file.is_file())
        if not found:
            raise UsageError(
                f"source manifest {manifest}: {path} holds no {' or '.join(suffixes)}; state where the rows are"
            )
        return path, tuple(found)
    found = sorted(path.parent.glob(path.name)) if path.parent.is_dir() else []
    if not found:
        raise UsageError(f"source manifest {manifest}: nothing at {path}; state where the source is")
    return path.parent, tuple(found)


def _image_root(manifest: SourceManifest, file: Path) -> Path | None:
    if manifest.image_root is None:
        return None
    root = file.parent / manifest.image_root
    if not root.is_dir():
        raise UsageError(
            f"source manifest {file}: image_root {root} is no directory; name the one in which the images lie, or "
            "remove the field"
        )
    return root


def _source(manifest: SourceManifest, revision: str, directory: Path, image_root: Path | None = None) -> Source:
    return Source(
        key=manifest.key,
        revision=revision,
        directory=directory,
        licence=manifest.licence,
        licence_images=manifest.licence_images,
        source_url=manifest.source_url,
        redistributable=manifest.redistributable,
        metric=manifest.metric,
        lane=manifest.lane,
        image_root=image_root,
    )
