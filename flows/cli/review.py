"""`coldforge review`: people look at a sample of a run, and their marks measure it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.console import print_line, require_ledger
from flows.cli.status import RunDir

app = typer.Typer(help="Have people look at a sample of a run, and measure it by their marks.", no_args_is_help=True)


@app.callback()
def review() -> None:
    """Have people look at a sample of a run, and measure it by their marks."""


@app.command()
def sample(
    run: RunDir,
    per: Annotated[
        str, typer.Option(help="What strata are made of, beside kept and rejected: source, teacher, category, lane.")
    ] = "source,teacher,category",
    n: Annotated[int, typer.Option(min=1, help="Rows to draw; two of each stratum at least.")] = 200,
    *,
    annotators: Annotated[int, typer.Option(min=1, max=20, help="Each sees every row.")] = 1,
    seed: Annotated[int, typer.Option(help="Another one draws other rows.")] = 0,
    name: Annotated[
        str | None, typer.Option(help="Of the sample, in RUN/review; default: 12 digits of its content.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where the pages go; default: RUN/review/NAME/pages."),
    ] = None,
    store: Annotated[
        Path | None, typer.Option(help="Where the run's pictures are; default: .store beside RUN.")
    ] = None,
) -> None:
    """Draw attempts of RUN's teachers with known probabilities, and write a page without verdicts for each annotator.

    coldforge review sample runs/demo --n 40 --annotators 2
    """
    from flows.review.drawing import Design, draw_sample
    from flows.review.sample import axes, fates

    require_ledger(run)
    design = Design(axes(per), n, annotators, seed)
    place = store if store is not None else run.parent / ".store"
    written = draw_sample(run, design, place, name=_checked(name), out=out)
    drawn = ", ".join(f"{number} {fate.replace('_', ' ')}" for fate, number in fates(written.sample).items())
    rows = sum(stratum.size for stratum in written.sample.strata)
    print_line(
        f"{written.directory}: {len(written.sample.rows)} of {rows:,} attempts in {len(written.sample.strata)} strata "
        f"({drawn})"
    )
    print_line(f"hand out {written.pages[0].parent}, and nothing else of the run: each opens one of its pages")
    print_line(f"next: coldforge review import {run} marks-annotator-1.json ...")


def _checked(name: str | None) -> str | None:
    """Return the name, if it can be that of a folder."""
    import re

    from pipeline.errors import UsageError

    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(f"--name {name}: use letters, digits, dots, dashes and underscores")
    return name
