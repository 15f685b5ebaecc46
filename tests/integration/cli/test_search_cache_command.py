"""`coldforge search-cache`: the cache of DeepEyesV2's environment, from what was recorded."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from flows.cli.main import make_app
from flows.report.lookup import finished_stages
from pipeline.errors import UsageError
from pipeline.export.layout import ROWS
from pipeline.images import decode, encode_png, put_image
from pipeline.records import ImageRef, Outcome, Question
from pipeline.store import Store
from pipeline.store.blobs import BlobStore
from pipeline.tools.search.asked import Search, image_search
from pipeline.tools.search.hits import Answer, ImageHit, Picture
from pipeline.tools.search.record import IMAGES, SearchRecord
from tests.support.asking import NoSearch
from tests.support.builders import question, trajectory, turn
from tests.support.runs import PIXELS, small_run

RECIPE = """
name: tiny
sources: [{source: own.yaml}]
search: {corpus: own, recording: spring, mode: replay}
student: {family: qwen2_5_vl, revision: r1, max_pixels: 262144}
models:
  base: {backend: reader, policy: naive}
  teachers: [{backend: reader, policy: careful}]
"""


class Found(NoSearch):
    """Three pictures, of which one is a leak and one is gone."""

    revision = "found/1"

    def __init__(self, blobs: BlobStore) -> None:
        self._shown = put_image(blobs, encode_png(Image.new("RGB", (32, 24), "red")))

    async def image(self, picture: Picture, results: int) -> Answer[ImageHit]:
        assert picture.content == PIXELS.getvalue()
        assert results == 10
        hits = (("gone", "https://a.example", None), ("A mill", "https://a.example", self._shown))
        leak = ("leak", "https://quizlet.com/1", self._shown)
        return Answer(tuple(ImageHit(title=t, url=u, thumbnail=i) for t, u, i in (*hits, leak)), 0.1)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("small") / "small")


@pytest.fixture
def run(small: Path, tmp_path: Path) -> Path:
    """A copy of the run, which a test may change."""
    run = shutil.copytree(small, tmp_path / "runs" / "small")
    (run / "recipe.yaml").write_text(RECIPE)
    (run / "run.json").write_text(json.dumps({"environment": {"image_search": "found/1"}, "invocations": []}))
    ship(run, routed(run))
    with Store(run.parent / ".store"):
        return run


def ship(run: Path, questions: list[Question]) -> None:
    """Write the row index of an RL export with these questions."""
    index = run / "export" / "rl" / "deepeyesv2" / ROWS
    index.parent.mkdir(parents=True, exist_ok=True)
    index.write_text("".join(json.dumps({"question_id": one.id}) + "\n" for one in questions))


def call(*words: object, code: int = 0) -> str:
    result = CliRunner().invoke(make_app(), [str(word) for word in words])
    assert result.exit_code == code, result.output
    return result.output


def routed(run: Path) -> list[Question]:
    stages = finished_stages(run)
    routed = {one.record_id for one in stages["gate2"].records("outcomes", Outcome) if one.route == "rl"}
    return [one for one in stages["screen"].records("questions", Question) if one.id in routed]


def record(run: Path, question: Question) -> ImageRef:
    with Store(run.parent / ".store") as store:
        store.blobs.put(PIXELS.getvalue())
        provider = Found(store.blobs)
        search = Search(NoSearch(), provider, recording="spring")
        assert asyncio.run(image_search(store.calls, search, store.blobs, question)) is not None
        return provider._shown


def test_recorded_searches_of_rl_rows_are_written_as_the_environment_reads_them(run: Path, tmp_path: Path) -> None:
    first = next(one for one in routed(run) if one.images)
    shown = record(run, first)
    said = call("search-cache", run, "--out", tmp_path / "cache")
    cache = json.loads((tmp_path / "cache" / "fvqa_train_image_search_results_cache.json").read_text())
    path = f"cached_images/{shown.sha256}.png"
    expected = {"tool_returned_web_title": ["A mill"], "cached_images_path": [path]}
    same = {one.id for one in routed(run) if one.images == first.images}
    assert cache == dict.fromkeys(same, expected)
    assert f"{len(same)} of " in said
    assert decode((tmp_path / "cache" / path).read_bytes()).size == (32, 24)


def test_text_searches_are_written_as_rollouts_were_shown_them(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, other = routed(run)[0], question("Of no RL row?")
    shown, refused = "<tool_response>\nA mill.\n</tool_response>", "Error: Invalid message: …"
    turns = (
        turn("search", "old  mill", observation=shown),
        turn("search", "mill", observation=refused, status="bad_call"),
        turn("search", "never carried out"),
        turn("python", "print(1)", observation="1"),
    )
    made = [trajectory(*turns, asked=asked), trajectory(*turns, asked=asked, sample=1), trajectory(*turns, asked=other)]
    stages = finished_stages(run)
    records = type(stages["gate2"]).records

    def searched(stage: Any, table: str, kind: Any, *more: Any) -> Any:
        return made if table == "trajectories" else records(stage, table, kind, *more)

    monkeypatch.setattr(type(stages["gate2"]), "records", searched)
    said = call("search-cache", run, "--out", tmp_path / "cache")
    assert "1 text searches of 3 RL questions" in said
    record = SearchRecord.of(tmp_path / "cache")
    # Other spaces are the same search; another question's is not, and what was refused was none.
    assert [record.text(asked.id, query) for query in ("old mill", " old mill ", "mill")] == [shown, shown, None]
    assert record.text(other.id, "old mill") is None


def test_the_record_is_read_as_it_is_written(run: Path, tmp_path: Path) -> None:
    first = next(one for one in routed(run) if one.images)
    shown = record(run, first)
    call("search-cache", run, "--out", tmp_path / "cache")
    ((title, content),) = SearchRecord.of(tmp_path / "cache").images(first.id) or []
    assert (title, hashlib.sha256(content).hexdigest()) == ("A mill", shown.sha256)
    with pytest.raises(UsageError, match="write it with `coldforge search-cache`"):
        SearchRecord.of(tmp_path)


def test_nobody_is_asked_for_what_is_not_recorded(run: Path, tmp_path: Path) -> None:
    said = call("search-cache", run, "--out", tmp_path / "cache")
    assert "0 of " in said
    assert json.loads((tmp_path / "cache" / "fvqa_train_image_search_results_cache.json").read_text()) == {}


def test_a_run_without_a_search_has_no_cache(run: Path, tmp_path: Path) -> None:
    (run / "recipe.yaml").write_text(RECIPE.replace("search: {corpus: own, recording: spring, mode: replay}", ""))
    assert "no search" in call("search-cache", run, "--out", tmp_path / "cache", code=2)


def test_what_does_not_ship_is_neither_counted_nor_written(run: Path, tmp_path: Path) -> None:
    first, *others = (one for one in routed(run) if one.images)
    record(run, first)
    ship(run, others)
    said = call("search-cache", run, "--out", tmp_path / "cache")
    assert f" of {len(others)} RL questions with pictures" in said
    assert f" of {len(others)} RL questions\n" in said
    assert first.id not in json.loads((tmp_path / "cache" / IMAGES).read_text())
    (run / "export" / "rl" / "deepeyesv2" / ROWS).unlink()
    assert "holds no RL export" in call("search-cache", run, "--out", tmp_path / "cache", code=2)


@pytest.mark.parametrize("command", ["search-cache", "export", "replay"])
def test_a_command_that_reads_a_store_makes_none(command: str, run: Path, tmp_path: Path, monkeypatch: Any) -> None:
    shutil.rmtree(run.parent / ".store")
    monkeypatch.setattr("flows.cli.export._written", lambda _: None)
    more = [] if command == "replay" else ["--out", tmp_path / "out"]
    assert "no store there; give that of the run: --store DIR" in call(command, run, *more, code=2)
    elsewhere = tmp_path / "mistyped"
    assert f"{elsewhere}: no store there" in call(command, run, *more, "--store", elsewhere, code=2)
    assert not (run.parent / ".store").exists()
    assert not elsewhere.exists()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [["trace", "ID"], ["show", "ID"], ["report"], ["duplicates"]])
def test_a_command_that_tells_where_pictures_lie_makes_no_store(words: list[str], run: Path) -> None:
    shutil.rmtree(run.parent / ".store")
    name, *more = [routed(run)[0].id if word == "ID" else word for word in words]
    call(name, run, *more)
    assert not (run.parent / ".store").exists()
