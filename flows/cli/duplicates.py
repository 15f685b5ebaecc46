"""`coldforge duplicates`: questions that are one, or nearly, side by side with their pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.console import print_line, require_ledger
from flows.cli.status import RunDir


def duplicates(
    run: RunDir,
    out: Annotated[Path | None, typer.Option(help="The page; default: RUN/report/duplicates.html.")] = None,
    store: Annotated[
        Path | None, typer.Option(help="Where the run's pictures are; default: .store beside RUN.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Pairs to show of each verdict.")] = 200,
) -> None:
    """Write a page of RUN's duplicates with their pictures, distances and verdicts; it opens without a server."""
    from flows.report.duplicates import STYLE, THEME, duplicates_page
    from flows.report.viewer.write import PAGES
    from pipeline.store.blobs import BlobStore, write_atomic

    require_ledger(run)
    page = out if out is not None else run / "report" / "duplicates.html"
    blobs = BlobStore((store if store is not None else run.parent / ".store") / "blobs")
    made = duplicates_page(run, blobs, page, limit)
    for name in (STYLE, THEME):
        write_atomic(page.parent / name, (PAGES / name).read_bytes())
    write_atomic(page, made.html.encode())
    print_line(f"{page}: {made.pairs} pairs")
