"""Which columns of a data set are the fields of a row: the map of a manifest, and what it makes of one record.

A map has no code: a field is a column, several of them side by side, or a constant, with a few transforms of a fixed
meaning. A record is one row of a table, or one object of a file, under the names of the data set.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from pipeline.errors import RowError
from pipeline.sources.coercion import lettered, quoted, scalar_text
from pipeline.sources.image_marks import unmarked

Record = Mapping[str, Any]
"""A row under the names of its data set: JSON values, and bytes where a picture is embedded."""

Transform = Literal["json", "split", "unwrap_list", "strip_marks", "letter_to_option", "base64"]
"""`json`: a text is the JSON of a value. `split`: a text is a list with a separator. `unwrap_list`: a list of one is
what it holds. `strip_marks`: image marks are taken out of a text. `letter_to_option`: a letter, with or without the
option behind it, is the option it stands for. `base64`: a text is the bytes of a picture."""


def _names(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


class Column(BaseModel):
    """Where a field comes from; in a manifest a name or a list of names stands for `from` alone."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    from_: Names = Field(default=(), alias="from")
    """Columns; `a.b` is the field b of the struct a where no column has that name. Of several, all values in order."""
    value: JsonValue = None
    """A constant, the same for every row."""
    transforms: Annotated[tuple[Transform, ...], BeforeValidator(_names)] = Field(default=(), alias="as")
    """Applied in order."""
    separator: str = Field(default=";", min_length=1)
    """Of `split`."""
    map: dict[str, JsonValue] = Field(default_factory=dict)
    """Value of the column → value of the field, after the transforms. A value that it lacks is `default`."""
    default: JsonValue = None
    """Where the column is null, or `map` lacks its value; None: then the field is absent."""

    @model_validator(mode="after")
    def _one_origin(self) -> Column:
        if bool(self.from_) == (self.value is not None):
            raise ValueError("state either `from`, the column, or `value`, a constant")
        return self


def _column(value: object) -> object:
    return {"from": value} if isinstance(value, str | list | tuple) else value


Mapped = Annotated[Column, BeforeValidator(_column)]


