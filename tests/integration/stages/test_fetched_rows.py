"""Rows whose pictures are URLs: fetched where the recipe says so, and each that is not to be had is quarantined."""

from __future__ import annotations

import asyncio
import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from flows.recipe.inputs import make_job
from flows.run.curate import open_run, run_groups
from flows.run.progress import SilentProgress
from flows.runners.local import local
from flows.stages import ingest
from flows.stages.ingest import IngestSettings, SourceRead
from pipeline.engine.done import Finished
from pipeline.engine.units import Range, UnitOutput
from pipeline.errors import InfrastructureError
from pipeline.fetch.recorded import Fetch
from pipeline.records import Question
from pipeline.sources import open_source, read_source
from pipeline.store import Store
from tests.support.servers.picture_server import PNG, PictureServer, pictures_beside
from tests.support.staged import begun

MODEL = {"backend": "reader", "policy": "naive"}
SHA256 = hashlib.sha256(PNG).hexdigest()
CASES = {
    "there": ("/a.png", SHA256, ""),
    "shouted": ("/b.png", SHA256.upper(), ""),
    "unstated": ("/redirect/1", "", ""),
    "gone": ("/status/404", "", "image_fetch: '{url}': the server answered 404"),
    "page": ("/html", SHA256, "image_fetch: '{url}': no picture: HTML page"),
    "other": (
        "/c.png",
        "0" * 64,
        f"image_fetch: '{{url}}': another picture than the data set had: sha256 {SHA256}, not",
    ),
    "large": ("/large", "", "image_fetch: '{url}': too large"),
    "inside": ("/to?url=http://10.0.0.1/a.png", "", "image_fetch: '{url}': refused: port 80"),
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PictureServer]:
    """A server in a thread; only the driver of a run downloads, so the seam of tests is needed in no other process."""
    with pictures_beside() as served:
        monkeypatch.setattr("pipeline.fetch.pictures.Downloader", served.downloader)
        yield served


@pytest.fixture
def place(tmp_path: Path, server: PictureServer) -> Path:
    """A table as data sets of URLs are published."""
    with (tmp_path / "rows.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("id", "image_url", "image_sha256", "question", "answer"))
        for name, (path, sha256, _) in CASES.items():
            table.writerow((name, server.url(path), sha256, f"What is at {name}?", name))
    columns = {"row": "id", "images": "image_url", "image_sha256": "image_sha256", "text": "question"}
    manifest = {"key": "own", "kind": "csv", "revision": "1", "path": "rows.csv", "licence": "CC0-1.0"}
    (tmp_path / "own.yaml").write_text(yaml.safe_dump({**manifest, "columns": {**columns, "answers": "answer"}}))
    write_recipe(tmp_path, {"ports": [server.port]})
    return tmp_path


def write_recipe(place: Path, fetch: object) -> None:
    recipe = {
        "name": "small",
        "sources": [{"source": "own.yaml", "fetch": fetch}],
        "student": {"family": "qwen2_5_vl", "revision": "r1", "max_pixels": 262_144},
        "models": {"base": MODEL, "teachers": [MODEL]},
        "runtime": {"workers": 1, "abort_above": {"ingest": 1.0}},
    }
    (place / "recipe.yaml").write_text(yaml.safe_dump(recipe))


def gathered(place: Path) -> Finished:
    """The stage as a whole run has it."""
    job = make_job(place / "recipe.yaml", out=place / "run", store=place / "store")
    with open_run(job, SilentProgress(), local) as opened:
        return run_groups(opened, ("gather",)).stages[0]


def ingested(place: Path, fetch: Fetch | None) -> list[UnitOutput]:
    """What each unit of the stage makes, in this process."""
    source = open_source("own.yaml", place / "store", base=place)
    read = SourceRead(key=source.key, revision=source.revision, directory=source.directory, fetch=fetch)
    settings = IngestSettings(sources=(read,), store=place / "store")
    done = begun(place / "run", read_source(source))
    with Store(place / "store") as store:
        asyncio.run(ingest.prepare(done, settings, store, print))
        reader = ingest.read(done, settings)
        spans = [Range(number, done.units) for number in range(done.units)]
        return [ingest.run(reader.unit(span), settings, store) for span in spans]


def reasons(units: list[UnitOutput]) -> list[str]:
    return sorted(f"{row.reason}: {row.detail}" for unit in units for row in unit.outcomes if row.reason)


def test_each_row_has_its_picture_or_what_came_instead(place: Path, server: PictureServer) -> None:
    units = ingested(place, Fetch(ports=(server.port,)))
    expected = sorted(said.format(url=server.url(path)) for path, _, said in CASES.values() if said)
    assert [line[: len(begin)] for line, begin in zip(reasons(units), expected, strict=True)] == expected
    questions = [question for unit in units for question in unit.tables["questions"] if isinstance(question, Question)]
    assert {question.source_row: question.images[0].sha256 for question in questions} == dict.fromkeys(
        ("there", "shouted", "unstated"), SHA256
    )


def test_what_is_recorded_is_what_everyone_gets_whatever_the_server_says_later(
    place: Path, server: PictureServer
) -> None:
    first = ingested(place, Fetch(ports=(server.port,)))
    server.asked.clear()
    server.broken = True
    assert ingested(place, Fetch(ports=(server.port,))) == first
    # Other ports are other settings, and no reason to ask again.
    assert ingested(place, Fetch(ports=(80, server.port))) == first
    assert not server.asked


def test_where_the_recipe_does_not_say_so_nothing_is_asked_for(place: Path, server: PictureServer) -> None:
    told = reasons(ingested(place, None))
    assert len(told) == len(CASES)
    assert all(line.startswith("image_path") and "`fetch: {}`" in line for line in told)
    assert not server.asked


def test_a_run_without_a_network_stops_before_any_row_and_goes_on_later(place: Path, server: PictureServer) -> None:
    server.names.down = True
    with pytest.raises(InfrastructureError, match="Temporary failure in name resolution"):
        gathered(place)
    assert not list((place / "run" / "stages").glob("ingest/*/part-*"))
    server.names.down = False
    assert gathered(place).counts == {"kept": 3, "quarantined": 5}
