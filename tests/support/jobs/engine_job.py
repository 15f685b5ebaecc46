"""A small run of the engine that tests start, kill and start again.

`python -m tests.support.jobs.engine_job RUN STORE LOG`
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from flows.runners.local import local
from pipeline.engine.commits import StageResult
from pipeline.engine.executor import Executor
from pipeline.engine.running import run_stage, run_unit, run_unit_async
from pipeline.engine.stage import Stage
from pipeline.engine.units import WHOLE, Range, UnitInput, UnitOutput, UnitResult, unit_count
from pipeline.models.chat import ChatRequest, Message, Sampling, Text
from pipeline.models.samples import sample_once
from pipeline.records import Outcome, Question, SourceRow, root_id
from pipeline.store import Store
from tests.support.fakes import ScriptedModel

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
                Question.build(
                    source=row.source,
                    source_revision=row.source_revision,
                    source_row=row.source_row,
                    category="reasoning",
                    text=f"What is {row.source_row} plus 1?",
                    images=(),
                    answers=(str(int(row.source_row) + 1),),
                    answer_type="number",
                    licence="CC0-1.0",
                )
            )
    return UnitOutput(tuple(outcomes), {"questions": tuple(questions)})


def make_unit(stage: Stage, run: Path, units: int, span: Range) -> UnitResult:
    """One unit of `make`, for a worker process."""
    rows = tuple(row for row in source_rows() if Range.of(row.id, units) == span)
    return run_unit(stage, run, span, UnitInput(rows), make_questions)


def run_job(run: Path, store: Path, log: Path) -> list[StageResult]:
    """Run two map stages and a global one; the second asks a scripted model."""
    model = ScriptedModel(lambda request, sample: f"{request.key(sample)[:4]}", log=log, latency=0.002)
    units = unit_count(ROWS)
    with Store(store) as opened, Executor(2) as executor:
        make = Stage("make", 1, "map", {}, "", {"questions": Question}, ())
        made = run_stage(
            make,
            run,
            lambda span: executor.cpu(partial(make_unit, make, run, units), span),
            units=units,
            expected=ROWS,
            runner=local,
        )

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

        asking = Stage("ask", 1, "map", {"samples": SAMPLES}, model.revision, {}, (make.fingerprint,))

        def ask_unit(span: Range) -> UnitResult:
            questions = tuple(made.read("questions", Question, span))
            return executor.wait(run_unit_async(asking, run, span, UnitInput(questions), ask))

        asked = run_stage(asking, run, ask_unit, units=units, expected=made.counts["kept"], runner=local)

        def count_all(unit: UnitInput) -> UnitOutput:
            records = [record for record in unit.records if isinstance(record, Question)]
            return UnitOutput(tuple(outcome("all", record, kept=True) for record in records), {})

        every = Stage("all", 1, "global", {}, "", {}, (asking.fingerprint,))
        final = run_stage(
            every,
            run,
            lambda _: run_unit(every, run, WHOLE, UnitInput(tuple(made.read("questions", Question))), count_all),
            units=units,
            expected=made.counts["kept"],
            runner=local,
        )
        return [made, asked, final]


if __name__ == "__main__":
    run_job(*(Path(argument) for argument in sys.argv[1:4]))
    sys.stdout.write("finished\n")
