"""Answers that differ are evidence of different questions, unless nothing else does."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from filters.dedup.agreement import Deduplicated, deduplicate, tied_pictures
from filters.dedup.answers import compare_answers
from filters.dedup.clusters import DedupSettings, ImageHashes, QuestionRow
from pipeline.records import AnswerType

CASES = Path(__file__).parents[2] / "support" / "cases" / "question_pairs.jsonl"
LAYOUTS = [pair for line in CASES.read_text("utf-8").splitlines() if "answers" in (pair := json.loads(line))]
# Two forms of one layout: no hash tells them apart, their pixels do. The third is another file of the first.
FACTS = {
    "form": ImageHashes(1, 1, 100, 100, "test/v1", "p1"),
    "other": ImageHashes(1, 1, 100, 100, "test/v1", "p2"),
    "copy": ImageHashes(1, 1, 100, 100, "test/v1", "p1"),
    "far": ImageHashes(2**64 - 1, 2**64 - 1, 100, 100, "test/v1", "p3"),
}


def row(
    name: str,
    image: str | None,
    *answers: str,
    text: str = "What is the total?",
    kind: AnswerType = "text",
    choices: tuple[str, ...] = (),
) -> QuestionRow:
    return QuestionRow(name, text, () if image is None else (image,), answers, kind, None, choices)


def found(*rows: QuestionRow) -> Deduplicated:
    return deduplicate(rows, FACTS, DedupSettings())


def reasons(*rows: QuestionRow) -> dict[str, str]:
    return {decision.record_id: decision.reason for decision in found(*rows).decisions}


@pytest.mark.parametrize("pair", LAYOUTS, ids=lambda pair: pair["a"])
def test_forms_of_one_layout_with_other_answers_are_both_kept(pair: dict[str, list[str]]) -> None:
    a, b = pair["answers"]
    rows = (row("q1", "form", a, text=str(pair["a"])), row("q2", "other", b, text=str(pair["b"])))
    assert reasons(*rows) == {"q1": "", "q2": ""}
    assert found(*rows).conflicts == ()
    assert reasons(rows[0], rows[1]._replace(answers=rows[0].answers)) == {"q1": "", "q2": "duplicate"}


@pytest.mark.parametrize("image", ["copy", "form"])
def test_over_equal_pixels_contradicting_answers_are_both_rejected_and_both_for_review(image: str) -> None:
    rows = (row("q1", "form", "12", kind="number"), row("q2", image, "13", kind="number"))
    assert reasons(*rows) == {"q1": "contradicting_answers", "q2": "contradicting_answers"}
    told = [(c.question_id, c.other, c.verdict) for c in found(*rows).conflicts]
    assert told == [("q1", "q2", "contradicting"), ("q2", "q1", "contradicting")]
    # A third that agrees with one of them knows no better.
    third = row("q3", "form", "12.0", kind="number")
    assert set(reasons(*rows, third).values()) == {"contradicting_answers"}


def test_over_equal_pixels_the_first_of_undecided_answers_is_kept_and_both_are_for_review() -> None:
    rows = (row("q1", "form", "couch"), row("q2", "copy", "sofa"))
    assert compare_answers(*rows) in {"undecided", "contradict"}
    undecided = (row("q1", "form", "x^2+2x+1", kind="expression"), row("q2", "copy", "(x+1)^2", kind="expression"))
    assert compare_answers(*undecided) == "undecided"
    assert reasons(*undecided) == {"q1": "", "q2": "duplicate"}
    assert [(c.question_id, c.verdict) for c in found(*undecided).conflicts] == [
        ("q1", "undecided"),
        ("q2", "undecided"),
    ]
    # Over pictures that are only near, both are kept.
    near = (undecided[0], undecided[1]._replace(images=("other",)))
    assert reasons(*near) == {"q1": "", "q2": ""}


def test_questions_without_pictures_are_over_equal_pictures() -> None:
    assert reasons(row("q1", None, "4"), row("q2", None, "four")) == {"q1": "", "q2": "duplicate"}
    assert set(reasons(row("q1", None, "4"), row("q2", None, "5")).values()) == {"contradicting_answers"}


def test_an_answer_that_any_of_several_agrees_with_is_the_same() -> None:
    assert reasons(row("q1", "form", "grey", "silver"), row("q2", "copy", "Gray")) == {"q1": "", "q2": "duplicate"}


def test_one_stem_beside_other_options_contradicts_nothing() -> None:
    one = row("q1", "form", "Paris", kind="choice", choices=("Paris", "Rome"))
    other = row("q2", "form", "Oslo", kind="choice", choices=("Oslo", "Bern"))
    same = row("q3", "form", "Rome", kind="choice", choices=("rome", "PARIS"))
    assert reasons(one, other) == {"q1": "", "q2": ""}
    assert reasons(one, same) == {"q1": "contradicting_answers", "q3": "contradicting_answers"}
    assert reasons(one, other._replace(answers=("paris",), choices=("Bern", "paris"))) == {"q1": "", "q2": "duplicate"}


def test_options_contradict_whether_asked_with_them_or_without() -> None:
    """In which way a question is asked follows from its answer, so two that contradict may differ in it."""
    opened = row("q1", "form", "cat")._replace(offered=("cat", "dog", "emu"))
    asked = row("q2", "copy", "dog", kind="choice", choices=("emu", "cat", "dog"))
    assert set(reasons(opened, asked).values()) == {"contradicting_answers"}
    assert len(found(opened, asked).conflicts) == 2
    other = asked._replace(choices=("dog", "ox"))
    assert reasons(opened, other) == {"q1": "", "q2": ""}
    assert reasons(opened, asked._replace(answers=("cat",))) == {"q1": "", "q2": "duplicate"}
    assert reasons(opened, asked._replace(images=("other",))) == {"q1": "", "q2": ""}


def test_a_cluster_of_pictures_and_key_is_one_whatever_the_answers() -> None:
    # SFT and RL share none of them.
    clusters = found(
        row("q1", "form", "1"), row("q2", "other", "2"), row("q3", "far", "1"), row("q4", None, "1")
    ).clusters
    assert clusters[0].cluster_id == clusters[1].cluster_id
    assert len({cluster.cluster_id for cluster in clusters}) == 3
    assert [cluster.representative for cluster in clusters] == ["q1", "q2", "q3", "q4"]


def test_pictures_are_tied_by_being_one_or_of_one_question() -> None:
    near = {"a": ("a", "b"), "b": ("b", "a"), "c": ("c",), "d": ("d",), "e": ("e",)}
    rows = [QuestionRow(name, "x", images) for name, images in (("q1", ("a",)), ("q2", ("b", "c")), ("q3", ("c",)))]
    rows += [QuestionRow("q4", "x", ("e",)), QuestionRow("q5", "x", ())]
    assert tied_pictures(rows, near) == {"a": "a", "b": "a", "c": "a", "d": "d", "e": "e"}


def test_many_answers_over_one_layout_take_no_time_without_end() -> None:
    rows = [row(f"q{number:04}", "form" if number % 2 else "other", f"name {number}") for number in range(600)]
    began = time.process_time()
    assert len(found(*rows).clusters) == 600
    assert time.process_time() - began < 60
