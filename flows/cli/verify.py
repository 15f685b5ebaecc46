"""`coldforge verify`: check exports from their files alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import JsonFlag, is_run, print_json, print_line
from flows.cli.export import Tombstones
from pipeline.commands import command

if TYPE_CHECKING:
    from pipeline.export.verify.exports import VerifiedExport, VerifyReport


def verify(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="One export, a directory of them, or a run: then its exports.")
    ],
    tokenizer: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Holds the student's tokenizer.json: counts loss tokens again with it."),
    ] = None,
    tombstones: Tombstones = None,
    as_json: JsonFlag = False,
) -> None:
    """Check every file, row and image of exports, and that SFT and RL share no question. Exit 3 if one is wrong.

    Of a run, also that every export stands there that it has published. A row that was taken down is wrong.

    Not looked at: what `card` writes beside the exports, which `card --check` checks: README.md, LICENSE.md,
    croissant.json, and pictures and prompts in card/
    """
    from flows.report.exports import mended, taken_down, verify_run
    from pipeline.errors import CheckError, UsageError
    from pipeline.export.tombstones import load_tombstones, matches
    from pipeline.export.verify.exports import verify_exports
    from pipeline.students.tokens import TokenCounter

    if not directory.is_dir():
        raise UsageError(f"{directory} is not a directory; give a run, such as runs/demo, or an export of one")
    run = directory if is_run(directory) else None
    counter = TokenCounter.open(tokenizer, "--tokenizer") if tokenizer is not None else None
    if run is not None:
        directory, taken = run / "export", taken_down(run, tombstones)
        report = verify_run(run, taken, counter)
    else:
        taken = load_tombstones(tombstones)
        report = verify_exports(directory, counter, taken)
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
        anew = mended(run) if run is not None else "`coldforge run` writes the exports of a run anew"
        raise CheckError(f"{directory}: {len(report.problems)} wrong; {anew}")
    if run is None and (whose := _run_of(directory)) is not None:
        print_line(f"of its run, `{command('verify', whose)}` also finds exports that are gone")


def _run_of(directory: Path) -> Path | None:
    """Return the run that an export, or a directory of exports, lies in."""
    above = (place.parent for place in (directory, *directory.parents) if place.name == "export")
    return next((run for run in above if is_run(run)), None)


def _print_report(report: VerifyReport, matched: str | None) -> None:
    for export in report.exports:
        wrong = sum(problem.export == export.export for problem in report.problems)
        print_line(f"{'wrong' if wrong else 'ok':<7}{export.export:<36}{export.rows:>8,} rows{_untold(export)}")
    for problem in report.problems:
        print_line(str(problem))
    if report.pictures is not None:
        print_line(f"{report.pictures}; `select: {{disjoint: image}}` in the recipe lets none")
    if matched is not None:
        print_line(matched)


def _untold(export: VerifiedExport) -> str:
    return "" if export.tokens_counted else "  loss tokens not counted again: give their --tokenizer"
