"""What a recipe keeps out of its shards by name: ids, and what people marked as defective."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from pipeline.errors import InfrastructureError, UsageError
from pipeline.records import Mark
from pipeline.store.shards import read_records

_ID = re.compile(r"[0-9a-f]{64}")


def is_id(entry: str) -> bool:
    """Return whether an entry of `select.exclude` is an id; any other is the path of a file of marks."""
    return _ID.fullmatch(entry) is not None


def load_excluded(entries: Iterable[str]) -> tuple[str, ...]:
    """Return all ids that `select.exclude` names, each once, sorted.

    Of marks, what any annotator calls defective is left out (`Mark.excludes`): one who sees a defect suffices.

    Raises:
        UsageError: a file cannot be read as marks.
    """
    found: set[str] = set()
    for entry in entries:
        found.update([entry] if is_id(entry) else _marked(Path(entry)))
    return tuple(sorted(found))


def _marked(path: Path) -> Iterable[str]:
    try:
        return [name for mark in read_records(path, Mark) for name in mark.excludes]
    except InfrastructureError as error:
        raise UsageError(
            f"select.exclude: {path} cannot be read as marks; name ids of 64 hexadecimal digits, or the marks.parquet "
            "that `coldforge review import` writes"
        ) from error
