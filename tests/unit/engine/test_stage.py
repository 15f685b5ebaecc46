from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.commits import check_conservation, commit_stage, commit_unit, find_finished
from pipeline.engine.done import Done, Finished, read_finished
from pipeline.engine.running import LOOKED_AT_HERE, reused_units, run_stage, run_unit
from pipeline.engine.stage import Declared
from pipeline.engine.units import (
    MAX_UNITS,
    MIN_UNITS,
    QUESTIONS_PER_UNIT,
    WHOLE,
    Part,
    Range,
    Reader,
    UnitInput,
    UnitOutput,
    UnitResult,
    unit_count,
)
from pipeline.errors import InfrastructureError
from pipeline.records import Outcome, SourceRow, root_id
from tests.support.builders import image
from tests.support.command import ROOT
from tests.support.jobs.engine_job import outcome, source_rows
from tests.support.staged import AnySettings, after, begun, declared, in_order, run_given

UNITS = 4


def _unread(span: Range) -> UnitInput:
    raise AssertionError(f"unit {span} is read")


UNREAD = Reader(50, _unread)


def copying(run: Path, **changes: Any) -> Declared[AnySettings, object]:
    """The stage of these tests, as a run declares it."""
    usual: dict[str, Any] = {
        "name": "copy",
        "settings": {"threshold": 2},
        "tables": {"rows": SourceRow},
        "upstream": ("upstream",),
    }
    return declared(run, **{**usual, **changes})


def rows_of(unit: UnitInput) -> tuple[SourceRow, ...]:
    return tuple(record for record in unit.records if isinstance(record, SourceRow))


def copy(unit: UnitInput) -> UnitOutput:
    rows = rows_of(unit)
    return UnitOutput(tuple(outcome("copy", row, kept=True) for row in rows), {"rows": rows})


def run_whole(
    stage: Declared[AnySettings, object], unit: UnitInput, work: Callable[[UnitInput], UnitOutput] = copy
) -> UnitResult:
    """Run a unit without a stage around it."""
    return run_unit(stage, Reader(len(unit.records), lambda _: unit), WHOLE, work)


class Job:
    """A stage over rows, that remembers which ranges really ran."""

    def __init__(
        self,
        run: Path,
        rows: Sequence[SourceRow],
        work: Callable[[UnitInput], UnitOutput] = copy,
        before: Sequence[Finished] = (),
    ) -> None:
        self.run, self.rows, self.work = run, rows, work
        self.stage, self.done = copying(run), after(begun(run, rows), *before)
        self.ran: list[Range] = []

    @property
    def reader(self) -> Reader:
        def read(span: Range) -> UnitInput:
            return UnitInput(tuple(row for row in self.rows if Range.of(row.id, span.total) == span))

        return Reader(len(self.rows), read)

    def unit(self, span: Range) -> UnitResult:
        def work(unit: UnitInput) -> UnitOutput:
            self.ran.append(span)
            return self.work(unit)

        return run_unit(self.stage, self.reader, span, work)

    def result(self) -> Finished:
        return run_stage(self.stage, self.done, self.unit, expected=len(self.rows), runner=in_order)


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
    with pytest.raises(InfrastructureError, match=message):
        check_conservation("copy", ["a", "b", "c"], outcomes)


def test_two_input_records_with_one_id_are_named() -> None:
    with pytest.raises(InfrastructureError, match="input records with one id: a"):
        check_conservation("copy", ["a", "a"], [])


@given(st.sets(st.text(max_size=3)), st.lists(st.text(max_size=3)))
def test_conservation_holds_exactly_when_outcomes_are_a_permutation_of_the_input(
    inputs: set[str], outcomes: list[str]
) -> None:
    if sorted(inputs) == sorted(outcomes):
        check_conservation("copy", sorted(inputs), outcomes)
    else:
        with pytest.raises(InfrastructureError):
            check_conservation("copy", sorted(inputs), outcomes)


