"""Records that are made when they are looked at: of a million rows a stage holds what they are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from operator import eq
from typing import Generic, TypeVar, overload

T = TypeVar("T")
R = TypeVar("R")


class Made(Sequence[R], Generic[T, R]):
    """A sequence of what `make` says of each part; equal to any of equal records."""

    def __init__(self, parts: Sequence[T], make: Callable[[T], R]) -> None:
        self._parts, self._make = parts, make

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[R]:
        return map(self._make, self._parts)

    @overload
    def __getitem__(self, place: int) -> R: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[R]: ...
    def __getitem__(self, place: int | slice) -> R | Sequence[R]:
        if isinstance(place, slice):
            return Made(self._parts[place], self._make)
        return self._make(self._parts[place])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(eq, self, other))

    def __hash__(self) -> int:
        return hash(tuple(self))
