from __future__ import annotations

from pathlib import Path

import pytest

from flows.ledger.query import answer, query
from flows.ledger.snapshot import Shard, StageCost, build_ledger
from pipeline.engine.done import Finished
from pipeline.engine.running import run_unit
from pipeline.engine.stage import Declared
from pipeline.engine.units import WHOLE, Reader, UnitInput, UnitOutput
from pipeline.errors import UsageError
from pipeline.records import Question
from tests.support.jobs.engine_job import make_questions, outcome, source_rows
from tests.support.runs import facts
from tests.support.staged import AnySettings, after, begun, declared, run_given

ROWS = 70
NAMED = {
    *("runs", "questions", "outcomes", "attempts", "gates", "trajectories", "turns", "model_calls", "tool_calls"),
    *("duplicates", "shards", "funnel", "reasons", "yield_by_teacher", "tool_mix", "cost"),
    *("prices", "cost_per_row", "arms", "suspicions", "votes", "templates", "keys", "gate_settings"),
    *("labels", "review_queue", "execution", "replays", "decisions", "endings"),
}
"""Tables and views that users' queries rely on."""


def ingesting(run: Path) -> Declared[AnySettings, object]:
    return declared(run, "ingest", kind="global")


def ingest(unit: UnitInput) -> UnitOutput:
    return UnitOutput(tuple(outcome("ingest", row, kept=True) for row in source_rows(len(unit.records))), {})


def screen(unit: UnitInput) -> UnitOutput:
    made = make_questions(unit)
    named = tuple(item.model_copy(update={"stage": "screen"}) for item in made.outcomes)
    quarantined = named[0].model_copy(
        update={"outcome": "quarantined", "route": None, "reason": "image_format", "payload": "{}"}
    )
    return UnitOutput((quarantined, *named[1:]), made.tables)


def finished(run: Path) -> list[Finished]:
    rows = tuple(source_rows(ROWS))
    done = begun(run, rows)
    ingested = run_given(ingesting(run), done, lambda _: UnitInput(rows), ingest, expected=ROWS)
    done = after(done, ingested)
    screening = declared(
        run, "screen", model="reader/1", tables={"questions": Question}, upstream=(ingested.fingerprint,)
    )
    screened = run_given(screening, done, lambda span: UnitInput(done.rows(span)), screen, expected=ROWS)
    return [ingested, screened]


