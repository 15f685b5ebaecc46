from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from flows.cli.main import make_app
from flows.report.tables import query_table
from flows.report.viewer.groups import groups
from flows.report.viewer.index import CHUNK_BYTES, FACETS, SHORT, UNASKED, seen_share
from flows.report.viewer.write import write_report
from pipeline.identity import canonical_json
from pipeline.records import Trajectory
from pipeline.store.blobs import BlobStore
from tests.support.builders import question, trajectory, turn
from tests.support.command import ROOT
from tests.support.report_files import listed, transcripts, value
from tests.support.runs import HOSTILE, IMAGE, PIXELS, attempt, small_run, unfinished


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = small_run(tmp_path_factory.mktemp("viewer") / "small")
    BlobStore(run.parent / ".store" / "blobs").put(PIXELS.getvalue())
    CliRunner().invoke(make_app(), ["report", str(run)], catch_exceptions=False)
    return run


def test_every_rollout_of_the_ledger_is_listed_once(run: Path) -> None:
    ids = [str(row[0])[:SHORT] for row in query_table(run, "SELECT trajectory_id FROM trajectories").rows]
    assert sorted(row["id"] for row in listed(run / "report") if row["words"]["arm"]) == sorted(ids)


STOPPED = {
    "stage": f"'{UNASKED}'",
    "category": "category",
    "source": "source",
    "fate": "outcome || ': ' || stage",
    "reason": "stage || ': ' || reason",
}
"""What is told of records that stopped before a model was asked."""


NEVER_ASKED = """FROM outcomes WHERE outcome <> 'kept' AND unit <> 'trajectory'
AND question_id NOT IN (SELECT question_id FROM trajectories)"""


@pytest.mark.parametrize(
    ("facet", "sql"),
    [
        ("stage", "SELECT stage FROM trajectories"),
        ("verdict", "SELECT verdict FROM trajectories"),
        ("finish", "SELECT finish FROM trajectories"),
        ("arm", "SELECT arm FROM trajectories"),
        ("model", "SELECT model FROM trajectories"),
        ("category", "SELECT q.category FROM trajectories JOIN questions q USING (question_id)"),
        ("source", "SELECT q.source FROM trajectories JOIN questions q USING (question_id)"),
        ("tool", "SELECT action FROM (SELECT DISTINCT trajectory_id, action FROM tool_calls)"),
        (
            "label",
            """SELECT label FROM trajectories JOIN (
              SELECT question_id, 'answerable_blind' AS label FROM labels WHERE answerable_blind
              UNION ALL SELECT question_id, 'resolution_artifact' FROM labels WHERE resolution_artifact
              UNION ALL SELECT question_id, 'by_floor' FROM labels WHERE by_floor
              UNION ALL SELECT question_id, 'suspected_wrong_gold' FROM suspicions WHERE contradicts
            ) USING (question_id)""",
        ),
        (
            "fate",
            """WITH told AS (SELECT o.*, position FROM outcomes o JOIN stages USING (stage) WHERE unit <> 'row'),
            way AS (
              SELECT question_id, arg_max(stage, position) AS stage FROM told GROUP BY ALL
            ), far AS (
              SELECT question_id, w.stage, max_by(t.outcome, t.outcome = 'kept') AS outcome
              FROM way w JOIN told t USING (question_id, stage) GROUP BY ALL
            ), own AS (
              SELECT record_id, arg_max(outcome, position) AS outcome, arg_max(stage, position) AS stage
              FROM told WHERE unit = 'trajectory' GROUP BY ALL
            )
            SELECT CASE WHEN purpose = 'gate' THEN f.outcome || ': ' || f.stage
                        WHEN own.stage IS NOT NULL THEN own.outcome || ': ' || own.stage
                        WHEN finish <> 'answer' THEN 'no answer' ELSE s.outcome || ': synthesize' END
            FROM trajectories t LEFT JOIN far f USING (question_id) LEFT JOIN own ON own.record_id = t.trajectory_id
            LEFT JOIN told s ON s.record_id = t.question_id AND s.stage = 'synthesize'""",
        ),
        (
            "reason",
            """SELECT o.stage || ': ' || o.reason FROM trajectories t JOIN outcomes o
            ON o.record_id = t.trajectory_id
            OR o.record_id = t.question_id AND (purpose = 'gate' OR o.stage = 'synthesize')
            WHERE o.outcome <> 'kept'""",
        ),
        (
            "validator",
            "SELECT filter FROM (SELECT DISTINCT trajectory_id, filter FROM decisions WHERE outcome <> 'keep')",
        ),
        (
            "alone",
            """SELECT any_value(filter) FROM decisions WHERE outcome <> 'keep'
            GROUP BY trajectory_id HAVING count(*) = 1""",
        ),
        (
            "seen",
            """SELECT CASE WHEN seen_share = 1 THEN 'all of it' WHEN seen_share >= 0.5 THEN 'half or more'
            WHEN seen_share >= 0.1 THEN 'a tenth or more' ELSE 'less than a tenth' END
            FROM trajectories WHERE seen_share IS NOT NULL""",
        ),
        ("turns", "SELECT n_turns FROM trajectories"),
        ("gate1", "SELECT plain_right FROM trajectories JOIN gates USING (question_id)"),
        (
            "placebo",
            "SELECT n_right FROM trajectories JOIN (FROM arms WHERE arm = 'fresh') USING (question_id)",
        ),
        (
            "gate2",
            """SELECT tools_right FROM trajectories JOIN (
              FROM gates SEMI JOIN (FROM outcomes WHERE stage = 'gate2') USING (question_id)
            ) USING (question_id)""",
        ),
    ],
)
def test_what_is_filtered_by_is_what_the_ledger_says(run: Path, facet: str, sql: str) -> None:
    if facet in STOPPED:
        sql = f"{sql} UNION ALL SELECT {STOPPED[facet]} FROM ({NEVER_ASKED})"  # noqa: S608 - our own words
    expected = Counter(str(row[0]) for row in query_table(run, sql).rows)
    assert Counter(word for row in listed(run / "report") for word in row["words"][facet]) == expected
    (told,) = (one for one in value(run / "report", "about")["facets"] if one["name"] == facet)
    assert dict(zip(told["words"], told["counts"], strict=True)) == dict(expected)


