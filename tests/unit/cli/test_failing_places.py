"""A place that fails is one line with its path and what helps; a failure that is no place's keeps its traceback."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner, Result

from flows.cli.checks import checked
from flows.cli.main import Commands
from flows.cli.places import _FIXES, told
from pipeline.store.blobs import write_atomic


def failing(error: OSError) -> Result:
    app = typer.Typer(cls=Commands)

    def fail() -> None:
        raise error

    app.command("fail")(fail)
    app.command("other")(fail)
    return CliRunner().invoke(app, ["fail"])


@pytest.mark.parametrize("number", _FIXES, ids=lambda number: errno.errorcode[number])
def test_a_place_that_fails_is_one_line_with_its_path_and_what_helps_and_can_be_tried_again(number: int) -> None:
    result = failing(OSError(number, os.strerror(number), "/mnt/full/run\x1b[31m"))
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: /mnt/full/run")
    assert "\x1b" not in line
    assert _FIXES[number] in line


@pytest.mark.parametrize(
    "error", [OSError("of some library"), FileNotFoundError(errno.ENOENT, "gone", "/nowhere"), TimeoutError("late")]
)
def test_a_failure_that_is_no_places_keeps_its_traceback(error: OSError) -> None:
    assert failing(error).exception is error
    with pytest.raises(type(error)):
        checked("place", lambda: raising(error))


def raising(error: OSError) -> str:
    raise error


def test_a_check_tells_of_a_place_and_the_others_go_on() -> None:
    found = checked("place", lambda: raising(OSError(errno.EROFS, "", "/mnt/run")))
    assert found.finding == "wrong"
    assert found.detail.startswith("/mnt/run: read-only file system; ")


def test_what_arrow_cannot_write_is_told_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="Not a directory") as caught:
        pq.write_table(pa.table({"a": [1]}), tmp_path / "file" / "part.parquet")
    said = told(caught.value)
    assert said is not None
    assert str(tmp_path / "file" / "part.parquet") in said
    assert "a file stands where a folder must be" in said


@pytest.mark.parametrize("place", ["tempfile.mkstemp", "os.fsync", "pathlib.Path.replace"])
def test_an_atomic_write_names_the_file_that_was_to_be_written(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(place, full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_atomic(tmp_path / "some.json", b"{}")
    assert caught.value.filename == str(tmp_path / "some.json")
    assert list(tmp_path.iterdir()) == []
