"""What counts as a question of a benchmark, and what only looks like one."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from filters.dedup.clusters import ImageHashes
from filters.dedup.contamination import (
    Benchmark,
    BenchmarkEntry,
    ContaminationSettings,
    benchmark_entry,
    benchmark_hit,
    index_benchmarks,
)
from filters.dedup.key import KEY_RECIPE
from pipeline.records import BenchmarkHit
from tests.support.benchmarked import contaminated

SETTINGS = ContaminationSettings()
RECIPE = "test/v1"
PHASH, DHASH = 0x0F0F0F0F0F0F0F0F, 0x123456789ABCDEF0
LONG = "What is the name of the tallest mountain that lies in the country with two capital cities"
TEMPLATE = "What is shown in the picture?"


def image(phash: int = PHASH, dhash: int = DHASH, recipe: str = RECIPE) -> ImageHashes:
    return ImageHashes(phash, dhash, 100, 100, recipe)


def far() -> ImageHashes:
    return image(PHASH ^ (2**64 - 1), DHASH ^ (2**64 - 1))


def check(text: str, images: list[ImageHashes], *entries: BenchmarkEntry, solution: str = "") -> str:
    index = index_benchmarks([Benchmark(key="b", hash_recipe=RECIPE, text_key=KEY_RECIPE, entries=entries)])
    decision = contaminated("q", text, images, index, SETTINGS, solution=solution)
    assert decision.record_id == "q"
    assert (decision.outcome == "keep") == (decision.reason == "")
    return decision.reason


ENTRY = benchmark_entry(TEMPLATE, PHASH, DHASH)


@pytest.mark.parametrize(
    ("images", "reason"),
    [
        ([image()], "benchmark_image"),
        ([image(PHASH ^ 0b1111)], "benchmark_image"),
        ([image(PHASH ^ 0b11111)], ""),
        # Another picture with the same layout: dhash does not agree.
        ([image(dhash=DHASH ^ 0xFFFF)], ""),
        ([far()], ""),
        ([far(), image()], "benchmark_image"),
        ([], ""),
    ],
)
def test_an_image_of_a_benchmark_is_refused_whatever_is_asked(images: list[ImageHashes], reason: str) -> None:
    assert check("How many people are there?", images, ENTRY) == reason


def found(text: str, images: list[ImageHashes], *entries: BenchmarkEntry) -> BenchmarkHit | None:
    index = index_benchmarks([Benchmark(key="b", hash_recipe=RECIPE, text_key=KEY_RECIPE, entries=entries)])
    return benchmark_hit("q", text, images, index, SETTINGS)


def test_a_mirrored_image_of_a_benchmark_is_refused_if_both_hashes_say_so() -> None:
    mirrored = far()._replace(mirrored=(PHASH ^ 1, DHASH ^ 1))
    assert check("How many people are there?", [mirrored], ENTRY) == "benchmark_image"
    hit = found("How many people are there?", [mirrored], ENTRY)
    assert hit is not None
    assert (hit.benchmark, hit.by, hit.bits, hit.stopped) == ("b", "mirrored_picture", 1, True)
    assert check("How many people are there?", [far()._replace(mirrored=(PHASH, DHASH ^ 0xFFFF))], ENTRY) == ""


@pytest.mark.parametrize(
    ("bits", "text", "by", "stopped"),
    [
        (4, "How many?", "picture", True),
        (8, TEMPLATE, "text", True),
        (12, TEMPLATE, "near_picture_and_text", False),
        (16, TEMPLATE, None, None),
        (12, "How many?", None, None),
    ],
)
def test_what_only_looks_and_reads_alike_is_for_a_person_and_stays(
    bits: int, text: str, by: str | None, stopped: bool | None
) -> None:
    near = image(PHASH ^ (1 << bits) - 1)
    hit = found(text, [near], ENTRY)
    assert (hit and hit.by, hit and hit.stopped) == (by, stopped)
    assert (check(text, [near], ENTRY) == "") == (not stopped)


def test_texts_of_which_half_is_the_same_are_for_a_person_over_a_picture_that_is_nearly_near() -> None:
    near = image(PHASH ^ 0xFFF)
    changed = LONG.replace("capital cities", "capitals")
    hit = found(changed, [near], benchmark_entry(LONG, PHASH, DHASH))
    assert hit is not None
    assert (hit.by, hit.stopped) == ("near_picture_and_text", False)


def test_a_template_is_asked_of_other_images_too() -> None:
    assert check(TEMPLATE, [far()], ENTRY) == ""
    assert check(LONG, [far()], benchmark_entry(LONG, PHASH, DHASH)) == ""
    # The same words over a picture that is close, if not close enough to decide alone.
    assert check("what is SHOWN in the picture", [image(PHASH ^ 0xFF)], ENTRY) == "benchmark_text"
    assert check(TEMPLATE, [image(PHASH ^ 0xFFF)], ENTRY) == ""
    # … and only if it is the picture of that question.
    other = benchmark_entry("Where is this?", PHASH, DHASH)
    assert check(TEMPLATE, [image(PHASH ^ 0xFF)], other, benchmark_entry(TEMPLATE, ~PHASH & (2**64 - 1), DHASH)) == ""


def test_text_alone_decides_where_there_is_no_image() -> None:
    assert check("What is  shown in the picture", [], ENTRY) == "benchmark_text"
    assert check("What was shown in the picture?", [], ENTRY) == ""
    assert check("Please answer: " + LONG, [], benchmark_entry(LONG, None, None)) == "benchmark_text"
    # One 8-gram in common is what every prompt ends with.
    suffix = "Answer the question using a single word or phrase."
    assert (
        check(
            f"{LONG}? {suffix}", [], benchmark_entry(f"Who wrote the opera of the man in black? {suffix}", None, None)
        )
        == ""
    )


def test_a_benchmark_without_images_is_matched_by_long_equal_text_alone() -> None:
    assert check(LONG, [far()], benchmark_entry(LONG, None, None)) == "benchmark_text"
    assert check(TEMPLATE, [far()], benchmark_entry(TEMPLATE, None, None)) == ""
    # What is told of the answer is no part of a question.
    assert check("Please answer: " + LONG, [far()], benchmark_entry(LONG, None, None)) == "benchmark_text"


STORY = "Two friends sit on a bench and talk about the lakes, the roads and the weather of the north. " * 5


def test_a_text_that_quotes_a_benchmark_within_something_longer_is_refused() -> None:
    entry = benchmark_entry(LONG, None, None)
    assert check(f"{STORY} One asks: {LONG}? {STORY}", [], entry) == "benchmark_text"
    # Half of it is another question.
    half = " ".join(LONG.split()[:12])
    assert check(f"{STORY} One asks: {half}? {STORY}", [], entry) == ""
    # Over another picture it may be a template, if the entry has a picture and this is not near it.
    assert check(f"{STORY} One asks: {LONG}? {STORY}", [far()], entry) == "benchmark_text"
    assert check(f"{STORY} One asks: {LONG}? {STORY}", [far()], benchmark_entry(LONG, PHASH, DHASH)) == ""


def test_a_solution_that_quotes_a_benchmark_is_refused() -> None:
    entry = benchmark_entry(LONG, None, None)
    asked = "How many friends sit there?"
    assert check(asked, [], entry, solution=f"{STORY} {LONG.upper()}! {STORY}") == "benchmark_in_solution"
    assert check(asked, [], entry, solution=STORY) == ""
    # A phrase of every prompt is too short to be looked for.
    phrase = "Answer the question using a single word or phrase"
    assert check(asked, [], benchmark_entry(phrase, None, None), solution=f"{STORY} {phrase}. {STORY}") == ""
    twelve = " ".join(LONG.split()[:12])
    assert check(asked, [], benchmark_entry(twelve, None, None), solution=f"{STORY} {twelve}. {STORY}") == ""
    thirteen = " ".join(LONG.split()[:13])
    quoting = f"{STORY} {thirteen}. {STORY}"
    assert check(asked, [], benchmark_entry(thirteen, None, None), solution=quoting) == "benchmark_in_solution"


def test_nothing_is_contaminated_without_benchmarks() -> None:
    index = index_benchmarks([])
    assert contaminated("q", TEMPLATE, [image(recipe="other")], index, SETTINGS).outcome == "keep"


def test_hashes_of_different_recipes_are_not_compared() -> None:
    ours = Benchmark(key="a", hash_recipe=RECIPE, text_key=KEY_RECIPE, entries=(ENTRY,))
    index = index_benchmarks([ours])
    with pytest.raises(ValueError, match="hash one of them again"):
        contaminated("q", TEMPLATE, [image(recipe="other")], index, SETTINGS)
    with pytest.raises(ValueError, match="different recipes"):
        index_benchmarks([ours, Benchmark(key="b", hash_recipe="other", text_key=KEY_RECIPE, entries=())])


def test_a_manifest_is_checked_when_it_is_read() -> None:
    written = Benchmark(
        key="b", hash_recipe=RECIPE, text_key=KEY_RECIPE, entries=(ENTRY, benchmark_entry(None, 0, 0))
    ).model_dump(mode="json")
    assert written["entries"][1]["phash"] == "0" * 16
    assert Benchmark.model_validate(written).entries[0] == ENTRY
    one_hash = ({"phash": "0" * 16}, {"dhash": "0" * 16})
    for wrong in ({"phash": "xyz"}, {"text": "What?"}, {"phsh": "0" * 16}, *one_hash):
        with pytest.raises(ValidationError):
            BenchmarkEntry.model_validate(wrong)
