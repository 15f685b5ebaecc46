"""Records that are made when they are looked at: of a million rows a stage holds what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import eq
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from pipeline.records.base import Record

if TYPE_CHECKING:
    import pyarrow as pa

R = TypeVar("R", bound=Record)

_BATCH = 4096
"""Records that are Python values at a time."""


class Made(Sequence[R], Generic[R]):
    """A sequence of records that is held as whatever says their columns; equal to any of equal records.

    Args:
        kind: of the records.
        length: how many there are.
        columns: says the values of each field for the places from one up to another. A field that is absent has its
            default; a value that is no sequence, or a text, is that of every row.
    """

    def __init__(self, kind: type[R], length: int, columns: Callable[[int, int], Mapping[str, Any]]) -> None:
        self._kind, self._length, self._columns = kind, length, columns

    def batch(self, begin: int, end: int) -> pa.RecordBatch:
        """Return the records of some places as columns of `kind.ARROW`."""
        import pyarrow as pa

        said = {"schema": self._kind.SCHEMA, **self._columns(begin, end)}
        arrays = []
        for column in self._kind.ARROW:
            values = said[column.name] if column.name in said else self._kind.model_fields[column.name].default
            many = not isinstance(values, str | int | float | None)
            arrays.append(pa.array(values, column.type) if many else _same(values, end - begin, column.type))
        return pa.RecordBatch.from_arrays(arrays, schema=self._kind.ARROW)

    def table(self, names: Sequence[str]) -> pa.Table:
        """Return some columns of all records."""
        import pyarrow as pa

        batches = (self.batch(begin, end).select(names) for begin, end in self.spans())
        return pa.Table.from_batches(batches, pa.schema([self._kind.ARROW.field(name) for name in names]))

    def spans(self) -> Iterator[tuple[int, int]]:
        """Yield the places from one up to another, as many as are values at a time; none are none."""
        for begin in range(0, self._length, _BATCH):
            yield begin, min(begin + _BATCH, self._length)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[R]:
        for begin, end in self.spans():
            yield from map(self._kind.from_row, self.batch(begin, end).to_pylist())

    @overload
    def __getitem__(self, place: int) -> R: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[R]: ...
    def __getitem__(self, place: int | slice) -> R | Sequence[R]:
        if isinstance(place, slice):
            return [self[number] for number in range(*place.indices(self._length))]
        number = range(self._length)[place]
        (row,) = self.batch(number, number + 1).to_pylist()
        return self._kind.from_row(row)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    def __hash__(self) -> int:
        return hash(tuple(self))


def _same(value: object, rows: int, kind: pa.DataType) -> pa.Array:
    import pyarrow as pa

    return pa.nulls(rows, kind) if value is None else pa.repeat(pa.scalar(value, kind), rows)
