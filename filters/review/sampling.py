"""Which rows people look at: a stratified sample whose inclusion probabilities are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipeline.identity import uniform

FEWEST = 2
"""Rows of a stratum, where it has them: of one row nothing tells how far a stratum scatters."""


def allocate(sizes: Mapping[str, int], n: int) -> dict[str, int]:
    """Return how many rows of each stratum are drawn: `FEWEST` or all of it, the rest in proportion to the sizes.

    A stratum has as many as its share of `n` (largest remainder, ties by name), but never fewer than the least, so that
    every row has a chance: a row without one could not be weighted afterwards. The least is taken from the others, in
    proportion. Where `n` reaches all rows all are drawn.

    Raises:
        ValueError: `n` is too small to draw the least of every stratum; the message says what would suffice.
    """
    least = {name: min(size, FEWEST) for name, size in sizes.items()}
    needed = sum(least.values())
    if n < needed:
        raise ValueError(f"{len(sizes)} strata need {needed} rows, {FEWEST} of each where it has them, and not {n}")
    if n >= sum(sizes.values()):
        return dict(sizes)
    fixed: dict[str, int] = {}
    while True:
        free = {name: size for name, size in sizes.items() if name not in fixed}
        left, total = n - sum(fixed.values()), sum(free.values())
        below = {name: least[name] for name, size in free.items() if left * size < least[name] * total}
        if not below:
            return {**fixed, **_proportional(free, left)}
        fixed.update(below)


def _proportional(sizes: Mapping[str, int], n: int) -> dict[str, int]:
    """Return `n` in whole numbers by largest remainder; `n` is at most the sum, so that no stratum exceeds its size."""
    total = sum(sizes.values())
    parts = {name: n * size // total for name, size in sizes.items()}
    by_rest = sorted(sizes, key=lambda name: (-(n * sizes[name] % total), name))
    for name in by_rest[: n - sum(parts.values())]:
        parts[name] += 1
    return parts


def draw(ids: Iterable[str], n: int, seed: int) -> list[str]:
    """Return `n` of some ids, each set of `n` as likely as any other over seeds, in the order they were drawn.

    The order is that of a number that depends on seed and id alone, so that neither the order nor the rest of the input
    decides which of two ids comes first.
    """
    return sorted(ids, key=lambda one: (uniform("review", seed, one), one))[:n]
