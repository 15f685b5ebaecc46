"""The rights of others through a whole run: what the screen stops, what rows say, what is taken down afterwards."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner, Result

from filters.gates.rules import GateSettings
from flows.cli.main import make_app
from flows.cli.run import print_tombstones
from flows.ledger.snapshot import RunFacts, build_ledger
from flows.report.tables import query_table, rights_table
from pipeline.engine.done import Finished
from pipeline.export.layout import MANIFEST, ROWS
from pipeline.images import decode, pixel_hash
from tests.support.curated import RECIPE, curated, write_corpus
from tests.support.export_rows import data_file

MAIL = "jane.doe@museum-keller.de"
LIGHT: dict[str, Any] = {**RECIPE, "export": {"sft": ["llamafactory", "huggingface"], "rl": ["huggingface"]}}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus with two rows more: one asks who is shown, one names somebody's address in its question."""
    place = write_corpus(tmp_path_factory.mktemp("rights") / "place")
    rows = place / "cellars" / "rows.jsonl"
    (first, *_) = [json.loads(line) for line in rows.read_text().splitlines() if '"taught-0"' in line]
    kept = "Which thing is kept in cellar 0 of the taught house"
    other = pictured(place, "other.jpg", 1), pictured(place, "mailed.jpg", 2)
    more = [
        {**first, "row": "who", "text": f"Who is the man in the picture? {kept}?", "images": [other[0]]},
        {**first, "row": "mailed", "text": f"{kept}, if {MAIL} is right?", "images": [other[1]]},
    ]
    rows.write_text(rows.read_text() + "".join(f"{json.dumps(row)}\n" for row in more))
    return place


def pictured(place: Path, name: str, seed: int) -> str:
    """A photograph with what its camera wrote, unlike any other picture."""
    noise = np.random.default_rng(seed).integers(0, 256, (9, 12), np.uint8)
    blocks = Image.fromarray(noise).resize((240, 180), Image.Resampling.NEAREST).convert("RGB")
    exif = Image.Exif()
    exif[0x013B] = "Jane Doe"
    blocks.save(place / "cellars" / name, quality=92, exif=exif)
    return name


def ran(place: Path, out: str, **rights: Any) -> Path:
    """Run the recipe and write its ledger."""
    finished = curated(place, {**LIGHT, "rights": rights}, out)
    with_ledger(place / out, finished)
    return place / out


def with_ledger(run: Path, finished: Mapping[str, Finished]) -> None:
    facts = RunFacts("cellars", "0" * 64, "0", "{}", (), (), GateSettings(), None)
    build_ledger(run, tuple(finished.values()), facts)


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    later(place)
    return ran(place, "run", tombstones="later.yaml")


def later(place: Path, *entries: Mapping[str, str]) -> Path:
    """Write the list that the recipe names."""
    path = place / "later.yaml"
    path.write_text(yaml.safe_dump(list(entries)))
    return path


def rows_of(run: Path) -> dict[str, dict[str, Any]]:
    """Source row → line of the index, of all exports."""
    lines = (line for path in (run / "export").rglob(ROWS) for line in path.read_text().splitlines())
    return {line["source_row"]: line for line in map(json.loads, lines)}


def outcomes(run: Path, stage: str) -> dict[str, str]:
    """Source row, or the record where it has none yet, → why it stopped there; empty where it did not."""
    sql = "SELECT stage, coalesce(source_row, record_id), reason FROM outcomes LEFT JOIN questions USING (question_id)"
    return {str(row): str(reason) for at, row, reason in query_table(run, sql).rows if at == stage}


def command(*arguments: object) -> Result:
    return CliRunner().invoke(make_app(), [str(argument) for argument in arguments])


def test_who_is_shown_is_not_asked_and_the_loss_is_told_by_category(run: Path) -> None:
    (lost,) = rights_table(run).rows
    assert lost[:4] == ("screen", "person_identity", "perception", 1)
    assert "person_identity" in command("stats", run).output
    assert "who" not in rows_of(run)


def test_personal_data_are_labelled_and_nothing_is_changed(run: Path) -> None:
    assert rows_of(run)["mailed"]["personal_data"] == {"email": 1}
    assert {row["source_row"] for row in rows_of(run).values() if row["personal_data"]} == {"mailed"}
    found = query_table(run, "SELECT field, kind, n FROM personal_data ORDER BY ALL").rows
    assert ("question", "email", 1) in found
    assert MAIL in data_file(run / "export/sft/llamafactory").read_text()
    assert "Personal data in questions" in command("stats", run).output
    # What was found stands where it always stood, and nowhere else.
    for path in (*(run / "export").rglob(MANIFEST), *(run / "export").rglob(ROWS), *(run / "export").rglob("*.md")):
        assert MAIL not in path.read_text()


