"""Records that are made when they are looked at are a sequence as any other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import Made, NearText, Outcome
from pipeline.store.shards import ROW_GROUP, write_records


def records(count: int) -> list[NearText]:
    return [
        NearText(question_id=f"q{n:05}", other="o", share=n / 7, answers="agree", dropped=n % 2 == 0)
        for n in range(count)
    ]


def made_of(some: list[NearText]) -> Made[NearText]:
    def columns(begin: int, end: int) -> Mapping[str, Any]:
        part = some[begin:end]
        varying = {name: [getattr(one, name) for one in part] for name in ("question_id", "share", "dropped")}
        return {**varying, "other": "o", "answers": "agree"}

    return Made(NearText, len(some), columns)


def test_only_what_is_looked_at_is_made_and_anew_each_time() -> None:
    looked_at: list[tuple[int, int]] = []

    def columns(begin: int, end: int) -> Mapping[str, Any]:
        looked_at.append((begin, end))
        return {"question_id": "q", "other": "o", "share": [0.5] * (end - begin), "answers": "agree", "dropped": True}

    made = Made(NearText, 5000, columns)
    assert looked_at == []
    assert made[-1] == made[0]
    assert looked_at == [(4999, 5000), (0, 1)]
    assert sum(1 for _ in made) == 5000
    assert looked_at[2:] == [(0, 4096), (4096, 5000)]


@given(st.integers(0, 12), st.slices(12))
def test_it_is_the_sequence_of_its_records(count: int, part: slice) -> None:
    some = records(count)
    made = made_of(some)
    assert [*made] == some == [made[place] for place in range(count)]
    assert made == some
    assert hash(made) == hash(tuple(some))
    assert made[part] == some[part]
    assert made != [*some, *records(1)]
    with pytest.raises(IndexError):
        made[count]


def test_what_is_not_said_has_its_default_and_none_is_null() -> None:
    said = {"stage": "s", "unit": "row", "record_id": ["a", "b"], "question_id": ["a", "b"], "source": "x"}
    rest = {"category": "", "outcome": "kept", "route": None, "reason": "", "detail": "", "payload": "", "score": None}
    assert [one.score for one in Made(Outcome, 2, lambda *_: {**said, **rest})] == [None, None]


@pytest.mark.parametrize("count", [0, 1, ROW_GROUP, ROW_GROUP + 1])
def test_a_part_has_the_bytes_of_one_that_is_written_record_by_record(count: int, tmp_path: Path) -> None:
    write_records(tmp_path / "a.parquet", NearText, records(count))
    write_records(tmp_path / "b.parquet", NearText, made_of(records(count)))
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
