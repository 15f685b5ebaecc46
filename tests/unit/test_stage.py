from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.commits import (
    StageResult,
    check_conservation,
    commit_unit,
    load_stage,
    read_manifest,
    stage_directory,
)
from pipeline.engine.running import run_stage, run_unit, run_unit_async
from pipeline.engine.stage import Stage
from pipeline.engine.units import (
    MAX_UNITS,
    MIN_UNITS,
    QUESTIONS_PER_UNIT,
    WHOLE,
    Range,
    UnitInput,
    UnitOutput,
    UnitResult,
    unit_count,
)
from pipeline.errors import InfrastructureError
from pipeline.records import ImageRef, Outcome, Record, SourceRow, root_id
from tests.support.command import ROOT
from tests.support.jobs.engine_job import outcome, source_rows

STAGE = Stage("copy", 1, "map", {"threshold": 2}, "", {"rows": SourceRow}, ("upstream",))
UNITS = 4


def copy(unit: UnitInput) -> UnitOutput:
    rows = tuple(record for record in unit.records if isinstance(record, SourceRow))
    return UnitOutput(tuple(outcome("copy", row, kept=True) for row in rows), {"rows": rows})


def one_by_one(unit_fn: Callable[[Range], UnitResult], spans: Sequence[Range]) -> Iterable[UnitResult]:
    return map(unit_fn, spans)


class Job:
    """A stage over rows, that remembers which ranges really ran."""

    def __init__(self, run: Path, rows: Sequence[Record], stage: Stage = STAGE) -> None:
        self.run, self.rows, self.stage = run, rows, stage
        self.ran: list[Range] = []

    def unit(self, span: Range) -> UnitResult:
        def work(unit: UnitInput) -> UnitOutput:
            self.ran.append(span)
            return copy(unit)

        rows = tuple(row for row in self.rows if isinstance(row, SourceRow) and Range.of(row.id, span.total) == span)
        return run_unit(self.stage, self.run, span, UnitInput(rows), work)

    def result(self) -> StageResult:
        return run_stage(self.stage, self.run, self.unit, units=UNITS, expected=len(self.rows), runner=one_by_one)


def bytes_of(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in run.rglob("*") if path.is_file()}


@given(st.integers(0, 10**7))
def test_units_are_a_power_of_two_with_at_most_32_rows_each_within_4_and_128(rows: int) -> None:
    total = unit_count(rows)
    assert total.bit_count() == 1
    assert MIN_UNITS <= total <= MAX_UNITS
    assert total == MAX_UNITS or rows <= total * QUESTIONS_PER_UNIT
    assert total == MIN_UNITS or rows > total // 2 * QUESTIONS_PER_UNIT


@given(st.text(), st.sampled_from([4, 8, 16, 32, 64, 128]))
def test_a_range_of_more_units_lies_inside_a_range_of_fewer(key: str, total: int) -> None:
    root = root_id("source", "1", key) if key.isascii() else "f" * 64
    assert Range.of(root, total).number // 2 == Range.of(root, total // 2).number
    assert 0 <= Range.of(root, total).number < total


def test_ranges_share_the_rows_about_equally() -> None:
    sizes = Counter(Range.of(row.id, 4).number for row in source_rows(4000))
    assert sorted(sizes) == [0, 1, 2, 3]
    assert max(sizes.values()) < 1.15 * min(sizes.values())


@pytest.mark.parametrize(
    ("outcomes", "message"),
    [
        (["a", "b"], r"3 input records, 2 outcomes; without outcome: \['c'\]; unexpected: \[\]"),
        (["a", "b", "c", "c"], r"3 input records, 4 outcomes; without outcome: \[\]; unexpected: \['c'\]"),
        (["a", "b", "x"], r"without outcome: \['c'\]; unexpected: \['x'\]"),
        ([], r"without outcome: \['a', 'b', 'c'\]"),
    ],
)
def test_a_record_without_exactly_one_outcome_is_named(outcomes: list[str], message: str) -> None:
    template = outcome("copy", source_rows(1)[0], kept=True)
    made = [template.model_copy(update={"record_id": name}) for name in outcomes]
    with pytest.raises(InfrastructureError, match=message):
        check_conservation("copy", ["a", "b", "c"], made)