def test_a_unit_that_breaks_conservation_writes_nothing(tmp_path: Path) -> None:
    def lose_one(unit: UnitInput) -> UnitOutput:
        made = copy(unit)
        return UnitOutput([*made.outcomes][1:], made.tables)

    with pytest.raises(InfrastructureError, match="without outcome"):
        run_whole(copying(tmp_path), UnitInput(tuple(source_rows(3))), lose_one)
    assert bytes_of(tmp_path) == {}


def test_a_unit_with_an_undeclared_table_is_refused(tmp_path: Path) -> None:
    def extra(unit: UnitInput) -> UnitOutput:
        return UnitOutput(copy(unit).outcomes, {"rows": (), "more": ()})

    with pytest.raises(InfrastructureError, match=r"made tables \['more', 'rows'\], declared \['rows'\]"):
        run_whole(copying(tmp_path), UnitInput(tuple(source_rows(3))), extra)


def test_evidence_cannot_be_the_input_of_a_stage(tmp_path: Path) -> None:
    with pytest.raises(InfrastructureError, match="ImageRef has no id"):
        run_whole(copying(tmp_path), UnitInput((image(),)), lambda _: UnitOutput((), {"rows": ()}))


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
    assert rows[7] in list(result.records("rows", SourceRow))


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
        run_whole(copying(tmp_path), UnitInput(rows, context), work)
    assert ran == [0, 1]


@pytest.mark.parametrize(
    "changed",
    [
        {"version": 2},
        {"settings": {"threshold": 3}},
        {"model": "other/2"},
        {"upstream": ("another",)},
        {"tables": {}},
        {"name": "paste"},
    ],
    ids=["version", "settings", "model", "upstream", "tables", "name"],
)
def test_whatever_may_change_the_output_changes_the_fingerprint(changed: dict[str, Any], tmp_path: Path) -> None:
    assert copying(tmp_path, **changed).fingerprint != copying(tmp_path).fingerprint


def test_newer_code_behind_the_settings_changes_the_fingerprint(tmp_path: Path) -> None:
    class Newer(AnySettings):
        VERSION: ClassVar[int] = 1

    stage = copying(tmp_path)
    newer = replace(stage, settings=Newer(content=stage.settings.content))
    assert newer.fingerprint != stage.fingerprint


def test_where_a_run_is_changes_no_fingerprint(tmp_path: Path) -> None:
    here, there = copying(tmp_path / "here"), copying(tmp_path / "there")
    assert here.fingerprint == there.fingerprint
    assert here.directory.relative_to(here.run) == there.directory.relative_to(there.run)


def test_a_newer_schema_of_a_table_changes_the_fingerprint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = copying(tmp_path).fingerprint
    monkeypatch.setattr(SourceRow, "SCHEMA", SourceRow.SCHEMA + 1)
    assert copying(tmp_path).fingerprint != before


def test_tables_without_outcomes_are_not_a_commit(tmp_path: Path) -> None:
    Job(tmp_path, source_rows(50)).result()
    before = bytes_of(tmp_path)
    again = Job(tmp_path, source_rows(50))
    (victim,) = again.stage.directory.glob("part-002*.outcomes.parquet")
    victim.unlink()
    assert find_finished(again.stage, again.done) is None
    again.result()
    assert again.ran == [Range(2, UNITS)]
    assert bytes_of(tmp_path) == before


