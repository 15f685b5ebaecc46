"""The metrics of three benchmarks score as published, and their verdicts are no more lenient than they say."""

from __future__ import annotations

import pytest

from filters.answers.metrics import anls, grade_by, metric_of, relaxed, vqa_accuracy
from pipeline.export.rows import truth
from pipeline.records import Metric, Question
from tests.support.builders import question

TEN = ["red"] * 2 + ["blue"] * 3 + ["green"] * 4 + ["teal"]


@pytest.mark.parametrize(
    ("said", "expected"),
    # Published as the mean over the ten sets of nine people of min(1, agreeing / 3).
    [("red", 0.6), ("blue", 0.9), ("green", 1.0), ("teal", 0.3), ("Teal.", 0.3), ("pink", 0.0), ("", 0.0)],
)
def test_vqa_accuracy_is_the_mean_over_all_but_one(said: str, expected: float) -> None:
    sets = [TEN[:left] + TEN[left + 1 :] for left in range(10)]
    counted = sum(min(1.0, others.count(said.lower().rstrip(".")) / 3) for others in sets) / 10
    assert vqa_accuracy(said, TEN) == pytest.approx(counted) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("said", "golds", "expected"),
    [
        ("Main Street", ["main  street"], 1.0),
        ("main stret", ["main street"], 1 - 1 / 11),
        ("kitten", ["sitting"], 1 - 3 / 7),
        ("abc", ["xyz"], 0.0),
        ("abcd", ["abxyzw"], 0.0),
        ("1995", ["1996"], 0.75),
        ("", [""], 0.0),
        ("x", [], 0.0),
    ],
)
def test_anls_is_the_similarity_to_the_nearest_gold_from_one_half_on(
    said: str, golds: list[str], expected: float
) -> None:
    assert anls(said, golds) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("said", "gold", "expected"),
    [
        ("105", "100", 1.0),
        ("95", "100", 1.0),
        ("105.1", "100", 0.0),
        ("1,050", "1000", 0.0),
        ("5%", "5", 0.0),
        ("5.2%", "0.05", 1.0),
        ("0", "0", 1.0),
        ("0.01", "0", 0.0),
        ("1995", "1996", 1.0),
        ("Yes", "yes", 1.0),
        ("no", "yes", 0.0),
    ],
)
def test_relaxed_accuracy_is_five_percent_of_a_number_and_exact_for_the_rest(
    said: str, gold: str, expected: float
) -> None:
    assert relaxed(said, [gold]) == expected


@pytest.mark.parametrize(
    ("metric", "said", "golds", "verdict"),
    [
        ("vqa", "green", TEN, "right"),
        ("vqa", "red", TEN, "undecided"),
        ("vqa", "pink", TEN, "wrong"),
        ("vqa", "red", ["red"], "undecided"),
        ("vqa", "red or green", TEN, "wrong"),
        ("anls", "main street", ["Main Street"], "right"),
        ("anls", "main stret", ["Main Street"], "undecided"),
        ("anls", "1995", ["1996"], "wrong"),
        ("anls", "not main street", ["Main Street"], "wrong"),
        ("relaxed", "104", ["100"], "right"),
        ("relaxed", "104 or 100", ["100"], "wrong"),
        ("relaxed", "106", ["100"], "wrong"),
        ("relaxed", None, ["100"], "wrong"),
        ("relaxed", "1" * 300, ["1" * 300], "wrong"),
        ("anls", "x", [], "undecided"),
    ],
)
def test_verdicts_take_the_full_score_only(metric: Metric, said: str | None, golds: list[str], verdict: str) -> None:
    assert grade_by(metric, said, golds).verdict == verdict


@pytest.mark.parametrize(
    ("metric", "said", "gold", "score", "verdict"),
    [
        # The published score, and our verdict where it is too lenient or too literal.
        ("relaxed", "2019", "2020", 1.0, "wrong"),
        ("relaxed", "105", "100", 1.0, "right"),
        ("relaxed", "-100", "100", 0.0, "wrong"),
        ("relaxed", "0.05", "5%", 1.0, "right"),
        ("relaxed", "0%", "0", 0.0, "right"),
        ("relaxed", "0.0", "0", 0.0, "right"),
        ("relaxed", "0.01", "0", 0.0, "wrong"),
        ("relaxed", "1,050", "1000", 0.0, "right"),
        ("relaxed", "2.1 million", "2 million", 0.0, "right"),
        ("anls", "1996", "1995", 0.75, "wrong"),
        ("anls", "$ 975", "$975", 0.8, "right"),
        ("anls", "John Smyth", "John Smith", 0.9, "undecided"),
    ],
)
def test_score_and_verdict_are_two(metric: Metric, said: str, gold: str, score: float, verdict: str) -> None:
    result = grade_by(metric, said, [gold], "number" if metric == "relaxed" else "text")
    assert result.score == pytest.approx(score)
    assert result.verdict == verdict


def test_an_annotator_counts_as_often_as_an_answer_was_given() -> None:
    assert grade_by("vqa", "red", ["red"] * 4 + ["blue"] * 6).verdict == "right"
    assert grade_by("vqa", "red", ["red", "blue"] * 2).verdict == "undecided"


def test_a_question_carries_the_metric_of_its_source() -> None:
    def asked(meta: object) -> Question:
        return question("How many?", answers=("100",), answer_type="number", meta=meta)

    assert metric_of(asked({"metric": "relaxed"})) == "relaxed"
    assert metric_of(asked({"metric": "mean"})) is None
    assert metric_of(asked({})) is None


def test_the_exported_truth_is_what_most_annotators_give() -> None:
    asked_by_many = question("What colour is it?", answers=("teal", "blue", "green", "blue"), meta={"metric": "vqa"})
    assert truth(asked_by_many) == "blue"
    assert truth(asked_by_many.model_copy(update={"answers": ("Springfield", "SPI")})) == "Springfield"
