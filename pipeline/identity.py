"""Canonical encoding and content identity.

Two equal values have one encoding in every process, on every machine and under every hash seed.
A lenient fallback (`default=str`) would let an object's memory address or a set's order into an
identity and so fork it without a sound; what cannot be encoded raises `IdentityError` instead.

Known limitation: a Python `int` and an integral `float` encode differently (`1` and `1.0`), so a
field must keep one type; `tests/unit/test_identity_values.py` pins this.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
T = TypeVar("T")


class _Place:
    """The mark of `Place`."""


class _Revision:
    """The mark of `Revision`."""


Place = Annotated[T, _Place()]
"""A field that says where something is, how fast, or for how much: it is carried along and is part of no identity."""
Revision = Annotated[T, _Revision()]
"""A field that only identifies, such as a version of code: it decides what comes out, though nobody reads it."""


class IdentityError(TypeError):
    """A value has no canonical encoding; the message names its place, its type and the fix."""


# Most values are these and stand for themselves; a million records are hashed by looking no further.
_LEAVES = frozenset({str, int, bool, type(None)})


def _plain(value: object, place: str) -> Json:
    # The most frequent come first, by their exact type: `match` tries one class after the other.
    kind = type(value)
    if kind in _LEAVES:
        return value  # type: ignore[return-value]  # its type has just been looked at
    if kind is dict:
        return _plain_mapping(value, place)  # type: ignore[arg-type]  # as above
    match value:
        case list() | tuple():
            return [v if type(v) in _LEAVES else _plain(v, f"{place}[{i}]") for i, v in enumerate(value)]
        case bool() | int() | str():
            return value
        case float():
            if not math.isfinite(value):
                raise IdentityError(f"{place}: {value} has no canonical encoding; store None or a string instead")
            return value
        case bytes():
            # A tag, so that bytes never collide with the text that spells them.
            return {"$bytes": value.hex()}
        case BaseModel():
            return _plain(value.model_dump(), place)
        case Mapping():
            return _plain_mapping(value, place)
        case _:
            raise IdentityError(
                f"{place}: {type(value).__name__} has no canonical encoding; "
                "convert it to None, bool, int, float, str, bytes, a list or a mapping with string keys"
            )


def _plain_mapping(value: Mapping[Any, Any], place: str) -> Json:
    return {
        k if type(k) is str else _key(k, place): v if type(v) in _LEAVES else _plain(v, f"{place}.{k}")
        for k, v in value.items()
    }


def _key(key: object, place: str) -> str:
    if not isinstance(key, str):
        raise IdentityError(f"{place}: key {key!r} is a {type(key).__name__}; mappings need string keys")
    return key


_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical_json(value: object) -> str:
    """Return the canonical JSON text of `value`: sorted keys, no white space, non-ASCII kept.

    Free-form fields of records (`arguments`, `meta`) hold this text.

    Raises:
        IdentityError: a part of `value` has no canonical encoding (sets, callables, NaN, dates …).
    """
    return _encoded(value).decode()


def _encoded(value: object) -> bytes:
    text = _ENCODER.encode(_plain(value, "value"))
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        before = text[max(0, error.start - 40) : error.start]
        raise IdentityError(f"lone surrogate after {before!r}; decode the text with errors='replace'") from error


def is_unicode(text: str) -> bool:
    """Return whether UTF-8 can hold a text, and so every file we write: JSON can spell half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def digest(value: object) -> str:
    """Return the sha256 (64 hex digits) of `canonical_json(value)`.

    Raises:
        IdentityError: as `canonical_json`.
    """
    return hashlib.sha256(_encoded(value)).hexdigest()


def parse_json(text: str) -> Any:
    """Read JSON as written by `canonical_json`, refusing NaN and duplicate keys, which it never writes."""
    return _DECODER.decode(text)


def _pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    seen = dict(items)
    if len(seen) != len(items):
        raise ValueError("duplicate key in JSON object")
    return seen


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_constant)


def uniform(*parts: object) -> float:
    """Return a number in [0, 1) that depends on the digest of `parts` alone (seeded sampling by id)."""
    # 52 bits fill a double's mantissa exactly.
    return int(digest(list(parts))[:13], 16) / 16**13


class Identity(BaseModel):
    """Base of settings: frozen and closed, so that a misspelt key is an error; a fingerprint covers its identity."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    VERSION: ClassVar[int] = 0
    """Of the code that acts by these settings; it rises whenever an equal input may come out otherwise."""

    def identity(self) -> dict[str, Json]:
        """Return the fields, recursively, without places, and the version."""
        own = {
            name: _identity(getattr(self, name)) for name in type(self).model_fields if not is_place(type(self), name)
        }
        return {**own, "VERSION": self.VERSION} if self.VERSION else own

    @classmethod
    def restored(cls, content: Json) -> Self:
        """Return the settings with this identity, places at their defaults.

        Raises:
            ValueError: they are those of another version of the code.
        """
        return cls.model_validate(_without_versions(content))


def _without_versions(content: Json) -> Json:
    match content:
        case dict():
            return {name: _without_versions(part) for name, part in content.items() if name != "VERSION"}
        case list():
            return [_without_versions(part) for part in content]
        case _:
            return content


def is_place(kind: type[BaseModel], field: str) -> bool:
    """Return whether a field is marked as `Place`."""
    return any(isinstance(mark, _Place) for mark in kind.model_fields[field].metadata)


def is_revision(kind: type[BaseModel], field: str) -> bool:
    """Return whether a field is marked as `Revision`."""
    return any(isinstance(mark, _Revision) for mark in kind.model_fields[field].metadata)


def _identity(value: Any) -> Json:
    match value:
        case Identity():
            return value.identity()
        case BaseModel():
            content: Json = value.model_dump(mode="json")
            return content
        case Mapping():
            return {str(key): _identity(part) for key, part in value.items()}
        case list() | tuple():
            return [_identity(part) for part in value]
        case _ if is_dataclass(value):
            return {field.name: _identity(getattr(value, field.name)) for field in fields(value)}
        case _:
            return _plain(value, type(value).__name__)
