"""Units of work: ranges of a hash over the roots of the input, what one reads, and what it makes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Self

from pipeline.records import Outcome, Record
from pipeline.store.shards import record_hashes

MIN_UNITS, MAX_UNITS = 4, 128
"""At least one unit per core of a small machine; at most what a scheduler shows as tasks of one stage."""
QUESTIONS_PER_UNIT = 32
"""Work that a kill loses stays small, and a unit still outweighs what it costs to open."""


class Range(NamedTuple):
    """Part `number` of `total` equal ranges of the root hash; `total` is a power of two."""

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number:03d}of{self.total:03d}"

    @classmethod
    def of(cls, root: str, total: int) -> Self:
        """Return the range of a 64-digit hexadecimal root id."""
        # 32 leading bits are far more than the 7 that 128 ranges need.
        return cls(int(root[:8], 16) * total >> 32, total)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the range that `str` wrote."""
        number, total = text.split("of")
        return cls(int(number), int(total))


WHOLE = Range(0, 1)


def spans(total: int) -> list[Range]:
    """Return all ranges, in order."""
    return [Range(number, total) for number in range(total)]


def unit_count(rows: int) -> int:
    """Return the number of units of a run: the smallest power of two with at most 32 rows per unit, within 4 to 128.

    It depends on the input alone, never on the workers, so that any machine computes the same parts.
    """
    total = MIN_UNITS
    while total < MAX_UNITS and rows > total * QUESTIONS_PER_UNIT:
        total *= 2
    return total


@dataclass(frozen=True)
class UnitInput:
    """What one unit reads: `records` get one outcome each, `context` is evidence that comes with them.

    Those of a global stage are `RecordColumns`, for they are all of a run.
    """

    records: Collection[Record]
    context: Collection[Record] = ()
    files: tuple[Path, ...] = ()
    """Parts that are too much to hold at once, for the work to read one by one; what of them counts is in `context`."""

    def hash(self) -> str:
        """Return the identity of the input: whole records, in no particular order."""
        # As `digest` of two lists of hashes, of which it would hold the text several times over.
        whole = sha256(b"[")
        for before, records in ((b"", self.records), (b",", self.context)):
            hashes = sorted(map(bytes.fromhex, record_hashes(records)))
            whole.update(before + b"[")
            for number, one in enumerate(hashes):
                whole.update(f'{"," if number else ""}"{one.hex()}"'.encode())
            whole.update(b"]")
        whole.update(b"]")
        return whole.hexdigest()


@dataclass(frozen=True)
class UnitOutput:
    """What one unit made."""

    outcomes: Iterable[Outcome]
    """Looked at once; a global stage makes them as they are written."""
    tables: Mapping[str, Collection[Record]]


class Reader(NamedTuple):
    """What a stage has to do in a run."""

    expected: int
    """Records that were routed to it: what conservation is asserted against."""
    unit: Callable[[Range], UnitInput]
    """Reads the records and the evidence of one range; no work, no model."""


class Part(NamedTuple):
    """One committed unit of a stage."""

    range: Range
    key: str

    def path(self, directory: Path, table: str) -> Path:
        """Return the file of one table."""
        return directory / f"part-{self.range}-{self.key[:16]}.{table}.parquet"


def part_range(path: Path) -> Range:
    """Return the range of a part, from its name (`Part.path`)."""
    return Range.parse(path.name.split("-")[1])


def part_table(path: Path) -> tuple[str, str]:
    """Return stage and table of a part, from where it stands and its name."""
    return path.parent.parent.name, path.name.split(".")[1]


@dataclass(frozen=True)
class UnitResult:
    """A committed unit; small, so that any runner can carry it."""

    part: Part
    reused: bool
    counts: Mapping[str, int]
    """Outcome → records."""


Runner = Callable[[str, Callable[[Range], UnitResult], Sequence[Range]], Iterable[UnitResult]]
"""Runs one function over the units of the stage of that name, in any order and anywhere, and yields the results."""
