"""Laws of the sample and of what is estimated from it: over draws it is right on average, and intervals cover."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filters.intervals import wilson
from filters.review.rates import UNKNOWN, Seen, rate
from filters.review.sampling import FEWEST, allocate, draw

sizes_ = st.dictionaries(st.text("abcdef", min_size=1, max_size=4), st.integers(1, 400), min_size=1, max_size=12)


@given(sizes_, st.integers(1, 2_000))
def test_every_row_can_be_drawn_and_exactly_as_many_are_as_were_asked_for(sizes: dict[str, int], n: int) -> None:
    needed = sum(min(size, FEWEST) for size in sizes.values())
    if n < needed:
        with pytest.raises(ValueError, match=f"need {needed} rows"):
            allocate(sizes, n)
        return
    parts = allocate(sizes, n)
    assert parts.keys() == sizes.keys()
    assert sum(parts.values()) == min(n, sum(sizes.values()))
    assert all(min(FEWEST, sizes[name]) <= part <= sizes[name] for name, part in parts.items())


@given(sizes_, st.integers(24, 2_000))
def test_of_two_strata_the_larger_has_no_fewer_rows(sizes: dict[str, int], n: int) -> None:
    parts = allocate(sizes, n)
    ordered = sorted(sizes, key=lambda name: (sizes[name], parts[name]))
    assert [parts[name] for name in ordered] == sorted(parts.values())


@given(
    st.sets(st.text("0123456789abcdef", min_size=4, max_size=8), min_size=1, max_size=30), st.integers(), st.randoms()
)
def test_a_draw_goes_by_seed_and_ids_alone_and_a_larger_one_holds_a_smaller(
    ids: set[str], seed: int, rnd: random.Random
) -> None:
    listed = sorted(ids)
    whole = draw(listed, len(listed), seed)
    rnd.shuffle(listed)
    assert [draw(listed, n, seed) for n in range(len(ids) + 1)] == [whole[:n] for n in range(len(ids) + 1)]


def test_over_seeds_every_row_is_drawn_as_often_as_its_probability_says() -> None:
    ids, n, draws = [f"row {number}" for number in range(20)], 5, 4_000
    times = Counter(one for seed in range(draws) for one in draw(ids, n, seed))
    low, high = draws * n / len(ids) * 0.87, draws * n / len(ids) * 1.13  # four standard errors
    assert all(low < times[one] < high for one in ids)


POPULATIONS: Mapping[str, Mapping[str, tuple[int, int]]] = {
    "strata that differ": {"a": (1_000, 50), "b": (300, 60), "c": (40, 30)},
    "few in a small stratum": {"a": (3_000, 30), "b": (60, 60), "c": (900, 90)},
    "many small strata": {f"s{number}": (20 + 13 * number, number) for number in range(12)},
    "rare": {"a": (5_000, 50), "b": (300, 6), "c": (10, 1)},
    "none": {"a": (400, 0), "b": (90, 0)},
    "half": {"a": (500, 250), "b": (500, 250)},
}
"""Rows of each stratum, and how many of them are defective."""


@pytest.mark.parametrize("name", POPULATIONS)
def test_estimates_are_right_on_average_and_their_intervals_cover(name: str) -> None:
    rnd, draws, n = random.Random(name), 500, 150
    rows = {stratum: [1.0] * bad + [0.0] * (size - bad) for stratum, (size, bad) in POPULATIONS[name].items()}
    sizes = {stratum: len(values) for stratum, values in rows.items()}
    parts = allocate(sizes, n)
    truth = sum(map(sum, rows.values())) / sum(sizes.values())
    found = [
        rate([Seen(h, bad) for h, values in rows.items() for bad in rnd.sample(values, parts[h])], sizes)
        for _ in range(draws)
    ]
    shares = [one.share for one in found if one.share is not None]
    spread = (sum((share - truth) ** 2 for share in shares) / draws) ** 0.5
    assert abs(sum(shares) / draws - truth) <= 4 * spread / draws**0.5
    # 0.95 less what rare defects take from the lower end of a score interval, and four standard errors of a simulation.
    assert sum(one.low <= truth <= one.high for one in found) / draws > 0.915
    assert sum(truth <= one.high for one in found) / draws > 0.96


def test_weights_matter_where_strata_are_drawn_unevenly() -> None:
    sizes = {"large": 900, "small": 100}
    seen = [Seen("large", 0.0)] * 10 + [Seen("small", 1.0)] * 10
    found = rate(seen, sizes)
    assert found.share == pytest.approx(0.1)
    assert found.low < 0.1 < found.high < 0.5


@given(st.integers(0, 12), st.integers(0, 12))
def test_what_was_judged_in_whole_is_no_estimate(a: int, b: int) -> None:
    seen = [Seen("a", float(i < a)) for i in range(12)] + [Seen("b", float(i < b)) for i in range(12)]
    share = (a + b) / 24
    assert rate(seen, {"a": 12, "b": 12}) == pytest.approx((share, share, share, 24))


@given(st.integers(2, 60), st.data())
def test_of_a_simple_sample_of_very_many_the_interval_is_at_least_that_of_wilson(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    found, plain = rate([Seen("all", float(i < hits)) for i in range(n)], {"all": 10**9}), wilson(hits, n)
    assert found.share == pytest.approx(hits / n)
    assert found.low <= plain.low + 1e-9
    assert plain.high - 1e-9 <= found.high


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.booleans()), max_size=40))
def test_a_rate_lies_within_its_interval_whatever_was_seen(told: list[tuple[str, bool, bool]]) -> None:
    found = rate([Seen(name, float(bad and of), float(of)) for name, bad, of in told], dict.fromkeys("abc", 50))
    assert 0 <= found.low <= found.high <= 1
    if found.share is None:
        assert found == UNKNOWN
    else:
        assert found.low - 1e-9 <= found.share
        assert {name for name, *_ in told} < set("abc") or found.share <= found.high + 1e-9


def test_of_a_stratum_that_nobody_judged_anything_may_be_true() -> None:
    seen = [Seen("a", 0.0)] * 50
    assert rate(seen, {"a": 50, "b": 50}) == pytest.approx((0.0, 0.0, 0.5, 50))
    assert rate(seen[:0], {"a": 50}) == UNKNOWN


def test_more_rows_than_a_stratum_has_are_refused() -> None:
    with pytest.raises(ValueError, match="3 rows were seen of 2"):
        rate([Seen("a", 0.0)] * 3, {"a": 2})
