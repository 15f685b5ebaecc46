"""Sources of questions, described by `manifests/sources/*.yaml`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from pipeline.commands import command
from pipeline.errors import UsageError
from pipeline.manifests import manifests_dir
from pipeline.sources.conversations import COLUMNS
from pipeline.sources.files import CONVERSATIONS, row_files
from pipeline.sources.manifest import SourceManifest, load_manifest
from pipeline.sources.revisions import revision_of
from pipeline.sources.rows import read_source
from pipeline.sources.source import DESCRIPTION, HubData, Source, check_files, read_description
from pipeline.store import Store
from pipeline.store.hashes import FileHashes

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
            return _generated(manifest, generate(store / "sources"), Store(store).hashes)
        case _:
            return _given(manifest, file, Store(store))


def _generated(manifest: SourceManifest, directory: Path, hashes: FileHashes) -> Source:
    description, fix = read_description(directory), f"delete {directory}, and it is made again"
    check_files(directory, description.files, directory / DESCRIPTION, fix, hashes)
    return _source(manifest, description.revision, directory)


def _given(manifest: SourceManifest, file: Path, store: Store) -> Source:
    _require_known(manifest, file)
    blobs = store.blobs.root
    if manifest.hub is not None:
        hub = HubData(
            manifest.hub, str(manifest.revision), manifest.config, manifest.split, manifest.files, blobs.parent / "hub"
        )
        return _of_hub(manifest, hub, blobs)
    path = file.parent / str(manifest.path)
    # Of these the files are found while they are read: there may be a million pictures.
    listed = not (manifest.kind in {"folder", "hf"} and path.is_dir())
    directory, files = row_files(manifest, file, path) if listed else (path, ())
    _require_revision(manifest, file, files, store)
    fix = "get the source again, or state the new sha256 and revision"
    check_files(directory, manifest.sha256, file, fix, store.hashes)
    if (directory / DESCRIPTION).exists():
        check_files(directory, read_description(directory).files, directory / DESCRIPTION, fix, store.hashes)
    source = _source(manifest, str(manifest.revision), directory, _image_root(manifest, file))
    columns = manifest.columns or (COLUMNS if manifest.kind in CONVERSATIONS else None)
    local = (
        HubData(str(directory), "", manifest.config, manifest.split, manifest.files) if manifest.kind == "hf" else None
    )
    return source._replace(
        kind=manifest.kind, files=files, columns=columns, turns=manifest.turns, hub=local, blobs=blobs
    )


def _require_revision(manifest: SourceManifest, file: Path, files: Sequence[Path], store: Store) -> None:
    """Refuse files whose hash is stated as their revision, and is no longer theirs: cards and records would repeat it.

    Raises:
        UsageError: as said.
    """
    stated = str(manifest.revision)
    hashes = store.hashes.of({*files}) if stated.startswith("sha256-") else {}
    if not hashes or len(hashes) < len({*files}):
        return  # a file that is missing is told by whoever reads it
    found = revision_of(bytes.fromhex(hashes[path]) for path in files)
    if found != stated:
        raise UsageError(
            f"source {manifest.key} ({file}) states revision {stated}, and its files are {found} now; state that, or a "
            "name of your own that you change with them, such as v2: what was paid for is not paid for again"
        )


def _require_known(manifest: SourceManifest, file: Path) -> None:
    """Refuse a manifest that does not say which data it is about.

    Raises:
        UsageError: as said.
    """
    if not manifest.unknown:
        return
    name = manifest.key if file.parent == manifests_dir() / "sources" else file
    where = ("--data", "FOLDER") if "path" in manifest.unknown else ()
    get = f"get the data ({manifest.get}), then run" if where and manifest.get else "run"
    check = command("sources", "check", name, *where, "--write", f"{manifest.key}.yaml")
    raise UsageError(
        f"source {manifest.key} ({file}) states no {' and no '.join(manifest.unknown)}, so nobody knows which data it "
        f"is; {get} `{check}`, which fills them in, and name "
        "that file in the recipe"
    )


def _of_hub(manifest: SourceManifest, hub: HubData, blobs: Path) -> Source:
    # It has no files of its own here: its pictures stand in its rows.
    source = _source(manifest, hub.revision, blobs)
    return source._replace(kind="hf", columns=manifest.columns, hub=hub, blobs=blobs)


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
        attribution=manifest.attribution,
        redistributable=manifest.redistributable,
        teacher_terms=manifest.teacher_terms,
        metric=manifest.metric,
        lane=manifest.lane,
        needs_pictures=manifest.needs_pictures,
        image_root=image_root,
    )
