"""`coldforge review`: people look at a sample of a run, and their marks measure it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.console import JsonFlag, print_json, print_line, print_table, require_ledger, require_run
from flows.cli.status import RunDir
from pipeline.commands import command

app = typer.Typer(help="Have people look at a sample of a run, and measure it by their marks.", no_args_is_help=True)


@app.callback()
def review() -> None:
    """Have people look at a sample of a run, and measure it by their marks."""


@app.command(epilog="Example: coldforge review sample runs/mine --n 40 --annotators 2")
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
    """Draw attempts of RUN's teachers with known probabilities; write a page without verdicts for each annotator."""
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
    print_line(f"next: {command('review', 'import', run, 'marks-annotator-1.json')} ...")


@app.command(
    "import", epilog="Example: coldforge review import runs/mine marks-annotator-1.json marks-annotator-2.json"
)
def import_(
    run: RunDir,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files that pages saved, one per annotator.")],
    as_json: JsonFlag = False,
) -> None:
    """Check marks against the sample that they are of, store them, and print what they say of RUN.

    Marks of an annotator replace those that he gave before.
    """
    from flows.review.figures import FIGURES, figures_of, plain_figures, tables
    from flows.review.marks import MARKS, gather_marks, write_marks
    from pipeline.identity import canonical_json
    from pipeline.store.blobs import write_atomic

    directory, sample, marks = gather_marks(require_run(run), files)
    found = figures_of(sample, marks)
    write_marks(directory, marks)
    write_atomic(directory / FIGURES, (canonical_json(plain_figures(found)) + "\n").encode())
    if as_json:
        print_json({"sample": str(directory), **plain_figures(found)})
        return
    for table in tables(found, sample.sizes):
        if table.rows:
            print_table(table)
    left = len(sample.rows) - len({mark.record_id for mark in marks})
    print_line(
        f"{directory / MARKS}: {len(marks)} marks, {found.marks['cannot_tell']} of them cannot tell; "
        f"{left} of {len(sample.rows)} rows are not marked. Shares are of all attempts: each row stands "
        "for as many as it was drawn from."
    )
    print_line(
        f"next: in the recipe, select: {{exclude: {directory / MARKS}}}; or require: ['defect_rate_high <= 0.05']"
    )


@app.command(epilog="Example: coldforge review edit runs/mine corrections.jsonl")
def edit(
    run: RunDir,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Corrections, a JSON object a line.")],
    as_json: JsonFlag = False,
) -> None:
    """Hold corrections of RUN's questions and transcripts to what they correct, and store them for a recipe to name."""
    from flows.review.edits import edits_table, store_edits

    stored = store_edits(require_ledger(run), files)
    if as_json:
        print_json({"edits": str(stored.path), "corrected": [edit.to_row() for edit in stored.edits]})
        return
    print_table(edits_table(stored.edits))
    print_line(f"{stored.path}: {len(stored.edits)} of these files, {stored.before} of before")
    print_line(f"next: in the recipe, edits: {stored.path}; and run it again")


def _checked(name: str | None) -> str | None:
    """Return the name, if it can be that of a folder."""
    import re

    from pipeline.errors import UsageError

    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise UsageError(f"--name {name}: use letters, digits, dots, dashes and underscores")
    return name