def test_pictures_ship_without_what_their_camera_wrote(run: Path) -> None:
    for path in (run / "export/sft/llamafactory/images").iterdir():
        assert b"Jane Doe" not in path.read_bytes()
    (file,) = rows_of(run)["mailed"]["files"]
    original = (run.parent / "cellars" / "mailed.jpg").read_bytes()
    assert file == hashlib.sha256(original).hexdigest()


def hashes(run: Path) -> dict[str, str]:
    original = (run.parent / "cellars" / "mailed.jpg").read_bytes()
    return {"file": hashlib.sha256(original).hexdigest(), "pixels": pixel_hash(decode(original))}


@pytest.mark.parametrize("way", ["row", "question", "file", "pixels"])
def test_what_is_taken_down_after_a_run_leaves_its_exports_without_a_call(way: str, run: Path) -> None:
    row = rows_of(run)["mailed"]
    entry = {
        "row": {"source": "cellars", "row": "mailed"},
        "question": {"question": row["question_id"]},
        "file": {"image": hashes(run)["file"]},
        "pixels": {"image": hashes(run)["pixels"]},
    }[way]
    try:
        later(run.parent, entry)
        before = command("verify", run)
        assert before.exit_code == 3
        assert "was taken down by its" in before.output
        # Nothing to ask is there: no model, no sandbox, no search.
        done = command("export", run, "--store", run.parent / "store")
        assert done.exit_code == 0, done.output
        assert "left out: 1 tombstone" in done.output
        assert "mailed" not in rows_of(run)
        assert command("verify", run).exit_code == 0
    finally:
        later(run.parent)
        command("export", run, "--store", run.parent / "store")
    assert rows_of(run)["mailed"] == row


def test_a_list_that_the_run_does_not_name_is_honoured_where_it_is_given(run: Path) -> None:
    taken = run.parent / "given.yaml"
    taken.write_text(yaml.safe_dump([{"source": "cellars", "row": row} for row in ("mailed", "maled")]))
    out = run.parent / "without"
    matched = "tombstones: 1 of 2 entries matched a row of these exports; not: {source: cellars, row: maled}"
    before = command("verify", run, "--tombstones", taken)
    assert before.exit_code == 3
    assert matched in before.output
    done = command("export", run, "--store", run.parent / "store", "--out", out, "--tombstones", taken)
    assert done.exit_code == 0, done.output
    assert matched in done.output
    after = command("verify", out, "--tombstones", taken)
    assert after.exit_code == 0
    assert matched in after.output
    assert "mailed" in rows_of(run)


def test_rows_that_another_version_labelled_are_not_exported_again(run: Path, tmp_path: Path) -> None:
    old = shutil.copytree(run, tmp_path / "old")
    (stage,) = (old / "stages" / "validate").glob("*/stage.json")
    stage.write_text(json.dumps({**json.loads(stage.read_text()), "version": 1}))
    done = command("export", old, "--store", run.parent / "store")
    assert done.exit_code == 2
    assert "was validated by another version of coldforge" in done.output


def test_a_run_with_tombstones_counts_them_as_rejected(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "own.yaml").write_text(yaml.safe_dump([{"source": "cellars", "row": "mailed"}]))
    run = ran(place, "taken", tombstones="own.yaml")
    assert outcomes(run, "publish")["mailed"] == "tombstone"
    print_tombstones(run)
    assert capsys.readouterr().out.strip() == "tombstones: 1 of 1 entries matched a row of these exports"
    assert ("publish", "tombstone") in {row[:2] for row in rights_table(run).rows}
    assert "mailed" not in rows_of(run)


def test_a_recipe_may_keep_who_is_asked_for_and_reject_personal_data(place: Path) -> None:
    run = ran(place, "kept", people="keep", personal_data="reject")
    screened = outcomes(run, "screen")
    assert screened["who"] == ""
    assert [reason for reason in screened.values() if reason in {"person_identity", "personal_data"}] == [
        "personal_data"
    ]
    assert rows_of(run)["who"]["personal_data"] == {"person_identity": 1}


def test_pictures_that_may_not_be_passed_on_stay_behind(place: Path) -> None:
    manifest = place / "cellars.yaml"
    before = manifest.read_text()
    manifest.write_text(before + "redistributable: false\n")
    try:
        run = ran(place, "withheld")
        assert set(outcomes(run, "publish").values()) == {"", "image_withheld"}
        data = [row for path in (run / "export").rglob("*.parquet") for row in pq.read_table(path).to_pylist()]
        assert data
        assert not any(row["images"] for row in data)
    finally:
        manifest.write_text(before)
