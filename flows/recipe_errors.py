"""What is wrong with a recipe, in the words of a recipe."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


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
        # The prefix is pydantic's, before every text that is ours.
        said = problem["msg"].removeprefix("Value error, ")
        lines.append(f"  {place}{said}{_suggest(problem, recipe)}")
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
