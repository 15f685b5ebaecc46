"""What every record is: frozen values with a version, and an Arrow schema that its annotations say.

Arrow itself is loaded when a schema is first asked for: graders and dialects use records in the processes of trainers,
which may not have it.
"""

from __future__ import annotations

import types
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict

from pipeline.identity import digest

if TYPE_CHECKING:
    import pyarrow as pa


class Arrow(NamedTuple):
    """Marks an annotation with the Arrow type of its column, where it is not the usual one of its Python type."""

    name: str


Int32 = Annotated[int, Arrow("int32")]
UInt64 = Annotated[int, Arrow("uint64")]

_USUAL = {str: "string", bool: "bool", int: "int64", float: "float64"}

Column = str | list["Column"] | dict[str, "Column"]
"""The type of a column: the name of an Arrow type, a list of one type, or the fields of a struct."""


class _Schema:
    """The Arrow schema of a record class."""

    def __get__(self, record: object, kind: type[Record]) -> pa.Schema:
        return _arrow_schema(kind)


class Record(BaseModel):
    """Base of all records: frozen, closed, with one explicit Arrow schema and a schema version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    SCHEMA: ClassVar[int] = 1
    """Version of the fields; stored in each row as the column `schema`."""
    KEY: ClassVar[tuple[str, ...]] = ("id",)
    """Fields by which the rows of a table are ordered, and of which no two rows share all values."""
    ARROW: ClassVar[_Schema] = _Schema()
    """The column `schema`, then one per field, in the order of the class."""
    COLUMNS: ClassVar[dict[str, Column]]
    """The types of the fields' columns."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Derive the columns: each field is declared once."""
        super().__pydantic_init_subclass__(**kwargs)
        cls.COLUMNS = {name: _column(field.annotation, field.metadata) for name, field in cls.model_fields.items()}

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


@cache
def _arrow_schema(kind: type[Record]) -> pa.Schema:
    import pyarrow as pa

    return pa.schema([("schema", pa.int16()), *((name, _arrow_type(of)) for name, of in kind.COLUMNS.items())])


def _arrow_type(column: Column) -> pa.DataType:
    import pyarrow as pa

    match column:
        case str():
            return pa.type_for_alias(column)
        case list():
            return pa.list_(_arrow_type(column[0]))
        case dict():
            return pa.struct([(name, _arrow_type(part)) for name, part in column.items()])


def _column(annotation: Any, marks: Sequence[object] = ()) -> Column:
    """Return the type of a column by the annotation of its field; every column may hold nulls.

    Raises:
        TypeError: it has none, so that a record that cannot be stored fails when it is declared.
    """
    for mark in marks:
        if isinstance(mark, Arrow):
            return mark.name
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _column(arguments[0], arguments[1:])
    if origin in {Union, types.UnionType}:
        inner, *others = [_column(part) for part in arguments if part is not types.NoneType]
        if any(other != inner for other in others):
            raise TypeError(f"{annotation} has several Arrow types")
        return inner
    if origin is Literal:
        return "string"
    if origin is tuple:
        return [_column(arguments[0])]
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return dict(annotation.COLUMNS)
    if annotation in _USUAL:
        return _USUAL[annotation]
    raise TypeError(f"{annotation} has no Arrow type; mark it with `Arrow`")