FACTS = facts(
    "small",
    costs=[StageCost(1, "screen", 1.5, 2.5, 4, 0, 10, 2, 3, 5)],
    shards=[Shard("sft", "huggingface", 20, 1000)],
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("run")
    build_ledger(base, finished(base), FACTS)
    return base


def test_every_table_and_view_is_there_and_says_what_it_is(run: Path) -> None:
    tables = query(run, "SELECT table_name AS name, comment FROM duckdb_tables()").to_pylist()
    views = query(run, "SELECT view_name AS name, comment FROM duckdb_views() WHERE NOT internal").to_pylist()
    comments = {row["name"]: row["comment"] for row in tables + views}
    assert set(comments) >= NAMED
    assert all(comment and comment.endswith(".") for comment in comments.values()), comments


def test_every_line_of_the_funnel_adds_up(run: Path) -> None:
    funnel = query(run, "SELECT * FROM funnel").to_pylist()
    assert [row["stage"] for row in funnel] == ["ingest", "screen"]
    for row in funnel:
        assert row["n_in"] == row["kept"] + row["rejected"] + row["quarantined"] == ROWS
        assert row["pass_rate"] == row["kept"] / ROWS
    assert funnel[1]["quarantined"] == 4  # one per unit


def test_reasons_cover_exactly_what_was_not_kept(run: Path) -> None:
    reasons = query(run, "SELECT * FROM reasons").to_pylist()
    funnel = query(run, "SELECT sum(rejected + quarantined) AS n FROM funnel").to_pylist()
    assert sum(row["n"] for row in reasons) == funnel[0]["n"]
    assert {row["reason"] for row in reasons} == {"seventh", "image_format"}
    ids = {row["id"] for row in query(run, "SELECT record_id AS id FROM outcomes").to_pylist()}
    assert {row["example"] for row in reasons} <= ids


def test_it_holds_the_records_of_the_run(run: Path) -> None:
    questions = query(run, "SELECT question_id, answers FROM questions").to_pylist()
    assert len(questions) == sum(1 for number in range(ROWS) if number % 7)
    assert query(run, "SELECT * FROM runs").to_pylist()[0]["name"] == "small"
    assert query(run, "SELECT paid, cached FROM model_calls").to_pylist() == [{"paid": 10, "cached": 5}]
    assert query(run, "SELECT n_rows FROM shards").to_pylist() == [{"n_rows": 20}]
    assert query(run, "SELECT * FROM trajectories").num_rows == 0


def test_it_is_stored_in_the_format_that_older_tools_read(run: Path) -> None:
    tags = query(run, "SELECT tags FROM duckdb_databases() WHERE NOT internal").to_pylist()
    assert "v1.5" in str(tags)


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE outcomes", "DELETE FROM outcomes", "CREATE TABLE more AS SELECT 1", "UPDATE runs SET name = ''"],
)
def test_a_query_cannot_change_it(statement: str, run: Path) -> None:
    before = (run / "ledger.duckdb").read_bytes()
    with pytest.raises(UsageError, match=r"--sql"):
        answer(run, statement)
    assert (run / "ledger.duckdb").read_bytes() == before


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('{run}/ledger.csv')",
        "SELECT * FROM '{run}/x.parquet'",
        "COPY (SELECT 1) TO '{run}/out.csv'",
        "ATTACH '{run}/other.duckdb' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
    ],
)
def test_a_query_reads_nothing_but_the_ledger(statement: str, run: Path) -> None:
    (run / "ledger.csv").write_text("a\n1\n")
    files = sorted(path.name for path in run.iterdir())
    with pytest.raises(UsageError, match=r"--sql"):
        answer(run, statement.format(run=run))
    assert sorted(path.name for path in run.iterdir()) == files


def test_a_wrong_query_says_what_duckdb_says(run: Path) -> None:
    with pytest.raises(UsageError, match=r"--sql: .*funel.*does not exist"):
        answer(run, "SELECT * FROM funel")


def test_a_run_without_a_ledger_is_named_with_the_fix(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ledger\.duckdb does not exist; give a run directory"):
        query(tmp_path, "SELECT 1")


def test_a_rebuild_replaces_it_even_after_one_was_interrupted(tmp_path: Path) -> None:
    stages = finished(tmp_path)
    (tmp_path / ".ledger.new.duckdb").write_bytes(b"half a file")
    (tmp_path / ".ledger.new.duckdb.wal").write_bytes(b"half a file")
    build_ledger(tmp_path, stages[:1], FACTS)
    assert query(tmp_path, "SELECT DISTINCT stage FROM outcomes").num_rows == 1
    build_ledger(tmp_path, stages, FACTS)
    assert query(tmp_path, "SELECT DISTINCT stage FROM outcomes").num_rows == 2
    assert {path.name for pattern in ("*ledger*", ".ledger*") for path in tmp_path.glob(pattern)} == {
        *("ledger.duckdb", ".ledger.lock")
    }


def test_a_run_directory_with_a_quote_in_its_name_works(tmp_path: Path) -> None:
    base = tmp_path / "it's; --"
    build_ledger(base, finished(base), FACTS)
    assert query(base, "SELECT count(*) AS n FROM outcomes").to_pylist() == [{"n": 2 * ROWS}]


def test_only_the_parts_of_this_run_are_read(tmp_path: Path) -> None:
    stages = finished(tmp_path)
    # A leftover of an earlier input, committed in the same stage directory.
    stale = UnitInput(tuple(source_rows(3)))
    run_unit(ingesting(tmp_path), Reader(3, lambda _: stale), WHOLE, ingest)
    build_ledger(tmp_path, stages, FACTS)
    assert query(tmp_path, "SELECT count(*) AS n FROM outcomes").to_pylist() == [{"n": 2 * ROWS}]