def test_two_input_records_with_one_id_are_named() -> None:
    with pytest.raises(InfrastructureError, match="input records with one id: a"):
        check_conservation("copy", ["a", "a"], [])


@given(st.sets(st.text(max_size=3)), st.lists(st.text(max_size=3)))
def test_conservation_holds_exactly_when_outcomes_are_a_permutation_of_the_input(
    inputs: set[str], outcomes: list[str]
) -> None:
    template = outcome("copy", source_rows(1)[0], kept=True)
    made = [template.model_copy(update={"record_id": name}) for name in outcomes]
    if sorted(inputs) == sorted(outcomes):
        check_conservation("copy", sorted(inputs), made)
    else:
        with pytest.raises(InfrastructureError):
            check_conservation("copy", sorted(inputs), made)


def test_a_unit_that_breaks_conservation_writes_nothing(tmp_path: Path) -> None:
    def lose_one(unit: UnitInput) -> UnitOutput:
        made = copy(unit)
        return UnitOutput(made.outcomes[1:], made.tables)

    with pytest.raises(InfrastructureError, match="without outcome"):
        run_unit(STAGE, tmp_path, WHOLE, UnitInput(tuple(source_rows(3))), lose_one)
    assert bytes_of(tmp_path) == {}


def test_a_unit_with_an_undeclared_table_is_refused(tmp_path: Path) -> None:
    def extra(unit: UnitInput) -> UnitOutput:
        return UnitOutput(copy(unit).outcomes, {"rows": (), "more": ()})

    with pytest.raises(InfrastructureError, match=r"made tables \['more', 'rows'\], declared \['rows'\]"):
        run_unit(STAGE, tmp_path, WHOLE, UnitInput(tuple(source_rows(3))), extra)


def test_evidence_cannot_be_the_input_of_a_stage(tmp_path: Path) -> None:
    image = ImageRef(sha256="0" * 64, mime="image/png", width=1, height=1, nbytes=1)
    with pytest.raises(InfrastructureError, match="ImageRef has no id"):
        run_unit(STAGE, tmp_path, WHOLE, UnitInput((image,)), lambda _: UnitOutput((), {"rows": ()}))


def test_the_second_run_works_on_nothing_and_changes_nothing(tmp_path: Path) -> None:
    first = Job(tmp_path, source_rows(50)).result()
    before = bytes_of(tmp_path)
    again = Job(tmp_path, source_rows(50))
    second = again.result()
    assert again.ran == []
    assert (first.reused, second.reused) == (0, UNITS)
    assert second.counts == first.counts == {"kept": 50}
    assert bytes_of(tmp_path) == before


def test_the_order_of_the_input_does_not_matter(tmp_path: Path) -> None:
    Job(tmp_path / "a", source_rows(50)).result()
    Job(tmp_path / "b", source_rows(50)[::-1]).result()
    outcomes = [bytes_of(tmp_path / name) for name in "ab"]
    assert outcomes[0].keys() == outcomes[1].keys()
    only = [{k: v for k, v in run.items() if ".outcomes." in k or k.endswith("stage.json")} for run in outcomes]
    assert only[0] == only[1]


def test_a_changed_answer_runs_its_unit_again_and_no_other(tmp_path: Path) -> None:
    rows = source_rows(50)
    Job(tmp_path, rows).result()
    rows[7] = rows[7].model_copy(update={"payload": '{"answers":["corrected"]}'})
    again = Job(tmp_path, rows)
    result = again.result()
    assert again.ran == [Range.of(rows[7].id, UNITS)]
    assert result.reused == UNITS - 1
    assert rows[7] in list(result.read("rows", SourceRow))


@pytest.mark.parametrize("change", ["new", "gone"])
def test_a_new_or_vanished_row_runs_its_unit_again_and_no_other(change: str, tmp_path: Path) -> None:
    rows = source_rows(50)
    few, many = rows[:-1], rows
    Job(tmp_path, few if change == "new" else many).result()
    again = Job(tmp_path, many if change == "new" else few)
    again.result()
    assert again.ran == [Range.of(rows[-1].id, UNITS)]


