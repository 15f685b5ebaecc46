"""A small run of the engine that tests start, kill and start again.

`python -m tests.support.jobs.engine_job RUN STORE LOG`
"""

from __future__ import annotations

import sys
from pathlib import Path

from flows.runners.local import local
from pipeline.engine.done import Done, Finished
from pipeline.engine.executor import Executor
from pipeline.engine.running import run_stage, run_unit
from pipeline.engine.stage import Declared
from pipeline.engine.units import Range, Reader, UnitInput, UnitOutput, UnitResult
from pipeline.models.chat import ChatRequest, Message, Sampling, Text
from pipeline.models.samples import sample_once
from pipeline.records import Outcome, Question, SourceRow, root_id
from pipeline.store import Store
from tests.support.builders import question
from tests.support.fakes import ScriptedModel
from tests.support.staged import AnySettings, after, begun, declared, run_given

ROWS = 150
SAMPLES = 4


def source_rows(total: int = ROWS) -> list[SourceRow]:
    """Rows of a source that needs no file."""
    return [
        SourceRow(
            id=root_id("job", "1", str(number)),
            source="job",
            source_revision="1",
            source_row=str(number),
            category="reasoning",
            payload="{}",
        )
        for number in range(total)
    ]


def outcome(stage: str, record: SourceRow | Question, *, kept: bool, reason: str = "") -> Outcome:
    """An outcome of a record of the job."""
    return Outcome(
        stage=stage,
        unit="row" if isinstance(record, SourceRow) else "question",
        record_id=record.id,
        question_id=record.id,
        source=record.source,
        category=record.category,
        outcome="kept" if kept else "rejected",
        route="next" if kept else None,
        reason=reason,
        detail="",
        payload="",
        score=None,
    )


def make_questions(unit: UnitInput) -> UnitOutput:
    """A cpu stage: rows become questions, every seventh is rejected."""
    outcomes, questions = [], []
    for row in unit.records:
        assert isinstance(row, SourceRow)
        kept = int(row.source_row) % 7 != 0
        outcomes.append(outcome("make", row, kept=kept, reason="" if kept else "seventh"))
        if kept:
            questions.append(
                question(
                    f"What is {row.source_row} plus 1?",
                    source=row.source,
                    source_revision=row.source_revision,
                    source_row=row.source_row,
                    category="reasoning",
                    answers=(str(int(row.source_row) + 1),),
                    answer_type="number",
                )
            )
    return UnitOutput(tuple(outcomes), {"questions": tuple(questions)})


def making(run: Path) -> Declared[AnySettings, object]:
    """The first stage of the job."""
    return declared(run, "make", tables={"questions": Question})


def make_unit(run: Path, span: Range) -> UnitResult:
    """One unit of it, for a worker process."""
    done = Done(run, {})
    reader = Reader(done.row_count, lambda span: UnitInput(done.rows(span)))
    return run_unit(making(run), reader, span, make_questions)


def run_job(run: Path, store: Path, log: Path) -> list[Finished]:
    """Run two map stages and a global one; the second asks a scripted model."""
    model = ScriptedModel(lambda request, sample: f"{request.key(sample)[:4]}", log=log, latency=0.002)
    done = begun(run, source_rows())
    with Store(store) as opened, Executor(2) as executor:
        made = run_stage(
            making(run), done, lambda span: executor.cpu(make_unit, run, span), expected=ROWS, runner=local
        )

        def questions(span: Range | None = None) -> UnitInput:
            return UnitInput(tuple(made.records("questions", Question, span)))

        async def ask(unit: UnitInput) -> UnitOutput:
            outcomes = []
            for question in unit.records:
                assert isinstance(question, Question)
                request = ChatRequest(
                    model=model.revision,
                    messages=(Message(role="user", parts=(Text(text=question.text),)),),
                    sampling=Sampling(),
                    seed=0,
                )
                texts = [(await sample_once(opened.calls, model, request, n)).response.text for n in range(SAMPLES)]
                outcomes.append(outcome("ask", question, kept=texts[0] > "4", reason="" if texts[0] > "4" else "low"))
            return UnitOutput(tuple(outcomes), {})

        expected = made.counts["kept"]
        asking = declared(run, "ask", settings={"samples": SAMPLES}, model=model.revision, upstream=(made.fingerprint,))
        asked = run_given(
            asking,
            after(done, made),
            questions,
            lambda unit: executor.wait(ask(unit)),
            expected=expected,
            runner=local,
        )

        def count_all(unit: UnitInput) -> UnitOutput:
            records = [record for record in unit.records if isinstance(record, Question)]
            return UnitOutput(tuple(outcome("all", record, kept=True) for record in records), {})

        final = run_given(
            declared(run, "all", kind="global", upstream=(asked.fingerprint,)),
            after(done, made, asked),
            lambda _: questions(),
            count_all,
            expected=expected,
            runner=local,
        )
        return [made, asked, final]


if __name__ == "__main__":
    run_job(*(Path(argument) for argument in sys.argv[1:4]))
    sys.stdout.write("finished\n")
