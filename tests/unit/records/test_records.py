from __future__ import annotations

import types
import typing
from pathlib import Path
from typing import Any, get_args, get_origin

import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipeline import records
from pipeline.errors import InfrastructureError
from pipeline.records import Record, SourceRow, Trajectory, root_id
from pipeline.store.shards import arrow_table, read_records, write_records
from tests.support.builders import image, question

KINDS: list[type[Record]] = [
    kind
    for kind in vars(records).values()
    if isinstance(kind, type) and issubclass(kind, Record) and kind is not Record
]


def sample(annotation: Any, *, full: bool) -> Any:
    """A value of a field: every optional part there when `full`, else None or empty."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in {typing.Union, types.UnionType}:
        optional = type(None) in arguments
        return None if optional and not full else sample(next(a for a in arguments if a is not type(None)), full=full)
    if origin is typing.Literal:
        return arguments[-1 if full else 0]
    if origin is tuple:
        return (sample(arguments[0], full=full), sample(arguments[0], full=full)) if full else ()
    if isinstance(annotation, type) and issubclass(annotation, Record):
        return make(annotation, full=full)
    plain: dict[Any, Any] = {str: "zwölf <image> \u200b\n", int: 2**31 - 1, float: 0.1, bool: True}
    return plain[annotation] if full else type(plain[annotation])()


def make(kind: type[Record], *, full: bool) -> Record:
    hints = typing.get_type_hints(kind)
    return kind.model_validate({name: sample(hints[name], full=full) for name in kind.model_fields})


def test_every_record_of_the_module_is_checked_here() -> None:
    assert {"SourceRow", "Question", "Trajectory", "Turn", "Decision", "Outcome"} <= {kind.__name__ for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_one_explicit_schema_covers_exactly_the_fields(kind: type[Record]) -> None:
    assert kind.ARROW.names == ["schema", *kind.model_fields]
    assert pa.null() not in kind.ARROW.types


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batch", ["empty", "all_null", "full"])
def test_a_batch_survives_the_round_trip(kind: type[Record], batch: str, tmp_path: Path) -> None:
    rows = {"empty": [], "all_null": [make(kind, full=False)] * 2, "full": [make(kind, full=True)] * 2}[batch]
    assert arrow_table(kind, rows).schema.equals(kind.ARROW)
    write_records(tmp_path / "part.parquet", kind, rows)
    assert list(read_records(tmp_path / "part.parquet", kind)) == rows


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_of_another_schema_version_is_refused(kind: type[Record]) -> None:
    row = make(kind, full=True).to_row()
    with pytest.raises(ValueError, match=rf"{kind.__name__}: row has schema 99, this version reads {kind.SCHEMA}"):
        kind.from_row({**row, "schema": 99})
    del row["schema"]
    with pytest.raises(ValueError, match="row has schema None"):
        kind.from_row(row)


def test_a_part_of_another_schema_version_is_refused_with_the_fix(tmp_path: Path) -> None:
    row = make(SourceRow, full=True)
    table = pa.Table.from_pylist([{**row.to_row(), "schema": 99}], schema=SourceRow.ARROW)
    path = tmp_path / "part.parquet"
    records_file = pa.OSFile(str(path), "wb")
    with records_file:
        import pyarrow.parquet as pq

        pq.write_table(table, records_file)
    with pytest.raises(InfrastructureError, match=r"part\.parquet.*schema 99.*run again"):
        list(read_records(path, SourceRow))


@pytest.mark.parametrize("kind", KINDS)
def test_records_are_frozen_and_closed(kind: type[Record]) -> None:
    record = make(kind, full=True)
    name = next(iter(kind.model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(record, name, getattr(record, name))
    with pytest.raises(ValidationError, match="Extra inputs"):
        kind.model_validate({**record.model_dump(), "surprise": 1})


@pytest.mark.parametrize("kind", KINDS)
def test_the_hash_sees_every_field(kind: type[Record]) -> None:
    record, other = make(kind, full=True), make(kind, full=False)
    for name in kind.model_fields:
        changed = record.model_copy(update={name: getattr(other, name)})
        assert (changed.record_hash() == record.record_hash()) == (changed == record)


@pytest.mark.parametrize(
    "changes", [{"answers": ("b",)}, {"tolerance": 0.1}, {"licence": "MIT"}, {"meta": {"k": 1}}, {"category": "search"}]
)
def test_a_corrected_answer_keeps_its_question_but_not_its_hash(changes: dict[str, Any]) -> None:
    assert question(**changes).id == question().id
    assert question(**changes).record_hash() != question().record_hash()


@pytest.mark.parametrize(
    "changes",
    [
        {"text": "Who?"},
        {"source": "t"},
        {"source_revision": "2"},
        {"source_row": "q"},
        {"choices": ("x",)},
        {"images": (image(),)},
    ],
)
def test_another_question_has_another_id(changes: dict[str, Any]) -> None:
    assert question(**changes).id != question().id


def test_a_question_stays_in_the_range_of_its_source_row() -> None:
    assert question(text="Rewritten?").root_id == question().root_id == root_id("hand", "1", "1")


def test_what_came_out_of_an_attempt_is_not_its_identity() -> None:
    names = set(Trajectory.make_id.__annotations__) - {"return"}
    assert names == {
        *("question_id", "purpose", "arm", "mode", "sample"),
        *("model", "sampling", "prompts", "view", "seed"),
    }
