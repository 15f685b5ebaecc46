"""Figures of a review, against what they come to by hand."""

from __future__ import annotations

import pytest

from flows.review.figures import defect_shares, figures_of, tables
from flows.review.sample import Drawn, Fate, Sample, Stratum
from pipeline.records import Defect, Mark, MarkWord


def row(name: str, stratum: str, judge: str | None = None, **filters: str) -> Drawn:
    stopped = next((name for name, said in filters.items() if said != "keep"), "")
    return Drawn(
        item=name, record_id=name, question_id="q", stratum=stratum, reason=stopped, filters=filters, judge=judge
    )


def stratum(fate: Fate, size: int, drawn: int) -> Stratum:
    return Stratum(name=fate, fate=fate, size=size, drawn=drawn, probability=drawn / size)


SAMPLE = Sample(
    id="i",
    seed=0,
    n=8,
    per=(),
    annotators=2,
    frame="f",
    strata=(stratum("shipped", 400, 4), stratum("rejected", 40, 4)),
    rows=(
        row("s1", "shipped", judge="right", answer="keep", loop="keep"),
        row("s2", "shipped", judge="right", answer="keep", loop="keep"),
        row("s3", "shipped", answer="keep", loop="keep"),
        row("s4", "shipped", answer="keep", loop="keep"),
        row("r1", "rejected", judge="wrong", answer="reject", loop="keep"),
        row("r2", "rejected", judge="cannot_tell", answer="unknown", loop="keep"),
        row("r3", "rejected", answer="keep", loop="reject"),
        row("r4", "rejected", answer="keep", loop="reject"),
    ),
)


def mark(name: str, word: MarkWord, defect: Defect | None = None, annotator: int = 1) -> Mark:
    return Mark(record_id=name, question_id="q", sample="i", annotator=annotator, mark=word, defect=defect, comment="")


MARKS = [
    mark("s1", "defective", "wrong_answer"),
    *(mark(name, "good") for name in ("s2", "s3", "s4", "r4")),
    mark("r1", "defective", "wrong_answer"),
    mark("r2", "defective", "other"),
    mark("r3", "defective", "useless_tool"),
]
"""One of 4 that ship, who stand for 400, and three of 4 that were stopped, who stand for 40."""


def test_rates_weigh_each_row_by_how_many_it_stands_for() -> None:
    found = figures_of(SAMPLE, MARKS)
    assert {fate: one.share for fate, one in found.fates.items()} == {
        "shipped": 0.25,
        "rejected": 0.75,
        "all": pytest.approx(130 / 440),
    }
    assert {kind: one.share for kind, one in found.defects.items() if one.share} == {"wrong_answer": 0.25}


def test_precision_and_recall_are_of_all_attempts_and_not_of_the_sample() -> None:
    found = {one.by: (one.precision.share, one.recall.share) for one in figures_of(SAMPLE, MARKS).caught}
    expected = {
        "validate": (0.75, 30 / 130),
        "answer": (1.0, 20 / 130),
        "loop": (0.5, 10 / 130),
        # It was asked about s1, s2, r1 and r2, of which s1, r1 and r2 are defective.
        "judge": (1.0, 20 / 120),
    }
    assert found.keys() == expected.keys()
    for by, shares in expected.items():
        assert found[by] == pytest.approx(shares)


def test_who_cannot_tell_has_not_judged_and_two_who_differ_make_half_a_defect() -> None:
    told = [
        mark("a", "good"),
        mark("a", "defective", "other", annotator=2),
        mark("b", "cannot_tell"),
        mark("c", "cannot_tell"),
        mark("c", "defective", "bad_picture", annotator=2),
    ]
    assert defect_shares(told) == {"a": 0.5, "c": 1.0}
    assert defect_shares(told, "other") == {"a": 0.5, "c": 0.0}


def test_of_no_marks_nothing_is_known_and_the_tables_are_drawn_all_the_same() -> None:
    found = figures_of(SAMPLE, [])
    assert {(one.share, one.low, one.high) for one in found.fates.values()} == {(None, 0.0, 1.0)}
    assert tables(found, SAMPLE.sizes)[0].title == "Defective"
