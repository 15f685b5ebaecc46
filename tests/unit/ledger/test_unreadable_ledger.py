"""A ledger that cannot be read is one sentence with its path and what helps, whatever asks it."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from flows.cli.main import make_app
from flows.ledger.query import answer, query
from pipeline.errors import InfrastructureError
from tests.support.command import ROOT
from tests.support.runs import small_run

ANEW = "coldforge run` again writes it anew"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("whole") / "small")


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    (tmp_path / ".store").mkdir()
    return shutil.copytree(whole, tmp_path / "small")


def stored_by_version(number: int, content: bytes) -> bytes:
    """A ledger that a DuckDB of another storage version wrote: its number, and the checksum of that header."""
    changed = bytearray(content)
    changed[12:20] = struct.pack("<Q", number)
    path = Path(f"{number}.duckdb")
    path.write_bytes(changed)
    with pytest.raises(duckdb.Error) as refused:
        duckdb.connect(str(path), read_only=True)
    found = re.search(r"computed checksum (\d+)", str(refused.value))
    assert found is not None
    changed[0:8] = struct.pack("<Q", int(found[1]))
    return bytes(changed)


def flipped(content: bytes) -> bytes:
    """A byte of every block after the header is another."""
    changed = bytearray(content)
    for place in range(12_288 + 100, len(changed), 16_384):
        changed[place] ^= 0xFF
    return bytes(changed)


SPOILT: Mapping[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", f"is damaged .*{ANEW}"),
    "no ledger": (lambda _: b"These are not the tables." * 1_000, f"is damaged .*{ANEW}"),
    "half": (lambda content: content[: len(content) // 2], f"is damaged .*{ANEW}"),
    "a disk that forgets": (flipped, f"is damaged .*{ANEW}"),
    "newer": (lambda content: stored_by_version(5_000, content), f"a DuckDB that is newer than the one here .*{ANEW}"),
}
COMMANDS = (("stats",), ("stats", "--sql", "SELECT count(*), max(payload), max(detail) FROM outcomes"), ("replay",))


@pytest.mark.parametrize("how", SPOILT)
def test_what_cannot_be_read_is_one_sentence(how: str, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run)
    spoil, told = SPOILT[how]
    ledger = run / "ledger.duckdb"
    ledger.write_bytes(spoil(ledger.read_bytes()))
    (run / "recipe.yaml").write_text((ROOT / "manifests" / "recipes" / "demo.yaml").read_text())
    for command, *options in COMMANDS:
        result = CliRunner().invoke(make_app(), [command, str(run), *options])
        assert result.exit_code == 1, result.output
        assert re.fullmatch(f"error: {re.escape(str(ledger))} .*{told}[^\n]*\n", result.stderr), result.stderr


@contextmanager
def opened_for_writing(ledger: Path) -> Iterator[int]:
    script = f"import duckdb, sys\ndb = duckdb.connect({str(ledger)!r})\nprint(flush=True)\nsys.stdin.read()"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.communicate()


def test_one_that_somebody_writes_is_named_with_who_does(run: Path) -> None:
    with opened_for_writing(run / "ledger.duckdb") as pid:
        for ask in (query, answer):
            with pytest.raises(InfrastructureError, match=rf"in another process \(PID {pid}\); close it there$"):
                ask(run, "SELECT 1")
    assert query(run, "SELECT 1 AS n").num_rows == 1


def test_one_of_another_coldforge_says_what_it_lacks(run: Path) -> None:
    with duckdb.connect(str(run / "ledger.duckdb")) as db:
        db.execute("ALTER TABLE shards RENAME COLUMN n_rows TO lines")
    with pytest.raises(InfrastructureError, match=rf"is of another version of coldforge \(.*n_rows.*{ANEW}"):
        query(run, "SELECT n_rows FROM shards")


REBUILD = """
import sys
from pathlib import Path
from flows.ledger.snapshot import build_ledger, read_facts
from flows.report.lookup import finished_stages
run = Path(sys.argv[1])
for _ in range(4):
    build_ledger(run, list(finished_stages(run).values()), read_facts(run))
"""


def test_processes_that_rebuild_it_at_once_do_not_collide(run: Path) -> None:
    before = query(run, "SELECT * FROM outcomes ORDER BY ALL").to_pylist()
    command = [sys.executable, "-c", REBUILD, str(run)]
    jobs = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [(job.communicate()[1], job.returncode) for job in jobs] == [("", 0)] * 3
    assert query(run, "SELECT * FROM outcomes ORDER BY ALL").to_pylist() == before