def test_new_evidence_runs_the_unit_again(tmp_path: Path) -> None:
    rows, ran = tuple(source_rows(3)), []

    def work(unit: UnitInput) -> UnitOutput:
        ran.append(len(unit.context))
        return copy(unit)

    for context in ((), (), rows[:1], ()):
        run_unit(STAGE, tmp_path, WHOLE, UnitInput(rows, context), work)
    assert ran == [0, 1]


@pytest.mark.parametrize(
    "changed",
    [
        replace(STAGE, version=2),
        replace(STAGE, settings={"threshold": 3}),
        replace(STAGE, model="other/2"),
        replace(STAGE, upstream=("another",)),
        replace(STAGE, tables={}),
        replace(STAGE, name="paste"),
    ],
    ids=["version", "settings", "model", "upstream", "tables", "name"],
)
def test_whatever_may_change_the_output_changes_the_fingerprint(changed: Stage) -> None:
    assert changed.fingerprint != STAGE.fingerprint


def test_a_newer_schema_of_a_table_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    before = STAGE.fingerprint
    monkeypatch.setattr(SourceRow, "SCHEMA", SourceRow.SCHEMA + 1)
    assert STAGE.fingerprint != before


def test_tables_without_outcomes_are_not_a_commit(tmp_path: Path) -> None:
    Job(tmp_path, source_rows(50)).result()
    before = bytes_of(tmp_path)
    (victim,) = stage_directory(tmp_path, STAGE).glob("part-002*.outcomes.parquet")
    victim.unlink()
    again = Job(tmp_path, source_rows(50))
    again.result()
    assert again.ran == [Range(2, UNITS)]
    assert bytes_of(tmp_path) == before


def test_a_kill_between_tables_and_outcomes_leaves_the_unit_uncommitted(tmp_path: Path) -> None:
    # The process dies inside the rename of the commit mark: nothing in it gets a chance to clean up.
    program = """
import os, pathlib, sys
from tests.unit import test_stage
whole = pathlib.Path.replace
def replace(self, target):
    if ".outcomes." in str(target):
        os.kill(os.getpid(), 9)
    return whole(self, target)
pathlib.Path.replace = replace
test_stage.Job(pathlib.Path(sys.argv[1]), test_stage.source_rows(50)).result()
"""
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -9
    directory = stage_directory(tmp_path, STAGE)
    assert len(list(directory.glob("part-*.rows.parquet"))) == 1
    assert list(directory.glob("part-*.outcomes.parquet")) == []
    assert read_manifest(directory) is None
    assert load_stage(STAGE, tmp_path) is None
    again = Job(tmp_path, source_rows(50))
    again.result()
    assert len(again.ran) == UNITS
    Job(tmp_path / "undisturbed", source_rows(50)).result()
    parts = {name.rpartition("/")[2]: content for name, content in bytes_of(directory).items() if "part-" in name}
    calm = bytes_of(stage_directory(tmp_path / "undisturbed", STAGE))
    assert parts == {name: content for name, content in calm.items() if "part-" in name}


def test_a_failing_unit_leaves_the_others_committed_and_no_manifest(tmp_path: Path) -> None:
    job = Job(tmp_path, source_rows(50))

    def fail_at_two(span: Range) -> UnitResult:
        if span.number == 2:
            raise InfrastructureError("server is gone")
        return job.unit(span)

    with pytest.raises(InfrastructureError, match="server is gone"):
        run_stage(STAGE, tmp_path, fail_at_two, units=UNITS, expected=50, runner=one_by_one)
    assert read_manifest(stage_directory(tmp_path, STAGE)) is None
    again = Job(tmp_path, source_rows(50))
    assert again.result().reused == 2


def test_a_runner_that_loses_a_unit_is_caught(tmp_path: Path) -> None:
    job = Job(tmp_path, source_rows(50))
    with pytest.raises(InfrastructureError, match="3 of 4 units came back"):
        run_stage(STAGE, tmp_path, job.unit, units=UNITS, expected=50, runner=lambda f, s: map(f, s[1:]))


def test_records_that_never_reached_a_unit_are_caught(tmp_path: Path) -> None:
    job = Job(tmp_path, source_rows(50))
    with pytest.raises(InfrastructureError, match="51 records in, 50 outcomes"):
        run_stage(STAGE, tmp_path, job.unit, units=UNITS, expected=51, runner=one_by_one)
    assert read_manifest(stage_directory(tmp_path, STAGE)) is None


