"""Image files that were sent once, by their hash, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from pipeline.sandbox.inside.policy import MIB

MOST_KEPT = 512 * MIB
"""A photograph has about 2 MiB: enough for the sessions of a large machine, and for eight files of the largest size."""


class Blobs:
    """The least recently used is given up first; whoever needs it again is told that it is missing."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0

    def put(self, sha256: str, content: bytes) -> None:
        """Keep a file."""
        if sha256 in self._kept:
            self._kept.move_to_end(sha256)
            return
        self._kept[sha256] = content
        self._size += len(content)
        while self._size > self._most:
            _, given_up = self._kept.popitem(last=False)
            self._size -= len(given_up)

    def get(self, digests: Sequence[str]) -> tuple[list[bytes], list[str]]:
        """Return the files that are there, in order, and the hashes of the others."""
        missing = [sha256 for sha256 in dict.fromkeys(digests) if sha256 not in self._kept]
        there = [sha256 for sha256 in digests if sha256 in self._kept]
        for sha256 in there:
            self._kept.move_to_end(sha256)
        return [self._kept[sha256] for sha256 in there], missing
