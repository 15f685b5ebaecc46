"""Sources of questions, described by `manifests/sources/*.yaml`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.errors import UsageError
from pipeline.sources.jsonl import DESCRIPTION, Source, check_files, read_description, read_source
from pipeline.sources.manifest import SourceManifest, load_manifest

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
        case "jsonl":
            return _given(manifest, file)


def _generated(manifest: SourceManifest, directory: Path) -> Source:
    description = read_description(directory)
    check_files(directory, description.files, directory / DESCRIPTION, f"delete {directory}, and it is made again")
    return _source(manifest, description.revision, directory)


def _given(manifest: SourceManifest, file: Path) -> Source:
    # The manifest's validator has checked that a source of this kind has both.
    directory = file.parent / str(manifest.path)
    if not directory.is_dir():
        raise UsageError(f"source manifest {file}: path {directory} is no directory; state where the source is")
    fix = "get the source again, or state the new sha256 and revision"
    check_files(directory, manifest.sha256, file, fix)
    if (directory / DESCRIPTION).exists():
        check_files(directory, read_description(directory).files, directory / DESCRIPTION, fix)
    return _source(manifest, str(manifest.revision), directory, _image_root(manifest, file))


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
