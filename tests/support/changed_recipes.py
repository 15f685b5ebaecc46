"""A whole recipe per stage, and the same changed in every field that runs the stage again, all at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from flows.recipe.recipe import Recipe
from tests.support.curated import RECIPE
from tests.support.fingerprint_table import expected
from tests.support.recipe_leaves import Leaf, at, leaves, other_values, replaced, valid

SHARES = {"perception": 0.2, "reasoning": 0.2, "search": 0.2, "no_call": 0.1, "plain_cot": 0.2, "long_cot": 0.1}
OTHER_SHARES = {"perception": 0.25, **dict.fromkeys(("reasoning", "search", "no_call", "plain_cot", "long_cot"), 0.15)}
BESIDE: Mapping[str, Mapping[str, Any]] = {
    # Nobody began a recording by another name, and nobody searches.
    "gate2": {"search": {"corpus": "library.yaml", "mode": "live"}},
    # Calls as structure need a dialect that has them.
    "synthesize": {"dialect": "tool_call"},
    "select": {"select": {"saturated": "keep", "mix": SHARES}},
}
"""What both recipes hold for all fields of a stage to be there, and to be changeable."""
OTHERS: Mapping[str, Any] = {
    "sources.source": "barrels.yaml",
    "benchmarks": ["protected.yaml", "hidden.yaml"],
    "search.corpus": "archive.yaml",
    "search.as_of": "2024-01-01",
    "search.leaks.deny": ["example.org"],
    "search.leaks.copies": ["example.net/pictures"],
    "dialect": "tool_call",
    "student.max_pixels": 25_600,
    "student.deploy_pixels": 40_000,
    "student.tokenizer": "tokenizer",
    "rights.tombstones": "tombstones.yaml",
    "prompts.name": "other",
    "prompts.teacher_guidance": "guidance.md",
    "gate.sweep": [30_000],
    "lanes.no_call_right": 2,
    "images.min_side": 10,
    "dedup.radius": 0,
    "decontaminate.radius": 0,
    "long_cot.min_characters": 2_000,
    "synthesize.policy": "weighted",
    "synthesize.weights": [2.0, 1.0],
    "select.max_rl": 3,
    "select.exclude": ["a" * 64],
    "select.max_sft": 9,
    **{f"select.mix.{group}": share for group, share in OTHER_SHARES.items()},
    "export.sft": ["huggingface"],
    "export.rl": ["verl", "deepeyesv2"],
}
"""Values that name something, agree with each other, or show in what comes out; any other value does elsewhere."""


def base_of(stage: str) -> dict[str, Any]:
    """Return the recipe to be changed, every field written out."""
    content = {**RECIPE, **BESIDE.get(stage, {})}
    return Recipe.model_validate(content).model_dump(mode="json", by_alias=True)


def _fields_of(stage: str, content: Mapping[str, Any]) -> Iterator[Leaf]:
    """Yield the fields that run a stage again, as far as the recipe has them."""
    for leaf in leaves():
        if expected(leaf) == stage and _is_there(leaf, content):
            yield leaf


def _is_there(leaf: Leaf, content: Mapping[str, Any]) -> bool:
    if leaf.place[0] == "models":
        role = at(content, leaf.place[: 3 if leaf.place[1] == "teachers" else 2])
        return bool(role["backend"] == leaf.name.split(".")[2])
    try:
        at(content, leaf.place)
    except TypeError:  # a part that the recipe leaves out
        return False
    return True


def changed(stage: str, content: dict[str, Any]) -> dict[str, Any]:
    """Return the recipe changed in all of them: first where values are given here, which have to agree."""
    fields = list(_fields_of(stage, content))
    for leaf in fields:
        if leaf.name in OTHERS:
            assert at(content, leaf.place) != OTHERS[leaf.name]
            content = replaced(content, leaf.place, OTHERS[leaf.name])
    for leaf in fields:
        if leaf.name not in OTHERS:
            trials = (replaced(content, leaf.place, value) for value in other_values(leaf, at(content, leaf.place)))
            content = next(trial for trial in trials if valid(trial))
    return content
