"""Laws of selection: SFT and RL apart by cluster, quotas exact, the mix and the cap on artifacts held."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from filters.selection.choose import RlCandidate, Selection, SelectionSettings, SftCandidate, select
from filters.selection.mix import PRESETS, Mix, MixGroup, UnmetMixError, kept_rows
from pipeline.records import Category, Lane

CATEGORIES: tuple[Category, ...] = get_args(Category)
LANES: tuple[Lane, ...] = get_args(Lane)
GROUPS: tuple[MixGroup, ...] = get_args(MixGroup)
CLUSTERS = st.sampled_from([f"c{number}" for number in range(6)])
Given = tuple[list[RlCandidate], list[SftCandidate]]


@st.composite
def mixes(draw: st.DrawFn) -> Mix:
    """Shares in hundredths, of some of the groups."""
    groups = draw(st.lists(st.sampled_from(GROUPS), min_size=1, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, 100), min_size=len(groups) - 1, max_size=len(groups) - 1)))
    ends = zip([0, *cuts], [*cuts, 100], strict=True)
    return Mix.model_validate({group: (end - start) / 100 for group, (start, end) in zip(groups, ends, strict=True)})


@st.composite
def candidates(draw: st.DrawFn, clusters: st.SearchStrategy[str] = CLUSTERS, most: int = 16) -> Given:
    category, artifact = st.sampled_from(CATEGORIES), st.booleans()
    pictures = st.sampled_from(("", "p", "q", "r"))
    rl = draw(st.lists(st.tuples(clusters, category, st.booleans(), artifact, pictures), max_size=most))
    row = (clusters, category, st.sampled_from(LANES), st.integers(0, 2), *map(st.sampled_from, ("st", ["i", "j", ""])))
    sft = draw(st.lists(st.tuples(*row, st.integers(1, 9), artifact, pictures), max_size=most))
    return (
        [RlCandidate(f"q{n:02}", *fields) for n, fields in enumerate(rl)],
        [SftCandidate(f"t{n:02}", f"p{n:02}", *fields) for n, fields in enumerate(sft)],
    )


SELECTIONS = st.builds(
    SelectionSettings,
    max_rl=st.none() | st.integers(0, 5),
    max_sft=st.none() | st.integers(0, 5),
    mix=st.none() | mixes(),
    mix_unit=st.sampled_from(["rows", "tokens"]),
    balance=st.booleans(),
    max_resolution_artifact=st.none() | st.integers(0, 10).map(lambda tenths: tenths / 10),
    max_per_skeleton=st.integers(1, 3),
    saturated=st.sampled_from(["keep", "reject"]),
    disjoint=st.sampled_from(["question", "image"]),
    rl_share=st.sampled_from([0.0, 0.5, 1.0]),
)


def kept(given_: Given, selection: Selection) -> Given:
    names = {d.record_id for d in (*selection.rl, *selection.sft) if d.outcome == "keep"}
    return [c for c in given_[0] if c.question_id in names], [c for c in given_[1] if c.trajectory_id in names]


def chosen(given_: Given, limits: SelectionSettings) -> tuple[Selection, Given] | None:
    """Select; None where the mix cannot be met."""
    try:
        selection = select(*given_, limits)
    except UnmetMixError:
        return None
    return selection, kept(given_, selection)


@given(candidates(), SELECTIONS, st.sets(st.sampled_from([f"{kind}{n:02}" for kind in "qtp" for n in range(8)])))
@settings(max_examples=200, deadline=None)
def test_what_is_excluded_takes_nobodys_place(given_: Given, limits: SelectionSettings, excluded: set[str]) -> None:
    rest = (
        [one for one in given_[0] if one.question_id not in excluded],
        [one for one in given_[1] if excluded.isdisjoint((one.trajectory_id, one.question_id))],
    )
    without = chosen(rest, limits)
    if without is None:
        with pytest.raises(UnmetMixError):
            select(*given_, limits, frozenset(excluded))
        return
    selection = select(*given_, limits, frozenset(excluded))
    for whole, part in zip(selection, without[0], strict=True):
        assert tuple(one for one in whole if one.reason != "excluded") == part
        assert [one.record_id for one in whole] == sorted(one.record_id for one in whole)
    assert len(selection.rl) + len(selection.sft) == len(given_[0]) + len(given_[1])


@given(candidates(), SELECTIONS, st.randoms())
@settings(max_examples=200, deadline=None)
def test_sft_and_rl_share_no_cluster_whatever_the_order_of_the_input(
    given_: Given, limits: SelectionSettings, rnd: random.Random
) -> None:
    rl, sft = given_
    done = chosen(given_, limits)
    if done is None:
        return
    selection, (rl_kept, sft_kept) = done
    assert select(rnd.sample(rl, len(rl)), rnd.sample(sft, len(sft)), limits) == selection
    assert [d.record_id for d in selection.rl] == [c.question_id for c in rl]
    assert [d.record_id for d in selection.sft] == [c.trajectory_id for c in sft]
    rl_clusters, sft_clusters = [c.cluster_id for c in rl_kept], [c.cluster_id for c in sft_kept]
    assert not set(rl_clusters) & set(sft_clusters)
    if limits.disjoint == "image":
        assert not {c.pictures for c in rl_kept} & {c.pictures for c in sft_kept} - {""}
    assert len(set(rl_clusters)) == len(rl_clusters)
    assert len(set(sft_clusters)) == len(sft_clusters)
    programs = Counter((c.skeleton, c.images) for c in sft_kept if c.lane == "tools" and c.images)
    assert all(count <= limits.max_per_skeleton for count in programs.values())
    assert limits.saturated == "keep" or not any(c.saturated for c in rl_kept)


@given(candidates(), SELECTIONS)
@settings(max_examples=200, deadline=None)
def test_a_quota_that_turns_anybody_away_is_filled_exactly(given_: Given, limits: SelectionSettings) -> None:
    done = chosen(given_, limits)
    if done is None:
        return
    selection, (rl, sft) = done
    for rows, decisions, most in (
        (len(rl), selection.rl, limits.max_rl),
        (len(sft), selection.sft, limits.max_sft),
    ):
        assert most is None or rows <= most
        if any(decision.reason == "over_quota" for decision in decisions):
            assert rows == most


@given(candidates(st.uuids().map(str), 40), SELECTIONS)
@settings(max_examples=200, deadline=None)
def test_artifacts_are_within_their_cap_and_only_they_are_turned_away_for_it(
    given_: Given, limits: SelectionSettings
) -> None:
    done = chosen(given_, limits)
    if done is None or limits.max_resolution_artifact is None:
        return
    cap = Fraction(str(limits.max_resolution_artifact))
    selection, both = done
    for rows in both:
        assert sum(row.resolution_artifact for row in rows) <= cap * len(rows)
    artifacts = {c.question_id for c in given_[0] if c.resolution_artifact}
    artifacts |= {c.trajectory_id for c in given_[1] if c.resolution_artifact}
    refused = {d.record_id for d in (*selection.rl, *selection.sft) if d.reason == "resolution_artifact"}
    assert refused <= artifacts


@pytest.mark.parametrize(
    ("cap", "others", "stay"), [(0.1, 9, 1), (0.29, 71, 29), (0.3, 6, 2), (0.0, 9, 0), (1.0, 0, 50)]
)
def test_of_n_others_the_cap_lets_as_many_artifacts_stay_as_it_says(cap: float, others: int, stay: int) -> None:
    rl = [RlCandidate(f"a{n:02}", f"a{n}", "perception", saturated=False, resolution_artifact=True) for n in range(50)]
    rl += [
        RlCandidate(f"b{n:02}", f"b{n}", "search", saturated=False, resolution_artifact=False) for n in range(others)
    ]
    decisions = select(rl, [], SelectionSettings(max_resolution_artifact=cap)).rl
    left = [d.record_id for d in decisions if d.outcome == "keep"]
    assert left == [f"a{n:02}" for n in range(stay)] + [f"b{n:02}" for n in range(others)]
    assert {d.reason for d in decisions} <= {"", "resolution_artifact"}


def test_a_quota_is_filled_in_spite_of_the_cap_where_others_are_left() -> None:
    rl = [RlCandidate(f"a{n:02}", f"a{n}", "perception", saturated=False, resolution_artifact=True) for n in range(50)]
    rl += [
        RlCandidate(f"b{n:02}", f"b{n}", "perception", saturated=False, resolution_artifact=False) for n in range(50)
    ]
    decisions = select(rl, [], SelectionSettings(max_resolution_artifact=0.2, max_rl=20)).rl
    left = [d.record_id for d in decisions if d.outcome == "keep"]
    assert (len(left), sum(name.startswith("a") for name in left)) == (20, 4)


def test_a_balanced_quota_takes_categories_in_turn() -> None:
    rl = [RlCandidate(f"q{n:02}", f"c{n}", "perception" if n < 8 else "search", False, False) for n in range(10)]
    decisions = select(rl, [], SelectionSettings(max_rl=4, balance=True)).rl
    categories = [c.category for c, d in zip(rl, decisions, strict=True) if d.outcome == "keep"]
    assert sorted(categories) == ["perception", "perception", "search", "search"]


def rows_of(lane: Lane, count: int, images: str = "i", category: Category = "perception") -> list[SftCandidate]:
    """Rows of one skeleton over the same images, each of a cluster of its own."""
    names = [f"{lane}-{category}-{number:04}" for number in range(count)]
    return [SftCandidate(name, name, name, category, lane, 0, "s", images, 10, False) for name in names]


@pytest.mark.parametrize(
    ("rows", "stay"),
    [
        (rows_of("tools", 9), 4),
        (rows_of("tools", 9, images=""), 9),
        *((rows_of(lane, 9), 9) for lane in LANES if lane != "tools"),
    ],
)
def test_only_programs_over_one_image_are_capped(rows: list[SftCandidate], stay: int) -> None:
    decisions = select([], rows, SelectionSettings()).sft
    assert [d.outcome for d in decisions].count("keep") == stay
    assert {d.reason for d in decisions} <= {"", "over_skeleton_cap"}


def test_questions_solved_by_every_rollout_train_no_rl_unless_asked_for() -> None:
    rl = [RlCandidate("q0", "c0", "search", True, False), RlCandidate("q1", "c1", "search", False, False)]
    assert [d.reason for d in select(rl, [], SelectionSettings()).rl] == ["saturated", ""]
    assert [d.reason for d in select(rl, [], SelectionSettings(saturated="keep")).rl] == ["", ""]


@pytest.mark.parametrize("lane", LANES)
def test_a_cluster_that_trains_rl_trains_no_lane_of_sft(lane: Lane) -> None:
    rl = [RlCandidate("q", f"{lane}-perception-0000", "perception", False, False)]
    limits = SelectionSettings()
    assert [d.reason for d in select(rl, rows_of(lane, 2), limits).sft] == ["in_rl", ""]


def test_without_a_mix_every_lane_is_kept_as_it_comes() -> None:
    rows = [row for lane in LANES for row in rows_of(lane, 3)]
    assert {d.outcome for d in select([], rows, SelectionSettings()).sft} == {"keep"}


def test_a_row_outside_the_mix_takes_no_place_of_its_cluster() -> None:
    first = rows_of("plain_cot", 1)[0]._replace(cluster_id="c")
    later = rows_of("tools", 1)[0]._replace(cluster_id="c", sample=1)
    reasons = {d.record_id: d.reason for d in select([], [first, later], SelectionSettings(mix=Mix(perception=1))).sft}
    assert reasons == {first.trajectory_id: "over_mix", later.trajectory_id: ""}


TOKENS = st.dictionaries(
    st.sampled_from(GROUPS), st.lists(st.integers(1, 50), min_size=1, max_size=60), min_size=len(GROUPS)
)


@given(TOKENS, mixes(), st.none() | st.integers(0, 80))
@settings(max_examples=300, deadline=None)
def test_a_mix_in_rows_is_as_large_as_it_can_be_and_right_to_within_a_row(
    tokens: Mapping[MixGroup, Sequence[int]], mix: Mix, most: int | None
) -> None:
    shares = mix.shares()
    rows = kept_rows(tokens, shares, "rows", most)
    total = sum(rows.values())
    assert set(rows) == set(shares)
    assert all(rows[group] <= len(tokens[group]) for group in rows)
    assert all(abs(rows[group] - share * total) < 1 for group, share in shares.items())
    too_many = any(share * (total + 1) > len(tokens[group]) for group, share in shares.items())
    assert total == most or too_many


@given(TOKENS, mixes(), st.none() | st.integers(0, 80))
@settings(max_examples=300, deadline=None)
def test_a_mix_in_tokens_is_as_close_below_its_largest_total_as_whole_rows_allow(
    tokens: Mapping[MixGroup, Sequence[int]], mix: Mix, most: int | None
) -> None:
    shares = mix.shares()
    largest = min(sum(tokens[group]) / share for group, share in shares.items())
    free = kept_rows(tokens, shares, "tokens")
    for group, share in shares.items():
        taken = sum(tokens[group][: free[group]])
        assert taken <= share * largest
        assert free[group] == len(tokens[group]) or taken + tokens[group][free[group]] > share * largest
    rows = kept_rows(tokens, shares, "tokens", most)
    assert sum(rows.values()) == min(sum(free.values()), most if most is not None else len(GROUPS) * 60)
    # What the cap leaves is the same mix of a smaller total: no group runs ahead of the next row of another.
    reached = [sum(tokens[group][: rows[group]]) / share for group, share in shares.items()]
    after = [
        sum(tokens[group][: rows[group] + 1]) / share for group, share in shares.items() if rows[group] < free[group]
    ]
    assert not after or max(reached) <= min(after)


@pytest.mark.parametrize("unit", ["rows", "tokens"])
def test_the_preset_keeps_the_shares_of_the_paper(unit: str) -> None:
    rows = [row for category in CATEGORIES for row in rows_of("tools", 2_000, "", category)]
    rows += [*rows_of("long_cot", 9_000, ""), *rows_of("plain_cot", 50)]
    given_: Given = [], rows
    limits = SelectionSettings.model_validate({"mix": "deepeyesv2", "mix_unit": unit})
    selection, (_, left) = chosen(given_, limits) or pytest.fail("the mix can be met")
    counts = Counter(row.group for row in left)
    assert len(left) == pytest.approx(9_000 / 0.816, abs=4)
    assert all(abs(counts[group] - share * len(left)) <= 1.5 for group, share in PRESETS["deepeyesv2"].items())
    assert counts["plain_cot"] == 0
    assert {d.reason for d in selection.sft} == {"", "over_mix"}
    capped = select([], rows, limits.model_copy(update={"max_sft": 1_000})).sft
    assert Counter(d.reason for d in capped)[""] == 1_000
    assert {d.record_id for d in capped if d.reason == ""} < {d.record_id for d in selection.sft if d.reason == ""}


def test_a_million_rows_are_mixed_in_seconds() -> None:
    # 1.5 s on one core when written; sorting fractions would take a minute.
    generator = random.Random(0)
    tokens: dict[MixGroup, list[int]] = {
        group: [generator.randrange(1, 9_000) for _ in range(250_000)] for group in PRESETS["deepeyesv2"]
    }
    rows = kept_rows(tokens, Mix.model_validate("deepeyesv2").shares(), "tokens", 100_000)
    assert sum(rows.values()) == 100_000


def test_a_group_without_rows_is_named_with_what_there_is_and_what_to_do() -> None:
    limits = SelectionSettings.model_validate({"mix": "deepeyesv2"})
    rows = [row for category in CATEGORIES for row in rows_of("tools", 3, "", category)]
    said = r"long_cot is to be 0\.816 .* reasoning 3, search 3\): add a source .* `lane: long_cot`; or .*mix=null"
    with pytest.raises(UnmetMixError, match=said):
        select([], rows, limits)


@pytest.mark.parametrize(
    ("mix", "message"),
    [
        ({"perception": 0.5, "search": 0.4}, r"sum to 0\.9; they must sum to 1"),
        ({"perception": 0.6, "search": 0.402}, r"sum to 1\.002"),
        ({}, "sum to 0"),
        ("deepeyesv3", "no mix deepeyesv3; name deepeyesv2, or"),
        ({"perceptoin": 1.0}, "perceptoin"),
        ({"perception": 1.5, "search": -0.5}, "less than or equal to 1"),
    ],
)
def test_a_mix_that_is_none_is_refused(mix: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SelectionSettings.model_validate({"mix": mix})


def test_shares_that_nearly_sum_to_one_are_shared_out() -> None:
    shares = Mix(perception=0.333, reasoning=0.333, long_cot=0.333).shares()
    assert set(shares.values()) == {Fraction(1, 3)}


def test_pictures_that_both_shards_ask_for_go_to_the_side_that_is_drawn_and_others_cost_nothing() -> None:
    rl = [RlCandidate(f"q{n:03}", f"c{n}", "search", False, False, f"p{n}") for n in range(100)]
    sft = [row._replace(pictures=f"p{n + 50}") for n, row in enumerate(rows_of("tools", 100, images=""))]
    for share in (0.0, 0.3, 1.0):
        chosen = select(rl, sft, SelectionSettings(disjoint="image", rl_share=share))
        given_up = [d.record_id for d in chosen.rl if d.reason == "image_in_sft"]
        lost = [d for d in chosen.sft if d.reason == "image_in_rl"]
        assert len(given_up) + len(lost) == 50
        assert set(given_up) <= {f"q{n:03}" for n in range(50, 100)}
        assert abs(len(lost) - 50 * share) <= 12
    together = select(rl, sft, SelectionSettings())
    assert {d.outcome for d in (*together.rl, *together.sft)} == {"keep"}


def test_two_questions_of_one_cluster_whose_answers_differ_are_both_learnt_and_never_in_both_shards() -> None:
    rows = [
        row._replace(cluster_id="c", representative=f"q{n}", skeleton=f"s{n}")
        for n, row in enumerate(rows_of("tools", 2))
    ]
    assert {d.outcome for d in select([], rows, SelectionSettings()).sft} == {"keep"}
    rl = [RlCandidate("q9", "c", "search", False, False, representative="q9")]
    assert {d.reason for d in select(rl, rows, SelectionSettings()).sft} == {"in_rl"}
