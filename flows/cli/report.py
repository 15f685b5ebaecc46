"""`coldforge report`: a folder with a report of a run and a viewer of its transcripts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.console import print_line, require_ledger
from flows.cli.status import RunDir


def report(
    run: RunDir,
    out: Annotated[Path | None, typer.Option(help="The folder, of its own; default: RUN/report.")] = None,
    store: Annotated[
        Path | None, typer.Option(help="Where the run's pictures are; default: .store beside RUN.")
    ] = None,
    bundle: Annotated[
        bool, typer.Option("--bundle", help="Copy the pictures, so that the folder can be moved.")
    ] = False,
) -> None:
    """Write a report of RUN, and a viewer of all its transcripts and pictures; it opens without a server."""
    from flows.report.viewer.write import write_report
    from flows.stages.order import STAGES
    from pipeline.store.blobs import BlobStore

    require_ledger(run)
    folder = out if out is not None else run / "report"
    blobs = BlobStore((store if store is not None else run.parent / ".store") / "blobs")
    made = write_report(run, folder, blobs, bundle=bundle, stages=[*STAGES])
    pictures = f", {made.pictures:,} pictures" if bundle else ""
    print_line(f"{folder / 'index.html'}: {made.trajectories:,} trajectories, {made.nbytes / 1e6:.1f} MB{pictures}")
    if made.missing:
        print_line(f"{made.missing:,} pictures that it shows are not in {blobs.root}; --store says where they are")