@pytest.mark.parametrize(
    ("pictures", "seen", "share"),
    [
        ([(2880, 2080)], [[588, 420]], 588 * 420 / (2880 * 2080)),
        # The least of several; what came back in turns is no picture of the question.
        ([(100, 100), (200, 100)], [[100, 100], [100, 50], [1, 1]], 0.25),
        ([(40, 30)], [[588, 420]], 1.0),
        ([], [[1, 1]], None),
        ([(40, 30)], None, None),
    ],
)
def test_the_share_of_a_picture_that_was_seen_is_that_of_the_one_seen_least(
    pictures: list[tuple[int, int]], seen: list[list[int]] | None, share: float | None
) -> None:
    images = tuple(IMAGE.model_copy(update={"width": width, "height": height}) for width, height in pictures)
    view = canonical_json({} if seen is None else {"seen": seen})
    made = trajectory(turn("answer", "a"), asked=question("Which?", images=images), view=view)
    assert seen_share(made) == share
    expected = query_table_of(made)
    assert expected == (share if share is None else pytest.approx(share))


def query_table_of(made: Trajectory) -> float | None:
    """Return what the ledger's formula makes of one trajectory."""
    script = (ROOT / "flows" / "ledger" / "tables.sql").read_text()
    formula = re.search(r"list_min\(.*?\) AS seen_share", script, re.DOTALL)
    assert formula is not None
    given = pa.Table.from_pylist([made.to_row()], schema=Trajectory.ARROW)
    with duckdb.connect(":memory:") as db:
        db.register("given", given)
        found = db.sql(f"SELECT {formula[0]} FROM given").to_arrow_table()  # noqa: S608 - our own script
    value: float | None = found["seen_share"][0].as_py()
    return value


def test_each_facet_is_compared_with_the_ledger() -> None:
    marks = test_what_is_filtered_by_is_what_the_ledger_says.pytestmark  # type: ignore[attr-defined] # set by pytest
    assert {case[0] for case in marks[0].args[1]} == {facet.name for facet in FACETS}


def test_a_transcript_holds_all_of_a_trajectory(run: Path) -> None:
    shown_groups = transcripts(run / "report")
    for made in (attempt(8, "synthesis", "tools", 1, "right"), unfinished(7)):
        group = shown_groups[f"group-{made.question_id[:SHORT]}"]
        (shown,) = (one for one in group["trajectories"] if one["id"] == made.id)
        assert (shown["verdict"], shown["answer"], shown["finish"]) == (made.verdict, made.answer, made.finish)
        assert [turn["raw"] for turn in shown["turns"]] == [turn.raw_text for turn in made.turns]
        assert [turn["loss"] for turn in shown["turns"]] == [turn.loss for turn in made.turns]
        assert value(run / "report", "systems")[shown["system"]] == made.system
        assert shown["images"] == [[IMAGE.sha256, 40, 30, 588, 420]]
        assert shown["turns"][0]["observation"] == HOSTILE
        # The gate's rollouts of the same question come with it, after the teachers'.
        assert [one["stage"] for one in group["trajectories"]][-2:] == ["gate1", "gate1"]


def test_without_rollouts_the_first_of_each_reason_are_shown_and_all_that_are_named(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unasked = [group.question.id for group in groups(run) if not group.members]
    assert len(unasked) == 2
    monkeypatch.setattr("flows.report.viewer.groups.STOPPED_EACH", 0)
    assert [group.question.id for group in groups(run) if not group.members] == []
    for named in unasked:
        assert [group.question.id for group in groups(run, {named}) if not group.members] == [named]


def test_a_row_names_the_chunk_with_its_transcript(run: Path) -> None:
    shown_groups = transcripts(run / "report")
    for row in listed(run / "report"):
        group = shown_groups[f"group-{row['question_id']}"]
        if not row["words"]["arm"]:
            assert group["trajectories"] == []
            continue
        (shown,) = (one for one in group["trajectories"] if one["id"].startswith(row["id"]))
        assert len(shown["turns"]) == row["turns"]
        assert (shown["answer"] or "") == row["answer"]
        assert row["question_text"] == group["question"]["text"]
    assert CHUNK_BYTES > 0


def test_pictures_are_linked_from_where_the_folder_is_and_copied_when_asked(run: Path, tmp_path: Path) -> None:
    about = value(run / "report", "about")
    name = f"{IMAGE.sha256[:2]}/{IMAGE.sha256}"
    assert (run / "report" / about["blobs"] / name).resolve().read_bytes() == PIXELS.getvalue()
    made = write_report(run, tmp_path / "bundle", BlobStore(run.parent / ".store" / "blobs"), bundle=True)
    assert (made.pictures, made.missing) == (1, 0)
    assert value(tmp_path / "bundle", "about")["blobs"] == "pictures"
    assert (tmp_path / "bundle" / "pictures" / name).read_bytes() == PIXELS.getvalue()


def test_the_same_run_gives_the_same_folder(run: Path, tmp_path: Path) -> None:
    blobs = BlobStore(run.parent / ".store" / "blobs")
    for out in (tmp_path / "one", tmp_path / "two"):
        write_report(run, out, blobs)
        write_report(run, out, blobs)
    one, two = (
        {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        for out in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two
