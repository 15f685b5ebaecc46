"""`coldforge release` and `coldforge diff`: a record of what was shipped, and what differs from another."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from flows.cli.console import JsonFlag, is_run, print_json, print_line, require_ledger
from flows.cli.export import Tombstones
from flows.cli.status import RunDir
from pipeline.commands import command

_SHOWN = 20
"""Rows of each kind that are printed; `--json` has all."""


def release(
    run: RunDir,
    name: Annotated[str | None, typer.Option(help="Of the release; default: 12 digits of its content.")] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(metavar="CONDITION", help="Such as 'sft_rows >= 1000'; beside those of the recipe. Repeatable."),
    ] = None,
    tombstones: Tombstones = None,
) -> None:
    """Check RUN's exports and conditions, and write a small record of what they hold: RUN/release/NAME.

    Refused (exit 3) where `verify` finds something wrong or gone, a row was taken down, or a condition is not kept.
    """
    from flows.recipe.file import load_recipe
    from flows.releases.conditions import condition
    from flows.releases.record import make_release
    from flows.report.exports import taken_down
    from pipeline.amounts import counted

    require_ledger(run)
    recipe = load_recipe(run / "recipe.yaml")
    conditions = [condition(text) for text in (*recipe.require, *(require or ()))]
    made = make_release(run, name, conditions, taken_down(run, tombstones))
    kept = (
        f"{counted(len(conditions), 'condition')} kept"
        if conditions
        else "no condition stated (`require` of the recipe)"
    )
    print_line(f"{made}: {kept}; next: {command('diff', 'OLD', made)}")


def diff(
    old: Annotated[Path, typer.Argument(metavar="A", help="A release (RUN/release/NAME), or a run.")],
    new: Annotated[Path, typer.Argument(metavar="B", help="Another.")],
    as_json: JsonFlag = False,
) -> None:
    """List the rows that B has and A has not, those that are gone, and those that changed, with reasons.

    A run also tells what became of a question that it did not ship; if an export of it is gone, it is refused (exit 3).
    """
    from flows.releases.compare import differences, fates
    from flows.releases.record import RELEASE, rows_in
    from flows.report.exports import require_published

    places = (old, new)
    for place in places:
        if is_run(place) and not (place / RELEASE).exists():
            require_published(require_ledger(place))
    rows = [rows_in(place) for place in places]
    fate = [fates(place) for place in places]
    found = differences(rows[0], rows[1], fate[0], fate[1])
    if as_json:
        print_json({"a": str(old), "b": str(new), "rows": [one._asdict() for one in found]})
        return
    times: Counter[tuple[str, str]] = Counter((one.shard, one.kind) for one in found)
    shown: Counter[tuple[str, str]] = Counter()
    for one in found:
        group = (one.shard, one.kind)
        shown[group] += 1
        if shown[group] <= _SHOWN:
            print_line(f"{one.shard:<4}{one.kind:<8} {one.record_id[:12]}  {one.source} {one.source_row}: {one.reason}")
    for (shard, kind), number in sorted(times.items()):
        more = f"; {number - _SHOWN:,} are not shown (--json)" if number > _SHOWN else ""
        print_line(f"{shard}: {number:,} {kind}{more}")
    if not found:
        print_line("no row differs")
