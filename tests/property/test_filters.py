"""Laws of the filters: pure, indifferent to the order of their input, exact where they claim to be."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.answers import grade
from filters.dedup.agreement import deduplicate
from filters.dedup.clusters import DedupSettings, ImageHashes, QuestionRow, confirmed, star_clusters
from filters.dedup.contamination import (
    Benchmark,
    ContaminationSettings,
    benchmark_entry,
    index_benchmarks,
)
from filters.dedup.key import KEY_RECIPE, question_key
from pipeline.records import AnswerType
from tests.support.benchmarked import contaminated

U64 = st.integers(0, 2**64 - 1)
# Hashes that differ in few bits, so that pairs exist at every distance.
BITS = st.lists(st.integers(0, 63), max_size=14)


@st.composite
def hash_lists(draw: st.DrawFn) -> list[int]:
    centres = draw(st.lists(U64, min_size=1, max_size=4))
    hashes = draw(st.lists(st.tuples(st.sampled_from(centres), BITS), max_size=40))
    return [_flip(centre, bits) for centre, bits in hashes]


def _flip(value: int, bits: Sequence[int]) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value


@given(hash_lists(), st.integers(0, 12), st.randoms())
@settings(max_examples=60, deadline=None)
def test_members_of_a_star_are_within_the_radius(hashes: list[int], radius: int, rnd: random.Random) -> None:
    nodes = sorted(set(hashes))
    near = {node: [other for other in nodes if (node ^ other).bit_count() <= radius] for node in nodes}
    stars = star_clusters(nodes, near.__getitem__)
    assert set(stars) == set(nodes)
    assert all((node ^ centre).bit_count() <= radius for node, centre in stars.items())
    centres = set(stars.values())
    assert all(stars[centre] == centre for centre in centres)
    assert not any((a ^ b).bit_count() <= radius for a, b in combinations(centres, 2))
    shuffled = {node: rnd.sample(others, len(others)) for node, others in near.items()}
    assert star_clusters(nodes, shuffled.__getitem__) == stars


TEXTS = ("What is shown?", "what is  SHOWN", "How many dots?", "Where?")


@st.composite
def corpora(draw: st.DrawFn) -> tuple[list[QuestionRow], dict[str, ImageHashes]]:
    centres = draw(st.lists(U64, min_size=1, max_size=2))
    sizes = ((100, 80), (200, 160), (101, 80), (80, 100))
    facts = {
        f"image{number}": ImageHashes(
            _flip(draw(st.sampled_from(centres)), draw(st.lists(st.integers(0, 63), max_size=6))),
            _flip(7, draw(st.lists(st.integers(0, 63), max_size=4))),
            *draw(st.sampled_from(sizes)),
            "test/v1",
        )
        for number in range(draw(st.integers(1, 6)))
    }
    rows = draw(
        st.lists(st.tuples(st.sampled_from(TEXTS), st.lists(st.sampled_from(sorted(facts)), max_size=2)), max_size=14)
    )
    return [QuestionRow(f"q{n:02}", text, tuple(images)) for n, (text, images) in enumerate(rows)], facts


@given(corpora(), st.randoms())
@settings(max_examples=80, deadline=None)
def test_dedup_is_idempotent_ordered_by_nothing_and_merges_only_what_is_near(
    corpus: tuple[list[QuestionRow], dict[str, ImageHashes]], rnd: random.Random
) -> None:
    rows, facts = corpus
    limits = DedupSettings()
    once = deduplicate(rows, facts, limits)
    assert deduplicate(rnd.sample(rows, len(rows)), facts, limits) == once
    clusters = once.clusters
    assert [cluster.question_id for cluster in clusters] == [row.question_id for row in rows]
    by_id = {row.question_id: row for row in rows}
    for cluster in clusters:
        member, centre = by_id[cluster.question_id], by_id[cluster.representative]
        assert question_key(member.text) == question_key(centre.text)
        for ours, theirs in zip(member.images, centre.images, strict=True):
            a, b = facts[ours], facts[theirs]
            assert (a.phash ^ b.phash).bit_count() <= limits.radius
            assert confirmed(a, b, max_dhash=limits.max_dhash, max_aspect_change=limits.max_aspect_change)
        area = [sum(facts[i].width * facts[i].height for i in row.images) for row in (member, centre)]
        assert (-area[1], centre.question_id) <= (-area[0], member.question_id)
    kept = [by_id[decision.record_id] for decision in once.decisions if decision.outcome == "keep"]
    again = deduplicate(kept, facts, limits)
    assert all(decision.outcome == "keep" for decision in again.decisions)
    assert {cluster.cluster_id for cluster in again.clusters} == {cluster.cluster_id for cluster in clusters}


def test_dedup_refuses_what_it_cannot_compare() -> None:
    hashes = ImageHashes(1, 1, 10, 10, "a/v1")
    rows = [QuestionRow("q1", "x", ("i1",)), QuestionRow("q2", "x", ("i2",))]
    with pytest.raises(ValueError, match="no facts"):
        deduplicate(rows, {"i1": hashes}, DedupSettings())
    with pytest.raises(ValueError, match="several recipes"):
        deduplicate(rows, {"i1": hashes, "i2": hashes._replace(recipe="b/v1")}, DedupSettings())
    with pytest.raises(ValueError, match="twice"):
        deduplicate([rows[0], rows[0]], {"i1": hashes}, DedupSettings())


TYPES: tuple[AnswerType, ...] = ("text", "number", "choice", "list", "boolean", "date", "expression")
ANSWER_WORDS = (
    *("the", "answer", "is", "not", "or", "A", "B", "red", "blue", "five", "hundred", "and", "5", "km", "yes", "no"),
    *(",", ".", "=", "%"),
)
# Text near what the graders read, and anything at all, lone surrogates included.
ANSWERS = (
    st.text(st.characters())
    | st.text("0123456789.,-+/%e\u00d7^ kmAB()$\u00bd\u00b2\u2044\ud800", max_size=30)
    | st.lists(st.sampled_from(ANSWER_WORDS)).map(" ".join)
)


@given(st.none() | ANSWERS, st.lists(ANSWERS, max_size=3), st.sampled_from(TYPES), st.none() | st.floats())
@settings(max_examples=400, deadline=None)
def test_grading_never_raises_and_is_pure(
    prediction: str | None, golds: list[str], answer_type: AnswerType, tolerance: float | None
) -> None:
    choices = golds if answer_type == "choice" else None
    result = grade(prediction, golds, answer_type, tolerance=tolerance, choices=choices)
    assert grade(prediction, golds, answer_type, tolerance=tolerance, choices=choices) == result
    result.detail.encode()
    if prediction is None or not prediction.strip():
        assert result.verdict == "wrong"
    # Every spelling counts, so their order does not.
    backwards = grade(prediction, golds[::-1], answer_type, tolerance=tolerance)
    assert backwards.verdict == grade(prediction, golds, answer_type, tolerance=tolerance).verdict


NOT_ONE_ANSWER = (
    *(
        "{} or {}",
        "{} and {}",
        "{}, {}",
        "{}/{}",
        "{}; {}",
        "either {} or {}",
        "not {} but {}",
        "{}, not {}",
        "{} vs {}",
    ),
    *("The answer is {} or {}.", "The answer is {}. No, it is {}.", "Is it {} or {}?", "{} (or {})", "{} maybe, or {}"),
)
NO_ANSWER = (
    "not {}",
    "maybe {}",
    "probably {}",
    "{}?",
    "anything but {}",
    "no {}",
    "I guess {}",
    "it is not {}",
    "{} is wrong",
)
NAMES = st.sampled_from(("Paris", "New York", "B12", "42", "-3.5", "red", "KJFK", "São Paulo", "7 km"))


@given(NAMES, NAMES, st.sampled_from(NOT_ONE_ANSWER), st.sampled_from(NO_ANSWER), st.none() | st.floats(0, 0.1))
@settings(max_examples=400, deadline=None)
def test_two_answers_or_none_are_never_right(
    one: str, two: str, both: str, neither: str, tolerance: float | None
) -> None:
    typed: list[tuple[AnswerType, tuple[str, ...] | None]] = [("text", None), ("number", None), ("date", None)]
    typed += [("boolean", None), ("choice", ("Oslo", one, two) if one != two else ("Oslo", one))]
    for answer_type, choices in typed:
        for said in (both.format(one, two), both.format(two, one), neither.format(one)):
            if one != two or said == neither.format(one):
                result = grade(said, [one], answer_type, tolerance=tolerance, choices=choices)
                assert result.verdict != "right", (said, result)


@given(st.integers(-(10**9), 10**9), st.integers(-(10**9), 10**9), st.floats(0, 0.5))
def test_a_number_is_right_within_its_tolerance_and_nowhere_else(said: int, gold: int, tolerance: float) -> None:
    expected = "right" if abs(said - gold) <= tolerance * abs(gold) else "wrong"
    # At the edge, binary and decimal arithmetic may differ; the grader's is exact in decimal.
    if abs(abs(said - gold) - tolerance * abs(gold)) > 1e-6 * abs(gold):
        assert grade(f"{said:,}", [str(gold)], "number", tolerance=tolerance).verdict == expected
    assert (grade(str(said), [str(gold)], "number").verdict == "right") == (said == gold)


@given(U64, BITS, st.integers(0, 64), st.sampled_from(TEXTS), st.sampled_from(TEXTS))
@settings(max_examples=80, deadline=None)
def test_a_benchmark_image_is_found_within_the_radius_and_nowhere_else(
    phash: int, bits: list[int], radius: int, ours: str, theirs: str
) -> None:
    limits = ContaminationSettings(radius=radius, text_radius=0)
    entry = benchmark_entry(theirs, phash, 5)
    benchmark = Benchmark(key="b", hash_recipe="test/v1", text_key=KEY_RECIPE, entries=(entry,))
    index = index_benchmarks([benchmark])
    image = ImageHashes(_flip(phash, bits), 5, 100, 100, "test/v1")
    decision = contaminated("q", ours, [image], index, limits)
    near = (image.phash ^ phash).bit_count() <= radius
    assert (decision.reason == "benchmark_image") == near


def test_filters_load_numpy_only_when_they_use_it() -> None:
    # A stand-in for numpy that cannot be imported; pyarrow, which the records need, then goes without it.
    code = (
        "import sys; sys.modules['numpy'] = None\n"
        "import filters.answers, filters.dedup.contamination, filters.dedup.agreement, filters.gates.rules\n"
        "import filters.screen.questions\n"
        "import filters.selection.mix, filters.selection.choose, filters.validate.rules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
