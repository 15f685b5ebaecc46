"""`near_pairs` gives the pairs of brute force: by numpy and compiled alike, in any order and on any threads."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.dedup import bands, hamming, near_pairs


@pytest.fixture(params=["numpy", "compiled"])
def _search(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hamming, "_COMPILED_ABOVE", -1 if request.param == "compiled" else float("inf"))


both = pytest.mark.usefixtures("_search")


@st.composite
def hash_lists(draw: st.DrawFn) -> list[int]:
    """Hashes that differ in few bits, so that pairs exist at every distance."""
    centres = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=4))
    differ = st.lists(st.integers(0, 63), max_size=14)
    hashes = draw(st.lists(st.tuples(st.sampled_from(centres), differ), max_size=40))
    return [flip(centre, bits) for centre, bits in hashes]


def flip(value: int, bits: Sequence[int]) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value


def clustered(count: int, seed: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Half of them copies of others with up to 13 bits flipped, some of them equal."""
    rnd = random.Random(seed)
    fresh = [rnd.getrandbits(64) for _ in range(count - count // 2)]
    copies = [flip(rnd.choice(fresh), rnd.sample(range(64), rnd.randrange(14))) for _ in range(count // 2)]
    return np.array(rnd.sample(fresh + copies, count), dtype=np.uint64)


def brute(hashes: Sequence[int], radius: int) -> list[tuple[int, int, int]]:
    pairs = ((i, j, (hashes[i] ^ hashes[j]).bit_count()) for i, j in combinations(range(len(hashes)), 2))
    return [pair for pair in pairs if pair[2] <= radius]


def found(hashes: Sequence[int], radius: int, **how: Any) -> list[tuple[int, int, int]]:
    first, second, distance = near_pairs(np.array(hashes, dtype=np.uint64), radius, **how)
    assert [str(column.dtype) for column in (first, second, distance)] == ["int64", "int64", "uint8"]
    return list(zip(first.tolist(), second.tolist(), distance.tolist(), strict=True))


@given(hash_lists(), st.integers(0, 70), st.sampled_from([-1.0, float("inf")]), st.randoms())
@settings(max_examples=80, deadline=None)
def test_near_pairs_are_those_of_brute_force_in_any_order(
    hashes: list[int], radius: int, compiled_above: float, rnd: random.Random
) -> None:
    before, hamming._COMPILED_ABOVE = hamming._COMPILED_ABOVE, compiled_above
    try:
        assert found(hashes, radius) == brute(hashes, radius)
        order = rnd.sample(range(len(hashes)), len(hashes))
        shuffled = found([hashes[place] for place in order], radius)
        assert sorted((*sorted((order[i], order[j])), d) for i, j, d in shuffled) == brute(hashes, radius)
    finally:
        hamming._COMPILED_ABOVE = before


@both
@pytest.mark.parametrize("radius", range(13))
def test_near_pairs_of_random_and_clustered_hashes_are_those_of_brute_force(radius: int) -> None:
    spread = np.random.default_rng(radius).integers(0, 2**64, 200, dtype=np.uint64)
    # In a corner of the space, where every pair is within a few bits of the radius.
    corner = np.random.default_rng(radius).integers(0, 2**20, 100, dtype=np.uint64)
    hashes = np.concatenate([clustered(300, radius), spread, corner]).tolist()
    assert found(hashes, radius) == brute(hashes, radius)


PLANS = [(min(count, radius + 1), radius) for count in range(1, 7) for radius in (0, 1, 2, 3, 4, 7, 8, 10, 12)]


# Nobody would look up more keys than there could be pairs.
@pytest.mark.parametrize(
    ("count", "radius"),
    [plan for plan in PLANS if sum(band.probes << band.width for band in bands.bands(*plan)) < 10**8],
)
def test_every_number_of_bands_finds_all_pairs_once(count: int, radius: int) -> None:
    from filters.dedup import kernel  # seconds to load, which a worker that does not run this file need not spend

    plan = bands.bands(count, radius)
    hashes = np.unique(clustered(150, count * 100 + radius))
    expected = brute(hashes.tolist(), radius)
    for search in (hamming._banded(hashes, plan, radius), kernel.search(hashes, plan, radius, map)):
        pairs = [zip(*(column.tolist() for column in part), strict=True) for part in search]
        assert sorted((min(i, j), max(i, j), d) for part in pairs for i, j, d in part) == expected


@both
@pytest.mark.parametrize("hashes", [[], [7], [7, 7], [0, 2**64 - 1], [3] * 50])
@pytest.mark.parametrize("radius", [0, 8, 63, 64, 100])
def test_near_pairs_of_edge_cases(hashes: list[int], radius: int) -> None:
    assert found(hashes, radius) == brute(hashes, radius)


def test_nothing_is_lost_where_there_are_more_pairs_than_room(monkeypatch: pytest.MonkeyPatch) -> None:
    from filters.dedup import kernel

    hashes = [5] * 30 + [flip(5, [bit]) for bit in range(64)]
    for above, module, name, value in ((float("inf"), hamming, "_CHUNK", 7), (-1, kernel, "_ROOM", 3)):
        monkeypatch.setattr(hamming, "_COMPILED_ABOVE", above)
        monkeypatch.setattr(module, name, value)
        assert found(hashes, 2) == brute(hashes, 2)


def test_threads_find_what_one_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = clustered(5_000, 1)
    monkeypatch.setattr(hamming, "_COMPILED_ABOVE", -1)
    with ThreadPoolExecutor(4) as threads:
        four = near_pairs(hashes, 8, spread=threads.map)
    assert [column.tolist() for column in four] == [column.tolist() for column in near_pairs(hashes, 8)]


def test_the_fixed_bit_order_is_a_permutation_that_keeps_distances() -> None:
    assert sorted(hamming._ORDER) == list(range(64))
    permuted = hamming._permuted(np.array([1 << bit for bit in range(64)], dtype=np.uint64))
    assert [int(number).bit_length() - 1 for number in permuted] == [hamming._ORDER.index(bit) for bit in range(64)]


def test_near_pairs_refuse_other_types() -> None:
    with pytest.raises(ValueError, match="int64"):
        near_pairs(np.array([1, 2]), 3)
    with pytest.raises(ValueError, match="negative"):
        near_pairs(np.array([1, 2], dtype=np.uint64), -1)


@both
def test_a_hundred_thousand_hashes_take_seconds() -> None:
    # 1 s on one core when written; a quadratic path would take minutes.
    hashes = np.random.default_rng(0).integers(0, 2**64, 100_000, dtype=np.uint64)
    first, _, _ = near_pairs(np.concatenate([hashes[:99_000], hashes[:1_000] ^ np.uint64(0b1011)]), 8)
    assert len(first) >= 1_000


def test_without_numba_numpy_finds_the_same() -> None:
    code = """
import sys
sys.modules["numba"] = None  # as if it were not installed
import numpy as np
from filters.dedup import hamming, near_pairs
hamming._COMPILED_ABOVE = -1
print([column.tolist() for column in near_pairs(np.array([1, 3, 1 << 60, 1], dtype=np.uint64), 2)])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[[0, 0, 0, 1, 2], [1, 2, 3, 3, 3], [1, 2, 0, 1, 2]]\n"


def test_numba_is_loaded_only_where_it_pays() -> None:
    code = """
import sys
import numpy as np
from filters.dedup import near_pairs
near_pairs(np.arange(2000, dtype=np.uint64), 3)
print("numba" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
