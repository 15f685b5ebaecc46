"""Selection shift: total variation of what a stage kept from what was ingested, against a count by hand."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.ledger import snapshot
from flows.report.queries import REPORTS
from flows.report.tables import query_table, records
from tests.support.runs import small_run

SCRIPT = Path(snapshot.__file__).with_name("tables.sql").read_text()
VIEWS = "".join(
    SCRIPT[SCRIPT.index(f"CREATE VIEW {name}") : SCRIPT.index(f"COMMENT ON VIEW {name}")]
    for name in ("selection_mix", "selection_shift")
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("shift") / "small")


Row = tuple[str, bool]
"""A question's source, and whether the stage keeps it."""
SOME = st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), min_size=1, max_size=15).filter(
    lambda rows: any(kept for _, kept in rows)
)


@settings(max_examples=40, deadline=None)
@given(SOME)
def test_the_distance_is_half_the_sum_of_the_differences_of_shares(rows: list[Row]) -> None:
    before, after = Counter(source for source, _ in rows), Counter(source for source, kept in rows if kept)
    distance = sum(abs(after[name] / after.total() - before[name] / before.total()) for name in before) / 2
    told = shift(rows)
    assert abs(told["source"][0] - distance) < 1e-4
    assert 0 <= told["source"][0] <= 1
    assert told["category"] == (0.0, 0.0)  # of one value, nothing can change


@given(st.lists(st.sampled_from("ab"), min_size=1, max_size=9))
@settings(max_examples=15, deadline=None)
def test_what_keeps_all_has_not_shifted_and_could_not_by_chance(sources: list[str]) -> None:
    assert set(shift([(source, True) for source in sources]).values()) == {(0.0, 0.0)}


def test_what_changed_most_is_the_largest_change_of_any_field_and_none_where_nothing_changed(
    run: Path,
) -> None:
    every: list[Any] = records(query_table(run, "SELECT * FROM selection_shift"))
    (report,) = [report for report in REPORTS if report.name == "selection_shift"]
    told: list[Any] = records(query_table(run, report.sql))
    assert told
    for row in told:
        same = [one for one in every if (one["stage"], one["route"]) == (row["stage"], row["route"] or "")]
        largest = max(abs(one["change"]) for one in same)
        assert (row["most"] is None) == (row["change"] is None) == (largest == 0)
        assert abs(row["change"] or 0) == largest
        assert row["most"] in {one["most"] for one in same}


def shift(rows: list[Row]) -> dict[str, tuple[float, float]]:
    """Distance and what chance gives, by field."""
    asked = ", ".join(f"({n}, '{source}', 'perception', 'text')" for n, (source, _) in enumerate(rows))
    kept = ", ".join(f"('screen', {n}, 'kept', 'next')" for n, (_, stays) in enumerate(rows) if stays)
    with duckdb.connect() as db:
        db.execute("CREATE TABLE stages AS FROM (VALUES (0, 'ingest'), (1, 'screen')) AS s(position, stage)")
        db.execute(f"CREATE TABLE ingested AS FROM (VALUES {asked}) AS i(question_id, source, category, answer_type)")
        db.execute(
            "CREATE VIEW every_question AS "
            "SELECT *, question_id AS ingested_id, answer_type AS ingested_type FROM ingested"
        )
        db.execute(f"CREATE TABLE outcomes AS FROM (VALUES {kept}) AS o(stage, question_id, outcome, route)")
        db.execute(VIEWS)
        found = db.execute("SELECT field, distance, by_chance FROM selection_shift WHERE stage = 'screen'").fetchall()
    return {field: (distance, by_chance) for field, distance, by_chance in found}
