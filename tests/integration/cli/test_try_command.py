"""`coldforge try`: a live rollout that leaves run and call cache as they are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from flows.recipe.inputs import make_job
from flows.run.trying import Opening, Trial, Tried, try_once
from pipeline.errors import UsageError
from pipeline.records import Turn
from tests.support.curated import RECIPE, curated, scripted, write_corpus, write_recipe


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write_corpus(tmp_path_factory.mktemp("try"))
    curated(made, RECIPE, "out", groups=("gather",))
    return made


def tried(place: Path, trial: Trial) -> tuple[Opening, list[Turn], Tried]:
    job = make_job(write_recipe(place, RECIPE), out=place / "out", store=place / "store")
    opened: list[Opening] = []
    turns: list[Turn] = []
    with scripted(place, job.recipe.dialect):
        done = try_once(job, trial, opened.append, lambda turn, _: turns.append(turn))
    return opened[0], turns, done


def bytes_of(*places: Path) -> Mapping[Path, bytes]:
    return {path: path.read_bytes() for place in places for path in sorted(place.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(("role", "plain"), [("teacher", False), ("teachers.1", True), ("base", False), ("base", True)])
def test_every_turn_is_shown_as_it_comes_and_nothing_is_committed(place: Path, role: str, plain: bool) -> None:
    calls = place / "store" / "calls.sqlite"
    before = bytes_of(place / "out"), calls.read_bytes()
    opening, turns, done = tried(place, Trial("taught-0", role, plain))
    assert (bytes_of(place / "out"), calls.read_bytes()) == before
    assert tuple(turns) == done.trajectory.turns
    assert opening.ask.mode == ("plain" if plain else "tools")
    assert done.grade is not None
    assert bool(done.decisions) == (role != "base")


def test_what_is_asked_twice_is_asked_anew_and_equal(place: Path) -> None:
    first, second = (tried(place, Trial("taught-0", "teacher"))[2].trajectory for _ in range(2))
    assert first == second


@pytest.mark.parametrize("role", ["teacher", "base"])
def test_a_prompt_of_a_file_is_what_the_model_is_told(place: Path, role: str) -> None:
    file = place / "mine.md"
    file.write_text("Say where you looked.\n")
    opening, _, done = tried(place, Trial("taught-0", role, prompt=file))
    assert "Say where you looked." in opening.ask.system
    assert done.trajectory.system == opening.ask.system


def test_a_role_or_a_question_that_is_none_is_named_before_anything_is_asked(place: Path) -> None:
    with pytest.raises(UsageError, match=r"--role judge: .*teachers\.1"):
        tried(place, Trial("taught-0", "judge"))
    with pytest.raises(UsageError, match="--question nowhere"):
        tried(place, Trial("nowhere", "base"))
    with pytest.raises(UsageError, match="--question easy-11: row easy-11 of cellars is no question"):
        tried(place, Trial("easy-11", "base"))
