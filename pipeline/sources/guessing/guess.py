"""A manifest from a look at the data: which kind of files, and which columns are the fields of a row.

Each guess has its reason beside it, as a comment of the manifest; what cannot be guessed is left to a person, in words.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import yaml

from pipeline.errors import RowError, UsageError
from pipeline.sources.conversations import TURNS, conversation_entries
from pipeline.sources.guessing.guess_columns import LOOKED_AT, column_lines, text_of
from pipeline.sources.guessing.splits import for_training, is_evaluated, patterns_of
from pipeline.sources.kinds.archives import PICTURES
from pipeline.sources.kinds.items import object_entries
from pipeline.sources.kinds.tables import parquet_entries
from pipeline.sources.manifest import SourceKind
from pipeline.sources.revisions import content_revision
from pipeline.sources.source import ROWS, HubData, Source

_TABLES: dict[str, SourceKind] = {
    ".parquet": "parquet", ".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".tar": "webdataset", ".tgz": "webdataset"
}  # fmt: skip


def manifest_for(path: Path, manifest: Path, key: str) -> str:
    """Look at a file or directory and return the text of a manifest for it, to be written at `manifest`.

    Raises:
        UsageError: nothing there holds rows, or they are not in UTF-8.
    """
    kind, found = _files(path)
    files = for_training(path, found) if path.is_dir() and kind not in {"hf", "folder"} else found
    said = [
        *_begun(manifest, key, kind),
        "# Of the data, part of every record's identity: a hash of the files, if you have no commit or version.",
        f"revision: {content_revision(files)}",
        f"path: {text_of(os.path.relpath(path.resolve(), manifest.parent.resolve()))}",
        *(_read(path, kind, files) if path.is_dir() else ()),
        *_TERMS,
    ]
    if kind in {"llava", "sharegpt", "messages"}:
        said += [
            *_turns(files),
            "# Read as columns: {row: id, text: question, answers: answer, images: [image, images]}. Question and",
            "# answer are those of the turns, all else is what stands beside them. Without an id the key is a hash.",
        ]
    elif not _is_ours(files[0]):
        hub = HubData(str(path), "", None, "train") if kind == "hf" else None
        directory = path if path.is_dir() else path.parent
        said += column_lines(str(files[0]), Source("look", "", directory, "", kind=kind, files=tuple(files), hub=hub))
    return "\n".join(said) + "\n"


def _turns(files: Sequence[Path]) -> tuple[str, ...]:
    """Say which questions of conversations are taken, and how many of those that were looked at have several."""
    found = Counter(entry.place for entry in islice(conversation_entries(files, "each"), LOOKED_AT))
    several = sum(n > 1 for n in found.values())
    return (
        "# A later question may need what was said before it, and would be asked without: `first` leaves them out,",
        f"# counted as `later_turn`. {several} of {len(found)} conversations looked at ask more than once; if each",
        "# of their questions stands alone, write `each`.",
        "turns: first",
    )


def hub_manifest(data: HubData, manifest: Path, key: str) -> str:
    """Look at a split of a data set of the Hub and return the text of a manifest for it, to be written at `manifest`.

    Raises:
        UsageError: there is no such data set, configuration or split.
        InfrastructureError: the Hub does not answer.
    """
    source = Source("look", data.revision, manifest.parent, "", kind="hf", hub=data)
    said = [
        *_begun(manifest, key, "hf"),
        f"hub: {data.name}",
        "# The commit at which it stands now, part of every record's identity.",
        f"revision: {data.revision}",
        *([f"config: {text_of(data.config)}"] if data.config is not None else []),
        f"split: {text_of(data.split)}",
        *_TERMS,
        f"source_url: https://huggingface.co/datasets/{data.name}",
        *column_lines(data.name, source),
    ]
    return "\n".join(said) + "\n"


def _begun(manifest: Path, key: str, kind: SourceKind) -> tuple[str, ...]:
    return (
        f"# Written by `coldforge sources init` after a look at up to {LOOKED_AT} rows. Correct its guesses, then:",
        f"#   coldforge sources check {manifest}",
        f"key: {key}",
        f"kind: {kind}",
    )


_TERMS = (
    "# Terms of the annotations and of the pictures. The files do not tell; every export repeats what stands here.",
    "licence: unknown",
    'licence_images: ""',
    "redistributable: null  # true or false, once you know whether the pictures may be passed on",
)


def _files(path: Path) -> tuple[SourceKind, tuple[Path, ...]]:
    """Return the kind of a source and its files, by their names and how the first of them begins."""
    if not path.exists():
        raise UsageError(f"{path}: no such file or directory; name the file with the rows, or its folder")
    if any((path / name).is_file() for name in ("dataset_info.json", "dataset_dict.json")):
        # Written by `Dataset.save_to_disk`.
        return "hf", tuple(sorted(path.rglob("*.arrow")))
    inside = (path,) if path.is_file() else tuple(sorted(file for file in path.rglob("*") if file.is_file()))
    if _is_ours(path / ROWS):
        return "jsonl", (path / ROWS,)
    for suffix, kind in _TABLES.items():
        if found := tuple(file for file in inside if file.suffix.lower() == suffix):
            return (kind if kind != "parquet" else _chats_in(found[0]) or kind), found
    if path.is_dir() and any(file.suffix.lower() in PICTURES and _has_beside(file) for file in inside):
        return "folder", inside
    texts = tuple(file for file in inside if file.suffix.lower() in {".json", ".jsonl"})
    if not texts:
        raise UsageError(f"{path}: no file with rows here (Parquet, CSV, TSV, JSON, JSON lines)")
    row = next((entry.found for entry in object_entries(texts[0]) if not isinstance(entry.found, RowError)), {})
    if (chats := _chats(row)) is not None:
        return chats, texts
    suffix = texts[0].suffix.lower()
    return ("jsonl" if suffix == ".jsonl" else "json"), tuple(file for file in texts if file.suffix.lower() == suffix)


def _chats(row: Mapping[str, Any]) -> SourceKind | None:
    """Return what conversations are called in which a row has one; None for other rows."""
    if TURNS[1] in row:
        return "messages"
    return ("llava" if "image" in row else "sharegpt") if any(name in row for name in TURNS) else None


def _chats_in(table: Path) -> SourceKind | None:
    """Return what conversations are called of which a table has one in each row, and no question beside it."""
    row = next((entry.found for entry in parquet_entries((table,), None) if not isinstance(entry.found, RowError)), {})
    turns = next((row[name] for name in TURNS if name in row), None)
    return _chats(row) if isinstance(turns, list) and not {"question", "problem", "query"} & row.keys() else None


def _read(directory: Path, kind: SourceKind, files: Sequence[Path]) -> Iterator[str]:
    """Say which of the files with rows of a directory are read, where not all are."""
    if kind == "folder" and any(is_evaluated(directory, file) for file in files):
        yield "# Part of it is named test, val, dev or eval, and is read: name the part to train on as `path`."
    if kind in {"hf", "folder"}:
        return  # `datasets` reads one split; of pictures all below the folder are read
    suffixes = {*_TABLES, ".json", ".jsonl"}
    every = {file for file in directory.rglob("*") if file.is_file() and file.suffix.lower() in suffixes}
    others = sorted(every - {*files})
    if not others or (kind == "jsonl" and files[0].name == ROWS):
        return
    named = ", ".join(file.relative_to(directory).as_posix() for file in others[:_NAMED])
    yield f"# Not read: {named}{', …' if len(others) > _NAMED else ''}"
    patterns = patterns_of(directory, files, others)
    yield f"files: {yaml.safe_dump(patterns, default_flow_style=True, width=10_000).strip()}"


_NAMED = 5
"""Files that are named in one line."""


def _is_ours(file: Path) -> bool:
    """Return whether a file has rows under our names: it is called as ours are, and no row says otherwise."""
    if file.name != ROWS or not file.is_file():
        return False
    rows = (entry.found for entry in islice(object_entries(file), LOOKED_AT) if not isinstance(entry.found, RowError))
    return next(({"row", "text"} <= row.keys() for row in rows), True)


def _has_beside(picture: Path) -> bool:
    return any(picture.with_suffix(suffix).is_file() for suffix in (".json", ".txt"))


def key_for(path: Path) -> str:
    """Return the key of a source, from the name of its file or folder."""
    name = path.resolve().name if path.is_dir() else path.stem
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_") or "source"
