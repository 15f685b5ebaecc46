"""What needs a trainer runs only where COLDFORGE_TRAINERS names it: `make test-trainers` installs each first.

Every trainer has an environment of its own, and a program in `programs/` that is run in it. The demo's export is loaded
beside one that is made here, where COLDFORGE_TRAINERS_EXPORT leads to it.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipeline.export.layout import MANIFEST, Format, Manifest, Shard
from pipeline.store.blobs import BlobStore
from tests.support.export_rows import publish
from tests.trainers import rows
from tests.trainers.expected import expected_rows
from tests.trainers.student import write_student

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CHOSEN = "COLDFORGE_TRAINERS"
DEMO = "COLDFORGE_TRAINERS_EXPORT"
MINUTES = 30


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    chosen = os.environ.get(CHOSEN, "").split()
    for item in items:
        needed = [mark.args[0] for mark in item.iter_markers("trainer")] if HERE in item.path.parents else []
        for name in (name for name in needed if name not in chosen):
            how = f"`make test-trainers` installs it and names it in {CHOSEN}"
            item.add_marker(pytest.mark.skip(reason=f"needs {name}: {how}"))


class Export(NamedTuple):
    """Exports of one run, and a student for them."""

    name: str
    directory: Path
    """Of the folders of both shards."""
    student: Path

    def manifest(self, shard: Shard, kind: Format) -> Manifest:
        return Manifest.model_validate_json((self.directory / shard / kind / MANIFEST).read_text())


def _exports() -> list[str]:
    return ["made here", *(["demo"] if os.environ.get(DEMO) else [])]


@pytest.fixture(scope="session", params=_exports())
def export(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """The exports that are loaded; the student's tokenizer has learnt from their texts."""
    place = tmp_path_factory.mktemp("export")
    if request.param == "demo":
        directory = Path(os.environ[DEMO]).resolve()
    else:
        blobs = BlobStore(place / "blobs")
        directory = publish(place / "export", rows.sft(blobs), rows.rl(blobs), place)
    texts = [text for row in expected_rows(directory / "sft" / "ms_swift", "sft", "ms_swift") for text in row.contents]
    student = write_student(place / "student", texts)
    return Export(request.param, directory, student)


Load = Callable[[str, str, Shard, Format], dict[str, Any]]


@pytest.fixture
def load(export: Export, tmp_path: Path) -> Load:
    """Run a program in a trainer's environment on an export, and return what it wrote."""

    def run(trainer: str, program: str, shard: Shard, kind: Format) -> dict[str, Any]:
        manifest = export.manifest(shard, kind)
        directory = export.directory / shard / kind
        given = {
            "export": str(directory),
            "student": str(export.student),
            "scratch": str(tmp_path),
            "out": str(tmp_path / "told.json"),
            "files": [str(directory / file.path) for file in manifest.data],
            "name": manifest.name,
            "max_pixels": manifest.student.max_pixels,
            "cutoff_len": manifest.student.cutoff_len,
        }
        return run_program(trainer, program, given, tmp_path)

    return run


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Path], Path]:
    """Install coldforge, without its dependencies but with what a kit asks for, for a trainer; return its directory."""

    @cache
    def install(trainer: str, requirements: Path) -> Path:
        site = tmp_path_factory.mktemp("coldforge")
        pip: list[str | Path] = [python_of(trainer), "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--no-deps", "--target", site, ROOT], check=True, timeout=60 * MINUTES)
        subprocess.run([*pip, "-r", requirements], check=True, timeout=60 * MINUTES)
        return site

    return install


def python_of(trainer: str) -> Path:
    """Return the interpreter of a trainer's environment."""
    return ROOT / f".venv-trainers-{trainer}" / "bin" / "python"


def run_program(trainer: str, program: str, given: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
    """Run a program of `programs/` with JSON as its argument; return the JSON that it wrote to `given["out"]`."""
    # A cache of its own: nothing that an earlier export left there is read, and nothing is asked of a hub.
    alone = {"HF_HOME": str(scratch / "hf"), "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "DO_NOT_TRACK": "1"}
    environment = {**os.environ, **alone, "MODELSCOPE_CACHE": str(scratch / "modelscope"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python_of(trainer), HERE / "programs" / f"{program}.py", json.dumps(given)],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=60 * MINUTES,
    )
    assert done.returncode == 0, f"{done.stdout[-4_000:]}\n{done.stderr[-8_000:]}"
    told: dict[str, Any] = json.loads(Path(given["out"]).read_text())
    return told


class Line(NamedTuple):
    """Of the table that is printed in the end."""

    trainer: str
    export: str
    rows: str = "-"
    loss: str = "-"
    pictures: str = "-"
    rewards: str = "-"


_LINES: list[Line] = []


@pytest.fixture(scope="session", autouse=True)
def table() -> Iterator[list[Line]]:
    """Lines that tests add to, printed once all have run: what a release quotes."""
    yield _LINES
    if _LINES:
        titles = Line("trainer", "export", "rows in -> loaded", "loss", "pictures", "rewards")
        widths = [max(len(line[column]) for line in (titles, *_LINES)) for column in range(len(titles))]
        for line in (titles, *_LINES):
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)))  # noqa: T201
