"""Which columns of a data set are the fields of a row: the map of a manifest, and what it makes of one record.

A map has no code: a field is a column, several of them side by side, or a constant, with a few transforms of a fixed
meaning. A record is one row of a table, or one object of a file, under the names of the data set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, field_validator, model_validator

from pipeline.errors import RowError
from pipeline.sources.values.coercion import scalar_text
from pipeline.sources.values.pictures import CALLED, holds_picture
from pipeline.sources.values.transforms import Transform, Words, transformed, without_void
from pipeline.sources.values.wording import quoted

Record = Mapping[str, Any]
"""A row under the names of its data set: JSON values, and bytes where a picture is embedded."""


def _names(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]


class Column(BaseModel):
    """Where a field comes from; in a manifest a name or a list of names stands for `from` alone."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    from_: Annotated[tuple[str | Column, ...], BeforeValidator(_names)] = Field(default=(), alias="from")
    """Columns; `a.b` is the field b of the struct a where no column has that name. Of several, all values in order;
    one that needs a transform of its own is written like a field."""
    value: JsonValue = None
    """A constant, the same for every row."""
    transforms: Annotated[tuple[Transform, ...], BeforeValidator(_names)] = Field(default=(), alias="as")
    """Applied in order."""
    separator: str = Field(default=";", min_length=1)
    """Of `split`."""
    after: str | None = None
    """Of `cut`; a text that lacks it does not fit."""
    before: str | None = None
    """Of `cut`; a text that lacks it is taken to its end."""
    lines: Names = ()
    """Of `drop_lines`."""
    void: Names = ()
    """Values that say there is no answer, such as `unanswerable`. Where they are half of a row's values the row is
    none (`row_void`), else they are left out."""
    format: str | None = Field(default=None, pattern=r"^[^{}]*\{\}[^{}]*$")
    """A text around the value, which stands for its `{}`: a question about a label, the file of a number."""
    map: dict[str, JsonValue] = Field(default_factory=dict)
    """Value of the column → value of the field, after the transforms. A value that it lacks is `default`, and where
    none is stated, not even null, a mistake (`row_column`)."""
    default: JsonValue = None
    """Where the column is null, or `map` lacks its value; None: then the field is absent."""
    otherwise: Mapped | None = None
    """Where the field comes from instead in rows in which this column is absent."""

    @model_validator(mode="after")
    def _one_origin(self) -> Column:
        if bool(self.from_) == (self.value is not None):
            raise ValueError("state either `from`, the column, or `value`, a constant")
        for transform, told in (("cut", self.after or self.before), ("drop_lines", self.lines)):
            if bool(told) != (transform in self.transforms):
                raise ValueError(f"`as: {transform}` needs {_TOLD[transform]}, and nothing else does")
        return self

    @property
    def names(self) -> Iterator[str]:
        """Yield the columns that it reads."""
        for part in self.from_:
            yield from (part,) if isinstance(part, str) else part.names
        if self.otherwise is not None:
            yield from self.otherwise.names


def _column(value: object) -> object:
    return {"from": value} if isinstance(value, str | list | tuple) else value


Mapped = Annotated[Column, BeforeValidator(_column)]
_TOLD = {"cut": "`after` or `before`", "drop_lines": "`lines`"}
Column.model_rebuild()


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
    redistributable: Mapped | None = None
    derivation: Mapped | None = None
    solution: Mapped | None = None
    meta: Names | None = None
    """Columns that are carried along; default: all that no field comes from and whose name is none of ours."""

    @field_validator("meta")
    @classmethod
    def _meta_is_no_field(cls, meta: Names | None) -> Names | None:
        taken = sorted(set(meta or ()) & Columns.model_fields.keys())
        if taken:
            raise ValueError(f"{', '.join(taken)}: a field of a row, which a column of that name would hide")
        return meta

    def __hash__(self) -> int:
        return hash(self.model_dump_json())

    def fields(self) -> dict[str, Column]:
        """Return the fields that are mapped."""
        names = (name for name in Columns.model_fields if name != "meta")
        return {name: column for name in names if (column := getattr(self, name)) is not None}

    @property
    def used(self) -> frozenset[str]:
        """Return the columns that must be there."""
        return frozenset((*(name for column in self.fields().values() for name in column.names), *(self.meta or ())))


def mapped(record: Record, columns: Columns) -> dict[str, Any]:
    """Return a record under our names, without what is absent; pictures as they stand in it.

    Raises:
        RowError: `row_column`, where a transform does not fit the value; `row_void`, where it says there is none;
            `row_field`, where it has no picture by the map, and has one in a column that the map does not name.
    """
    fields = columns.fields()
    # Letters are told by the options, which are therefore first.
    row: dict[str, Any] = {}
    for name in sorted(fields, key=lambda name: name != "choices"):
        try:
            value = _value(record, fields[name], row.get("choices"))
        except RowError as error:
            raise RowError(error.reason, f"columns.{name}, {error.detail}") from error
        if value is not None:
            row[name] = value
    # Nobody has to name the terms of a row for them to hold.
    row |= {name: record[name] for name in _TERMS if name not in fields and record.get(name) is not None}
    carried = columns.meta if columns.meta is not None else _unmapped(record, columns)
    row |= {name: record[name] for name in carried if record.get(name) is not None and not _holds_bytes(record[name])}
    if columns.meta is None and not has_picture(row):
        _require_none_left(record, columns)
    row.setdefault("category", "perception" if has_picture(row) else "reasoning")
    if "answer_type" not in row and "answers" in row:
        row["answer_type"] = typed(row["answers"], row.get("choices"))
    return row


