"""First failing beside only failing: what relaxing one validator alone would recover, against a count by hand."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.ledger import snapshot

FILTERS = ("answer", "grammar", "copied")
SCRIPT = Path(snapshot.__file__).with_name("tables.sql").read_text()
VIEW = SCRIPT[SCRIPT.index("CREATE VIEW validators") : SCRIPT.index("COMMENT ON VIEW validators")]

Attempt = tuple[int, frozenset[str]]
"""Number of the question, and which validators are against."""


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.frozensets(st.sampled_from(FILTERS))), min_size=1, max_size=12))
def test_only_failing_is_what_no_other_validator_is_against(attempts: list[Attempt]) -> None:
    found = defaultdict[str, list[int]](lambda: [0, 0, 0])
    gained = defaultdict[str, set[int]](set)
    served = {question for question, against in attempts if not against}
    for question, against in attempts:
        first = next((name for name in FILTERS if name in against), None)
        for name in against:
            found[name][0] += 1
            found[name][1] += name == first
            found[name][2] += len(against) == 1
            if len(against) == 1 and question not in served:
                gained[name].add(question)
    expected = {(name, *counts, len(gained[name])) for name, counts in found.items()}
    assert set(_view(attempts)) == expected


def _view(attempts: list[Attempt]) -> list[tuple[object, ...]]:
    outcomes, decisions = [], []
    for number, (question, against) in enumerate(attempts):
        first = next((name for name in FILTERS if name in against), "")
        outcomes.append(f"('validate', {number}, {question}, '{'rejected' if against else 'kept'}', '{first}')")
        decisions += [
            f"({number}, '{name}', 'no', '{'reject' if name in against else 'keep'}', 1.0)" for name in FILTERS
        ]
    with duckdb.connect() as db:
        db.execute(
            "CREATE TABLE outcomes AS FROM (VALUES "
            f"{', '.join(outcomes)}) AS o(stage, record_id, question_id, outcome, detail)"
        )
        db.execute(
            "CREATE TABLE decisions AS FROM (VALUES "
            f"{', '.join(decisions)}) AS d(trajectory_id, filter, reason, outcome, score)"
        )
        db.execute(VIEW)
        rows = db.execute("SELECT filter, failing, first_failing, only_failing, questions_gained FROM validators")
        return rows.fetchall()
