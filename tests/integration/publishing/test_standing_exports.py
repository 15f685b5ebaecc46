"""What `verify` refuses in the exports of a run, every command refuses that ships, records or tells of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from flows.cli.main import make_app
from flows.releases.rows import released_rows
from pipeline.export.layout import MANIFEST, Manifest
from tests.support.carded import carded_run


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = carded_run(tmp_path_factory.mktemp("made") / "place")
    assert command("card", run).exit_code == 0
    return run


@pytest.fixture
def run(made_once: Path, tmp_path: Path) -> Path:
    shutil.copytree(made_once.parent / "store", tmp_path / "store")
    return Path(shutil.copytree(made_once, tmp_path / "run"))


def command(*arguments: object) -> Result:
    return CliRunner().invoke(make_app(), [str(argument) for argument in arguments])


def said(result: Result) -> str:
    return " ".join(result.output.split())


SHIPPING = {
    "verify": ["verify", "RUN"],
    "release": ["release", "RUN", "--name", "1.0"],
    "push": ["push", "RUN", "--dry-run", "--to", "hf://me/mine"],
    "card": ["card", "RUN"],
    "card --check": ["card", "RUN", "--check"],
    "diff, old": ["diff", "RUN", "OTHER"],
    "diff, new": ["diff", "OTHER", "RUN"],
}
GONE = {
    "a format": ["sft/trl"],
    "a shard": ["rl"],
    "all": [""],
}


@pytest.mark.parametrize("what", GONE)
@pytest.mark.parametrize("name", SHIPPING)
def test_a_run_of_whose_exports_one_is_gone_is_refused_by_every_command_that_tells_of_them(
    name: str, what: str, run: Path, made_once: Path
) -> None:
    for place in GONE[what]:
        shutil.rmtree(run / "export" / place)
    before = sorted((path, path.read_bytes()) for path in run.rglob("*") if path.is_file())
    words = {"RUN": run, "OTHER": made_once}
    done = command(*[words.get(word, word) for word in SHIPPING[name]])
    assert done.exit_code == 3, done.output
    assert "/manifest.json: is not there; the run has published " in said(done)
    assert sorted((path, path.read_bytes()) for path in run.rglob("*") if path.is_file()) == before


@pytest.mark.parametrize("name", SHIPPING)
def test_a_run_whose_exports_all_stand_is_taken_by_the_same_commands(name: str, run: Path, made_once: Path) -> None:
    words = {"RUN": run, "OTHER": made_once}
    done = command(*[words.get(word, word) for word in SHIPPING[name]])
    assert done.exit_code == 0, done.output


def test_export_brings_back_a_format_that_is_gone_and_does_not_say_that_a_run_without_any_came_to_nothing(
    run: Path,
) -> None:
    shutil.rmtree(run / "export/sft/trl")
    done = command("export", run, "--store", run.parent / "store")
    assert done.exit_code == 0, done.output
    # The run, for it finds what is gone as well, and not the folder.
    assert f"next: coldforge verify {run}\n" in done.stdout
    assert command("verify", run).exit_code == 0
    shutil.rmtree(run / "export")
    none = command("export", run, "--store", run.parent / "store")
    assert none.exit_code == 2
    assert "holds no export any more" in said(none)


def test_verify_of_exports_names_the_run_that_they_are_of(run: Path, tmp_path: Path) -> None:
    for place in ("export", "export/sft/trl"):
        told = command("verify", run / place)
        assert told.exit_code == 0
        assert f"`coldforge verify {run}` also finds exports that are gone" in told.stdout
    alone = Path(shutil.copytree(run / "export", tmp_path / "export"))
    assert "gone" not in command("verify", alone).stdout
    assert "give a run" in said(command("verify", tmp_path / "none"))


TAKING = {
    "verify": ["verify", "RUN"],
    "release": ["release", "RUN", "--name", "1.0"],
    "push": ["push", "RUN", "--dry-run", "--to", "hf://me/mine"],
    "export": ["export", "RUN", "--store", "STORE"],
}


def test_the_table_has_every_command_that_takes_tombstones() -> None:
    commands = getattr(typer.main.get_command(make_app()), "commands")  # noqa: B009 - of a group
    taking = {name for name, one in commands.items() if any(option.name == "tombstones" for option in one.params)}
    assert taking == TAKING.keys()


@pytest.mark.parametrize("name", TAKING)
@pytest.mark.parametrize("further", [False, True], ids=["the recipe's alone", "with a further list"])
def test_a_further_list_of_tombstones_takes_the_place_of_none(
    further: bool, name: str, run: Path, tmp_path: Path
) -> None:
    """The row of the recipe's list is taken down, and so is that of the further list."""
    rows = {row.question_id: row for row in released_rows(run) if row.shard == "rl"}
    own, other = list(rows)[:2]
    (tmp_path / "own.yaml").write_text(yaml.safe_dump([{"question": own}]))
    (tmp_path / "further.yaml").write_text(yaml.safe_dump([{"question": other}]))
    recipe = yaml.safe_load((run / "recipe.yaml").read_text())
    recipe.setdefault("rights", {})["tombstones"] = str(tmp_path / "own.yaml")
    (run / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    words = {"RUN": run, "STORE": run.parent / "store"}
    more = ["--tombstones", tmp_path / "further.yaml"] if further else []
    done = command(*[words.get(word, word) for word in TAKING[name]], *more)
    taken = {own, other} if further else {own}
    if name == "export":
        assert done.exit_code == 0, done.output
        manifest = Manifest.model_validate_json((run / "export/rl/huggingface" / MANIFEST).read_text())
        assert {row.question_id for row in manifest.refused if row.reason == "tombstone"} == taken
        return
    assert done.exit_code == 3, done.output
    assert "was taken down by its question" in said(done)
    if name != "release":  # which tells the first alone
        formats = len(list((run / "export/rl").glob(f"*/{MANIFEST}")))
        assert said(done).count("was taken down by its question") == formats * len(taken)
