"""What stands in the folder of a report, and what a report is refused for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from flows.ledger.snapshot import build_ledger, read_facts
from flows.report.lookup import finished_stages
from flows.report.viewer.write import write_report
from flows.stages.order import STAGES
from pipeline.errors import InfrastructureError, UsageError
from pipeline.store.blobs import BlobStore
from tests.support.report_files import value
from tests.support.runs import IMAGE, PIXELS, small_run


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = small_run(tmp_path_factory.mktemp("folder") / "small")
    blobs = BlobStore(run.parent / "blobs")
    blobs.put(PIXELS.getvalue())
    write_report(run, run / "report", blobs)
    return run


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "run")
    shutil.copytree(whole.parent / "blobs", tmp_path / "blobs")
    return tmp_path / "run"


def held(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "gone",
    [
        "gate1",
        "validate",
        "gate1/*/part-*.trajectories.parquet",
        "synthesize/*/part-*.unfinished.parquet",
        "screen/*/part-*.questions.parquet",
        "gate1/*/part-*.outcomes.parquet",
        "synthesize/*/part-*.suspicions.parquet",
    ],
)
def test_a_report_of_less_than_the_ledger_tells_of_is_refused_and_the_one_before_stays(run: Path, gone: str) -> None:
    found = sorted((run / "stages").glob(gone))
    assert found
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = held(run / "report")
    with pytest.raises(InfrastructureError, match=r"gone.*coldforge run"):
        write_report(run, run / "report", BlobStore(run.parent / "blobs"))
    assert held(run / "report") == before


def test_a_damaged_part_is_named_and_the_report_before_stays(run: Path) -> None:
    part = next((run / "stages" / "synthesize").glob("*/part-*.trajectories.parquet"))
    part.write_bytes(part.read_bytes()[:100])
    before = held(run / "report")
    with pytest.raises(InfrastructureError, match=rf"{part.name} cannot be read"):
        write_report(run, run / "report", BlobStore(run.parent / "blobs"))
    assert held(run / "report") == before


def test_a_folder_that_holds_something_else_is_refused_and_left_as_it_is(run: Path, tmp_path: Path) -> None:
    blobs = BlobStore(tmp_path / "blobs")
    for name in ("data/rows.csv", "pictures/cat.png", "index.html"):
        folder = tmp_path / Path(name).stem
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("mine")
        with pytest.raises(UsageError, match=r"--out .*no report"):
            write_report(run, folder, blobs)
        assert held(folder) == {name: b"mine"}
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="is a file"):
        write_report(run, tmp_path / "file", blobs)
    (tmp_path / "empty").mkdir()
    (tmp_path / "of_pairs").mkdir()
    for name in ("duplicates.html", "style.css", "theme.js"):
        (tmp_path / "of_pairs" / name).write_text("by `coldforge duplicates`")
    for folder in (tmp_path / "empty", tmp_path / "of_pairs"):
        write_report(run, folder, blobs)
        assert value(folder, "about")["rows"] > 0


def test_a_folder_keeps_no_picture_that_its_report_does_not_name(run: Path, tmp_path: Path) -> None:
    out, blobs = tmp_path / "out", BlobStore(tmp_path / "blobs")
    write_report(run, out, blobs, bundle=True)
    pictures = BlobStore(out / "pictures")
    other = pictures.put(b"of another run")
    assert IMAGE.sha256 in pictures
    write_report(run, out, blobs, bundle=True)
    assert other not in pictures
    assert IMAGE.sha256 in pictures
    # What was taken down since goes along, and is told of.
    blobs.path(IMAGE.sha256).unlink()
    made = write_report(run, out, blobs, bundle=True)
    assert (made.pictures, made.missing) == (0, 1)
    assert IMAGE.sha256 not in pictures
    pictures.put(b"of a bundle")
    made = write_report(run, out, blobs)
    assert not pictures.root.exists()
    # Linked or copied: what is not there is told of.
    assert made.missing == 1
    assert value(out, "about")["bundled"] is False


def test_a_report_says_which_stages_the_run_did_not_come_to(run: Path, tmp_path: Path) -> None:
    blobs, order = BlobStore(tmp_path / "blobs"), [*STAGES]
    write_report(run, tmp_path / "all", blobs, stages=[one for one in order if one in finished_stages(run)])
    assert value(tmp_path / "all", "about")["ahead"] is None
    stages = [one for one in finished_stages(run).values() if order.index(one.name) <= order.index("dedup")]
    order.remove("decontaminate")  # which this run does without
    (run / "stages" / "gate1").rename(run / "gate1")
    build_ledger(run, stages, read_facts(run))
    write_report(run, tmp_path / "until", blobs, stages=order)
    ahead = order[order.index("dedup") + 1 :]
    assert value(tmp_path / "until", "about")["ahead"] == {"stages": ahead, "begun": False}
    (run / "gate1").rename(run / "stages" / "gate1")
    for manifest in (run / "stages" / "gate1").glob("*/stage.json"):
        manifest.unlink()
    write_report(run, tmp_path / "stopped", blobs, stages=order)
    assert value(tmp_path / "stopped", "about")["ahead"] == {"stages": ahead, "begun": True}
