"""A manifest from a look at the data: which kind of files, and which columns are the fields of a row.

Each guess has its reason beside it, as a comment of the manifest; what cannot be guessed is left to a person, in words.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from pipeline.commands import command
from pipeline.errors import RowError, UsageError
from pipeline.sources.conversations import TURNS, conversation_entries
from pipeline.sources.files import files_inside
from pipeline.sources.guessing.cards import Card, read_card
from pipeline.sources.guessing.guess_columns import LOOKED_AT, column_lines, look_at, paths_in, text_of
from pipeline.sources.guessing.image_roots import image_root
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
    card = read_card(path) if path.is_dir() else Card()
    files = _trained_on(path, kind, found, card) if path.is_dir() else found
    directory = path if path.is_dir() else path.parent
    split = _split(path) if kind == "hf" else "train"
    said = [
        *_begun(manifest, key, kind),
        "# Of the data, part of every record's identity: a hash of the files, if you have no commit or version.",
        f"revision: {content_revision(files)}",
        f"path: {text_of(_relative(path, manifest))}",
        *(_read(path, kind, files, card) if path.is_dir() else ()),
        *_terms(card.licence),
    ]
    if kind in {"llava", "sharegpt", "messages"}:
        said += _rooted(directory, _named_pictures(files), manifest)
        said += [
            *_turns(files),
            "# Read as columns: {row: id, text: question, answers: answer, images: [image, images]}. Question and",
            "# answer are those of the turns, all else is what stands beside them. Without an id the key is a hash.",
        ]
    elif not _is_ours(files[0]):
        hub = HubData(str(path), "", None, split) if kind == "hf" else None
        source = Source("look", "", directory, "", kind=kind, files=tuple(files), hub=hub)
        guessed = look_at(str(files[0]), source)
        said += _rooted(directory, guessed.paths, manifest) if kind not in {"hf", "webdataset", "folder"} else ()
        said += column_lines(guessed, classes_of(path, files) if kind == "folder" else ())
    return "\n".join(said) + "\n"


def _relative(path: Path, manifest: Path) -> str:
    return os.path.relpath(path.resolve(), manifest.parent.resolve())


def _trained_on(directory: Path, kind: SourceKind, found: tuple[Path, ...], card: Card) -> tuple[Path, ...]:
    """Return the files of a folder that are read: those of the card's configuration, and none to evaluate on."""
    if kind in {"hf", "folder"}:
        return found
    listed = {file for pattern in card.patterns if _is_below(pattern) for file in directory.glob(pattern)}
    return tuple(file for file in found if file in listed) or for_training(directory, found)


def _is_below(pattern: str) -> bool:
    return bool(pattern) and not PurePosixPath(pattern).is_absolute()


def _split(directory: Path) -> str:
    """Return the split of a `DatasetDict` to read: that for training, else the first that is none to evaluate on."""
    splits = _splits(directory)
    named = [name for name in splits if not is_evaluated(directory, directory / name)]
    return "train" if "train" in splits or not splits else (named or splits)[0]


def _splits(directory: Path) -> list[str]:
    try:
        splits = json.loads((directory / "dataset_dict.json").read_bytes())["splits"]
    except (OSError, ValueError, LookupError, TypeError):
        return []
    return [name for name in splits if isinstance(name, str)] if isinstance(splits, list) else []


def _named_pictures(files: Sequence[Path]) -> list[str]:
    """Return the paths of pictures that stand beside the turns of some conversations."""
    rows = [entry.found for entry in islice(conversation_entries(files, "first"), LOOKED_AT)]
    told = [row.get("images", row.get("image")) for row in rows if not isinstance(row, RowError)]
    return paths_in(told)


def _rooted(directory: Path, paths: Sequence[str], manifest: Path) -> tuple[str, ...]:
    """Say where the paths of rows begin, where that is one of the folders below."""
    root = image_root(directory, paths)
    if root is None:
        return ()
    return (
        f"# Paths of rows, such as {text_of(paths[0])}, lead to files from here and from no other folder.",
        f"image_root: {text_of(_relative(root, manifest))}",
    )


def classes_of(directory: Path, files: Sequence[Path]) -> tuple[str, ...]:
    """Return the names of folders that are what their pictures show; none where nothing speaks for it.

    There are several, each of a few pictures, and no file beside these says anything else.
    """
    pictures = [file for file in files if file.suffix.lower() in PICTURES]
    counts = Counter(file.parent.name for file in pictures if file.parent != directory)
    told = counts.total() < len(pictures) or any(map(_has_beside, pictures))
    return () if told or len(counts) < 2 or len(pictures) < 2 * len(counts) else tuple(sorted(counts))  # noqa: PLR2004


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
        *_terms(),
        f"source_url: https://huggingface.co/datasets/{data.name}",
        *column_lines(look_at(data.name, source)),
    ]
    return "\n".join(said) + "\n"


