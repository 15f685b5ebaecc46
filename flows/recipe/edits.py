"""What people corrected of a recipe's rows: files of edits, held to the rows that there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from flows.recipe.rows import RowIndex
from pipeline.errors import InfrastructureError, UsageError
from pipeline.records import Edit
from pipeline.store.shards import read_records


def load_edits(paths: Iterable[str], rows: RowIndex) -> tuple[Edit, ...]:
    """Return all edits of some files, by id.

    Args:
        paths: of files that `coldforge review edit` wrote.
        rows: all rows of the recipe's sources; a sample of them may lack what is corrected.

    Raises:
        UsageError: a file cannot be read as edits, two correct one record, or one is of a row that no source has.
    """
    found = {edit.id: edit for path in paths for edit in _read(Path(path))}
    edits = tuple(found[name] for name in sorted(found))
    changed = Counter(edit.row if edit.unit == "question" else edit.parent for edit in edits)
    for edit in edits:
        if changed[edit.row if edit.unit == "question" else edit.parent] > 1:
            raise UsageError(f"edits: two correct {edit.unit} {edit.parent}, or one row of it; keep one of them")
        if edit.before and edit.before not in found:
            raise UsageError(
                f"edits: what was corrected of {edit.unit} {edit.parent} had been corrected before, and that edit "
                f"({edit.before[:12]}) is missing; name its file as well"
            )
    missing = rows.missing(edit.root for edit in edits)
    for edit in edits:
        if edit.root in missing:
            raise UsageError(
                f"edits: {edit.unit} {edit.parent} was made of a row ({edit.root[:12]}) that no source of this recipe "
                "has; its source was left out, or has another revision by now: correct what the new run holds, and "
                "take this file out"
            )
    return edits


def _read(path: Path) -> Iterable[Edit]:
    try:
        yield from read_records(path, Edit)
    except InfrastructureError as error:
        raise UsageError(
            f"edits: {path} cannot be read as edits; name the edits.parquet that `coldforge review edit` writes"
        ) from error
