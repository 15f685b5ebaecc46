"""Recipes that come along can be read, and say what they are named after."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from filters.selection.mix import PRESETS
from flows.recipe.file import load_recipe
from flows.recipe.recipe import Recipe
from flows.recipe.roles import family_of
from pipeline.errors import UsageError
from pipeline.manifests import manifests_dir

RECIPES = sorted((manifests_dir() / "recipes").glob("*.yaml"))
DEEPEYES = manifests_dir() / "recipes" / "deepeyesv2.yaml"


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_that_comes_along_can_be_read(recipe: Path) -> None:
    assert load_recipe(recipe).name == recipe.stem


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_that_comes_along_fits_the_schema_that_editors_check_by(recipe: Path) -> None:
    schema = pytest.importorskip("jsonschema")
    schema.validate(yaml.safe_load(recipe.read_text()), Recipe.model_json_schema())


def test_the_recipe_of_deepeyesv2_states_the_numbers_of_paper_and_release() -> None:
    recipe = load_recipe(DEEPEYES)
    gate, student = recipe.gate, recipe.student
    assert (gate.k, gate.max_plain_right, gate.rule) == (8, 2, "count")
    assert (student.max_pixels, student.cutoff_len, student.template) == (262_144, 20_480, "qwen2_vl")
    assert (recipe.rollout.max_turns, recipe.rollout.max_completion_tokens) == (9, 16_384)
    assert recipe.select.mix is not None
    assert {group: float(share) for group, share in recipe.select.mix.shares().items()} == PRESETS["deepeyesv2"]


def test_the_recipe_of_deepeyesv2_has_the_families_that_its_gold_check_needs() -> None:
    recipe = load_recipe(DEEPEYES)
    families = {family_of(role) for role in recipe.models.roles().values()}
    assert len(families) >= recipe.gold.min_families


def test_a_mix_can_be_changed_from_the_command_line_and_mistakes_in_it_are_named() -> None:
    assert load_recipe(DEEPEYES, ["select.mix=null"]).select.mix is None
    with pytest.raises(UsageError, match=r"select\.mix: the shares sum to 0\.7; they must sum to 1"):
        load_recipe(DEEPEYES, ["select.mix={perception: 0.5, long_cot: 0.2}"])
    with pytest.raises(UsageError, match="did you mean `long_cot`"):
        load_recipe(DEEPEYES, ["select.mix={perception: 0.5, longcot: 0.5}"])
    with pytest.raises(UsageError, match=r"select\.mix: there is no mix deepeyes; name deepeyesv2"):
        load_recipe(DEEPEYES, ["select.mix=deepeyes"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["gate.max_right_without_call=8"], "gate: max_right_without_call 8 must be below k 8"),
        (["gate.max_blind_right=8"], "gate: max_blind_right 8 must be below k 8"),
        (["gate.min_tools_right=9"], "gate: min_tools_right 9 must not be above k 8"),
        (["gate.k=2"], "gate: max_plain_right 2 must be below k 2"),
        (["lanes.no_call_right=8"], "lanes: no_call_right is about the lane no_call, which keeps nothing"),
        (["lanes={no_call: 0.1, no_call_right: 2}"], "is right 3 to 8 times"),
        (["lanes={no_call: 0.1, no_call_right: 9}"], "is right 3 to 8 times"),
    ],
)
def test_a_threshold_that_cannot_act_is_refused_when_the_recipe_is_read(changes: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_recipe(DEEPEYES, changes)
