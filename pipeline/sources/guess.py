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
from typing import Any, get_args

import yaml

from pipeline.errors import RowError, UsageError
from pipeline.records import AnswerType, Category
from pipeline.sources.archives import PICTURES
from pipeline.sources.coercion import flag, lettered, number
from pipeline.sources.columns import Record, column_of
from pipeline.sources.conversations import TURNS, conversation_entries
from pipeline.sources.items import object_entries
from pipeline.sources.manifest import SourceKind
from pipeline.sources.revisions import content_revision
from pipeline.sources.rows import entries
from pipeline.sources.source import ROWS, HubData, Source
from pipeline.sources.splits import for_training, is_evaluated, patterns_of

LOOKED_AT = 200
"""Rows that are looked at: enough to see a column that is mostly null, few enough to be there at once."""

_NAMES: dict[str, tuple[str, ...]] = {
    "row": ("row", "id", "question_id", "questionId", "qid", "pid", "data_id", "uid", "key", "__key__"),
    "text": (
        *("text", "question", "problem", "query", "extra_info.question", "json.question", "json.problem", "prompt"),
        *("instruction", "txt"),
    ),
    "images": (
        "images",
        "image",
        "jpg",
        "png",
        "jpeg",
        "webp",
        "img",
        "picture",
        "pictures",
        "decoded_image",
        "image_path",
        "image_file",
        "photo",
        "image_url",
        "image_urls",
    ),
    "image_sha256": ("image_sha256",),
    "choices": ("choices", "options", "candidates", "json.choices", "json.options"),
    "answers": (
        *("answers", "answer", "label", "labels", "ground_truth", "reward_model.ground_truth", "extra_info.answer"),
        *("json.answer", "json.answers", "json.label", "output", "response", "target", "cls"),
    ),
    "category": ("category",),
    "answer_type": ("answer_type",),
    "tolerance": ("tolerance",),
    "licence": ("licence", "license"),
    "redistributable": ("redistributable",),
}
"""What data sets call the fields, the commonest first."""
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
        f"path: {_text(os.path.relpath(path.resolve(), manifest.parent.resolve()))}",
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
        said += _columns(str(files[0]), Source("look", "", directory, "", kind=kind, files=tuple(files), hub=hub))
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
        *([f"config: {_text(data.config)}"] if data.config is not None else []),
        f"split: {_text(data.split)}",
        *_TERMS,
        f"source_url: https://huggingface.co/datasets/{data.name}",
        *_columns(data.name, source),
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
            return kind, found
    if path.is_dir() and any(file.suffix.lower() in PICTURES and _has_beside(file) for file in inside):
        return "folder", inside
    texts = tuple(file for file in inside if file.suffix.lower() in {".json", ".jsonl"})
    if not texts:
        raise UsageError(f"{path}: no file with rows here (Parquet, CSV, TSV, JSON, JSON lines)")
    row = next((entry.found for entry in object_entries(texts[0]) if not isinstance(entry.found, RowError)), {})
    if TURNS[1] in row:
        return "messages", texts
    if any(name in row for name in TURNS):
        return ("llava" if "image" in row else "sharegpt"), texts
    suffix = texts[0].suffix.lower()
    return ("jsonl" if suffix == ".jsonl" else "json"), tuple(file for file in texts if file.suffix.lower() == suffix)


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


def _columns(label: str, source: Source) -> Iterator[str]:
    found = [entry.found for entry in islice(entries(source), LOOKED_AT)]
    rows = [row for row in found if not isinstance(row, RowError)]
    if not rows:
        raise UsageError(f"{label}: no row can be read")
    if not _is_text(rows):
        raise UsageError(f"{label} is not in UTF-8; save it as UTF-8, then look again")
    named = {field: _named(field, names, rows) for field, names in _NAMES.items()}
    yield "# Which column is which field. What is not named is carried along in `meta`."
    yield "columns:"
    for field, name in named.items():
        yield from _column(field, name, rows, named["choices"])
    yield "  # Not mapped: category is perception with a picture, else reasoning; answer_type is choice with options,"
    yield "  # number, boolean, date or expression where every answer is one, else text. Search questions:"
    yield "  # category: {value: search}."


def _is_text(rows: Sequence[Record]) -> bool:
    """Return whether no cell holds half a character, which is what other encodings are read as."""
    try:
        "".join(str(cell) for row in rows for cells in row.items() for cell in cells).encode()
    except UnicodeEncodeError:
        return False
    return True


