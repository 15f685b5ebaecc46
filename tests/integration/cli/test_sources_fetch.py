"""`coldforge sources check --fetch`: pictures by URL before any run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from flows.cli.main import make_app
from flows.cli.sources import FETCHED
from flows.recipe.inputs import make_job
from flows.run.curate import open_run, run_groups
from flows.run.progress import SilentProgress
from flows.runners.local import local
from tests.support.servers.picture_server import PictureServer, pictures_beside

MODEL = {"backend": "reader", "policy": "naive"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[PictureServer]:
    with pictures_beside() as served:
        monkeypatch.setattr("pipeline.fetch.pictures.Downloader", served.downloader)
        yield served


@pytest.fixture
def place(tmp_path: Path, server: PictureServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    paths = ("/a.png", "/status/404", "/third/1")
    rows = [{"image_url": server.url(path), "question": f"What is at {path}?", "answer": "1"} for path in paths]
    (tmp_path / "asked.jsonl").write_text("\n".join(map(json.dumps, rows)))
    manifest = {"key": "asked", "kind": "jsonl", "revision": "1", "path": "asked.jsonl", "licence": "ODC-BY"}
    columns = {"images": "image_url", "text": "question", "answers": "answer"}
    (tmp_path / "asked.yaml").write_text(yaml.safe_dump({**manifest, "columns": columns}))
    recipe = {
        "name": "small",
        "sources": [{"source": "demo"}, {"source": "asked.yaml", "fetch": {"ports": [server.port]}}],
        "student": {"family": "qwen2_5_vl", "revision": "r1", "max_pixels": 262_144},
        "models": {"base": MODEL, "teachers": [MODEL]},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checked(*flags: str) -> tuple[int, int, dict[str, str]]:
    """Exit code, questions that can be asked, and each loss with its first detail."""
    result = CliRunner().invoke(make_app(), ["sources", "check", "asked.yaml", "--json", *flags])
    looked = json.loads(result.stdout.splitlines()[0])
    return result.exit_code, looked["kept"], {loss["reason"]: loss["detail"] for loss in looked["losses"]}


@pytest.mark.usefixtures("place")
def test_without_the_flag_rows_with_urls_are_counted_and_told_what_they_need(server: PictureServer) -> None:
    code, kept, losses = checked()
    assert (code, kept, list(losses)) == (3, 0, ["image_path"])
    assert "`fetch: {}`" in losses["image_path"]
    assert not server.asked
    assert not Path("runs").exists()


@pytest.mark.usefixtures("place")
def test_pictures_are_fetched_as_the_recipe_says_and_failures_are_kept_until_they_are_asked_anew(
    server: PictureServer,
) -> None:
    recipe = ("--recipe", "recipe.yaml", "--fetch")
    for _ in range(2):
        code, kept, losses = checked(*recipe)
        assert (code, kept) == (0, 2)
        assert losses == {"image_fetch": f"'{server.url('/status/404')}': the server answered 404"}
    assert server.asked == {"/a.png": 1, "/status/404": 1, "/third/1": 3}
    checked(*recipe, "--again")
    assert server.asked == {"/a.png": 1, "/status/404": 2, "/third/1": 3}


@pytest.mark.usefixtures("place")
def test_what_a_look_fetched_is_where_a_run_looks_for_it(server: PictureServer) -> None:
    checked("--recipe", "recipe.yaml", "--fetch")
    asked = dict(server.asked)
    assert {path.name for path in Path().iterdir()} == {"asked.jsonl", "asked.yaml", "recipe.yaml", "runs"}
    job = make_job(
        Path("recipe.yaml"), changes=[f"sources=[{{source: asked.yaml, fetch: {{ports: [{server.port}]}}}}]"]
    )
    assert job.store == FETCHED
    with open_run(job, SilentProgress(), local) as opened:
        run_groups(opened, ["gather"])
        assert opened.finished["ingest"].counts["kept"] == 2
    assert server.asked == asked


@pytest.mark.usefixtures("place")
def test_by_default_no_unusual_port_is_asked(server: PictureServer) -> None:
    _, kept, losses = checked("--fetch")
    assert kept == 0
    assert "`fetch.ports` lists 80, 443" in losses["image_fetch"]
    assert not server.asked
