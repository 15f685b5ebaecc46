"""Every command that writes tells of a place that it cannot write in one line, and leaves no traceback."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.main import make_app
from tests.support.carded import carded_run


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return carded_run(tmp_path_factory.mktemp("made") / "place")


@pytest.fixture
def run(made_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made_once, tmp_path / "run"))


TO_A_FILE = {
    "card": ["card", "RUN", "--out", "FILE/card.md"],
    "export": ["export", "RUN", "--store", "STORE", "--out", "FILE/export"],
    "release": ["release", "RUN", "--name", "1.0"],
    "report": ["report", "RUN", "--store", "STORE", "--out", "FILE/report"],
    "duplicates": ["duplicates", "RUN", "--store", "STORE", "--out", "FILE/page"],
    "review sample": ["review", "sample", "RUN", "--store", "STORE", "--n", "20"],
    "run": ["run", "RECIPE", "--out", "FILE/run"],
    "benchmarks build": ["benchmarks", "build", "ROWS", "--out", "FILE/set.yaml"],
}
"""Each with a file in the place of a folder that it needs."""
AT_A_FAILING_DISK = ("card", "export", "release", "report", "review sample", "benchmarks build")


def invoke(name: str, run: Path, made: Path, file: Path) -> tuple[int, str]:
    (file.parent / "rows.jsonl").write_text('{"question": "How many doors are there?"}\n')
    words = {"RUN": str(run), "FILE": str(file), "STORE": str(made.parent / "store")}
    words["ROWS"] = str(file.parent / "rows.jsonl")
    words["RECIPE"] = shutil.copy(str(run / "recipe.yaml"), str(made.parent / "again.yaml"))  # its paths start there
    given = []
    for word in TO_A_FILE[name]:
        first, _, rest = word.partition("/")
        given.append(f"{words.get(first, first)}{f'/{rest}' if rest else ''}")
    done = CliRunner().invoke(make_app(), given)
    assert isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.output
    return done.exit_code, done.stderr


@pytest.mark.parametrize("name", TO_A_FILE)
def test_a_file_in_the_place_of_a_folder_is_told_in_one_line(
    name: str, run: Path, made_once: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("mine")
    for folder in ("release", "review"):
        (run / folder).write_text("mine")
    code, said = invoke(name, run, made_once, tmp_path / "file")
    line = said.splitlines()[-1]
    assert code == 1, said
    assert any(str(place) in line for place in (tmp_path / "file", run / "release", run / "review")), line
    assert "a file stands where a folder must be" in line
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC], ids=lambda one: errno.errorcode[one])
@pytest.mark.parametrize("name", AT_A_FAILING_DISK)
def test_a_disk_that_takes_nothing_is_told_in_one_line(  # noqa: PLR0917 - fixtures
    name: str, number: int, run: Path, made_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a full disk an open file fails, of the others its making; the file system of the test is neither."""

    def fail(*_: object, dir: Path | None = None, **__: object) -> None:  # noqa: A002 - as it is called
        raise OSError(number, os.strerror(number), None if number == errno.ENOSPC else str(dir))

    for place in ("tempfile.mkstemp", "tempfile.mkdtemp"):
        monkeypatch.setattr(place, fail)
    (tmp_path / "file").mkdir()
    code, said = invoke(name, run, made_once, tmp_path / "file")
    line = said.splitlines()[-1]
    assert code == 1, said
    assert str(tmp_path) in line
    assert os.strerror(number).lower() in line.lower()
