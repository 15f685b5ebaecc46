"""A stage that decides on hardly any of its records stops the run; put right, it runs as if it never had."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.recipe.recipe import MAY_LOSE, Runtime
from flows.run.losses import Losses
from flows.stages.outcomes import UNDECIDED
from pipeline.engine.commits import find_finished
from pipeline.engine.done import Finished
from pipeline.engine.running import run_stage, run_unit
from pipeline.engine.units import Range, Reader, UnitInput, UnitOutput
from pipeline.errors import LimitError
from pipeline.models.refusals import FilteredError
from pipeline.records import SourceRow
from tests.support.command import ROOT
from tests.support.jobs.engine_job import outcome, source_rows
from tests.support.staged import begun, declared, in_order

FEW = Runtime().abort_min_rows
Fate = tuple[str, str]
"""Outcome and reason of a record."""


def stage_of(run: Path, rows: int, fate: Callable[[int], Fate], runtime: Runtime | None = None) -> Finished:
    """Run a stage whose record number n has that fate."""
    given = source_rows(rows)
    number = {row.id: n for n, row in enumerate(given)}
    stage, done = declared(run, "gate1"), begun(run, given)

    def unit(span: Range) -> UnitInput:
        return UnitInput(tuple(row for row in given if Range.of(row.id, done.units) == span))

    def work(unit: UnitInput) -> UnitOutput:
        made = []
        for row in (record for record in unit.records if isinstance(record, SourceRow)):
            told, reason = fate(number[row.id])
            route = "next" if told == "kept" else None
            update = {"outcome": told, "route": route, "reason": reason, "detail": reason and "said the server"}
            made.append(outcome("gate1", row, kept=True).model_copy(update=update))
        return UnitOutput(tuple(made), {})

    reader = Reader(rows, unit)
    losses = Losses(stage, runtime or Runtime())
    return run_stage(
        stage,
        done,
        lambda span: run_unit(stage, reader, span, work),
        expected=rows,
        runner=in_order,
        on_unit=losses.add,
    )


LOST: tuple[Fate, ...] = (("quarantined", "image_missing"), *(("rejected", reason) for reason in sorted(UNDECIDED)))


@pytest.mark.parametrize("lost", LOST)
def test_a_stage_that_loses_all_without_a_decision_stops_and_runs_again_once_it_is_put_right(
    lost: Fate, tmp_path: Path
) -> None:
    with pytest.raises(LimitError) as stopped:
        stage_of(tmp_path, 40, lambda _: lost)
    said = str(stopped.value)
    assert all(
        word in said for word in ("stage gate1", "100%", lost[1], "said the server", "runtime.abort_above.gate1")
    )
    assert find_finished(declared(tmp_path, "gate1"), begun(tmp_path, source_rows(40))) is None
    # Put right, the same stage runs as if it never had.
    assert stage_of(tmp_path, 40, lambda _: ("kept", "")).counts == {"kept": 40}


@pytest.mark.parametrize("decided", ["too_easy", "answerable_blind", "duplicate", "over_mix"])
def test_what_was_decided_on_is_not_lost(decided: str, tmp_path: Path) -> None:
    assert stage_of(tmp_path, 40, lambda _: ("rejected", decided)).counts == {"rejected": 40}


@pytest.mark.parametrize("rows", [0, 1, FEW - 1])
def test_a_few_records_may_all_be_bad(rows: int, tmp_path: Path) -> None:
    assert stage_of(tmp_path, rows, lambda _: LOST[0]).counts == ({"quarantined": rows} if rows else {})


def test_up_to_the_share_of_the_recipe_may_be_lost_and_no_more(tmp_path: Path) -> None:
    rows = 200

    def fate(most: float) -> Callable[[int], Fate]:
        # Every unit holds both kinds, so that no order of units is worse than the whole.
        return lambda number: LOST[0] if (number * 7919) % rows < most * rows else ("kept", "")

    assert stage_of(tmp_path / "some", rows, fate(MAY_LOSE - 0.15)).counts["kept"]
    strict = Runtime(abort_above={"gate1": 0.3})
    with pytest.raises(LimitError, match=r"abort_above\.gate1 is 0\.3"):
        stage_of(tmp_path / "strict", rows, fate(0.5), strict)
    assert stage_of(tmp_path / "other", rows, fate(0.5), Runtime(abort_above={"gate2": 0.3})).counts["kept"]


def test_with_1_nothing_stops_a_stage(tmp_path: Path) -> None:
    assert stage_of(tmp_path, 40, lambda _: LOST[0], Runtime(abort_above={"gate1": 1})).counts == {"quarantined": 40}


def test_every_reason_for_which_a_filter_cannot_decide_counts_as_lost() -> None:
    said = set[str]()
    for path in (ROOT / "filters").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "unknown":
                said |= {str(part.value) for part in ast.walk(node.args[1]) if isinstance(part, ast.Constant)}
    assert len(said) > 3
    assert said - {"cannot_tell"} <= UNDECIDED  # a verdict, by which a reason is chosen
    assert {FilteredError.code, "no_attempt"} <= UNDECIDED
