"""Releases of two runs over a corpus that was changed between them, and what differs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image as Picture
from typer.testing import CliRunner, Result

from filters.gates.rules import GateSettings
from flows.cli.main import make_app
from flows.ledger.snapshot import RunFacts, build_ledger
from flows.releases.compare import Difference, Fates, differences, fates
from flows.releases.record import RELEASE, RELEASED, rows_in
from flows.releases.rows import ReleasedRow, released_rows
from pipeline.export.layout import MANIFEST
from pipeline.store.shards import read_records
from tests.support.curated import RECIPE, curated, write_corpus
from tests.support.export_rows import data_file

LIGHT: dict[str, Any] = {
    **RECIPE,
    "export": {"sft": ["trl"], "rl": ["huggingface"]},
    "require": ["rl_rows >= 1"],
}


def ran(place: Path, out: str) -> Path:
    finished = curated(place, LIGHT, out)
    build_ledger(
        place / out, tuple(finished.values()), RunFacts("cellars", "0", "0", "{}", (), (), GateSettings(), None)
    )
    return place / out


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ran(write_corpus(tmp_path_factory.mktemp("releases") / "place"), "old")


@pytest.fixture(scope="module")
def new(old: Path) -> Path:
    """A row less, an answer more, a row under another key, a new row; and rows that ask or show something else."""
    rows = old.parent / "cellars" / "rows.jsonl"
    for name, file in PICTURES.items():
        with Picture.open(old.parent / "cellars" / file) as picture:
            picture.transpose(Picture.Transpose.FLIP_LEFT_RIGHT).save(old.parent / "cellars" / name)
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    kept = [{**line, **CHANGES.get(line["row"], {})} for line in lines if line["row"] != "taught-2"]
    (changed,) = (line for line in kept if line["row"] == "taught-4")
    changed["answers"] = [*changed["answers"], "a thing of brass"]
    kept.append({**changed, **NEW})
    rows.write_text("".join(f"{json.dumps(line)}\n" for line in kept))
    return ran(old.parent, "new")


PICTURES = {"turned.png": "helped-1.png", "new.png": "taught-4.png"}
"""Pictures that are in the corpus later → of which each is the mirror image."""
CHANGES: dict[str, dict[str, Any]] = {
    "helped-0": {"row": "helped-too"},
    "helped-1": {"images": ["turned.png"]},
    "saturated-0": {"text": "Which thing is kept today in cellar 0 of the saturated house?"},
    "taught-3": {"images": ["missing.png"]},
    "taught-1": {"text": "Which thing is it in cellar 1 of the ambiguous house?"},
}
NEW = {
    "row": "taught-9",
    "text": "Which thing is kept in cellar 9 of the taught house?",
    "images": ["new.png"],
    "answers": ["candle"],
}


def command(*arguments: object) -> Result:
    return CliRunner().invoke(make_app(), [str(argument) for argument in arguments])


def test_a_release_holds_every_row_of_both_shards_and_no_text_of_them(old: Path) -> None:
    done = command("release", old, "--name", "first", "--require", "sft_rows >= 2")
    assert done.exit_code == 0, done.output
    assert "2 conditions kept" in done.stdout
    made = old / "release" / "first"
    rows = list(read_records(made / RELEASED, ReleasedRow))
    manifests = [json.loads(path.read_text()) for path in (old / "export").rglob(MANIFEST)]
    assert len(rows) == sum(manifest["rows"] for manifest in manifests)
    assert {row.shard for row in rows} == {"sft", "rl"}
    assert all(len(row.images) == len(row.phashes) for row in rows)
    assert "cellar" not in (made / RELEASED).read_bytes().decode("latin-1").replace("cellars", "")
    # Asked for again it stays as it was made.
    before = (made / RELEASE).read_bytes()
    assert command("release", old, "--name", "first", "--require", "sft_rows >= 2").exit_code == 0
    assert (made / RELEASE).read_bytes() == before


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        (["--require", "sft_rows >= 1000"], 3, "sft_rows >= 1000 (it is "),
        (["--require", "benchmarks > 9", "--require", "unjudged <= 1"], 3, "benchmarks > 9 (it is 1)"),
        (["--require", "rows >= 1"], 2, "is no condition"),
        (["--require", "__import__('os') >= 1"], 2, "is no condition"),
        (["--tombstones", "taken.yaml"], 3, "was taken down by its row"),
    ],
)
def test_a_release_is_refused_where_a_condition_is_not_kept_or_a_row_was_taken_down(
    more: list[str], code: int, told: str, old: Path, tmp_path: Path
) -> None:
    gone = next(released_rows(old))
    (tmp_path / "taken.yaml").write_text(yaml.safe_dump([{"source": gone.source, "row": gone.source_row}]))
    done = command("release", old, "--name", "refused", *[str(tmp_path / a) if a.endswith("yaml") else a for a in more])
    assert done.exit_code == code
    assert told in " ".join(done.output.split())
    assert not (old / "release" / "refused").exists()


def test_an_export_that_was_changed_is_not_released(old: Path) -> None:
    path = data_file(old / "export" / "sft" / "trl")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    try:
        done = command("release", old, "--name", "broken")
    finally:
        path.write_bytes(whole)
    assert done.exit_code == 3
    assert path.name in done.output


def test_what_was_added_removed_and_changed_is_told_with_reasons(old: Path, new: Path) -> None:
    told = {
        (one.kind, one.source_row): one.reason
        for one in differences(rows_in(old), rows_in(new), fates(old), fates(new))
    }
    assert told["removed", "taught-2"] == "that run took no such row (`--limit`, or another source)"
    assert "answers" in told["changed", "taught-4"]
    assert told["added", "helped-too"] == "the same question comes from cellars helped-0 there"
    assert told["removed", "helped-0"] == "the same question comes from cellars helped-too there"
    assert told["added", "taught-9"] == "that run took no such row (`--limit`, or another source)"
    edited = {"helped-1", "saturated-0", "taught-1", "taught-3"}
    # What was a copy of taught-1 is kept where that is no copy.
    assert {row for _, row in told} - {"near"} <= {
        "taught-2",
        "taught-4",
        "taught-9",
        "helped-0",
        "helped-too",
    } | edited


def test_a_row_that_was_edited_is_told_as_another_one_under_its_key_and_no_row_that_was_not_taken(
    old: Path, new: Path
) -> None:
    told = {
        (one.kind, one.source_row): one.reason
        for one in differences(rows_in(old), rows_in(new), fates(old), fates(new))
    }
    for kind in ("added", "removed"):
        assert told[kind, "helped-1"] == "the row with this key is another one there: its picture changed"
        assert told[kind, "saturated-0"] == "the row with this key is another one there: its question changed"
    other = "the row with this key is another one there (its question, or its picture, changed): "
    assert told["removed", "taught-3"].startswith(f"{other}ingest quarantined it (")
    assert told["removed", "taught-1"].startswith(other)
    assert ("added", "taught-1") not in told


def test_diff_of_a_run_that_has_not_ended_says_so_in_the_words_of_other_commands(old: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(old, tmp_path / "run"))
    (run / "ledger.duckdb").unlink()
    for words in (("diff", run, old), ("diff", old, run), ("stats", run)):
        done = command(*words)
        assert done.exit_code == 2
        assert f"{run} has no ledger yet: it is written when `coldforge run` ends" in " ".join(done.output.split())


def test_a_release_differs_from_nothing_in_its_own_run_and_from_another_as_its_run_does(old: Path, new: Path) -> None:
    for run in (old, new):
        assert command("release", run, "--name", "one").exit_code == 0
    first, second = old / "release/one", new / "release/one"
    assert "no row differs" in command("diff", first, old).stdout
    told = json.loads(command("diff", first, second, "--json").stdout)["rows"]
    runs = differences(rows_in(old), rows_in(new), Fates(), Fates())
    assert [Difference(**one) for one in told] == runs
    assert "neither a run" in command("diff", first, old.parent).output


def test_a_question_that_a_gate_stopped_is_told_by_its_gate() -> None:
    row = ReleasedRow(
        shard="sft",
        split="train",
        record_id="1" * 64,
        question_id="2" * 64,
        cluster_id="3" * 64,
        source="s",
        source_row="r",
        question_key="k",
        images=(),
        phashes=(),
        question="q",
        prompt="p",
        answers="a",
        transcript="t",
    )
    stopped = Fates(known={row.question_id: "gate1 rejected it (too_easy)"})
    (gone,) = differences([row], [], Fates(), stopped)
    assert (gone.kind, gone.reason) == ("removed", "there, gate1 rejected it (too_easy)")
    moved = row.model_copy(update={"shard": "rl", "record_id": row.question_id})
    assert {one.reason for one in differences([row], [moved], Fates(), Fates())} == {
        "the question is in rl there",
        "the question is in sft there",
    }


def test_what_was_taken_down_is_told_as_the_exports_tell_it_by_row_and_by_question(old: Path, tmp_path: Path) -> None:
    """The ledger knows of no tombstone of a later day: it has these rows as selected."""
    run = tmp_path / "run"
    shutil.copytree(old, run)
    assert command("release", run, "--name", "before").exit_code == 0
    before = rows_in(run / "release/before")
    taught = next(row for row in before if row.shard == "sft")
    asked = next(row for row in before if row.shard == "rl")
    taken = [{"source": taught.source, "row": taught.source_row}, {"question": asked.question_id}]
    (tmp_path / "taken.yaml").write_text(yaml.safe_dump(taken))
    written = command("export", run, "--store", old.parent / "store", "--tombstones", tmp_path / "taken.yaml")
    assert written.exit_code == 0, written.output
    assert command("release", run, "--name", "after").exit_code == 0
    down = {row.record_id for row in before if row.question_id in {taught.question_id, asked.question_id}}
    for place in (run, run / "release/after"):
        told = json.loads(command("diff", run / "release/before", place, "--json").stdout)["rows"]
        assert {one["record_id"] for one in told} == down
        assert {one["reason"] for one in told} == {"there, its export left it out (tombstone)"}
    # Another transcript of the question, which never was in the run.
    other = taught.model_copy(update={"record_id": "f" * 64})
    (one,) = differences([other], [], Fates(), fates(run))
    assert one.reason == "there, its export left it out (tombstone)"
    # Where the exports do not say why, the ledger does not invent a stage that stopped it.
    kept = fates(old)
    assert {kept.of(row) for row in before} == {"its exports were written without it"}


@pytest.mark.parametrize("name", ["../stages", "..", "a/b", "", ".hidden", "a b"])
def test_a_release_stands_in_its_own_folder(name: str, old: Path) -> None:
    done = command("release", old, "--name", name)
    assert done.exit_code == 2
    assert "a release is named by" in done.output


def test_a_release_that_was_made_is_not_made_otherwise(old: Path) -> None:
    assert command("release", old, "--name", "kept", "--require", "sft_rows >= 1").exit_code == 0
    before = (old / "release/kept" / RELEASE).read_bytes()
    again = command("release", old, "--name", "kept")
    assert again.exit_code == 2
    assert "under other conditions" in " ".join(again.output.split())
    assert (old / "release/kept" / RELEASE).read_bytes() == before
