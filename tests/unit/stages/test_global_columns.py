"""Stages over a whole run read and write columns; what comes out is what comes out of record by record."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from filters.dedup.agreement import RULE
from filters.dedup.clusters import DedupSettings, hashes_of
from filters.dedup.contamination import (
    Benchmark,
    ContaminationSettings,
    benchmark_entry,
    benchmark_hit,
    decision_on,
    index_benchmarks,
)
from filters.dedup.key import KEY_RECIPE
from filters.validate.long_cot import solution_of
from flows.stages import decontaminate, dedup
from flows.stages.decontaminate import DecontaminateSettings
from flows.stages.dedup import DedupStageSettings
from flows.stages.fetching import key_of, picture_key, picture_keys
from flows.stages.outcomes import Found, decided, decided_all, gathered
from pipeline.engine.units import Range, UnitInput, UnitOutput
from pipeline.identity import digest
from pipeline.records import ImageFacts, Outcome, PictureKey, Question, QuestionKey, Record, SolutionKey, SourceRow
from pipeline.store import Store
from pipeline.store.shards import RecordColumns, Together, columns_of, write_records
from tests.support.builders import image, question
from tests.support.jobs.engine_job import outcome, source_rows
from tests.support.staged import after, begun, declared, run_given

QUOTED = "What is written on the small yellow sign that hangs to the left of the open green door?"
BENCHMARK = Benchmark(
    key="b",
    hash_recipe="r/v1",
    text_key=KEY_RECIPE,
    entries=(benchmark_entry(QUOTED, None, None), benchmark_entry("How many are there?", 0, 0)),
)
PICTURES = {
    name: PictureKey(
        sha256=name * 64,
        width=64,
        height=64,
        phash=bits,
        dhash=0,
        hash_recipe="r/v1",
        mirrored_phash=mirrored,
        mirrored_dhash=0,
    )
    for name, bits, mirrored in (("a", 3, 2**64 - 1), ("b", 2**64 - 1, 1), ("c", 255, 2**40), ("d", 2**50 - 1, 2**30))
}
TEXTS = (QUOTED, "How many are there?", "What is left of it?", f"Look. {QUOTED} Say it.")
SOLUTIONS = (None, "It is red.", f"They ask: {QUOTED} The sign.")
ASKED = st.tuples(st.sampled_from(TEXTS), st.sampled_from([None, *PICTURES]), st.sampled_from(SOLUTIONS), st.booleans())


def asked(number: int, text: str, picture: str | None, solution: str | None, other: bool) -> Question:
    return question(
        text=text,
        source_row=str(number),
        images=() if picture is None else (image(picture * 64),),
        answers=("red" if other else "blue",),
        answer_type="text",
        meta={} if solution is None else {"solution": solution},
    )


def tables(output: UnitOutput) -> dict[str, list[Record]]:
    outcomes = sorted(output.outcomes, key=lambda one: one.record_id)
    return {"outcomes": [*outcomes], **{name: [*some] for name, some in output.tables.items()}}


@settings(max_examples=40, deadline=None)
@given(st.lists(ASKED, max_size=12), st.integers(0, 12))
def test_decontamination_of_columns_is_that_of_each_question(
    drawn: list[tuple[str, str | None, str | None, bool]], cut: int
) -> None:
    questions = [asked(number, *one) for number, one in enumerate(drawn)]
    rules = ContaminationSettings()
    index, hashes = index_benchmarks([BENCHMARK]), hashes_of(PICTURES.values())

    def one_by_one() -> Iterator[tuple[Outcome, Found]]:
        for one in questions:
            key, found = key_of(one.to_row()), Found()
            seen, solution = [hashes[i] for i in key.images], solution_of(one.meta) or ""
            hit = benchmark_hit(key.id, key.text, seen, index, rules, solution=solution)
            found.add("hits", hit)
            yield decided("decontaminate", key, [decision_on(key.id, hit)]), found

    with TemporaryDirectory() as scratch:
        parts = (Path(scratch) / "a.parquet", Path(scratch) / "b.parquet")
        for path, some in zip(parts, (questions[:cut], questions[cut:]), strict=True):
            write_records(path, Question, some)
        brought = [SolutionKey(question_id=name, meta=digest(meta)) for name, meta in decontaminate.metas(parts)]
        context = Together(columns_of(PictureKey, PICTURES.values()), columns_of(SolutionKey, brought))
        keys = RecordColumns.of(QuestionKey, (key_of(one.to_row()) for one in questions))
        given_settings = DecontaminateSettings(decontaminate=rules, benchmarks=(BENCHMARK,))
        made = decontaminate.run(UnitInput(keys, context, parts), given_settings, Store(Path(scratch) / "store"))
    assert tables(made) == tables(gathered({"hits": decontaminate.DECONTAMINATE.tables["hits"]}, one_by_one()))


@settings(max_examples=30, deadline=None)
@given(st.lists(ASKED, max_size=12), st.randoms(use_true_random=False))
def test_dedup_finds_the_same_in_columns_and_in_records_of_any_order(
    drawn: list[tuple[str, str | None, str | None, bool]], shuffler: st.DataObject
) -> None:
    keys = [key_of(asked(number, *one).to_row()) for number, one in enumerate(drawn)]
    mixed = [*keys]
    shuffler.shuffle(mixed)  # type: ignore[attr-defined] # a random.Random that hypothesis controls

    def found(records: Collection[Record]) -> dict[str, list[Record]]:
        unit = UnitInput(records, [*PICTURES.values()])
        return tables(dedup.run(unit, DedupStageSettings(dedup=DedupSettings()), Store(Path("unread"))))

    assert found(RecordColumns.of(QuestionKey, keys)) == found(mixed)


@pytest.mark.parametrize("scored", [False, True])
def test_what_is_decided_of_all_is_what_is_decided_of_each(scored: bool) -> None:
    keys = [key_of(question(source_row=str(number)).to_row()) for number in range(5)]
    reasons = {key.id: reason for key, reason in zip(keys, (None, "duplicate", "near_text", None, "x"), strict=True)}
    ids = sorted(reasons)
    scores = [None if reasons[name] is None else number / 3 for number, name in enumerate(ids)] if scored else None
    some = [reasons[name] for name in ids]
    made = decided_all("dedup", columns_of(QuestionKey, keys), some, by="dedup", scores=scores)
    by_id = {key.id: key for key in keys}

    def one(number: int, name: str) -> Outcome:
        reason, score = reasons[name], None if scores is None else scores[number]
        decision = RULE.keep(name) if reason is None else RULE.reject(reason, reason, score)  # type: ignore[arg-type]
        return decided("dedup", by_id[name], [decision])

    assert made == [one(number, name) for number, name in enumerate(ids)]


@given(st.lists(st.sampled_from(TEXTS)), st.sampled_from(["columns", "records", "together"]))
def test_the_identity_of_an_input_is_that_of_its_records_however_they_are_held(texts: Sequence[str], held: str) -> None:
    keys = [key_of(asked(number, text, "a", None, True).to_row()) for number, text in enumerate(texts)]
    hashes = [sorted(key.record_hash() for key in keys), sorted(key.record_hash() for key in PICTURES.values())]
    columns = RecordColumns.of(QuestionKey, keys)
    some: Collection[Record] = {"columns": columns, "records": keys, "together": Together(columns)}[held]
    assert UnitInput(some, [*PICTURES.values()]).hash() == digest(hashes)


def facts_of(question_id: str, picture: str, *, decodes: bool = True) -> ImageFacts:
    usual = {"contrast": 9, "frames": 1, "scaling": "none", "error": None, "question_id": question_id}
    key = PICTURES[picture].model_dump()
    return ImageFacts.model_validate({**usual, **key, **({} if decodes else {"phash": None, "dhash": None})})


@pytest.mark.parametrize(("ids", "seen"), [(None, "abc"), (("q0", "q5"), "ab"), ((), "")])
def test_each_picture_that_decodes_is_read_once(ids: tuple[str, ...] | None, seen: str, tmp_path: Path) -> None:
    shown = ("a", "a", "b", "c", "a", "b", "d")
    facts = [facts_of(f"q{number}", name, decodes=name != "d") for number, name in enumerate(shown)]
    rows = source_rows(40)
    screen, done = declared(tmp_path, "screen", tables={"facts": ImageFacts}), begun(tmp_path, rows)

    def unit(span: Range) -> UnitInput:
        return UnitInput(tuple(row for row in rows if Range.of(row.id, span.total) == span))

    def work(unit: UnitInput) -> UnitOutput:
        some = [row for row in unit.records if isinstance(row, SourceRow)]
        return UnitOutput([outcome("screen", row, kept=True) for row in some], {"facts": facts})

    finished = run_given(screen, done, unit, work, expected=len(rows))
    assert len(finished.paths("facts")) > 1
    made = picture_keys(after(done, finished), ids)
    assert [*made] == [PICTURES[name] for name in seen]
    assert [picture_key(fact) for fact in facts[:2] + facts[-1:]] == [PICTURES["a"], PICTURES["a"], None]


def test_records_of_another_kind_are_no_columns() -> None:
    with pytest.raises(TypeError, match="PictureKey among records that have to be QuestionKey"):
        columns_of(QuestionKey, [PICTURES["a"]])
