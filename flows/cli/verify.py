"""`coldforge verify`: check exports from their files alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import JsonFlag, is_run, print_json, print_line

if TYPE_CHECKING:
    from pipeline.export.verify.exports import Problem, VerifiedExport, VerifyReport


def verify(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="One export, a directory of them, or a run: then its exports.")
    ],
    tokenizer: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Holds the student's tokenizer.json: counts loss tokens again with it."),
    ] = None,
    tombstones: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What no export may hold, beside manifests/tombstones.yaml."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Check every file, row and image of exports, and that SFT and RL share no question. Exit 3 if one is wrong.

    Of a run, also that every export stands there that it has published.
    A row that was taken down (tombstones) is wrong. The card of the whole data set is checked by `card --check`.
    """
    from dataclasses import replace

    from flows.recipe.file import load_recipe
    from pipeline.errors import CheckError, UsageError
    from pipeline.export.tombstones import load_tombstones, matches
    from pipeline.export.verify.exports import verify_exports
    from pipeline.students.tokens import TokenCounter

    if not directory.is_dir():
        raise UsageError(f"{directory} is not a directory; give an export, such as runs/demo/export")
    run = directory if is_run(directory) else None
    if run is not None:
        directory = run / "export"
        if not directory.is_dir():
            raise UsageError(f"{directory} does not exist: the run has not published yet; `coldforge run` goes on")
        recipe = run / "recipe.yaml"
        if tombstones is None and recipe.exists():
            tombstones = load_recipe(recipe).rights.tombstones
    counter = TokenCounter.open(tokenizer, "--tokenizer") if tokenizer is not None else None
    taken = load_tombstones(tombstones)
    report = verify_exports(directory, counter, taken)
    if run is not None:
        report = replace(report, problems=(*report.problems, *_gone(run, report)))
    matched = matches(taken, report.taken)
    if as_json:
        exports, problems = [[item._asdict() for item in items] for items in (report.exports, report.problems)]
        pictures = report.pictures and report.pictures._asdict()
        print_json(
            {
                "directory": str(directory),
                "exports": exports,
                "problems": problems,
                "pictures": pictures,
                "tombstones": matched,
            }
        )
        raise typer.Exit(0 if report.ok else CheckError.exit_code)
    _print_report(report, matched)
    if not report.ok:
        raise CheckError(
            f"{directory}: {len(report.problems)} wrong; `coldforge run` writes the exports of a run again"
        )


def _gone(run: Path, report: VerifyReport) -> Iterator[Problem]:
    """Yield the exports that a run has published, as its ledger says, and that do not stand there."""
    from flows.ledger.query import query
    from pipeline.export.layout import MANIFEST
    from pipeline.export.verify.exports import Problem

    if not (run / "ledger.duckdb").exists():
        return
    there = {export.export for export in report.exports} | {problem.export for problem in report.problems}
    for row in query(run, "SELECT shard, format, n_rows FROM shards WHERE n_rows > 0 ORDER BY ALL").to_pylist():
        name = f"{row['shard']}/{row['format']}"
        if name not in there:
            yield Problem(name, MANIFEST, None, f"is not there; the run has published {row['n_rows']:,} rows of it")


def _print_report(report: VerifyReport, matched: str | None) -> None:
    for export in report.exports:
        wrong = sum(problem.export == export.export for problem in report.problems)
        print_line(f"{'wrong' if wrong else 'ok':<7}{export.export:<36}{export.rows:>8,} rows{_untold(export)}")
    for problem in report.problems:
        print_line(tell_problem(problem))
    if report.pictures is not None:
        print_line(f"{report.pictures}; `select: {{disjoint: image}}` in the recipe lets none")
    if matched is not None:
        print_line(matched)


def _untold(export: VerifiedExport) -> str:
    return "" if export.tokens_counted else "  loss tokens not counted again: give their --tokenizer"


def tell_problem(problem: Problem) -> str:
    """Return a problem as a line."""
    row = "" if problem.row is None else f", row {problem.row}"
    return f"{problem.export}/{problem.file}{row}: {problem.message}"