_TERMS = ("licence", "redistributable")


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


def _require_none_left(record: Record, columns: Columns) -> None:
    """Refuse a row without a picture by the map that has one in a column of its own: it would be asked without."""
    used = {name.partition(".")[0] for name in columns.used}
    for name, value in record.items():
        told = name.strip().lower()
        left = holds_picture(value) or (told in CALLED and _holds_bytes(value)) or (told == "images" and value)
        if left and name not in used:
            raise RowError(
                "row_field",
                f"images: missing, and there are pictures in a column {quoted(name)}; map it (`images: {name}`), or "
                "name as `meta` what is carried along without it",
            )


def has_picture(row: Record) -> bool:
    """Return whether a row under our names has a picture."""
    images = row.get("images")
    return any(item not in (None, "") for item in (images if isinstance(images, list | tuple) else [images]))


def column_of(record: Record, name: str) -> Any:
    """Return the value of a column; by a dotted name that of a field of a struct, or of each of a list of them.

    None where there is none.
    """
    if name in record or "." not in name:
        return record.get(name)
    head, _, rest = name.partition(".")
    inner = record.get(head)
    if isinstance(inner, list):
        return [column_of(item, rest) for item in inner if isinstance(item, Mapping)] or None
    return column_of(inner, rest) if isinstance(inner, Mapping) else None


_NUMBER = re.compile(r"[-+]?(?:0|[1-9][0-9]*|[1-9][0-9]{0,2}(?:,[0-9]{3})+)(?:\.[0-9]+)?%?")
_DATE = re.compile(r"[12][0-9]{3}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])")
_MATHEMATICS = re.compile(
    r"\\(?:[dt]?frac|sqrt|pi|infty|cdot|times|pm|sin|cos|tan|log|ln|leq?|geq?|theta|alpha|beta|cup|cap|binom)(?![A-Za-z])"
)
_YES_NO = frozenset({"yes", "no", "true", "false"})


def typed(answers: object, choices: object) -> str:
    """Return the type of answers that nobody typed: `choice` with options, else what all of them are.

    `number`, `boolean` (yes, no), `date` (2024-03-05), `expression` (LaTeX of mathematics), or `text`.

    All have to be of it. A number with leading zeros is a code, and so a text.
    """
    if choices:
        return "choice"
    items = [scalar_text(item) for item in (answers if isinstance(answers, list | tuple) else [answers])]
    said = [item.strip() for item in items if isinstance(item, str) and item.strip()]
    if said and all(_NUMBER.fullmatch(item) for item in said):
        return "number"
    if said and all(item.rstrip(".").lower() in _YES_NO for item in said):
        return "boolean"
    if said and all(_DATE.fullmatch(item) for item in said):
        return "date"
    return "expression" if said and all(map(_is_formula, said)) else "text"


def _is_formula(text: str) -> bool:
    """Return whether a text is LaTeX of mathematics alone: with words beside it, it is a sentence."""
    words = re.search(r"[^\W\d_]{3,}", re.sub(r"\\[A-Za-z]+", " ", text))
    return words is None and _MATHEMATICS.search(text) is not None


def _value(record: Record, column: Column, choices: object) -> Any:
    if column.value is not None:
        return column.value
    values = [
        _one(column_of(record, part), column, choices) if isinstance(part, str) else _value(record, part, choices)
        for part in column.from_
    ]
    value = values[0] if len(values) == 1 else _joined(values)
    if value is None and column.otherwise is not None:
        value = _value(record, column.otherwise, choices)
    return column.default if value is None else value


def _joined(values: list[Any]) -> list[Any] | None:
    """Return several columns as one list: all spellings of an answer, the options a, b, c."""
    parts = (part for value in values for part in (value if isinstance(value, list | tuple) else (value,)))
    return [part for part in parts if part is not None] or None


def _one(value: Any, column: Column, choices: object) -> Any:
    words = Words(column.separator, column.after, column.before, column.lines, choices)
    for transform in column.transforms:
        if value is None:
            return None
        value = transformed(transform, value, words)
    if column.void and value is not None:
        value = without_void(value, column.void)
    if column.format is not None and value is not None:
        value = column.format.replace("{}", str(scalar_text(value)))
    if column.map and value is not None:
        name = str(scalar_text(value))
        if name not in column.map and "default" not in column.model_fields_set:
            known = ", ".join(map(quoted, column.map))
            told = "add it, or state `default`, null where the field is then absent"
            raise RowError("row_column", f"map: {quoted(value)} is none of {known}; {told}")
        value = column.map.get(name)
    return value
