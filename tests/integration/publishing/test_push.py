"""Pushing against a local server of the hub's protocol. Xet has servers of its own, which nothing here stands for."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.cli.card import card
from flows.cli.main import make_app
from tests.support.card_numbers import rows
from tests.support.carded import carded_run
from tests.support.servers.hub import READER, TOKEN, Hub, Refusal, hub

COMMAND = Path(sys.executable).with_name("coldforge")
ROOT = Path(__file__).parents[3]
NAME = "some/cellars"


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = carded_run(tmp_path_factory.mktemp("pushed"))
    card(run)
    return run


@pytest.fixture
def run(made_once: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "run"
    shutil.copytree(made_once, copy)
    return copy


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub of this machine; the library, which reads its environment once, is pointed to it."""
    from huggingface_hub import constants

    with hub() as opened:
        monkeypatch.setattr(constants, "ENDPOINT", opened.url)
        for name, value in (("OFFLINE", False), ("DISABLE_XET", True), ("DISABLE_TELEMETRY", True)):
            monkeypatch.setattr(constants, f"HF_HUB_{name}", value)
        yield opened


def environment(served: Hub, place: Path, **more: str) -> dict[str, str]:
    """For a process of its own."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    own = {"HF_ENDPOINT": served.url, "HF_HOME": str(place / "hf"), "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    return {**kept, **own, "PYTHONPATH": str(ROOT), "HF_TOKEN": TOKEN, **more}


def start(served: Hub, run: Path, *flags: str, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, "push", str(run), "--to", f"hf://{NAME}", *flags],
        env=environment(served, run.parent, **more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def push(run: Path, *flags: str, code: int = 0, token: str = TOKEN) -> str:
    """Push, require the exit code, and return all that was printed."""
    from typer.testing import CliRunner

    told = CliRunner().invoke(make_app(), ["push", str(run), "--to", f"hf://{NAME}", *flags], env={"HF_TOKEN": token})
    assert told.exit_code == code, told.output
    # Whatever happens, the token is in headers alone.
    assert TOKEN not in told.output
    return told.output


def local(run: Path) -> dict[str, bytes]:
    root = run / "export"
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def held(served: Hub) -> dict[str, bytes]:
    return {path: content for path, content in served.repositories[NAME].files.items() if path != ".gitattributes"}


def puts(served: Hub) -> list[str]:
    """Names of the contents that came whole into the large storage."""
    return [asked.path for asked in served.asked if asked.method == "PUT" and asked.status < 300]


def test_a_push_makes_a_private_repository_of_the_exports_and_their_card(served: Hub, run: Path) -> None:
    told = push(run)
    repository = served.repositories[NAME]
    assert repository.private
    assert held(served) == local(run)
    assert "made, private" in told
    # What readers go by comes last, in one commit.
    assert [message.partition(" ")[0] for message in repository.messages] == ["Files", "Files", "Release"]
    # Formats show the same pictures, each of which is sent once.
    assert len(puts(served)) == len(set(puts(served)))
    # Storage is written by addresses that were signed for it, without a token.
    assert {asked.authorization for asked in served.asked if asked.method == "PUT"} == {None}


def test_public_is_said_and_a_public_repository_is_not_written_to_unless_it_is(served: Hub, run: Path) -> None:
    push(run, "--public")
    assert not served.repositories[NAME].private
    before = len(served.repositories[NAME].messages)
    assert "say --public" in push(run, code=2)
    assert len(served.repositories[NAME].messages) == before


def test_what_was_pushed_loads_in_streaming_and_from_a_download(served: Hub, run: Path, tmp_path: Path) -> None:
    push(run)
    job = (
        "import json, sys, datasets\n"
        "for shard in ('sft', 'rl'):\n"
        "    for streaming in (True, False):\n"
        f"        found = datasets.load_dataset('{NAME}', shard, split='train', streaming=streaming)\n"
        "        print(json.dumps([[row['id'], [image.size for image in row['images']]] for row in found]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", job],
        env=environment(served, tmp_path), cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    expected = [[row["id"] for row in rows(run, shard)] for shard in ("sft", "sft", "rl", "rl")]
    assert [[identity for identity, _ in rows_] for rows_ in told] == expected
    assert all(sizes for identity, sizes in told[2])


def test_a_release_that_is_there_is_not_sent_again(served: Hub, run: Path) -> None:
    push(run)
    commit = served.repositories[NAME].commit
    served.asked.clear()
    assert "nothing to send" in push(run)
    assert puts(served) == []
    assert served.repositories[NAME].commit == commit


@pytest.mark.parametrize("lost", ["the commit", "its answer"])
def test_a_push_that_was_killed_goes_on_and_sends_nothing_twice(served: Hub, run: Path, lost: str) -> None:
    served.waits_at, served.drops = "POST /api/datasets/.*/commit/main", lost == "the commit"
    process = start(served, run)
    assert served.waiting.wait(120)
    # All of the first piece is in the storage, and nobody hears whether it is committed.
    process.kill()
    process.communicate()
    served.go_on.set()
    assert served.finished.wait(60)
    served.waits_at = ""
    assert len(served.repositories[NAME].messages) == (0 if served.drops else 1)
    assert puts(served)
    push(run)
    assert held(served) == local(run)
    assert len(puts(served)) == len(set(puts(served)))
    assert [message.partition(" ")[0] for message in served.repositories[NAME].messages] == [
        "Files",
        "Files",
        "Release",
    ]


def test_a_push_that_broke_off_in_the_storage_goes_on_there(served: Hub, run: Path) -> None:
    served.refusals = [Refusal("PUT /storage/.*", 403, after=3)]
    assert "push again to go on" in push(run, code=1)
    assert len(puts(served)) == 3
    served.refusals = []
    push(run)
    assert held(served) == local(run)
    assert len(puts(served)) == len(set(puts(served)))


def test_a_new_release_replaces_the_one_before_in_one_commit(served: Hub, run: Path) -> None:
    push(run)
    repository = served.repositories[NAME]
    # Of an earlier release, and of the owner's own.
    files = {**repository.files, "sft/huggingface/data/old.parquet": b"old", "notes.md": b"mine"}
    served.repositories[NAME].files = files
    (run / "export" / "card" / "old.png").write_bytes(b"x")
    (run / "export" / "card" / "old.png").unlink()
    told = push(run)
    assert "1 files of earlier releases taken out" in told
    assert held(served) == {**local(run), "notes.md": b"mine"}
    assert len(served.repositories[NAME].messages) == 4


REFUSED = {
    401: ("POST /api/repos/create", 2, "does not let this token write"),
    403: ("POST /api/repos/create", 2, "does not let this token write"),
    409: ("POST /api/datasets/.*/commit/main", 1, "push again, which looks anew"),
    412: ("POST /api/datasets/.*/commit/main", 1, "push again, which looks anew"),
    400: ("POST /api/datasets/.*/commit/main", 2, "does not take it"),
    413: ("POST /api/validate-yaml", 2, "does not take it"),
    429: ("POST /api/datasets/.*/commit/main", 1, "push again to go on"),
    500: ("POST /api/datasets/.*/commit/main", 1, "push again to go on"),
}


@pytest.mark.parametrize("status", REFUSED)
def test_what_the_hub_refuses_is_told_by_what_helps_and_the_next_push_goes_on(
    served: Hub, run: Path, status: int
) -> None:
    route, code, words = REFUSED[status]
    # A hostile server that sends back what it was sent gets none of it printed.
    served.refusals = [Refusal(route, status, message=f"You sent {TOKEN}")]
    told = push(run, code=code)
    assert words in told
    served.refusals = []
    push(run)
    assert held(served) == local(run)


def test_a_hub_that_is_busy_for_a_moment_is_asked_again(served: Hub, run: Path) -> None:
    served.refusals = [Refusal("PUT /storage/.*", 500, times=1), Refusal("POST /.*/objects/batch", 429, times=1)]
    push(run)
    assert held(served) == local(run)


def test_somebody_elses_commit_in_between_is_not_mixed_with_a_release(served: Hub, run: Path) -> None:
    served.waits_at = "POST /api/datasets/.*/preupload/main"
    process = start(served, run)
    assert served.waiting.wait(120)
    served.repositories[NAME].commit = "f" * 40
    served.waits_at = ""
    served.go_on.set()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "somebody else wrote" in err
    assert served.repositories[NAME].messages == ()


def test_a_token_that_only_reads_is_refused(served: Hub, run: Path) -> None:
    assert "may write" in push(run, code=2, token=READER)
    assert NAME not in served.repositories


def test_no_token_and_no_network_are_told_before_anything_is_asked(
    served: Hub, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "$HF_TOKEN is not set" in push(run, code=2, token="")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in push(run, code=2)
    assert served.asked == []


def test_a_dry_run_tells_what_would_be_sent_and_asks_nobody(served: Hub, run: Path) -> None:
    told = push(run, "--dry-run", token="")
    files = local(run)
    megabytes = sum(map(len, files.values())) / 1e6
    assert f"would send to hf://{NAME}, private: {len(files):,} files, {megabytes:,.1f} MB" in told
    assert re.search(rf"configuration sft: train {len(rows(run, 'sft'))} rows", told)
    assert served.asked == []


def test_nothing_is_sent_of_what_verify_or_the_card_finds_wrong(served: Hub, run: Path) -> None:
    (run / "export" / "card" / "sft-example-1.png").unlink()
    assert "card/sft-example-1.png: is missing" in push(run, code=3)
    card(run)
    (data,) = (run / "export" / "sft" / "huggingface" / "data").glob("*.parquet")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    assert "was changed" in push(run, code=3)
    assert served.asked == []


def test_nothing_is_sent_of_a_row_that_was_taken_down(served: Hub, run: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken.yaml"
    taken.write_text(f"- {{question: {rows(run, 'rl')[0]['id']}}}\n")
    assert "was taken down by its question" in push(run, "--tombstones", str(taken), code=3)
    assert served.asked == []
