"""`coldforge push`: the data set of a run onto the hub."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.card import made
from flows.cli.console import print_line, require_ledger
from flows.cli.export import Tombstones
from flows.cli.status import RunDir
from pipeline.commands import command

if TYPE_CHECKING:
    from flows.publishing.facts import CardFacts
    from flows.publishing.push import Sent

TOKEN = "HF_TOKEN"  # noqa: S105 - the name of a variable


def push(
    run: RunDir,
    to: Annotated[str, typer.Option(metavar="hf://OWNER/NAME", help="The repository; it is made if it is not there.")],
    public: Annotated[bool, typer.Option("--public", help="For everybody to see; default: private.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be sent, and send nothing.")] = False,
    tombstones: Tombstones = None,
) -> None:
    """Send RUN's exports and their card to the hub, in pieces; again = go on. The token is read from $HF_TOKEN.

    Nothing is sent where `verify` or `card --check` finds something, or a row was taken down (exit 3).
    """
    from flows.publishing.card import content_of
    from flows.publishing.push import push as send
    from flows.publishing.push import repository, target
    from pipeline.errors import UsageError

    name, root = target(to), require_ledger(run) / "export"
    token = os.environ.get(TOKEN, "")
    if not token and not dry_run:
        raise UsageError(f"${TOKEN} is not set; put a token into it that may write to {name}")
    _require_verified(run, tombstones)
    facts, card = made(run)
    _require_card(root, facts, card)
    files = repository(facts.exports, card, root)
    if dry_run:
        _tell(name, facts, files, public=public)
        return
    print_line(_size(files))
    place = send(name, files, token=token, public=public, release=content_of(facts), tell=print_line)
    print_line(f"{place} holds release {content_of(facts)}")


def _require_verified(run: Path, tombstones: Path | None) -> None:
    """Refuse exports that are damaged or gone, or hold what was taken down; each fault is printed.

    Raises:
        CheckError: as said.
    """
    from flows.report.exports import taken_down, verify_run

    report = verify_run(run, taken_down(run, tombstones))
    _refuse([str(problem) for problem in report.problems], command("verify", run))


def _require_card(root: Path, facts: CardFacts, card: Mapping[str, bytes]) -> None:
    """Refuse a card that may not be published; each fault is printed.

    Raises:
        CheckError: as said.
    """
    from flows.publishing.check import check_card

    faults = check_card(facts, card, root)
    _refuse([str(fault) for fault in faults], command("card", root.parent, "--check"))


def _refuse(wrong: Sequence[str], told_by: str) -> None:
    from pipeline.errors import CheckError

    for line in wrong:
        print_line(line)
    if wrong:
        raise CheckError(f"{len(wrong)} wrong, and nothing was sent; `{told_by}` tells when it is right")


def _tell(name: str, facts: CardFacts, files: Sequence[Sent], *, public: bool) -> None:
    """Print what would be sent."""
    seen = "for everybody to see" if public else "private"
    print_line(f"would send to hf://{name}, {seen}: {_size(files)}")
    for folder in sorted({_folder(file) for file in files}):
        print_line(f"  {folder:<24}{_size([file for file in files if _folder(file) == folder])}")
    for config in facts.configs:
        splits = ", ".join(f"{split} {sum(file.rows for file in of):,} rows" for split, of in config.splits.items())
        print_line(f"  configuration {config.name}: {splits}")


def _folder(file: Sent) -> str:
    """Return the export or the folder of the card that a file is in; the root is `.`."""
    parts = file.path.split("/")[:-1]
    return "/".join(parts[: 1 if parts[:1] == ["card"] else 2]) or "."


def _size(files: Sequence[Sent]) -> str:
    return f"{len(files):,} files, {sum(file.nbytes for file in files) / 1e6:,.1f} MB"
