"""Reading questions of earlier stages: whole, of one range; or the columns that stages over the whole input need."""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping
from typing import Any

from filters.answers.choices import answer_texts, option_texts
from filters.screen.open_ended import offered_choices
from pipeline.engine.done import Done
from pipeline.engine.units import Range
from pipeline.records import ImageFacts, Outcome, PictureKey, Question, QuestionKey
from pipeline.store.shards import RecordColumns, read_columns, rows_of


def questions_of(done: Done, ids: frozenset[str], span: Range) -> tuple[Question, ...]:
    """Return the screened questions of one range whose id is in `ids`."""
    return tuple(question for question in done.records("screen", "questions", Question, span) if question.id in ids)


def kept_outcomes(done: Done, stage: str, ids: frozenset[str], span: Range) -> list[Outcome]:
    """Return a stage's outcomes on the records in `ids` of one range, which it kept: they say where each goes."""
    return [
        outcome
        for outcome in done.records(stage, "outcomes", Outcome, span)
        if outcome.outcome == "kept" and outcome.record_id in ids
    ]


def question_keys(done: Done, ids: Container[str] | None = None) -> RecordColumns[QuestionKey]:
    """Return what global stages read of all screened questions, or of those in `ids`; one part is held at a time."""
    return RecordColumns.of(QuestionKey, _keys(done, ids))


def _keys(done: Done, ids: Container[str] | None) -> Iterator[QuestionKey]:
    columns = ["id", "source", "category", "text", "images", "choices", "answers", "answer_type", "tolerance", "meta"]
    for path in done.paths("screen", "questions"):
        for row in rows_of(read_columns([path], Question, columns)):
            if ids is None or row["id"] in ids:
                yield key_of(row)


def picture_keys(done: Done, ids: Collection[str] | None = None) -> RecordColumns[PictureKey]:
    """Return what global stages read of the pictures of all screened questions, or of those in `ids`: each once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = None if ids is None else pa.array(ids, pa.string())
    columns = [name for name in PictureKey.ARROW.names if name != "schema"]
    seen, tables = set[str](), [PictureKey.ARROW.empty_table().select(columns)]
    for path in done.paths("screen", "facts"):
        table = read_columns([path], ImageFacts, ["question_id", *columns])
        if wanted is not None:
            table = table.filter(pc.is_in(table["question_id"], wanted))
        table = table.filter(pc.and_(pc.is_valid(table["phash"]), pc.is_valid(table["dhash"]))).select(columns)
        places = {name: place for place, name in reversed([*enumerate(table["sha256"].to_pylist())])}
        new = pa.array([place for name, place in sorted(places.items()) if name not in seen], pa.int64())
        tables.append(table.take(new))
        seen |= places.keys()
    table = pa.concat_tables(tables).combine_chunks()
    versions = pa.repeat(pa.scalar(PictureKey.SCHEMA, pa.int16()), table.num_rows)
    return RecordColumns(PictureKey, table.add_column(0, PictureKey.ARROW.field("schema"), versions))


def picture_key(fact: ImageFacts) -> PictureKey | None:
    """Return what global stages read of a picture; None of one that does not decode."""
    if fact.phash is None or fact.dhash is None:
        return None
    return PictureKey.model_validate({name: getattr(fact, name) for name in PictureKey.model_fields})


def key_of(row: Mapping[str, Any]) -> QuestionKey:
    """Return what global stages read of a screened question, given as a row of its table."""
    columns = {name: row[name] for name in ("id", "source", "category", "text", "answer_type", "tolerance")}
    choices = tuple(row["choices"])
    said = {
        "images": tuple(image["sha256"] for image in row["images"]),
        "answers": answer_texts(row["answers"], choices),
        "choices": option_texts(choices),
        "offered": option_texts(offered_choices(row["meta"])),
    }
    return QuestionKey.model_validate({**columns, **said})