class Columns(BaseModel):
    """The map of a manifest: field of a row → where it comes from. What a field holds says `docs/sources.md`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    row: Mapped | None = None
    """Default: the hash of what the row holds."""
    text: Mapped | None = None
    images: Mapped | None = None
    image_sha256: Mapped | None = None
    """Of the bytes of each picture, as the data set states it."""
    choices: Mapped | None = None
    answers: Mapped | None = None
    category: Mapped | None = None
    """Default: `perception` with pictures, else `reasoning`."""
    answer_type: Mapped | None = None
    """Default: as `typed` reads the answers."""
    tolerance: Mapped | None = None
    metric: Mapped | None = None
    licence: Mapped | None = None
    derivation: Mapped | None = None
    solution: Mapped | None = None
    meta: Names | None = None
    """Columns that are carried along; default: all that no field comes from and whose name is none of ours."""

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    def fields(self) -> dict[str, Column]:
        """Return the fields that are mapped."""
        names = (name for name in Columns.model_fields if name != "meta")
        return {name: column for name in names if (column := getattr(self, name)) is not None}

    @property
    def used(self) -> frozenset[str]:
        """Return the columns that must be there."""
        return frozenset((*(name for column in self.fields().values() for name in column.from_), *(self.meta or ())))


def mapped(record: Record, columns: Columns) -> dict[str, Any]:
    """Return a record under our names, without what is absent; pictures as they stand in it.

    Raises:
        RowError: `row_column`, where a transform does not fit the value.
    """
    fields = columns.fields()
    # Letters are told by the options, which are therefore first.
    row: dict[str, Any] = {}
    for name in sorted(fields, key=lambda name: name != "choices"):
        value = _value(name, record, fields[name], row.get("choices"))
        if value is not None:
            row[name] = value
    carried = columns.meta if columns.meta is not None else _unmapped(record, columns)
    row |= {name: record[name] for name in carried if record.get(name) is not None and not _holds_bytes(record[name])}
    row.setdefault("category", "perception" if _pictures(row.get("images")) else "reasoning")
    if "answer_type" not in row and "answers" in row:
        row["answer_type"] = typed(row["answers"], row.get("choices"))
    return row


def _unmapped(record: Record, columns: Columns) -> Iterator[str]:
    """Return the columns that no field comes from and whose name no field has."""
    used = {name.partition(".")[0] for name in columns.used}
    return (name for name in record if name not in used and name not in Columns.model_fields)


def _holds_bytes(value: object) -> bool:
    match value:
        case bytes():
            return True
        case Mapping():
            return any(map(_holds_bytes, value.values()))
        case list():
            return any(map(_holds_bytes, value))
        case _:
            return False


def _pictures(images: object) -> bool:
    return any(item not in (None, "") for item in (images if isinstance(images, list | tuple) else [images]))


def column_of(record: Record, name: str) -> Any:
    """Return the value of a column, or of a field of a struct by its dotted name; None where there is none."""
    if name in record or "." not in name:
        return record.get(name)
    head, _, rest = name.partition(".")
    inner = record.get(head)
    return column_of(inner, rest) if isinstance(inner, Mapping) else None


_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]*|[1-9][0-9]{0,2}(?:,[0-9]{3})+)(?:\.[0-9]+)?%?")
_YES_NO = frozenset({"yes", "no", "true", "false"})


def typed(answers: object, choices: object) -> str:
    """Return the type of answers that nobody typed: `choice` with options, `number`, `boolean` (yes, no), or `text`.

    All have to be of it. A number with leading zeros is a code, and so a text.
    """
    if choices:
        return "choice"
    items = [scalar_text(item) for item in (answers if isinstance(answers, list | tuple) else [answers])]
    said = [item.strip() for item in items if isinstance(item, str) and item.strip()]
    if said and all(_NUMBER.fullmatch(item) for item in said):
        return "number"
    return "boolean" if said and all(item.rstrip(".").lower() in _YES_NO for item in said) else "text"


def _value(name: str, record: Record, column: Column, choices: object) -> Any:
    if column.value is not None:
        return column.value
    values = [_transformed(name, column_of(record, part), column, choices) for part in column.from_]
    if len(values) == 1:
        return values[0]
    # Several columns are one list: all spellings of an answer, the options a, b, c.
    parts = (part for value in values for part in (value if isinstance(value, list | tuple) else (value,)))
    return [part for part in parts if part is not None] or None


def _transformed(name: str, value: Any, column: Column, choices: object) -> Any:
    for transform in column.transforms:
        if value is None:
            break
        value = _TRANSFORMS[transform](name, value, column, choices)
    if column.map and value is not None:
        value = column.map.get(str(scalar_text(value)), None)
    return column.default if value is None else value


def _json(name: str, value: Any, _column: Column, _choices: object) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise _unfit(name, "json", value, f"no JSON ({error})") from error


def _split(name: str, value: Any, column: Column, _choices: object) -> Any:
    if not isinstance(value, str):
        raise _unfit(name, "split", value, "no text")
    return [part for part in map(str.strip, value.split(column.separator)) if part]


def _unwrap(name: str, value: Any, _column: Column, _choices: object) -> Any:
    if isinstance(value, list | tuple):
        if len(value) > 1:
            raise _unfit(name, "unwrap_list", value, f"a list of {len(value)}")
        return value[0] if value else None
    return value


def _strip_marks(name: str, value: Any, _column: Column, _choices: object) -> Any:
    if not isinstance(value, str):
        raise _unfit(name, "strip_marks", value, "no text")
    return unmarked(value)


_LETTER = re.compile(r"\s*[(\[]?(?P<letter>[A-Za-z])(?P<mark>[)\].:]|)\s*(?P<rest>(?<![A-Za-z]).*)?", re.DOTALL)


def _option(name: str, value: Any, column: Column, choices: object) -> Any:
    if isinstance(value, list | tuple):
        return [_option(name, item, column, choices) for item in value]
    options = lettered(choices)
    count = len(options) if isinstance(options, list | tuple) else 0
    match = _LETTER.fullmatch(value) if isinstance(value, str) else None
    place = -1 if match is None else ord(match["letter"].upper()) - ord("A")
    if match is None or not isinstance(options, list | tuple) or not 0 <= place < count:
        raise _unfit(name, "letter_to_option", value, f"no letter of the {count} options")
    # Without a mark behind its letter "A cat" may be the option itself.
    if match["rest"] and not match["mark"] and match["rest"].strip() != str(options[place]).strip():
        raise _unfit(name, "letter_to_option", value, "a letter and a text that is not its option")
    return options[place]


def _base64(name: str, value: Any, _column: Column, _choices: object) -> Any:
    if isinstance(value, list | tuple):
        return [_base64(name, item, _column, _choices) for item in value]
    if not isinstance(value, str):
        raise _unfit(name, "base64", value, "no text")
    try:
        return base64.b64decode(re.sub(r"\Adata:[^,]{0,100},|\s", "", value), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _unfit(name, "base64", value, f"not base64 ({error})") from error


_TRANSFORMS: dict[Transform, Callable[[str, Any, Column, object], Any]] = {
    "json": _json,
    "split": _split,
    "unwrap_list": _unwrap,
    "strip_marks": _strip_marks,
    "letter_to_option": _option,
    "base64": _base64,
}


def _unfit(name: str, transform: str, value: object, found: str) -> RowError:
    return RowError("row_column", f"columns.{name}, {transform}: {quoted(value)} is {found}")
