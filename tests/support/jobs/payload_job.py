"""Index a source and write its rows into a run: `python -m tests.support.jobs.payload_job SHAPE ROWS BYTES DIRECTORY`.

Every row holds so many bytes. Prints the most memory that this took beyond what the libraries need, in MiB.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, cast

from flows.recipe.rows import RowIndex
from pipeline.engine.done import Done, write_rows
from tests.support.jobs.peak import peak_mb
from tests.support.kinds import Shape, opened

FILES = 8


class _Records(Sequence[Mapping[str, Any]]):
    """Records of one file, made when they are written."""

    def __init__(self, first: int, count: int, nbytes: int, *, pictures: bool) -> None:
        self._first, self._count, self._bytes, self._pictures = first, count, nbytes, pictures

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        return (self[number] for number in range(self._count))

    def __getitem__(self, number: Any) -> Any:
        payload = Random(self._first + number).randbytes(self._bytes // 2)
        text, picture = ("How many?", payload * 2) if self._pictures else (payload.hex(), b"-")
        return {"id": f"r{self._first + number}", "question": text, "answer": "1", "image": picture}


def main(shape: Shape, rows: int, nbytes: int, place: Path) -> None:
    """Write the source in another process's stead, then measure only the reading."""
    pictures = shape.startswith(("parquet", "webdataset"))
    each = rows // FILES
    parts = [_Records(number * each, each, nbytes, pictures=pictures) for number in range(FILES)]
    if not (place / "data").exists():
        opened(place, shape, parts)
        return
    source = opened(place, shape, [])
    before = peak_mb()
    index = RowIndex.of((source,), place / "store")
    write_rows(place / "run", index.facts(), index.read())
    assert Done(place / "run", {}).row_count == rows
    sys.stdout.write(f"{peak_mb() - before}\n")


if __name__ == "__main__":
    main(cast("Shape", sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
