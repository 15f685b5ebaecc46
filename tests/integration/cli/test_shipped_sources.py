"""From a manifest that ships to a source of one's own; and what is refused on the way, before any work."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from flows.cli.main import make_app
from tests.integration.cli.test_sources_command import RECIPE, png

COLUMNS = {"text": "problem", "answers": "answer", "images": "image"}


def call(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(make_app(), [*map(str, arguments)])
    return result.exit_code, result.output


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three rows in the layout of ThinkLite, one of them twice under another key, and a recipe."""
    (tmp_path / "data").mkdir()
    pictures = [png(0), png(1)]
    rows = [
        {"id": str(n), "problem": f"<image>How many sheep stand on meadow {n // 2}?", "answer": "3", "image": picture}
        for n, picture in enumerate([pictures[0], *pictures])
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "data" / "train.parquet")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump({**RECIPE, "sources": [{"source": "thinklite_hard.yaml"}]}))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_manifest_that_ships_is_made_ones_own_and_looked_through(place: Path) -> None:
    code, said = call("sources", "check", "thinklite_hard", "--data", "data")
    assert (code, "thinklite_hard.yaml: written" in said) == (0, True), said
    written = (place / "thinklite_hard.yaml").read_text()
    assert yaml.safe_load(written)["path"] == "data"
    assert "# begins with" in written  # comments stay
    # Looked at once more it is as it is, and nothing is written.
    code, said = call("sources", "check", "thinklite_hard.yaml", "--json")
    assert (code, (place / "thinklite_hard.yaml").read_text()) == (0, written)
    looked = json.loads(said)
    assert (looked["rows"], looked["kept"], looked["pictures"], looked["shared"]) == (3, 2, 2, 1)
    (lost,) = looked["losses"]
    assert (lost["stage"], lost["reason"], lost["rows"]) == ("dedup", "duplicate", 1)
    assert lost["where"] in {"data, train, row 1", "data, train, row 2"}
    assert looked["sizes"] == {"2 to 10 times": 2}
    assert looked["licences"] == {"MIT": 2}


def test_a_check_prints_licences_and_sizes_and_where_the_first_loss_stands(place: Path) -> None:
    del place
    code, said = call("sources", "check", "thinklite_hard", "--data", "data", "--write", "mine.yaml")
    assert code == 0
    for words in ("licences", "MIT", "2 to 10 times", "duplicate", "data, train, row", "1 of them by more than one"):
        assert words in said, said


def test_what_is_there_is_never_written_over(place: Path) -> None:
    (place / "thinklite_hard.yaml").write_text("mine")
    code, said = call("sources", "check", "thinklite_hard", "--data", "data")
    assert (code, "is there already" in said) == (2, True)
    assert (place / "thinklite_hard.yaml").read_text() == "mine"


def test_a_manifest_of_ones_own_without_a_revision_is_filled_in_where_it_is(place: Path) -> None:
    said = {"key": "own", "kind": "parquet", "path": "data", "licence": "MIT"}

    (place / "own.yaml").write_text(yaml.safe_dump({**said, "columns": COLUMNS}))
    assert call("sources", "check", "own.yaml")[0] == 0
    assert yaml.safe_load((place / "own.yaml").read_text())["revision"].startswith("sha256-")


def test_data_that_are_not_here_are_asked_for(place: Path) -> None:
    del place
    code, said = call("sources", "check", "vstar_train")
    assert (code, "hf download craigwu/seal_vqa_data" in said) == (2, True)


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_revision_that_is_left_open_is_refused_before_any_work(place: Path, command: str) -> None:
    out, change = place / "out", "sources=[{source: chartqa}]"
    code, said = call(command, "recipe.yaml", "--out", out, "--set", change)
    assert (code, "coldforge sources check chartqa --write chartqa.yaml" in " ".join(said.split())) == (2, True), said
    assert not out.exists()


@pytest.mark.parametrize("command", ["plan", "run"])
@pytest.mark.parametrize(("name", "role"), [("vstar_test.parquet", "train"), ("other.parquet", "eval_only")])
def test_what_is_evaluated_on_is_refused_before_any_work(place: Path, command: str, name: str, role: str) -> None:
    (place / "data" / name).write_bytes((place / "data" / "train.parquet").read_bytes())
    said = {"key": "own", "kind": "parquet", "path": "data/*.parquet", "licence": "MIT", "revision": "1", "role": role}
    (place / "own.yaml").write_text(yaml.safe_dump({**said, "columns": COLUMNS}))
    out = place / "out"
    code, told = call(command, "recipe.yaml", "--out", out, "--set", "sources=[{source: own.yaml}]")
    assert (code, ("vstar_test.parquet is V* Bench" if role == "train" else "eval_only") in told) == (2, True), told
    assert not out.exists()
    # It may be looked at.
    assert call("sources", "check", "own.yaml", "--store", place / "looked")[0] == 0


def test_a_plan_says_which_sets_of_the_guard_list_are_not_kept_out(place: Path) -> None:
    call("sources", "check", "thinklite_hard", "--data", "data")
    code, said = call("plan", "recipe.yaml", "--out", place / "out")
    assert (code, "not among the benchmarks of the recipe: vstar, hr_bench" in said) == (0, True), said
    built = call(
        "benchmarks", "build", "data/train.parquet", "--key", "vstar", "--out", "vstar.yaml", "--images", "image"
    )
    assert built[0] == 0, built
    code, said = call("plan", "recipe.yaml", "--out", place / "out", "--set", "benchmarks=[vstar.yaml]")
    assert (code, "not among the benchmarks of the recipe: hr_bench" in said) == (0, True), said


def test_a_set_whose_hashes_do_not_ship_tells_how_they_are_made(place: Path) -> None:
    call("sources", "check", "thinklite_hard", "--data", "data")
    code, said = call("plan", "recipe.yaml", "--out", place / "out", "--set", "benchmarks=[vstar]")
    assert (code, "coldforge benchmarks list vstar" in said) == (2, True)
    code, said = call("benchmarks", "list", "vstar")
    assert (code, "coldforge benchmarks build vstar/data/test-*.parquet --key vstar" in said) == (0, True)
    assert call("benchmarks", "list", "nothing")[0] == 2
    code, said = call("benchmarks", "list")
    assert (code, "MathVista" in said) == (0, True)