def _begun(manifest: Path, key: str, kind: SourceKind) -> tuple[str, ...]:
    return (
        f"# Written by `coldforge sources init` after a look at up to {LOOKED_AT} rows. Correct its guesses, then:",
        f"#   {command('sources', 'check', manifest)}",
        f"key: {key}",
        f"kind: {kind}",
    )


def _terms(licence: str = "") -> tuple[str, ...]:
    told = "The card (README.md) says this of the whole" if licence else "The files do not tell"
    return (
        f"# Terms of the annotations and of the pictures. {told}; every export repeats what stands here.",
        f"licence: {text_of(licence) if licence else 'unknown'}",
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
        if found := tuple(file for file in inside if _suffix(file) == suffix):
            return (kind if kind != "parquet" else _chats_in(found[0]) or kind), found
    if path.is_dir() and any(file.suffix.lower() in PICTURES and _has_beside(file) for file in inside):
        return "folder", inside
    texts = tuple(file for file in inside if file.suffix.lower() in {".json", ".jsonl"})
    if not texts and any(file.suffix.lower() in PICTURES for file in inside) and path.is_dir():
        return "folder", inside
    if not texts:
        raise UsageError(f"{path}: {_nothing(inside)}")
    row = next((entry.found for entry in object_entries(texts[0]) if not isinstance(entry.found, RowError)), {})
    if (chats := _chats(row)) is not None:
        return chats, texts
    suffix = texts[0].suffix.lower()
    return ("jsonl" if suffix == ".jsonl" else "json"), tuple(file for file in texts if file.suffix.lower() == suffix)


def _suffix(file: Path) -> str:
    """Return the suffix of a file, and of a packed archive that of the archive."""
    first, last = PurePosixPath(file.stem).suffix.lower(), file.suffix.lower()
    return first if first == ".tar" and last in _PACKED else last


def _nothing(inside: Sequence[Path]) -> str:
    """Say that no file holds rows, which are there, and which would."""
    packed = next((file for file in inside if file.suffix.lower() in _PACKED), None)
    if packed is not None:
        return f"{packed.name} is packed; unpack it (`{_PACKED[packed.suffix.lower()]} {packed.name}`), then look again"
    there = ", ".join(sorted({file.suffix.lower() or file.name for file in inside})[:_NAMED]) or "nothing"
    return (
        f"no file with rows here, but {there}; rows are Parquet, CSV, TSV, JSON, JSON lines, a tar archive of samples "
        "(`kind: webdataset`), a folder of pictures (`kind: folder`), or what `datasets` saved (`kind: hf`)"
    )


_PACKED = {".gz": "gunzip", ".zst": "unzstd", ".bz2": "bunzip2", ".xz": "unxz", ".zip": "unzip", ".7z": "7z x"}
"""Suffix of a packed file → what unpacks it."""


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


def _read(directory: Path, kind: SourceKind, files: Sequence[Path], card: Card) -> Iterator[str]:
    """Say which of the files with rows of a directory are read, where a manifest without `files` would read others."""
    if kind == "hf" and (splits := _splits(directory)):
        split = _split(directory)
        left = ", ".join(name for name in splits if name != split)
        yield f"# The only split of it, of {len(splits)}, that is read" + (f"; not read: {left}" if left else "")
        yield f"split: {text_of(split)}"
    if kind == "folder" and any(is_evaluated(directory, file) for file in files):
        yield "# Part of it is named test, val, dev or eval, and is read: name the part to train on as `path`."
    if kind in {"hf", "folder"}:
        return  # `datasets` reads one split; of pictures all below the folder are read
    suffixes = {*_TABLES, ".json", ".jsonl"}
    every = {file for file in directory.rglob("*") if file.is_file() and file.suffix.lower() in suffixes}
    others = sorted(every - {*files})
    if kind == "jsonl" and tuple(files) == (directory / ROWS,):
        return
    if len(card.configs) > 1:
        yield f"# The card (README.md) has the configurations {', '.join(card.configs)}; {card.config} is read. For"
        yield "# another, write the files of that one."
    if others:
        named = ", ".join(file.relative_to(directory).as_posix() for file in others[:_NAMED])
        yield f"# Not read: {named}{', …' if len(others) > _NAMED else ''}"
    elif files_inside(kind, directory) == tuple(files):
        return
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