def _named(field: str, names: Sequence[str], rows: Sequence[Record]) -> str | None:
    """Return the first of the usual names that a column has and whose values can be the field."""
    for name in names:
        values = [value for row in rows if (value := column_of(row, name)) not in (None, "")]
        if values and _fits(field, values, len(rows)):
            return name
    return None


def _fits(field: str, values: Sequence[Any], rows: int) -> bool:
    match field:
        case "row":
            # A key is there in every row, and another in each.
            return len(values) == rows and len({str(value) for value in values}) >= rows - rows // 20
        case "text":
            return all(isinstance(value, str) for value in values)
        case "images":
            return all(map(_is_picture, values))
        case "choices":
            return all(isinstance(lettered(value), list | str) for value in values)
        case "category" | "answer_type":
            return set(map(str, values)) <= set(get_args(Category if field == "category" else AnswerType))
        case "licence" | "image_sha256":
            return all(isinstance(value, str) for value in values)
        case "tolerance":
            return all(isinstance(number(value), float | int) for value in values)
        case "redistributable":
            return all(isinstance(flag(value), bool) for value in values)
        case _:
            return True


def _is_picture(value: object) -> bool:
    match value:
        case list():
            return bool(value) and all(map(_is_picture, value))
        case Mapping():
            return bool({"bytes", "path"} & value.keys())
        case _:
            return isinstance(value, bytes | str)


def _column(field: str, name: str | None, rows: Sequence[Record], choices: str | None) -> Iterator[str]:
    if name is None:
        if field == "row":
            yield "  # row: no column is there and different in every row; the key is a hash of what the row holds."
        if field in {"text", "answers"}:
            # A name that no column has, which is refused before any row.
            yield f"  {field}: {UNKNOWN}  # which one? there are: {' '.join(_example(list(rows[0])).split())}"
        return
    values = [value for row in rows if (value := column_of(row, name)) not in (None, "")]
    share = f"{len(values)} of {len(rows)} rows"
    example = _example(values[0])
    if field == "answers" and all(isinstance(value, list) and _told(value) for value in values):
        yield f"  # {share}, such as {example}"
        yield f"  {field}: {_text(f'{name}.answer')}"
        return
    if field == "answers" and choices is not None and _are_indexes(name, choices, rows):
        yield f"  # {share}, such as {example}: the number of an option, the first being 0"
        yield f"  {field}: {{from: {_text(name)}, as: index_to_option}}"
        return
    if field == "answers" and all(isinstance(value, str) and re.match(r"\s*\[.*\]\s*\Z", value) for value in values):
        yield f"  # {share}, such as {example}; a JSON list in a text"
        yield f"  {field}: {{from: {_text(name)}, as: json}}"
        return
    yield f"  # {share}, such as {example}"
    if field == "images" and isinstance(values[0], str) and values[0].startswith(("http://", "https://")):
        yield "  # Addresses: say `fetch: {}` where a recipe names this source, or they are refused (docs/pictures.md)."
    yield f"  {field}: {_text(name)}"


def _told(answers: list[Any]) -> bool:
    """Return whether answers are what annotators gave, each an object: VQA's form."""
    return bool(answers) and all(isinstance(one, Mapping) and "answer" in one for one in answers)


def _are_indexes(name: str, choices: str, rows: Sequence[Record]) -> bool:
    """Return whether answers are numbers of options: each is one, some are 0, and none is what an option says."""
    pairs = [(column_of(row, name), lettered(column_of(row, choices))) for row in rows]
    known = [(value, options) for value, options in pairs if isinstance(options, list) and options]
    return (
        bool(known)
        and all(
            type(value) is int and 0 <= value < len(options) and str(value) not in map(str, options)
            for value, options in known
        )
        and any(value == 0 for value, _ in known)
    )


def _example(value: Any) -> str:
    match value:
        case bytes():
            text = f"<{len(value):,} bytes>"
        case Mapping() if isinstance(value.get("bytes"), bytes):
            text = f"<{len(value['bytes']):,} bytes> {value.get('path') or ''}".strip()
        case list() if value and not isinstance(value[0], str):
            text = f"{len(value)} of {_example(value[0])}"
        case _:
            text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_LONGEST = 60
UNKNOWN = "COLUMN"
"""In place of a column that nothing tells."""


def key_for(path: Path) -> str:
    """Return the key of a source, from the name of its file or folder."""
    name = path.resolve().name if path.is_dir() else path.stem
    return re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-_") or "source"


def _text(value: str) -> str:
    """Return a text as YAML has it, on one line."""
    return yaml.safe_dump(value, allow_unicode=True, width=10_000).splitlines()[0]
