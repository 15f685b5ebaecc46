"""Whatever a line holds, it has one outcome, and the lines beside it are what they are without it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image

from flows.stages import ingest, screen
from flows.stages.ingest import IngestSettings, SourceRead
from pipeline.engine.units import UnitInput
from pipeline.images import encode_png
from pipeline.records import Outcome, Question, Record, SourceRow
from pipeline.sources import Source, read_source
from pipeline.store import Store
from pipeline.store.shards import arrow_table
from tests.support.internal_names import internal_names
from tests.support.screening import SETTINGS

FIELDS = (
    *("row", "category", "text", "images", "choices", "answers", "answer_type", "tolerance", "metric"),
    *("licence", "derivation", "solution", "lane"),
)
ROW: dict[str, Any] = {
    "row": "a",
    "category": "perception",
    "text": "How many?",
    "images": ["a.png"],
    "answers": ["3"],
    "answer_type": "number",
}

WORDS = st.sampled_from(
    ("", " ", "a.png", "a", "<image>", "<image 1>", "['a', 'b']", "A. x\nB. y", "1. x 2. y", "choice", "text", "list")
) | st.text(max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | WORDS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=8
)
"""Any JSON, and the NaN and infinity that Python writes."""
ROWS = st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4).map(lambda changes: {**ROW, **changes})
ROWS |= st.dictionaries(WORDS, VALUES, max_size=4).map(lambda others: {**others, **ROW})
LINES = st.one_of(
    st.binary(max_size=40),
    ROWS.map(lambda row: json.dumps(row).encode()),
    ROWS.map(lambda row: json.dumps(row, ensure_ascii=False).encode(errors="surrogatepass")),
    st.tuples(ROWS, st.integers(0, 60)).map(lambda cut: json.dumps(cut[0]).encode()[: cut[1]]),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("any")
    (made / "a.png").write_bytes(encode_png(Image.effect_noise((60, 60), 80).convert("RGB")))
    return made


def screened(place: Path, lines: Sequence[bytes]) -> tuple[list[SourceRow], list[Outcome]]:
    (place / "rows.jsonl").write_bytes(b"\n".join(lines))
    rows = [*read_source(Source("own", "1", place, "CC0-1.0"))]
    read = SourceRead(key="own", revision="1", directory=place)
    with Store(place / "store") as store:
        ingested = ingest.run(UnitInput(tuple(rows)), IngestSettings(sources=(read,)), store)
        questions = [*ingested.tables["questions"]]
        asked = screen.run(UnitInput(questions), SETTINGS, store)
    assert [outcome.record_id for outcome in ingested.outcomes] == [row.id for row in rows]
    assert sum(outcome.outcome == "kept" for outcome in ingested.outcomes) == len(questions)
    assert sorted(outcome.record_id for outcome in asked.outcomes) == sorted(
        question.id for question in questions if isinstance(question, Question)
    )
    assert not [outcome.detail for outcome in ingested.outcomes if internal_names(outcome.detail)]
    _written(SourceRow, rows)
    for made in (ingested, asked):
        _written(Outcome, [*made.outcomes])
    return rows, [*ingested.outcomes]


def _written(kind: type[Record], records: Sequence[Record]) -> None:
    """Every record has a hash and a place in Arrow."""
    assert arrow_table(kind, [*records]).num_rows == len(records)
    assert len({record.record_hash() for record in records}) == len(records)


@given(lines=st.lists(LINES, max_size=4))
@example(lines=[b'{"row": "\\ud800", "category": "\\ud800"}', b"\xff", b"\xef\xbb\xbf", b"[" * 2000, b"\x1c"])
def test_every_line_has_one_outcome(place: Path, lines: list[bytes]) -> None:
    good = json.dumps({**ROW, "row": "the good one"}).encode()
    rows, outcomes = screened(place, [good, *lines, good[:-1]])
    written = (place / "rows.jsonl").read_bytes().split(b"\n")
    assert len(rows) == sum(bool(line.removeprefix(b"\xef\xbb\xbf").strip()) for line in written)
    assert len({row.id for row in rows}) == len(rows)
    assert outcomes[0].outcome == "kept"
    assert (outcomes[-1].outcome, outcomes[-1].reason) == ("quarantined", "row_json")
    for outcome in outcomes:
        assert (outcome.payload != "") == (outcome.outcome == "quarantined")
        assert (outcome.outcome == "rejected") == (outcome.reason == "duplicate_row")


@given(row=ROWS)
def test_a_row_and_what_becomes_of_it_do_not_depend_on_its_place(place: Path, row: dict[str, Any]) -> None:
    line = json.dumps({**row, "row": "a"}).encode()
    (alone,), (outcome,) = screened(place, [line])
    rows, outcomes = screened(place, [b"", b"{", line, line])
    if not alone.reason:
        assert (rows[1], outcomes[1]) == (alone, outcome)
        assert outcomes[2].reason == "duplicate_row"
