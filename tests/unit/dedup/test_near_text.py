"""Questions that read nearly alike are told of, and go only where a recipe says so and their answers agree."""

from __future__ import annotations

import random

import pytest

from filters.dedup import near_text
from filters.dedup.agreement import Deduplicated, deduplicate
from filters.dedup.clusters import DedupSettings, ImageHashes, QuestionRow
from filters.dedup.key import question_key

FACTS = {
    "one": ImageHashes(1, 1, 100, 100, "test/v1", "p1"),
    "near": ImageHashes(3, 1, 90, 90, "test/v1", "p2"),
    "far": ImageHashes(2**64 - 1, 2**64 - 1, 100, 100, "test/v1", "p3"),
}
LEFT = QuestionRow("q1", "What is on the left of the white dog?", ("one",), ("a cat",))
RIGHT = QuestionRow("q2", "What is on the right of the white dog?", ("one",), ("a cat",))


def found(*rows: QuestionRow, **limits: object) -> Deduplicated:
    return deduplicate(rows, FACTS, DedupSettings.model_validate(limits))


def told(result: Deduplicated) -> list[tuple[str, str, str, bool]]:
    return [(text.question_id, text.other, text.answers, text.dropped) for text in result.near_texts]


@pytest.mark.parametrize("image", ["one", "near"])
def test_near_texts_over_one_picture_are_told_of_and_both_stay(image: str) -> None:
    result = found(LEFT, RIGHT._replace(images=(image,)))
    assert told(result) == [("q2", "q1", "agree", False)]
    assert 0.6 <= result.near_texts[0].share < 1
    assert [decision.outcome for decision in result.decisions] == ["keep", "keep"]


@pytest.mark.parametrize("answer", ["a cat", "a tree"])
def test_a_recipe_may_drop_those_whose_answers_agree(answer: str) -> None:
    result = found(LEFT, RIGHT._replace(answers=(answer,)), near_text="drop")
    dropped = answer == "a cat"
    assert [text.dropped for text in result.near_texts] == [dropped]
    assert [decision.reason for decision in result.decisions] == ["", "near_text" if dropped else ""]


def test_nobody_is_dropped_for_one_that_is_dropped() -> None:
    # Each is near the next, and the first is not near the last.
    first = "what is the colour of the small bird on the branch of the old tree"
    texts = [first, f"{first} in spring", f"{first} in spring or autumn"]
    rows = [QuestionRow(f"q{n}", text, (), ("red",)) for n, text in enumerate(texts)]
    result = found(*rows, near_text="drop", near_share=0.82)
    assert [decision.reason for decision in result.decisions] == ["", "near_text", ""]


@pytest.mark.parametrize("count", [20, 200])
def test_of_what_a_template_asks_each_is_told_of_beside_the_three_best_that_it_is_near(count: int) -> None:
    # Up to 64 texts are compared each with each, and more by MinHash.
    rows = [QuestionRow(f"q{n:03}", f"how many squares stand left of place {n} in it", ()) for n in range(count)]
    beside: dict[str, list[str]] = {}
    for pair in told(found(*rows)):
        beside.setdefault(pair[0], []).append(pair[1])
    assert beside.keys() == {row.question_id for row in rows[1:]}
    assert all(others == sorted(others) and len(others) <= 3 for others in beside.values())
    assert [len(beside[f"q{n:03}"]) for n in (1, 2, 3, count - 1)] == [1, 2, 3, 3]
    if count <= 64:
        assert beside[f"q{count - 1:03}"] == ["q000", "q001", "q002"]


def test_one_goes_for_what_agrees_however_many_that_it_is_told_of_beside_do_not() -> None:
    rows = [
        QuestionRow(f"q{n}", f"how many squares stand left of place {n} in the picture", (), (answer,))
        for n, answer in enumerate(("red", "blue", "green", "pink", "grey", "pink"))
    ]
    result = found(*rows, near_text="drop")
    assert [decision.reason for decision in result.decisions] == ["", "", "", "", "", "near_text"]
    assert [other for name, other, _, dropped in told(result) if dropped] == ["q3"]
    assert [other for name, other, _, _ in told(result) if name == "q5"] == ["q0", "q1", "q2", "q3"]


def test_other_pictures_or_other_words_are_not_near() -> None:
    assert told(found(LEFT, RIGHT._replace(images=("far",)))) == []
    assert told(found(LEFT, RIGHT._replace(images=()))) == []
    assert told(found(LEFT, RIGHT._replace(text="Who painted it?"))) == []


def test_many_texts_are_searched_by_minhash_verified_exactly_and_in_no_order() -> None:
    rnd = random.Random(1)
    words = [f"{a}{b}" for a in ("ka", "lo", "mi", "ru", "te") for b in ("ban", "dor", "fel", "gus", "hin", "jap")]
    texts = [" ".join(rnd.choices(words, k=14)) for _ in range(400)]
    texts += [text.replace(text.split()[3], "zebra", 1) for text in texts[:200]]
    rows = [QuestionRow(f"q{n:03}", text, (), ("red",)) for n, text in enumerate(texts)]
    result = found(*rows)
    assert found(*rnd.sample(rows, len(rows))) == result
    keys = [question_key(text) for text in texts]
    exact = {
        (f"q{j:03}", f"q{i:03}")
        for j in range(len(keys))
        for i in range(j)
        if near_text._jaccard(keys[i], keys[j], 0) >= DedupSettings().near_share
    }
    pairs = {(text.question_id, text.other) for text in result.near_texts}
    assert pairs <= exact
    assert len(pairs) >= 0.9 * len(exact) > 100