def test_a_kill_between_tables_and_outcomes_leaves_the_unit_uncommitted(tmp_path: Path) -> None:
    # The process dies inside the rename of the commit mark: nothing in it gets a chance to clean up.
    program = """
import os, pathlib, sys
from tests.unit.engine import test_stage

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
    again = Job(tmp_path, source_rows(50))
    directory = again.stage.directory
    assert len(list(directory.glob("part-*.rows.parquet"))) == 1
    assert list(directory.glob("part-*.outcomes.parquet")) == []
    assert read_finished(directory) is None
    assert find_finished(again.stage, again.done) is None
    again.result()
    assert len(again.ran) == UNITS
    undisturbed = Job(tmp_path / "undisturbed", source_rows(50)).result()
    parts = {name.rpartition("/")[2]: content for name, content in bytes_of(directory).items() if "part-" in name}
    calm = bytes_of(undisturbed.directory)
    assert parts == {name: content for name, content in calm.items() if "part-" in name}


def test_a_failing_unit_leaves_the_others_committed_and_no_manifest(tmp_path: Path) -> None:
    job = Job(tmp_path, source_rows(50))

    def fail_at_two(span: Range) -> UnitResult:
        if span.number == 2:
            raise InfrastructureError("server is gone")
        return job.unit(span)

    with pytest.raises(InfrastructureError, match="server is gone"):
        run_stage(job.stage, job.done, fail_at_two, expected=50, runner=in_order)
    assert read_finished(job.stage.directory) is None
    again = Job(tmp_path, source_rows(50))
    assert again.result().reused == 2


def test_a_runner_that_loses_a_unit_is_caught(tmp_path: Path) -> None:
    job = Job(tmp_path, source_rows(50))
    with pytest.raises(InfrastructureError, match="3 of 4 units came back"):
        run_stage(job.stage, job.done, job.unit, expected=50, runner=lambda _, f, s: map(f, s[1:]))


def test_records_that_never_reached_a_unit_are_caught(tmp_path: Path) -> None:
    job = Job(tmp_path, source_rows(50))
    with pytest.raises(InfrastructureError, match="51 records in, 50 outcomes"):
        run_stage(job.stage, job.done, job.unit, expected=51, runner=in_order)
    assert read_finished(job.stage.directory) is None


def test_units_may_come_back_in_any_order(tmp_path: Path) -> None:
    calm, wild = Job(tmp_path / "calm", source_rows(50)), Job(tmp_path / "wild", source_rows(50))
    calm.result()
    run_stage(wild.stage, wild.done, wild.unit, expected=50, runner=lambda _, f, s: map(f, s[::-1]))
    assert bytes_of(calm.run) == bytes_of(wild.run)


def test_a_manifest_tells_what_the_stage_was(tmp_path: Path) -> None:
    job = Job(tmp_path, source_rows(50))
    result = job.result()
    told = read_finished(result.directory)
    assert told is not None
    assert (told.name, told.fingerprint, told.counts) == ("copy", job.stage.fingerprint, {"kept": 50})
    assert told.paths("rows") == result.paths("rows")
    assert told.paths("none") == []
    found = find_finished(job.stage, job.done)
    assert found is not None
    assert list(found.records("rows", SourceRow)) == list(result.records("rows", SourceRow))
    some = list(result.records("rows", SourceRow, Range(1, UNITS)))
    assert {Range.of(row.id, UNITS).number for row in some} == {1}


@pytest.mark.parametrize("kind", ["map", "global"])
def test_what_a_stage_was_is_read_as_it_was_written(kind: str, tmp_path: Path) -> None:
    settings = {"names": ["ä", "\x1b", None], "share": 1.0, "shares": {"b": 0.1, "a": 10**17}, "on": True}
    stage = copying(tmp_path, version=7, kind=kind, settings=settings, model="m/1")
    done = begun(tmp_path, source_rows(50))
    spans = [WHOLE] if kind == "global" else [Range(number, done.units) for number in range(done.units)]
    whole = UnitInput(tuple(source_rows(50)))
    reader = Reader(50, lambda span: whole if span == WHOLE else UnitInput(done.rows(span)))
    written = commit_stage(stage, done, [run_unit(stage, reader, span, copy) for span in spans])
    assert [part.range for part in written.parts] == spans
    assert (written.version, written.model, written.input) == (7, "m/1", done.input)
    assert written.settings == {"content": settings, "revision": "m/1"}
    read = read_finished(stage.directory)
    assert read == written
    assert read is not None
    assert read.content == written.content


def test_how_much_was_reused_is_of_one_invocation_and_no_manifest(tmp_path: Path) -> None:
    first, second = Job(tmp_path, source_rows(50)).result(), Job(tmp_path, source_rows(50)).result()
    assert second == replace(first, reused=UNITS)
    assert read_finished(first.directory) == first


@pytest.mark.parametrize("change", ["new", "gone", "changed"])
def test_a_manifest_vouches_for_no_other_rows(change: str, tmp_path: Path) -> None:
    rows = source_rows(50)
    corrected = rows[7].model_copy(update={"payload": '{"answers":["corrected"]}'})
    other = {"new": source_rows(51), "gone": rows[1:], "changed": [*rows[:7], corrected, *rows[8:]]}[change]
    finished = Job(tmp_path, rows).result()
    later = Job(tmp_path, other)
    assert read_finished(later.stage.directory) == finished
    assert find_finished(later.stage, later.done) is None
    assert reused_units(later.stage, later.done, later.reader) == []
    # In whatever order they come: the rows as they were are what it finished on.
    assert find_finished(later.stage, begun(tmp_path, rows[::-1])) == finished
    now = Job(tmp_path, other).result()
    assert find_finished(later.stage, later.done) == replace(now, reused=0)
    assert find_finished(later.stage, begun(tmp_path, rows)) is None


def earlier(done: Done, name: str = "before", *, version: int = 1, outside: str = "") -> Finished:
    """A stage before that of these tests; what it reads outside the run directory is no part of its fingerprint."""
    stage = copying(done.run, name=name, version=version, upstream=())
    evidence = source_rows(1)[0].model_copy(update={"payload": outside})
    return run_given(stage, done, lambda span: UnitInput(done.rows(span), (evidence,)), copy, expected=done.row_count)


def test_a_manifest_vouches_for_no_other_earlier_stage(tmp_path: Path) -> None:
    rows = source_rows(50)
    done = begun(tmp_path, rows)
    before, more = earlier(done), earlier(done, "more")
    other_parts, other_version = earlier(done, outside="changed"), earlier(done, version=2)
    assert other_parts.fingerprint == before.fingerprint != other_version.fingerprint
    finished = Job(tmp_path, rows, before=[before]).result()
    for stages in ([], [other_parts], [other_version], [before, more], [more, before]):
        later = Job(tmp_path, rows, before=stages)
        assert read_finished(later.stage.directory) == finished
        assert find_finished(later.stage, later.done) is None
        assert reused_units(later.stage, later.done, later.reader) == []
    same = Job(tmp_path, rows, before=[earlier(done)])
    assert find_finished(same.stage, same.done) == finished


def test_units_are_reused_though_the_manifest_is_of_an_earlier_input(tmp_path: Path) -> None:
    rows = source_rows(50)
    Job(tmp_path, rows).result()
    later = Job(tmp_path, rows, before=[earlier(begun(tmp_path, rows))])
    assert later.result().reused == UNITS
    assert later.ran == []
    assert find_finished(later.stage, later.done) is not None


def test_a_stage_that_finished_is_told_unit_by_unit_without_reading_its_input(tmp_path: Path) -> None:
    job = Job(tmp_path, source_rows(50))
    finished = job.result()
    units = reused_units(job.stage, job.done, UNREAD)
    assert [unit.part for unit in units] == list(finished.parts)
    assert all(unit.reused for unit in units)
    assert sum((Counter(unit.counts) for unit in units), Counter()) == finished.counts
    assert commit_stage(job.stage, job.done, units) == replace(finished, reused=UNITS)


def test_a_stage_that_reads_outside_the_run_is_taken_as_finished_only_if_all_it_reads_is_as_it_was(
    tmp_path: Path,
) -> None:
    job = Job(tmp_path, source_rows(50))
    finished = job.result()
    outside = replace(job.stage, stage=replace(job.stage.stage, outside=True))
    assert find_finished(outside, job.done) is not None
    units = reused_units(outside, job.done, job.reader)
    assert [unit.part for unit in units] == list(finished.parts)
    assert all(unit.reused for unit in units)

    def changed(span: Range) -> UnitInput:
        # What lies outside is no row: it may change while the rows, by which a manifest vouches, are the same.
        return replace(job.reader.unit(span), context=tuple(source_rows(span.number // (UNITS - 1))))

    assert reused_units(outside, job.done, Reader(50, changed)) == []


def test_of_very_many_records_several_processes_look_whether_they_are_as_they_were(tmp_path: Path) -> None:
    job = Job(tmp_path, source_rows(50))
    job.result()
    outside = replace(job.stage, stage=replace(job.stage.stage, outside=True))
    assert reused_units(outside, job.done, UNREAD._replace(expected=LOOKED_AT_HERE + 1)) == []


def test_an_outcome_that_says_nothing_of_its_row_is_no_reason_to_take_a_stage_as_finished(tmp_path: Path) -> None:
    def stop(unit: UnitInput) -> UnitOutput:
        made = copy(unit)
        stopped = (one.model_copy(update={"outcome": "quarantined", "reason": "busy"}) for one in made.outcomes)
        return UnitOutput([*stopped], made.tables)

    job = Job(tmp_path, source_rows(50), work=stop)
    job.result()
    stage = replace(job.stage.stage, outside=True)
    assert reused_units(replace(job.stage, stage=stage), job.done, job.reader)
    again = replace(stage, again=frozenset({"busy"}))
    assert reused_units(replace(job.stage, stage=again), job.done, job.reader) == []


def test_a_unit_whose_files_beside_its_parts_are_gone_runs_again(tmp_path: Path) -> None:
    job = Job(tmp_path, source_rows(50))
    job.result()

    def stands(directory: Path, part: Part, settings: AnySettings) -> bool:
        assert (directory, settings) == (job.stage.directory, job.stage.settings)
        return part.range.number != 1

    again = Job(tmp_path, source_rows(50))
    again.stage = replace(job.stage, stage=replace(job.stage.stage, stands=stands))
    assert find_finished(again.stage, again.done) is None
    assert again.result().reused == UNITS - 1
    assert again.ran == [Range(1, UNITS)]


@given(few=st.integers(0, 200), many=st.integers(0, 200))
def test_a_run_has_the_rows_of_its_last_invocation_each_in_its_range(
    few: int, many: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    run = tmp_path_factory.mktemp("rows")
    begun(run, source_rows(many))
    done = begun(run, [*source_rows(few), *source_rows(few)[::-1]])
    assert (done.row_count, done.units) == (few, unit_count(few))
    found = {span: done.rows(span) for span in (Range(number, done.units) for number in range(done.units))}
    assert all(Range.of(row.id, done.units) == span for span, rows in found.items() for row in rows)
    assert [row for rows in found.values() for row in rows] == sorted(source_rows(few), key=lambda row: row.id)
    assert len(list((run / "rows").glob("*.parquet"))) == done.units


def test_rows_that_were_being_written_are_no_rows(tmp_path: Path) -> None:
    done = begun(tmp_path, source_rows(50))
    (tmp_path / "rows" / "rows.json").unlink()
    with pytest.raises(InfrastructureError, match=r"rows\.json is missing; run again"):
        done.units.bit_count()
    assert begun(tmp_path, source_rows(50)).row_count == 50


def test_a_global_stage_has_one_unit(tmp_path: Path) -> None:
    unit = UnitInput(tuple(source_rows(5)))
    done = begun(tmp_path, source_rows(5))
    result = run_given(copying(tmp_path, kind="global"), done, lambda _: unit, copy, expected=5)
    assert [part.range for part in result.parts] == [WHOLE]


def test_work_that_waits_commits_the_same_bytes(tmp_path: Path) -> None:
    async def later(unit: UnitInput) -> UnitOutput:
        await asyncio.sleep(0)
        return copy(unit)

    unit = UnitInput(tuple(source_rows(5)))
    waiting = copying(tmp_path / "later")
    run_whole(copying(tmp_path / "now"), unit)
    run_whole(waiting, unit, lambda unit: asyncio.run(later(unit)))
    assert bytes_of(tmp_path / "now") == bytes_of(tmp_path / "later")
    assert run_whole(waiting, unit, lambda unit: asyncio.run(later(unit))).reused


def test_outcomes_are_written_in_the_order_of_ids(tmp_path: Path) -> None:
    rows, stage = tuple(source_rows(9)), copying(tmp_path)
    made = UnitOutput(tuple(outcome("copy", row, kept=True) for row in rows), {"rows": rows})
    part = run_whole(stage, UnitInput(rows), lambda _: made).part
    result = commit_unit(stage, part, UnitInput(rows), made)
    stored = commit_stage(stage, begun(tmp_path, rows), [result]).records("outcomes", Outcome)
    assert [item.record_id for item in stored] == sorted(row.id for row in rows)
