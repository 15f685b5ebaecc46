"""People correct rows: another record is made, whose parent is the one that they saw, and everything decides anew."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from flows.report.lookup import finished_stages
from flows.report.tables import query_table
from flows.review.edits import EDITS, read_edits
from flows.stages.ingest import IngestSettings
from pipeline.engine.done import Done
from pipeline.engine.units import Range
from pipeline.errors import UsageError
from pipeline.identity import canonical_json, parse_json
from pipeline.records import Edit, Outcome, Question, Trajectory
from pipeline.store.shards import write_records
from tests.support.curated import curated, write_corpus
from tests.support.reviewed import LIGHT, command, ran

WHO = {"annotator": "kim", "comment": "I looked"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_corpus(tmp_path_factory.mktemp("edits") / "place")


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    return ran(place, "run")


def lines(place: Path, *corrections: object) -> Path:
    path = place / "corrections.jsonl"
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in corrections))
    return path


def rows(run: Path, sql: str, **ids: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in query_table(run, sql.format(**ids)).rows]


def question_of(run: Path, row: str) -> Question:
    found = Done(run, finished_stages(run)).records("screen", "questions", Question)
    return next(one for one in found if one.source_row == row)


def outcomes(run: Path, identity: str) -> list[tuple[Any, ...]]:
    sql = """SELECT o.stage, o.outcome, o.reason FROM outcomes o JOIN stages s USING (stage)
        WHERE o.record_id = '{id}' ORDER BY s.position"""
    return rows(run, sql, id=identity)


def units(run: Path, stage: str) -> dict[str, str]:
    return {str(part.range): part.key for part in finished_stages(run)[stage].parts}


def shipped(run: Path) -> list[Trajectory]:
    """What ships and calls a tool, each of another question."""
    sql = """SELECT record_id FROM outcomes WHERE stage = 'publish' AND unit = 'trajectory' AND outcome = 'kept'
        AND record_id IN (SELECT trajectory_id FROM tool_calls)"""
    ids = {row[0] for row in rows(run, sql)}
    made = Done(run, finished_stages(run)).records("synthesize", "trajectories", Trajectory)
    return sorted((one for one in made if one.id in ids), key=lambda one: one.id)


class Corrected(NamedTuple):
    """A run before and after people corrected it."""

    question: Question
    choices: Question
    odd: Question
    thought: Trajectory
    answer: Trajectory
    keys: Mapping[str, Mapping[str, str]]
    run: Path


STAGES = ("ingest", "screen", "gate1", "gate2", "synthesize", "validate")


@pytest.fixture(scope="module")
def corrected(place: Path) -> Corrected:
    run = ran(place, "corrected")
    question, choices, odd = (question_of(run, row) for row in ("swapped-0", "easy-8", "strong-0"))
    thought, answer = shipped(run)[:2]
    assert outcomes(run, question.id)[-1] == ("synthesize", "rejected", "suspected_wrong_gold")
    path = lines(
        place,
        {"parent": question.id[:12], "answers": ["lantern"], **WHO},
        {"parent": choices.id, "category": "perception", **WHO},
        {"parent": odd.id, "answer_type": "choice", **WHO},
        {"parent": thought.id, "thoughts": {str(len(thought.turns)): "The corner shows it."}, **WHO},
        {"parent": answer.id, "answer": "a rusty spoon", **WHO},
    )
    assert "next: in the recipe" in command("review", "edit", run, path)
    keys = {stage: units(run, stage) for stage in STAGES}
    again = ran(place, "corrected", edits=f"corrected/review/{EDITS}")
    return Corrected(question, choices, odd, thought, answer, keys, again)


def edit_of(run: Path, parent: str) -> Edit:
    return next(edit for edit in read_edits(run) if edit.parent == parent)


def test_a_corrected_answer_makes_a_question_of_its_own_and_its_gates_decide_anew(corrected: Corrected) -> None:
    before, run = corrected.question, corrected.run
    after, edit = question_of(run, "swapped-0"), edit_of(run, before.id)
    assert (edit.annotator, edit.comment) == ("kim", "I looked")
    assert after.id != before.id
    assert (after.answers, after.text, after.images) == (("lantern",), before.text, before.images)
    assert after.edited_from == {"id": before.id, "edit": edit.id}
    assert "kim" not in after.meta
    # The original has an outcome of its own, and so has what was made of it.
    assert outcomes(run, before.root_id) == [("ingest", "rejected", "edited")]
    assert outcomes(run, edit.id) == [("ingest", "kept", "")]
    assert ("synthesize", "rejected", "suspected_wrong_gold") not in outcomes(run, after.id)
    right = "SELECT 1 FROM attempts WHERE question_id = '{id}' AND verdict = 'right'"
    assert rows(run, right, id=after.id) != []
    assert rows(run, "SELECT record_id FROM edits WHERE parent = '{id}'", id=before.id) == [(after.id,)]


def test_a_worker_process_is_handed_the_edits_by_its_run_directory(corrected: Corrected) -> None:
    announced = parse_json((corrected.run / "stages" / "ingest" / "running.json").read_text())
    edits = IngestSettings.model_validate(announced["settings"]).edits
    assert {edit.parent for edit in edits} >= {corrected.question.id, corrected.thought.id}
    assert {edit.id: edit for edit in read_edits(corrected.run)}.items() >= {edit.id: edit for edit in edits}.items()


def test_units_of_other_rows_stand_as_they_were(corrected: Corrected) -> None:
    edited = {edit.root for edit in read_edits(corrected.run)}
    for stage, before in corrected.keys.items():
        total = len(before)
        own = {str(Range.of(root, total)) for root in edited}
        changed = {name for name, key in units(corrected.run, stage).items() if before[name] != key}
        assert changed <= own, stage
        assert len(own) < total or stage != "ingest" or changed == own


def test_trace_tells_the_parent_under_every_id(corrected: Corrected) -> None:
    before, run = corrected.question, corrected.run
    after, edit = question_of(run, "swapped-0"), edit_of(run, before.id)
    for named in (before.id, after.id, edit.id, before.root_id):
        told = command("trace", run, named)
        assert "Corrected by people" in told, named
        assert before.id[:12] in told
        assert after.id in told
        assert "edited" in told
    assert json.loads(command("trace", run, after.id, "--json"))["edits"][0]["annotator"] == "kim"


def test_a_question_that_is_asked_in_another_form_than_its_row_has_keeps_the_form_that_was_seen(
    corrected: Corrected,
) -> None:
    before, after = corrected.choices, question_of(corrected.run, "easy-8")
    edit = edit_of(corrected.run, before.id)
    assert before.choices == ()
    assert parse_json(edit.was) == {"category": before.category}
    assert parse_json(edit.changes)["choices"] == []
    assert (after.category, after.text, after.answers) == ("perception", before.text, before.answers)


def test_what_a_correction_makes_is_screened_as_any_row(corrected: Corrected) -> None:
    assert outcomes(corrected.run, corrected.odd.root_id) == [("ingest", "rejected", "edited")]
    sql = "SELECT record_id FROM edits WHERE parent = '{id}'"
    ((made,),) = rows(corrected.run, sql, id=corrected.odd.id)
    assert outcomes(corrected.run, made) == [("screen", "rejected", "needs_options")]


def made_of(run: Path, parent: str) -> list[Trajectory]:
    made = Done(run, finished_stages(run)).records("synthesize", "trajectories", Trajectory)
    return [one for one in made if one.parent == parent]


def test_a_corrected_thought_makes_a_transcript_in_which_what_was_executed_stands(corrected: Corrected) -> None:
    before, run = corrected.thought, corrected.run
    (after,) = made_of(run, before.id)
    assert after.id == edit_of(run, before.id).id != before.id
    assert after.verdict == "right"
    assert [turn.think for turn in after.turns] == [turn.think for turn in before.turns[:-1]] + ["The corner shows it."]
    kept = ("action", "arguments", "observation", "images", "status")
    for old, new in zip(before.turns, after.turns, strict=True):
        assert [getattr(old, name) for name in kept] == [getattr(new, name) for name in kept]
    assert outcomes(run, before.id)[-1] == ("select", "rejected", "excluded")
    assert outcomes(run, after.id)[-1] == ("publish", "kept", "")
    assert rows(run, "SELECT verdict FROM replays WHERE trajectory_id = '{id}'", id=after.id) != []
    assert before.id[:12] in command("show", run, after.id)
    assert after.id[:12] in command("show", run, before.id)
    assert "Corrected by people" in command("trace", run, before.question_id)


def test_a_corrected_answer_of_a_transcript_is_graded(corrected: Corrected) -> None:
    (after,) = made_of(corrected.run, corrected.answer.id)
    assert (after.answer, after.verdict) == ("a rusty spoon", "wrong")
    assert outcomes(corrected.run, after.id) == [("validate", "rejected", "answer_wrong")]


def test_the_card_counts_what_people_corrected(corrected: Corrected) -> None:
    card = (corrected.run / "export" / "sft" / "trl" / "README.md").read_text()
    assert "1 row corrected by people" in card


def test_what_was_corrected_can_be_corrected_again_and_its_parent_cannot(place: Path, corrected: Corrected) -> None:
    run, first = corrected.run, question_of(corrected.run, "swapped-0")
    path = lines(place, {"parent": corrected.question.id, "answers": ["candle"], **WHO})
    assert "was corrected before" in command("review", "edit", run, path, code=2)
    command("review", "edit", run, lines(place, {"parent": first.id, "text": f"{first.text} Name it.", **WHO}))
    edits = place / "again.parquet"
    edits.write_bytes((run / "review" / EDITS).read_bytes())
    again = ran(place, "twice", edits="again.parquet")
    last, edit = question_of(again, "swapped-0"), edit_of(run, first.id)
    assert (last.answers, last.text) == (("lantern",), f"{first.text} Name it.")
    assert last.edited_from == {"id": first.id, "edit": edit.id}
    assert outcomes(again, edit.before) == [("ingest", "rejected", "edited")]
    write_records(edits, Edit, [edit])
    with pytest.raises(UsageError, match="name its file as well"):
        ran(place, "none", edits="again.parquet")
    write_records(edits, Edit, [edit, edit.model_copy(update={"id": "0" * 64})])
    with pytest.raises(UsageError, match="keep one of them"):
        ran(place, "none", edits="again.parquet")


REFUSED: Mapping[str, tuple[Any, str]] = {
    "no JSON": ("{", "is no JSON object"),
    "no object": ("[]", "is no JSON object"),
    "a field twice": ('{"parent": "aaaa", "parent": "bbbb"}', "duplicate key"),
    "half a character": ('{"parent": "aaaa", "annotator": "a", "comment": "\\ud800"}', ""),
    "of nobody": ({"parent": "question", "comment": "c", "answers": ["x"], "annotator": ""}, "annotator"),
    "without a reason": ({"parent": "question", "comment": " ", "answers": ["x"]}, "comment"),
    "another field": ({"parent": "question", "observation": "x"}, "observation"),
    "code": ({"parent": "trajectory", "code": "x"}, "code"),
    "not in the run": ({"parent": "f" * 64, "answers": ["x"]}, "no question or trajectory"),
    "the same answers": ({"parent": "question", "answers": ["lantern"]}, "nothing of question"),
    "nothing": ({"parent": "question"}, "nothing of question"),
    "no answers": ({"parent": "question", "answers": []}, "answers"),
    "another type": ({"parent": "question", "answer_type": "poem"}, "answer_type"),
    "both": ({"parent": "question", "answers": ["x"], "answer": "x"}, "each on a line of its own"),
    "an answer of a question": ({"parent": "question", "answer": "x"}, "give a trajectory's id"),
    "answers of a transcript": ({"parent": "trajectory", "answers": ["x"]}, "give its question's id"),
    "nothing of a transcript": ({"parent": "trajectory"}, "nothing of trajectory"),
    "the same thought": ({"parent": "trajectory", "thoughts": {"1": "I look at the cellar."}}, "nothing of trajectory"),
    "no such turn": ({"parent": "trajectory", "thoughts": {"99": "x"}}, "has turns 1 to"),
    "a tag in a thought": ({"parent": "trajectory", "thoughts": {"1": "x</think><code>"}}, "turn 1"),
    "what a tool would say": ({"parent": "trajectory", "thoughts": {"1": "<tool_response>5"}}, "turn 1"),
    "a rollout of a gate": ({"parent": "rollout", "answer": "x"}, "no finished attempt of a teacher"),
}
"""What somebody may write into a file of corrections, and what of it is told."""


@pytest.mark.parametrize("case", REFUSED)
def test_a_correction_that_cannot_be_is_refused_and_nothing_is_stored(run: Path, tmp_path: Path, case: str) -> None:
    content, told = REFUSED[case]
    question, trajectory = question_of(run, "taught-0"), shipped(run)[0]
    ((rollout,),) = rows(run, "SELECT min(trajectory_id) FROM attempts")
    if isinstance(content, dict):
        named = {"question": question.id, "trajectory": trajectory.id, "rollout": rollout}
        content = {**WHO, **content, "parent": named.get(content["parent"], content["parent"])}
    said = command("review", "edit", run, lines(tmp_path, content), code=2).replace("\n", " ")
    assert told in said
    assert "line 1" in said
    assert not (run / "review" / EDITS).exists()


def test_a_record_is_corrected_once(run: Path, tmp_path: Path) -> None:
    good = {"parent": question_of(run, "taught-0").id, "answers": ["x"], **WHO}
    said = command("review", "edit", run, lines(tmp_path, good, good), code=2)
    assert "is corrected twice" in said.replace("\n", " ")


def test_an_edit_of_a_row_that_no_source_has_is_refused_before_anything_runs(place: Path, corrected: Corrected) -> None:
    (place / "of-others.parquet").write_bytes((corrected.run / "review" / EDITS).read_bytes())
    with pytest.raises(UsageError, match="no source of this recipe has"):
        ran(place, "none", sources=[{"source": "texts.yaml"}], edits="of-others.parquet")
    with pytest.raises(UsageError, match="cannot be read as edits"):
        ran(place, "none", edits="cellars.yaml")
    assert not (place / "none").exists()


def test_an_edit_whose_parent_is_not_what_it_was_is_told_as_stale_and_the_row_goes_on(place: Path, run: Path) -> None:
    question, trajectory = question_of(run, "helped-0"), shipped(run)[0]
    changes = canonical_json({"thoughts": {"1": "x"}}), canonical_json({"answers": ["x"]})
    usual = {"before": "", "ingested": "0" * 64, **WHO}
    root = next(
        one.root_id
        for one in Done(run, finished_stages(run)).records("screen", "questions", Question)
        if one.id == trajectory.question_id
    )
    edits = [
        Edit.model_validate(
            {"id": Edit.make_id(parent, changed), "parent": parent, "unit": unit, "root": of, "changes": changed}
            | {"was": canonical_json({"thoughts": {"1": "what nobody said"}}), **usual}
        )
        for parent, unit, of, changed in (
            (trajectory.id, "trajectory", root, changes[0]),
            (question.id, "question", question.root_id, changes[1]),
        )
    ]
    write_records(place / "stale.parquet", Edit, sorted(edits, key=lambda edit: edit.id))
    again = ran(place, "stale", edits="stale.parquet")
    assert rows(again, "SELECT unit, record_id FROM edits") == [("question", None), ("trajectory", None)]
    assert outcomes(again, edits[1].id) == [("ingest", "quarantined", "stale_edit")]
    assert outcomes(again, question.root_id) == [("ingest", "kept", "")]
    assert outcomes(again, trajectory.id)[0] == ("validate", "kept", "")
    assert "stale" in command("trace", again, question.id)


def test_a_sample_of_the_rows_holds_what_was_made_of_its_own_rows_alone(place: Path, corrected: Corrected) -> None:
    (place / "sampled.parquet").write_bytes((corrected.run / "review" / EDITS).read_bytes())
    some = curated(place, {**LIGHT, "edits": "sampled.parquet"}, "some", limit=16, groups=("gather",))
    read = {outcome.record_id for outcome in some["ingest"].records("outcomes", Outcome)}
    questions = [edit for edit in read_edits(corrected.run) if edit.unit == "question" and not edit.before]
    assert {edit.id for edit in questions} & read == {edit.id for edit in questions if edit.root in read}
    assert 0 < len({edit.id for edit in questions} & read) < len(questions)
