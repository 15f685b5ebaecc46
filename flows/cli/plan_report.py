"""What `coldforge plan` tells: as tables, and as one JSON document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from flows.cli.checks import Check, print_checks
from flows.cli.console import print_line, print_table, print_wrapped
from flows.cost.asks import assumptions
from flows.cost.estimate import Expected, Reached, Rows, reached_limits, totals
from flows.cost.gate_hints import Floor, Saving, early_stop_saving, floors
from flows.plan.diff import Again
from flows.plan.pilot import Between, Pilot, Rate, rates
from flows.recipe.recipe import Recipe
from flows.report.tables import Table, filled
from pipeline.commands import command
from pipeline.identity import Json
from pipeline.models.samples import Budget

_CALLS = ("stage", "model", "basis", "records", "calls", "calls_at_most", "cost", "hours", "gpu_hours")
_TOKENS = ("stage", "model", "prompt_tokens", "cached_tokens", "completion_tokens", "batch")

_TOKENS_HOW = (
    "tokens: every turn sends the whole conversation again; an image counts by its provider's rule, as large as the "
    "view; cached is what a prefix cache serves: the beginning that a question's rollouts share, and each turn's past"
)
_HOURS_HOW = (
    "hours: the tightest of calls in flight, rpm and tpm, stage after stage, and besides what replicas of your own "
    "take to read prompts; GPU hours: those times the GPUs of `serve`; "
    "measured: as long per record as in the pilot"
)


NO_ROWS = Rows(0)


@dataclass(frozen=True)
class Planned:
    """Everything that one `plan` found."""

    recipe: str
    checks: Sequence[Check]
    budget: Budget
    asked: Recipe | None = None
    """The recipe itself."""
    rows: Rows = NO_ROWS
    lines: Sequence[Expected] = ()
    """Empty while a check is wrong."""
    pilot: Pilot | None = None
    between: Sequence[Between] = ()
    run: str = ""
    """What the recipe was compared with."""
    again: Sequence[Again] = ()

    @property
    def limits(self) -> tuple[Reached, ...]:
        """Return the limits of the budget that the plan would reach."""
        return reached_limits(self.budget, self.lines) if self.lines else ()

    @property
    def floors(self) -> Sequence[Floor]:
        """Return from where on right answers are no luck."""
        return () if self.asked is None else floors(self.asked.gate)

    @property
    def early_stop(self) -> Saving | None:
        """Return what stopping gate 1 early would save."""
        return early_stop_saving(self.asked, self.lines) if self.asked is not None and self.lines else None

    def document(self) -> dict[str, Any]:
        """Return the plan as JSON."""
        return {
            "recipe": self.recipe,
            "checks": _dicts(self.checks),
            "rows": self.rows.total if self.lines else None,
            "stages": _dicts(self.lines),
            "totals": totals(self.lines)._asdict() if self.lines else None,
            "assumptions": assumptions(),
            "guess_floor": _dicts(self.floors),
            "early_stop": None if self.early_stop is None else self.early_stop._asdict(),
            "budget": _dicts(self.limits),
            "pilot": None if self.pilot is None else self._pilot_document(self.pilot),
            "diff": {"run": self.run, "stages": _dicts(self.again)} if self.run else None,
        }

    def _pilot_document(self, pilot: Pilot) -> dict[str, Any]:
        return {
            "run": str(pilot.run),
            "rows": pilot.measures.rows,
            "seconds": round(pilot.seconds, 3),
            "paid": pilot.paid._asdict(),
            "measured": _dicts(rates(pilot.measures)),
            "between": _dicts(self.between),
        }


def print_planned(planned: Planned) -> None:
    """Print the checks and, if none is wrong, the plan."""
    print_checks(planned.checks)
    if not planned.lines:
        return
    print_line("")
    if planned.pilot is not None:
        _print_pilot(planned.pilot)
    title = f"Calls expected for {planned.rows.total:,} source rows"
    print_table(_table("plan", title, planned.lines, _CALLS))
    print_table(_table("tokens", "Tokens expected", planned.lines, _TOKENS))
    if planned.between:
        title = "Between, with 95 % confidence in the share of rows that come so far"
        print_table(_table("between", title, planned.between, Between._fields))
    _print_total(planned)
    for limit in planned.limits:
        print_line(
            f"budget: runtime.budget.{limit.limit} {limit.value:,g} would be reached in {limit.stage}, "
            f"after {limit.share:.0%} of its calls; the whole plan takes {limit.expected:,.10g}"
        )
    _print_gates(planned)
    _print_assumptions(planned)
    if planned.run:
        print_line("")
        _print_again(planned)


def _print_pilot(pilot: Pilot) -> None:
    paid = f"paid {pilot.paid.calls:,} model calls" + (f", {pilot.paid.cost:,.4f}" if pilot.paid.cost else "")
    print_line(
        f"pilot: {pilot.measures.rows:,} rows in {pilot.seconds:.1f} s, {paid}, all kept for the run: {pilot.run}\n"
    )
    print_table(_table("rates", "Measured by the pilot (low, high: 95 %, Wilson)", rates(pilot.measures), Rate._fields))


def _print_total(planned: Planned) -> None:
    total = totals(planned.lines)
    parts = [
        f"{total.calls:,} calls ({total.batch_calls:,} in batches)",
        f"{total.prompt_tokens:,} prompt tokens ({total.cached_tokens:,} cached)",
        f"{total.completion_tokens:,} completion tokens",
        f"cost {total.cost:,.4f}" if total.cost is not None else "no model has a price",
    ]
    if total.hours is not None:
        parts.append(f"{total.hours:,.2f} hours")
    if total.gpu_hours is not None:
        parts.append(f"{total.gpu_hours:,.2f} GPU hours")
    _print_note(f"in all: {', '.join(parts)}")


def _print_gates(planned: Planned) -> None:
    if planned.asked is None:
        return
    gate = planned.asked.gate
    least = ", ".join(f"{floor.right or 'no number'} for {floor.form}" for floor in planned.floors)
    _print_note(
        f"guess floor: right answers of {gate.k} after a call from which tools help: {least}; guessing reaches them in "
        f"at most {gate.guess_floor:.0%} of cases (gate.guess_floor, 1: no floor). With fewer, a question goes to the "
        "teachers"
    )
    if planned.early_stop is not None:
        _print_note(
            f"recommended: gate.early_stop: true would not ask for about {planned.early_stop.calls:,} of gate 1's "
            f"plain rollouts ({planned.early_stop.share:.0%}) and changes no decision; what it stops has no difficulty"
        )


def _print_assumptions(planned: Planned) -> None:
    guesses = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in assumptions().items())
    bases = {line.basis for line in planned.lines if line.calls}
    if bases == {"measured"}:
        print_line("assumed: nothing but that the other rows are like those of the pilot")
    else:
        where = ", where the basis is `assumed`" if "measured" in bases else ""
        _print_note(f"assumed{where}: {guesses}")
    _print_note(_TOKENS_HOW)
    if any(line.hours is not None for line in planned.lines):
        _print_note(_HOURS_HOW)
    if planned.pilot is None:
        print_line(f"`{command('plan', planned.recipe, '--pilot', 100)}` measures instead; its calls are paid for once")


def _print_note(text: str) -> None:
    """Print a sentence as wide as tables are, for it is read and not parsed."""
    print_wrapped(text, indent="  ")


def _print_again(planned: Planned) -> None:
    columns = [name for name in Again._fields if name != "why"]
    print_table(_table("again", f"What {planned.run} would do again", planned.again, columns))
    width = max(len(stage.stage) for stage in planned.again) + 2
    for stage, why in dict.fromkeys((stage.stage, stage.why) for stage in planned.again if stage.again):
        print_line(f"{stage:<{width}}{why}")
    if not any(stage.again for stage in planned.again):
        print_line("nothing would run again")
    print_line("compared by settings and row ids; a row or an image that was edited in place is noticed by `run`")


def _dicts(rows: Iterable[NamedTuple]) -> list[dict[str, Any]]:
    return [row._asdict() for row in rows]


def _table(name: str, title: str, rows: Sequence[NamedTuple], columns: Sequence[str]) -> Table:
    values: tuple[tuple[Json, ...], ...] = tuple(tuple(row[column] for column in columns) for row in _dicts(rows))
    return filled(Table(name, title, tuple(columns), values))
