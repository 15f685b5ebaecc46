"""`coldforge why`: where records are lost, what usually causes it, and examples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import JsonFlag, print_json, print_line, print_table, print_wrapped, require_ledger
from flows.cli.status import RunDir
from pipeline.commands import command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flows.report.why import Hit, Loss

TOP = 5
"""Reasons that are told where no stage is named."""
GROUPS = 3
"""Groups that a reason hits, the largest first."""
LINES = 20
"""Of the yield of teachers: what loses most stands first."""


def why(
    run: RunDir,
    *,
    stage: Annotated[
        str | None, typer.Option(metavar="STAGE", help="All reasons of this stage, such as validate.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, metavar="N", help="Reasons to tell, where no stage is named.")] = TOP,
    as_json: JsonFlag = False,
) -> None:
    """Tell why records of RUN were lost: reasons with examples, yield by source and teacher, validators one by one."""
    require_ledger(run)
    from flows.cli.ended import stopped
    from flows.report.strains import strains
    from flows.report.why import losses

    found = losses(run, stage)
    shown = found if stage is not None else found[:top]
    if as_json:
        _print_json(run, shown)
        return
    if (where := stopped(run)) is not None:
        print_wrapped(where)
        print_line("")
    for loss in shown:
        _print_loss(run, loss)
    if not shown:
        print_line(f"nothing was lost in {stage or str(run)}\n")
    elif len(shown) < len(found):
        rest = found[len(shown) :]
        print_line(f"{len(rest)} more reasons took {sum(loss.n for loss in rest):,} records (--top, --stage)\n")
    if told := strains(run) if stage is None else []:
        print_line("What held rollouts back, whatever their reason")
        for sentence in told:
            print_wrapped(sentence, first="  ", indent="    ")
        print_line("")
    _print_yield(run, stage)


def _print_json(run: Path, shown: Sequence[Loss]) -> None:
    from flows.cli.ended import stopped
    from flows.report.strains import strains
    from flows.report.tables import query_table, records

    told = [
        {
            **loss._asdict(),
            "share": loss.share,
            "hits": [hit._asdict() for hit in loss.hits],
            "examples": [example._asdict() for example in loss.examples],
        }
        for loss in shown
    ]
    tables = {name: records(query_table(run, f"SELECT * FROM {name}")) for name in _VIEWS}  # noqa: S608 - our names
    print_json({"run": str(run), "stopped": stopped(run), "losses": told, "strains": strains(run), **tables})


_VIEWS = ("way", "teacher_yield", "validators")


def _print_loss(run: Path, loss: Loss) -> None:
    from flows.report.tables import Table, filled
    from pipeline.amounts import percent

    what = {"trajectory": "trajectories"}.get(loss.unit, f"{loss.unit}s")
    print_line(
        f"{loss.stage}: {loss.reason}, {loss.outcome} {loss.n:,} of {loss.n_in:,} {what} ({percent(loss.share)} %)"
    )
    print_wrapped(loss.cause, first="  ", indent="  ")
    print_wrapped(f"hits: {_hits(loss.hits)}", first="  ", indent="    ")
    columns = ("id", "source", "type", "question", "said", "stored", "detail")
    # A column in which no example has anything is not printed.
    rows = tuple(tuple(cell or None for cell in example) for example in loss.examples)
    print_table(filled(Table("examples", "", columns, rows)))
    print_line(f"  look: {command('show', run, loss.examples[0].record_id[:12])}\n")


def _hits(hits: Sequence[Hit]) -> str:
    from pipeline.amounts import counted

    others = hits[GROUPS:]
    rest = f"{sum(hit.n for hit in others):,} in {counted(len(others), 'other group')}"
    return "; ".join([*map(_hit, hits[:GROUPS]), *([rest] if others else [])])


def _hit(hit: Hit) -> str:
    named = " ".join(filter(None, (hit.source, hit.answer_type, hit.teacher)))
    return f"{named} {hit.n:,} of {hit.n_in:,}"


def _print_yield(run: Path, stage: str | None) -> None:
    from flows.report.tables import by_value, query_table

    if stage is None:
        title = "Questions that each stage kept, by source and answer type"
        print_table(query_table(run, "SELECT * FROM way", "way", title))
    if stage in {None, "synthesize", "validate"}:
        title = "Yield by source and answer type, what loses most first"
        told = query_table(run, f"SELECT * FROM teacher_yield LIMIT {LINES}", "teacher_yield", title)  # noqa: S608 - ours
        for of_teacher in by_value(told, "teacher"):
            print_table(of_teacher)
    if stage in {None, "validate"}:
        title = "Validators: only = no other is against it, so that relaxing it alone would recover it, if it replays"
        told = query_table(run, "SELECT * FROM validators", "validators", title)
        if told.rows:
            print_table(told)
