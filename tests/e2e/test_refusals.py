"""What cannot work is refused before any work, on one screen, with the fix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.support.command import DEMO, coldforge


def recipe_with(tmp_path: Path, **changes: object) -> Path:
    content = yaml.safe_load(DEMO.read_text()) | changes
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def refused(tmp_path: Path, recipe: Path, *more: str, code: int) -> str:
    done = coldforge("run", recipe, "--out", tmp_path / "run", "--store", tmp_path / "store", *more, code=code)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) < 24
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()
    return done.stderr


def test_a_misspelt_field_is_named_with_the_field_that_was_meant(tmp_path: Path) -> None:
    message = refused(tmp_path, recipe_with(tmp_path, studnet={}), code=2)
    assert "studnet" in message
    assert "student" in message


def test_a_wrong_value_is_named_with_its_field(tmp_path: Path) -> None:
    message = refused(tmp_path, DEMO, "--set", "gate.k=0", code=2)
    assert "gate.k" in message


def test_a_source_that_is_not_there_is_named(tmp_path: Path) -> None:
    message = refused(tmp_path, recipe_with(tmp_path, sources=[{"source": "nowhere.yaml"}]), code=2)
    assert "nowhere.yaml" in message


def write_source(directory: Path, rows: list[str]) -> Path:
    directory.mkdir()
    (directory / "rows.jsonl").write_text("\n".join(rows) + "\n")
    for name in ("pages.jsonl", "gallery.jsonl"):
        (directory / name).write_text("")
    manifest = directory / "own.yaml"
    manifest.write_text(
        yaml.safe_dump({"key": "own", "kind": "jsonl", "revision": "1", "path": ".", "licence": "CC0-1.0"})
    )
    return manifest


def test_a_corrupt_line_of_a_source_is_told_with_its_file_and_number(tmp_path: Path) -> None:
    good = json.dumps(
        {"row": "1", "category": "reasoning", "text": "1 + 1?", "images": [], "answers": ["2"], "answer_type": "number"}
    )
    manifest = write_source(tmp_path / "own", [good, good[: len(good) // 2]])
    recipe = recipe_with(tmp_path, sources=[{"source": str(manifest)}], search={"corpus": "own"}, benchmarks=[])
    # Nothing is taught by the one row that is left, so that the run says so and ends with 3.
    told = coldforge("run", recipe, "--out", tmp_path / "run", "--store", tmp_path / "store", code=3).stdout
    assert "quarantined: ingest row_json 1, such as rows.jsonl, line 2: not JSON" in told


def test_a_model_that_cannot_be_reached_is_named_with_its_url(tmp_path: Path) -> None:
    base = {"backend": "openai", "model": "m@1", "served_name": "m", "base_url": "http://127.0.0.1:9/v1"}
    recipe = recipe_with(tmp_path, models={"base": base, "teachers": [{"backend": "reader", "policy": "careful"}]})
    message = refused(tmp_path, recipe, code=1)
    assert "http://127.0.0.1:9/v1" in message
    assert "base_url" in message


@pytest.mark.parametrize("change", ["nonsense", "name.deep=1", "sources.7.source=demo", "=3"])
def test_a_malformed_change_is_explained(tmp_path: Path, change: str) -> None:
    assert "--set" in refused(tmp_path, DEMO, "--set", change, code=2)
