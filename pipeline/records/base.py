"""What every record is: frozen values with a version, and an Arrow schema that its annotations say."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, Union, get_args, get_origin

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from pipeline.identity import digest


class Arrow(NamedTuple):
    """Marks an annotation with the Arrow type of its column, where it is not the usual one of its Python type."""

    type: pa.DataType


Int32 = Annotated[int, Arrow(pa.int32())]
UInt64 = Annotated[int, Arrow(pa.uint64())]

_USUAL = {str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64()}


class Record(BaseModel):
    """Base of all records: frozen, closed, with one explicit Arrow schema and a schema version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    SCHEMA: ClassVar[int] = 1
    """Version of the fields; stored in each row as the column `schema`."""
    KEY: ClassVar[tuple[str, ...]] = ("id",)
    """Fields by which the rows of a table are ordered, and of which no two rows share all values."""
    ARROW: ClassVar[pa.Schema]
    """The column `schema`, then one per field, in the order of the class."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Derive the Arrow schema: each field is declared once."""
        super().__pydantic_init_subclass__(**kwargs)
        cls.ARROW = pa.schema([("schema", pa.int16()), *_columns(cls)])

    def to_row(self) -> dict[str, Any]:
        """Return the row of Python values that `ARROW` describes."""
        return {"schema": self.SCHEMA, **self.model_dump()}

    @classmethod
    def from_row(cls, row: dict[str, Any]) -> Self:
        """Rebuild a record from `to_row` or from an Arrow row.

        Raises:
            ValueError: the row was written with another schema version, or its fields do not fit.
        """
        fields = dict(row)
        version = fields.pop("schema", None)
        if version != cls.SCHEMA:
            raise ValueError(f"{cls.__name__}: row has schema {version}, this version reads {cls.SCHEMA}; run again")
        return cls.model_validate(fields)

    def record_hash(self) -> str:
        """Return the sha256 of the whole record, fields outside `id` (such as answers) included."""
        return digest(self.to_row())


def _columns(kind: type[Record]) -> list[tuple[str, pa.DataType]]:
    return [(name, _arrow_type(field.annotation, field.metadata)) for name, field in kind.model_fields.items()]


def _arrow_type(annotation: Any, marks: Sequence[object] = ()) -> pa.DataType:
    """Return the Arrow type of an annotation; every column may hold nulls.

    Raises:
        TypeError: it has none, so that a record that cannot be stored fails when it is declared.
    """
    for mark in marks:
        if isinstance(mark, Arrow):
            return mark.type
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _arrow_type(arguments[0], arguments[1:])
    if origin in {Union, types.UnionType}:
        (inner,) = {_arrow_type(part) for part in arguments if part is not types.NoneType}
        return inner
    if origin is Literal:
        return pa.string()
    if origin is tuple:
        return pa.list_(_arrow_type(arguments[0]))
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return pa.struct(_columns(annotation))
    if annotation in _USUAL:
        return _USUAL[annotation]
    raise TypeError(f"{annotation} has no Arrow type; mark it with `Arrow`")
