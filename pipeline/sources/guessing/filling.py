"""A manifest made one's own: its text with what it left open, which data it is about and where they lie.

The text is edited and not written anew: its comments say what is known of the data, and stay.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from pipeline.errors import UsageError
from pipeline.sources.files import row_files
from pipeline.sources.manifest import SourceManifest
from pipeline.sources.revisions import content_revision, hub_commit


def filled(manifest: SourceManifest, file: Path, target: Path, data: Path | None = None) -> str:
    """Return the text of the manifest at `file`, to be written at `target`, with a revision and with paths from there.

    `data` is where the data lie, if not where the manifest says: a file or folder, in place of the Hub's too. The
    revision of files is a hash of those with rows, that of the Hub its commit now.

    Raises:
        UsageError: the data are not there, or nobody says where.
        InfrastructureError: the Hub does not answer.
    """
    changes: dict[str, str | None] = {}
    if data is None and manifest.hub is not None:
        changes["revision"] = manifest.revision or hub_commit(manifest.hub)
    else:
        path = data if data is not None else _stated(manifest, file)
        # A row's identity holds the revision: other bytes under the old one would be taken for the same rows.
        stated = manifest.revision if data is None else None
        changes["revision"] = stated or content_revision(row_files(manifest, file, path)[1])
        changes |= {"path": _relative(path, target), "hub": None}
        if manifest.hub is not None:
            changes["config"] = None
    if manifest.image_root is not None:
        changes["image_root"] = _relative(file.parent / manifest.image_root, target)
    return _changed(file.read_text("utf-8").rstrip() + "\n", changes)


def _stated(manifest: SourceManifest, file: Path) -> Path:
    if manifest.path is None:
        get = f" ({manifest.get})" if manifest.get else ""
        raise UsageError(f"source {manifest.key}: name its file or folder with --data{get}")
    return file.parent / manifest.path


def _relative(path: Path, target: Path) -> str:
    # Neither is resolved: a link to the data may lead elsewhere tomorrow, and a pattern is no file.
    return os.path.relpath(path.absolute(), target.absolute().parent)


def _changed(text: str, changes: Mapping[str, str | None]) -> str:
    """Return a manifest with some of its fields, each on one line, set to a text, or taken out where it is None."""
    for field, value in changes.items():
        line = [] if value is None else [yaml.safe_dump({field: value}, allow_unicode=True, width=10_000)]
        lines = text.splitlines(keepends=True)
        # Where it stands, else before the first field that takes more lines than one; their order means nothing.
        places = [n for n, old in enumerate(lines) if old.startswith(f"{field}:")]
        if places:
            lines[places[0] : places[0] + 1] = line
        else:
            place = next((n for n, old in enumerate(lines) if old.startswith("columns:")), len(lines))
            lines[place:place] = line
        text = "".join(lines)
    return text
