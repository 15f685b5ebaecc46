"""Reading a recipe from its file, with changes from the command line."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from flows.recipe.exclusions import is_id
from flows.recipe.recipe import Recipe
from pipeline.errors import UsageError
from pipeline.manifests import manifests_dir, parse_yaml, said

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def load_recipe(path: Path, changes: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply `a.b=value` changes (values are YAML).

    Raises:
        UsageError: the file, a change or a field is wrong; the message names each and says what is allowed.
    """
    try:
        content = parse_yaml(path.read_text())
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
    if recipe.rights.tombstones is not None:
        # Whole, for a run's own copy of the recipe lies elsewhere, and its exports are written anew by it.
        rights = recipe.rights.model_copy(update={"tombstones": (directory / recipe.rights.tombstones).resolve()})
        recipe = recipe.model_copy(update={"rights": rights})
    if recipe.select.exclude:
        named = tuple(one if is_id(one) else str((directory / one).resolve()) for one in recipe.select.exclude)
        select = recipe.select.model_copy(update={"exclude": named})
        recipe = recipe.model_copy(update={"select": select})
    edits = tuple(str((directory / one).resolve()) for one in recipe.edits)
    return recipe.model_copy(update={"edits": edits})


def _apply(content: dict[str, Any], change: str) -> None:
    where, equals, text = change.partition("=")
    if not equals or not where:
        raise UsageError(f"--set {change}: write it as field.subfield=value")
    try:
        value = parse_yaml(text)
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


def explain(error: ValidationError, recipe: type[BaseModel]) -> str:
    """Return one indented line per mistake: where it is in a recipe, what is wrong, and which field was meant."""
    problems = error.errors()
    holders = {problem["loc"][:length] for problem in problems for length in range(len(problem["loc"]))}
    lines = []
    for problem in problems:
        # A wrong entry does not count, so pydantic also calls its list too short; that is no second mistake.
        if problem["type"] == "too_short" and problem["loc"] in holders:
            continue
        where, _ = _place(problem["loc"], recipe)
        # A mistake between two sections is at no place of its own, and its text names the fields.
        place = f"{where}: " if where else ""
        lines.append(f"  {place}{said(problem)}{_suggest(problem, recipe)}")
    return "\n".join(lines)


def _suggest(problem: ErrorDetails, recipe: type[BaseModel]) -> str:
    """Return the nearest field name for a misspelt one, or else all that there are."""
    if problem["type"] != "extra_forbidden":
        return ""
    _, parts = _place(problem["loc"][:-1], recipe)
    fields = [name for part in parts for name in _fields(part)]
    near = difflib.get_close_matches(str(problem["loc"][-1]), fields, n=1)
    return f"; did you mean `{near[0]}`?" if near else f"; known fields: {', '.join(fields)}" if fields else ""


def _place(location: Sequence[int | str], recipe: type[BaseModel]) -> tuple[str, tuple[type[BaseModel], ...]]:
    """Return where in a recipe pydantic's `location` is, and what may stand there.

    Among several kinds of model pydantic names the kind that it checked (`reader`), which no recipe holds.
    """
    names: list[str] = []
    parts: tuple[type[BaseModel], ...] = (recipe,)
    for name in location:
        if len(parts) > 1 and isinstance(name, str):
            parts = tuple(part for part in parts if name in get_args(part.model_fields["backend"].annotation))
            continue
        names.append(str(name))
        if isinstance(name, str):
            field = _fields(parts[0]).get(name) if parts else None
            parts = _parts(field.annotation) if field is not None else ()
    return ".".join(names), parts


def _fields(part: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a part under the names that a recipe has them."""
    return {field.alias or name: field for name, field in part.model_fields.items()}


def _parts(annotation: Any) -> tuple[type[BaseModel], ...]:
    """Return the parts that an annotation such as `SearchUse | None` or `tuple[Role, ...]` allows."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return (annotation,)
    return tuple(part for inner in get_args(annotation) for part in _parts(inner))
