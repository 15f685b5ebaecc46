"""A manifest is made one's own: what it left open is filled in, what it says stays."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml

from pipeline.errors import InfrastructureError, UsageError
from pipeline.sources.guessing.filling import filled
from pipeline.sources.manifest import SourceManifest, load_manifest

COMMIT = "541f7f463815467f80866e887e82c6e398837a08"
HUB = """\
# What is known of it.
key: own
kind: hf
hub: someone/questions      # where
config: large
revision: null
licence: MIT
columns:
  # The label is a letter.
  text: a
"""


def own(place: Path, text: str) -> tuple[SourceManifest, Path]:
    (place / "own.yaml").write_text(text)
    return load_manifest("own.yaml", place)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.jsonl").write_text('{"a": "How many?"}\n')
    return tmp_path / "data"


def test_a_local_copy_takes_the_place_of_the_hub(tmp_path: Path, rows: Path) -> None:
    text = filled(*own(tmp_path, HUB), tmp_path / "deep" / "mine.yaml", rows)
    said = yaml.safe_load(text)
    assert said["path"] == "../data"
    assert said["revision"].startswith("sha256-")
    assert {"hub", "config"}.isdisjoint(said)
    assert "# What is known of it." in text
    assert "# The label is a letter." in text


def test_a_revision_follows_the_rows(tmp_path: Path, rows: Path) -> None:
    first = yaml.safe_load(filled(*own(tmp_path, HUB), tmp_path / "mine.yaml", rows))
    assert yaml.safe_load(filled(*own(tmp_path, HUB), tmp_path / "mine.yaml", rows)) == first
    (rows / "rows.jsonl").write_text('{"a": "How few?"}\n')
    assert yaml.safe_load(filled(*own(tmp_path, HUB), tmp_path / "mine.yaml", rows))["revision"] != first["revision"]


def test_a_path_that_is_stated_goes_on_from_the_new_file(tmp_path: Path, rows: Path) -> None:
    text = f"key: own\nkind: jsonl\npath: {rows.name}\nimage_root: pictures\nlicence: MIT\n"
    said = yaml.safe_load(filled(*own(tmp_path, text), tmp_path / "deep" / "mine.yaml"))
    assert (said["path"], said["image_root"]) == ("../data", "../pictures")
    assert said["revision"].startswith("sha256-")


def test_a_revision_that_is_stated_stays(tmp_path: Path, rows: Path) -> None:
    text = f"key: own\nkind: jsonl\npath: {rows.name}\nrevision: v7\nlicence: MIT\n"
    assert yaml.safe_load(filled(*own(tmp_path, text), tmp_path / "mine.yaml"))["revision"] == "v7"


def test_who_does_not_say_where_data_are_is_asked(tmp_path: Path) -> None:
    text = "key: own\nkind: jsonl\nlicence: MIT\nget: write to the authors\n"
    with pytest.raises(UsageError, match=r"--data \(write to the authors\)"):
        filled(*own(tmp_path, text), tmp_path / "mine.yaml")


class _Hub(BaseHTTPRequestHandler):
    """What the Hub answers when asked for a data set."""

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].removeprefix("/api/datasets/").removesuffix("/revision/main")
        found = {"someone/questions": 200, "someone/down": 500}.get(name, 404)
        body = json.dumps({"id": name, "sha": COMMIT} if found == 200 else {"error": "no"}).encode()
        self.send_response(found)
        if found == 404:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Hub)
    thread = Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.usefixtures("hub")
def test_of_the_hub_it_is_the_commit_that_stands_there_now(tmp_path: Path) -> None:
    said = yaml.safe_load(filled(*own(tmp_path, HUB), tmp_path / "mine.yaml"))
    assert (said["revision"], said["hub"], said["config"]) == (COMMIT, "someone/questions", "large")


@pytest.mark.usefixtures("hub")
@pytest.mark.parametrize(("name", "error"), [("someone/nothing", UsageError), ("someone/down", InfrastructureError)])
def test_what_the_hub_does_not_have_is_a_mistake_and_its_silence_is_none(
    tmp_path: Path, name: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match="--data"):
        filled(*own(tmp_path, HUB.replace("someone/questions", name)), tmp_path / "mine.yaml")


def test_without_a_network_the_hub_is_silent(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="does not answer"):
        filled(*own(tmp_path, HUB), tmp_path / "mine.yaml")
