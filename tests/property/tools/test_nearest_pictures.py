"""A search through a gallery finds what comparing every picture finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.tools.search.features import Features, Many, distances
from pipeline.tools.search.nearest import SLACK, Gallery
from tests.support.galleries import one, pictures


def compared(query: Features, gallery: Many, count: int) -> tuple[int, ...]:
    return tuple(int(row) for row in distances(query, gallery).argsort(kind="stable")[:count])


@given(
    size=st.sampled_from([0, 1, 5, 73, 74, 75, 400, 20_000]),
    count=st.integers(1, 12),
    seed=st.integers(0, 2**32),
    kind=st.sampled_from(["natural", "noise", "flat", "few"]),
)
@settings(max_examples=40, deadline=None)
def test_the_nearest_are_those_of_an_exact_search(size: int, count: int, seed: int, kind: str) -> None:
    gallery, strangers = pictures(size, seed, kind), pictures(2, seed + 1, kind)
    queries = [one(strangers, 0), one(strangers, 1), *([one(gallery, size // 2)] if size else [])]
    search = Gallery(gallery)
    for query in queries:
        assert search.nearest(query, count) == compared(query, gallery, count)


@pytest.mark.parametrize("kind", ["natural", "noise", "flat", "few"])
def test_no_bound_is_above_the_distance_it_bounds(kind: str) -> None:
    gallery, query = pictures(5_000, 3, kind), one(pictures(1, 4, kind), 0)
    assert (Gallery(gallery)._bound(query) <= distances(query, gallery) + SLACK / 2).all()


def test_few_natural_pictures_are_compared_in_full() -> None:
    gallery, query = pictures(50_000, 5, "natural"), one(pictures(1, 6, "natural"), 0)
    found = Gallery(gallery)
    worst = distances(query, gallery)[list(found.nearest(query, 10))].max()
    assert np.count_nonzero(found._bound(query) <= worst) < 0.02 * 50_000