def test_units_may_come_back_in_any_order(tmp_path: Path) -> None:
    calm, wild = Job(tmp_path / "calm", source_rows(50)), Job(tmp_path / "wild", source_rows(50))
    calm.result()
    run_stage(STAGE, wild.run, wild.unit, units=UNITS, expected=50, runner=lambda f, s: map(f, s[::-1]))
    assert bytes_of(calm.run) == bytes_of(wild.run)


def test_a_manifest_tells_what_the_stage_was(tmp_path: Path) -> None:
    result = Job(tmp_path, source_rows(50)).result()
    manifest = read_manifest(result.directory)
    assert manifest is not None
    assert (manifest.name, manifest.fingerprint, manifest.counts) == ("copy", STAGE.fingerprint, {"kept": 50})
    assert manifest.paths("rows") == result.paths("rows")
    assert manifest.paths("none") == []
    loaded = load_stage(STAGE, tmp_path)
    assert loaded is not None
    assert list(loaded.read("rows", SourceRow)) == list(result.read("rows", SourceRow))
    some = list(result.read("rows", SourceRow, Range(1, UNITS)))
    assert {Range.of(row.id, UNITS).number for row in some} == {1}


def test_a_global_stage_has_one_unit(tmp_path: Path) -> None:
    stage = replace(STAGE, kind="global")
    unit = partial(run_unit, stage, tmp_path, unit=UnitInput(tuple(source_rows(5))), work=copy)
    result = run_stage(stage, tmp_path, unit, units=UNITS, expected=5, runner=one_by_one)
    assert [part.range for part in result.parts] == [WHOLE]


def test_work_that_waits_commits_the_same_bytes(tmp_path: Path) -> None:
    async def later(unit: UnitInput) -> UnitOutput:
        await asyncio.sleep(0)
        return copy(unit)

    unit = UnitInput(tuple(source_rows(5)))
    run_unit(STAGE, tmp_path / "now", WHOLE, unit, copy)
    asyncio.run(run_unit_async(STAGE, tmp_path / "later", WHOLE, unit, later))
    assert bytes_of(tmp_path / "now") == bytes_of(tmp_path / "later")
    assert asyncio.run(run_unit_async(STAGE, tmp_path / "later", WHOLE, unit, later)).reused


def test_outcomes_are_written_in_the_order_of_ids(tmp_path: Path) -> None:
    rows = tuple(source_rows(9))
    made = UnitOutput(tuple(outcome("copy", row, kept=True) for row in rows), {"rows": rows})
    part = run_unit(STAGE, tmp_path, WHOLE, UnitInput(rows), lambda _: made).part
    directory = stage_directory(tmp_path, STAGE)
    result = commit_unit(STAGE, directory, part, UnitInput(rows), made)
    stored = StageResult(STAGE, directory, (result.part,), result.counts, 0).read("outcomes", Outcome)
    assert [item.record_id for item in stored] == sorted(row.id for row in rows)


def test_a_stage_that_could_work_on_no_record_is_taken_back_and_says_why(tmp_path: Path) -> None:
    def nothing_works(unit: UnitInput) -> UnitOutput:
        quarantined = {"outcome": "quarantined", "route": None, "reason": "request_refused", "detail": "at most 4096"}
        rows = [record for record in unit.records if isinstance(record, SourceRow)]
        return UnitOutput(
            tuple(outcome("copy", row, kept=True).model_copy(update=quarantined) for row in rows), {"rows": ()}
        )

    rows = source_rows(40)

    def unit(span: Range) -> UnitResult:
        mine = UnitInput(tuple(row for row in rows if Range.of(row.id, span.total) == span))
        return run_unit(STAGE, tmp_path, span, mine, nothing_works)

    with pytest.raises(InfrastructureError, match=r"none of its 40 records.*request_refused: at most 4096"):
        run_stage(STAGE, tmp_path, unit, units=UNITS, expected=len(rows), runner=one_by_one)
    assert load_stage(STAGE, tmp_path) is None
    # Put right, the same stage runs as if it never had.
    assert Job(tmp_path, rows).result().counts == {"kept": 40}
