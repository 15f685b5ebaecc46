"""Reading a recipe from its file, with changes from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from flows.recipe import Recipe
from flows.recipe_errors import explain
from pipeline.errors import UsageError
from pipeline.manifests import manifests_dir


def load_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `a.b=value` changes (values are YAML).

    Raises:
        UsageError: the file, a change or a field is wrong; the message names each and says what is allowed.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except OSError as error:
        known = ", ".join(sorted(f"manifests/recipes/{p.name}" for p in (manifests_dir() / "recipes").glob("*.yaml")))
        raise UsageError(
            f"recipe {path} cannot be read ({error.strerror}); recipes that come along: {known}"
        ) from error
    except yaml.YAMLError as error:
        raise UsageError(f"recipe {path} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"recipe {path}: a recipe is a mapping of fields, such as `name: demo`")
    for change in changes:
        _apply(content, change)
    try:
        recipe = Recipe.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"recipe {path}:\n{explain(error, Recipe)}") from error
    return _with_paths_from(recipe, path.parent)


def _with_paths_from(recipe: Recipe, directory: Path) -> Recipe:
    """Return the recipe with its relative paths starting at `directory`."""
    guidance, tokenizer = recipe.prompts.teacher_guidance, recipe.student.tokenizer
    if guidance is not None:
        prompts = recipe.prompts.model_copy(update={"teacher_guidance": directory / guidance})
        recipe = recipe.model_copy(update={"prompts": prompts})
    if tokenizer is not None:
        student = recipe.student.model_copy(update={"tokenizer": directory / tokenizer})
        recipe = recipe.model_copy(update={"student": student})
    return recipe


def _apply(content: dict[str, Any], change: str) -> None:
    where, equals, text = change.partition("=")
    if not equals or not where:
        raise UsageError(f"--set {change}: write it as field.subfield=value")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {change}: the value is not YAML: {error}") from error
    *parents, last = where.split(".")
    node: Any = content
    for name in parents:
        node = _child(node, name, change)
    if isinstance(node, dict):
        node[last] = value
    else:
        node[_position(node, last, change)] = value


def _child(node: Any, name: str, change: str) -> Any:
    """Return a field, made if the recipe leaves it to its default, or an entry of a list."""
    return node.setdefault(name, {}) if isinstance(node, dict) else node[_position(node, name, change)]


def _position(node: Any, name: str, change: str) -> int:
    if isinstance(node, list) and name.isdigit() and int(name) < len(node):
        return int(name)
    held = f"a list of {len(node)}" if isinstance(node, list) else f"{node!r}"
    raise UsageError(f"--set {change}: {name} is not in {held}")
