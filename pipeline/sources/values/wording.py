"""What messages about rows say: values as JSON has them, and what is wrong in words that no library has."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from typing import get_args

from pydantic import ValidationError

from pipeline.records import AnswerType, Category, Metric

_LONGEST = 120
"""Characters of a value in a message."""


def quoted(value: object) -> str:
    """Return a value of a row as a message quotes it: on one line, and no longer than one."""
    text = repr(value) if isinstance(value, str) else json.dumps(_plain(value), ensure_ascii=False)
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _plain(value: object) -> object:
    """Return a value that JSON has: bytes by their number, whatever else it has not as text."""
    match value:
        case bytes():
            return f"<{len(value):,} bytes>"
        case Mapping():
            return {str(name): _plain(part) for name, part in value.items()}
        case list() | tuple():
            return [_plain(part) for part in value]
        case str() | int() | float() | None:
            return value
        case _:
            return str(value)


def kind_of(value: object) -> str:
    """Return what a value is to JSON."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list() | tuple():
            return "a list"
        case _:
            return "an object" if isinstance(value, Mapping) else "bytes"


def unread(error: Exception) -> str:
    """Return why bytes could not be read as text or as JSON."""
    match error:
        case UnicodeDecodeError():
            return f"byte {error.object[error.start]:#04x}, number {error.start + 1}, is not UTF-8"
        case json.JSONDecodeError():
            return f"no JSON: {error.msg}, line {error.lineno}, column {error.colno}"
        case RecursionError():
            return "nested too deeply"
        case OSError():
            return error.strerror or "it cannot be opened"
        case _:
            # Of what `parse_json` refuses the words are its own but for numbers, which Python bounds.
            return "a number of too many digits" if "digits" in str(error) else str(error)


def flaws(value: object, place: str = "") -> Iterator[str]:
    """Yield what of a row no JSON in UTF-8 can hold, each with the name of its field."""
    match value:
        case float() if not math.isfinite(value):
            yield f"{place}: {value} is no number of JSON; leave the field out"
        case str() if (half := _half(value)) is not None:
            yield f"{place}: half of a character ({half}), as of another encoding"
        case Mapping():
            for name, part in value.items():
                yield from flaws(name, "the name of a field")
                yield from flaws(part, f"{place}.{name}" if place else str(name))
        case list() | tuple():
            for part in value:
                yield from flaws(part, place)


def _half(text: str) -> str | None:
    """Return half of a surrogate pair in a text, as it is escaped; None for none."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return ascii(text[error.start])[1:-1]
    return None


HOLDS = {
    "row": "a text or a number",
    "category": f"one of {', '.join(get_args(Category))}",
    "text": "a text that is not blank",
    "images": "a path, or a list of paths",
    "image_sha256": "a sha256 for each picture",
    "choices": "a list of texts or numbers, or an object of them whose names are A, B, C, …",
    "answers": "a text or number, or a list of at least one",
    "answer_type": f"one of {', '.join(get_args(AnswerType))}",
    "tolerance": "a number from 0 to 1",
    "metric": f"one of {', '.join(get_args(Metric))}",
    "licence": "a text",
    "redistributable": "true or false",
    "derivation": "an object",
    "solution": "a text",
}
"""What each field of a row is."""


def wrong_fields(error: ValidationError, fields: Mapping[str, object]) -> Iterator[str]:
    """Yield what is wrong with each field of a row, once a field: its value, and what it has to be.

    `fields` is the row that was validated, without what is absent.
    """
    names = dict.fromkeys(str(problem["loc"][0]) for problem in error.errors(include_url=False) if problem["loc"])
    for name in names:
        # The type of an answer follows from it where nobody states it.
        if name in fields or name != "answer_type" or "answers" in fields:
            yield f"{name}: {_what(error, name, fields)}"


def _what(error: ValidationError, name: str, fields: Mapping[str, object]) -> str:
    holds = HOLDS[name]
    if name not in fields:
        return f"missing; write {holds}, or map the column that has it (`columns: {{{name}: COLUMN}}`)"
    value = fields[name]
    places = [problem["loc"][1] for problem in error.errors(include_url=False) if _is_inside(problem["loc"], name)]
    place = next((place for place in places if isinstance(place, int)), None)
    if isinstance(value, list) and place is not None and place < len(value):
        return f"{quoted(value[place])} is number {place + 1} of {len(value)}; it has to be {holds}"
    return f"{quoted(value)}; it has to be {holds}"


def _is_inside(place: tuple[int | str, ...], name: str) -> bool:
    return len(place) > 1 and place[0] == name
