"""Every leaf of a recipe: its name, and a value that differs from the one in a recipe that has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ValidationError

from flows.recipe.recipe import Recipe


class Leaf(NamedTuple):
    """A field that holds no further fields."""

    name: str
    """Dotted; where a role may be of several kinds, the kind is part: `models.base.openai.model`."""
    place: tuple[str | int, ...]
    """Where it stands in a dumped recipe."""
    annotation: Any


def leaves(part: type[BaseModel] = Recipe, name: str = "", place: tuple[str | int, ...] = ()) -> Iterator[Leaf]:
    """Yield every leaf, those of each kind of role in turn."""
    for field, info in part.model_fields.items():
        own = info.alias or field
        kinds = list(_parts(info.annotation))
        inner = (*place, own, 0) if _is_list(info.annotation) else (*place, own)
        if not kinds:
            yield Leaf(name + own, (*place, own), info.annotation)
        for kind in kinds:
            tag = f"{_backend(kind)}." if len(kinds) > 1 else ""
            yield from leaves(kind, f"{name}{own}.{tag}", inner)


def other_values(leaf: Leaf, now: Any) -> Iterator[Any]:
    """Yield values of a leaf's type that differ from `now`, the most usual first."""
    for value in _values(leaf.annotation, now):
        if value != now:
            yield value


def at(content: Mapping[str, Any], place: tuple[str | int, ...]) -> Any:
    """Return what stands at a place."""
    node: Any = content
    for step in place:
        node = node[step]
    return node


def replaced(content: Any, place: tuple[str | int, ...], value: Any) -> Any:
    """Return a copy with another value at a place."""
    if not place:
        return value
    step, rest = place[0], place[1:]
    copy: Any = list(content) if isinstance(content, list | tuple) else dict(content)
    copy[step] = replaced(copy[step], rest, value)
    return copy


def valid(content: Mapping[str, Any]) -> bool:
    """Return whether a dumped recipe is one."""
    try:
        Recipe.model_validate(content)
    except ValidationError:
        return False
    return True


def _parts(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for inner in get_args(annotation):
        yield from _parts(inner)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is tuple


def _backend(kind: type[BaseModel]) -> str:
    return str(get_args(kind.model_fields["backend"].annotation)[0])


def _values(annotation: Any, now: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif annotation is bool:
        yield not now
    elif annotation is int:
        yield from (now + 1, now + 2, now - 1) if now is not None else (1, 2, 2_000_000)
    elif annotation is float:
        yield from (now / 2, now + 0.25, now + 1) if now is not None else (0.25, 0.5, 1.0)
    elif annotation is str:
        yield from (f"{now or 'x'}-other", f"{now or 'http://127.0.0.1:1/v1'}/other")
    elif annotation is Path:
        yield "other"
    elif annotation is NoneType:
        yield None
    elif get_origin(annotation) is tuple:
        inner = get_args(annotation)[0]
        yield from ([value, *(now or ())] for value in _values(inner, None))
        yield []
    else:
        for inner in get_args(annotation):
            yield from _values(inner, now if inner in {int, float} and isinstance(now, inner) else None)
