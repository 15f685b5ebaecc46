"""`coldforge card`: the card of a run's data set, and whether it may be published."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import print_line, require_ledger
from flows.cli.status import RunDir
from pipeline.commands import command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from flows.publishing.facts import CardFacts


def card(
    run: RunDir,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to write the card.", show_default="RUN/export/README.md"),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 3 if the card may not be published.")
    ] = False,
) -> None:
    """Write the card of RUN's data set: a page for people, croissant.json for machines, pictures and prompts beside it.

    RUN/export is then a repository for the hub: `coldforge push` sends it.
    """
    from flows.publishing.check import check_card
    from pipeline.errors import CheckError, UsageError

    if check and out is not None:
        raise UsageError(
            f"--out {out}: --check looks at the card of the run itself and writes none; leave one of them out"
        )
    facts, files = made(require_ledger(run))
    root = run / "export"
    if check:
        faults = check_card(facts, files, root)
        for fault in faults:
            print_line(str(fault))
        if faults:
            raise CheckError(f"{root}: {len(faults)} left before its card may be published (docs/publishing.md)")
        print_line(f"ok     {root}/README.md is the card of these exports")
        return
    _write(root if out is None else out.parent, out, files)
    print_line(f"{out or root / 'README.md'}: written, and {len(files) - 1} files beside it")
    left = len(check_card(facts, files, root)) if out is None else 0
    print_line(
        f"{left} left before it may be published: {command('card', run, '--check')}"
        if left
        else f"next: {command('push', run, '--dry-run', '--to', 'hf://OWNER/NAME')}"
    )


def made(run: Path) -> tuple[CardFacts, Mapping[str, bytes]]:
    """Return what the card of a run says, and the files that say it.

    Raises:
        UsageError: the run has no ledger or no exports, or a prompt was changed since.
        CheckError: an export is gone; a card of the others would be one of another data set.
    """
    from flows.ledger.query import kept_open
    from flows.publishing.facts import gather
    from flows.publishing.files import card_files
    from flows.recipe.file import load_recipe
    from flows.report.exports import require_published

    with kept_open(run):
        require_published(run)
        facts = gather(run, load_recipe(run / "recipe.yaml"))
    return facts, card_files(facts)


def _write(root: Path, out: Path | None, files: Mapping[str, bytes]) -> None:
    """Write the files below `root`, the page as `out` if that is given, and remove what an earlier card left behind."""
    from flows.publishing.making import FOLDER
    from pipeline.export.layout import CARD
    from pipeline.store.blobs import write_atomic

    if out is None:
        for old in (root / FOLDER).rglob("*"):
            if old.is_file() and old.relative_to(root).as_posix() not in files:
                old.unlink()
    for path, content in files.items():
        target = out if out is not None and path == CARD else root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(target, content)
