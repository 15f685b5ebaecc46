"""The rows of a run: which they are and where each stands, as Arrow columns; what they hold is read when needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.engine.done import RowFacts
from pipeline.records import LATER_TURN, SourceRow
from pipeline.sources import Source
from pipeline.sources.index import index_of, rows_at
from pipeline.store.blobs import BlobStore


@dataclass(frozen=True)
class RowIndex:
    """The rows of several sources, or a sample of them."""

    indexes: tuple[tuple[Source, pa.Table], ...]
    """The part of each source's index that is taken, in its order."""

    @classmethod
    def of(cls, sources: Sequence[Source], store: Path) -> Self:
        """Return all rows; a source that the store has no index of is read.

        Raises:
            UsageError: as `index_of`.
        """
        return cls(tuple((source, index_of(source, store)) for source in sources))

    def __len__(self) -> int:
        return sum(table.num_rows for _, table in self.indexes)

    def ids(self) -> Iterator[str]:
        """Yield the id of each row."""
        for _, table in self.indexes:
            for batch in table.select(["id"]).to_batches(_BATCH):
                yield from (name.hex() for name in batch["id"].to_pylist())

    def missing(self, ids: Iterable[str]) -> frozenset[str]:
        """Return which of some ids are of no row."""
        wanted = frozenset(ids)
        asked = pa.array([bytes.fromhex(name) for name in sorted(wanted)], pa.binary(32))
        tables = [table["id"] for _, table in self.indexes] if wanted else []
        return wanted - {name.hex() for held in tables for name in held.filter(pc.is_in(held, asked)).to_pylist()}

    def facts(self) -> RowFacts:
        """Return what tells these rows from all others."""
        hashes = _digests([table["hash"] for _, table in self.indexes])
        order = _order(_digests([table["id"] for _, table in self.indexes]))
        return RowFacts.of(hashes[row].tobytes().hex() for row in order)

    def read(self) -> Iterator[SourceRow]:
        """Read the rows from their places, source by source; pictures that stand in them are put into the store.

        Raises:
            UsageError: as `rows_at`.
        """
        for source, table in self.indexes:
            yield from rows_at(source, table)

    def lacks_pictures(self, blobs: BlobStore) -> bool:
        """Return whether the store lacks a picture that stands in a row: it was tidied since."""
        names = {
            name
            for _, table in self.indexes
            for batch in table["pictures"].chunks
            for name in batch.flatten().unique().to_pylist()
        }
        return any(name.hex() not in blobs for name in names)

    def limited(self, limit: int | None) -> RowIndex:
        """Return a stratified sample: the first `limit` rows by (rank in stratum + ½) ÷ stratum size.

        A stratum is one category of one source; ranks follow the row's id, which is a hash. The sample is
        nested (a larger limit only adds rows) and every stratum is represented in proportion. Later questions of
        conversations, where they are not taken, are in none.
        """
        left_out = self.left_out
        if limit is None or limit >= len(self) - left_out:
            return self
        return self.asked().limited(limit) if left_out else self._sample(limit)

    @property
    def left_out(self) -> int:
        """Return how many rows are later questions of conversations that are not taken."""
        return sum(pc.sum(_is_left_out(table)).as_py() or 0 for _, table in self.indexes)

    def asked(self) -> RowIndex:
        """Return the rows without those."""
        kept = ((source, table.filter(pc.invert(_is_left_out(table)))) for source, table in self.indexes)
        return replace(self, indexes=tuple(kept))

    def _sample(self, limit: int) -> RowIndex:
        order = _order(_digests([table["id"] for _, table in self.indexes]))
        stratum = self._strata()[order]
        by_stratum = np.argsort(stratum, kind="stable")
        sizes = np.bincount(stratum)
        rank = np.empty(len(order), np.int64)
        rank[by_stratum] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        # Ties go by id, which is the order that they stand in.
        first = np.argsort((rank + 0.5) / sizes[stratum], kind="stable")[:limit]
        return self._taken(order[first])

    def first(self, count: int) -> RowIndex:
        """Return the first rows by id, which is a hash, of those that are taken: a sample."""
        if self.left_out:
            return self.asked().first(count)
        return self._taken(_order(_digests([table["id"] for _, table in self.indexes]))[:count])

    def _taken(self, rows: NDArray[np.int64]) -> RowIndex:
        taken = np.zeros(len(self), bool)
        taken[rows] = True
        begins = np.cumsum([0, *(table.num_rows for _, table in self.indexes)])
        parts = [taken[begin:end] for begin, end in pairwise(begins)]
        kept = zip(self.indexes, parts, strict=True)
        return replace(self, indexes=tuple((source, table.filter(pa.array(part))) for (source, table), part in kept))

    def _strata(self) -> NDArray[np.int64]:
        """Return a number for the stratum of each row."""
        numbers, before = list[NDArray[np.int64]](), 0
        for _, table in self.indexes:
            coded = table["category"].combine_chunks().dictionary_encode()
            numbers.append(coded.indices.to_numpy(zero_copy_only=False).astype(np.int64) + before)
            before += len(coded.dictionary)
        return np.concatenate(numbers)


_BATCH = 16_384


def _is_left_out(table: pa.Table) -> pa.ChunkedArray:
    """Return for each row of an index whether nothing is wrong with it and it is not taken."""
    return pc.fill_null(pc.equal(table["reason"], LATER_TURN), fill_value=False)


def _digests(columns: Sequence[pa.ChunkedArray]) -> NDArray[np.uint8]:
    """Return columns of sha256 as one array, 32 bytes a row."""
    chunks = [
        np.frombuffer(chunk.buffers()[1], np.uint8)[32 * chunk.offset : 32 * (chunk.offset + len(chunk))]
        for column in columns
        for chunk in column.chunks
        if len(chunk)
    ]
    return np.concatenate(chunks).reshape(-1, 32) if chunks else np.empty((0, 32), np.uint8)


def _order(digests: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the rows in the order of their digests."""
    words = np.ascontiguousarray(digests).view(">u8").reshape(-1, 4)
    return np.lexsort(words.T[::-1])
