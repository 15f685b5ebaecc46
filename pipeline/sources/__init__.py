"""Sources of questions, described by `manifests/sources/*.yaml`."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import UsageError
from pipeline.sources.jsonl import DESCRIPTION, Source, check_files, read_description, read_source
from pipeline.sources.manifest import SourceManifest, load_manifest

__all__ = ["Source", "open_source", "read_source"]

DEMO_QUESTIONS = 100
"""Regular questions of the demo where a recipe does not say."""


def open_source(
    name_or_path: str,
    store: Path,
    *,
    base: Path | None = None,
    questions: int | None = None,
    seed: int = 0,
    wrong_golds: float = 0.0,
) -> Source:
    """Return a source whose files are on disk and checked.

    `name_or_path` is a name in `manifests/sources`, or the path of such a file, relative to `base`.
    `questions`, `seed` and `wrong_golds` are for a generated source only, as `demo.build` says; it is built once,
    under `store/sources/`.

    Raises:
        UsageError: the manifest is wrong, or a file is missing or not the one it describes.
    """
    manifest, file = load_manifest(name_or_path, base)
    match manifest.kind:
        case "demo":
            size = DEMO_QUESTIONS if questions is None else questions
            return _generated(manifest, store, size, seed, wrong_golds)
        case "jsonl":
            if questions is not None:
                raise UsageError(f"source {manifest.key} ({file}) has the size it has; remove `demo` from its use")
            return _given(manifest, file)


def _generated(manifest: SourceManifest, store: Path, questions: int, seed: int, wrong_golds: float) -> Source:
    # The generator needs the packages of the extra `demo`; nobody else should.
    from pipeline.sources.demo.build import build_demo, settings_digest

    # Half of the digest names a directory well enough; it decides nothing else.
    directory = store / "sources" / f"demo-{settings_digest(questions, seed, wrong_golds)[:32]}"
    build_demo(directory, questions, seed, wrong_golds)
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
    return _source(manifest, str(manifest.revision), directory)


def _source(manifest: SourceManifest, revision: str, directory: Path) -> Source:
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
    )
