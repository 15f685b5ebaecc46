"""The exports of a run as they stand now: against what it has published, their files, and what was taken down since.

Every command that ships, records or tells of the exports of a run asks here, so that none accepts what another refuses.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from flows.ledger.query import query
from flows.recipe.file import load_recipe
from pipeline.commands import command
from pipeline.errors import CheckError, UsageError
from pipeline.export.layout import MANIFEST
from pipeline.export.tombstones import Tombstone, load_tombstones
from pipeline.export.verify.exports import Problem, VerifyReport, verify_exports
from pipeline.students.tokens import TokenCounter


def taken_down(run: Path, further: Path | None = None) -> tuple[Tombstone, ...]:
    """Return what no export of a run may hold: what `manifests/tombstones.yaml`, its recipe's and a further list name.

    Raises:
        UsageError: a list or the recipe cannot be read.
    """
    recipe = run / "recipe.yaml"
    own = load_recipe(recipe).rights.tombstones if recipe.exists() else None
    return load_tombstones(own, further)


def gone(run: Path) -> tuple[Problem, ...]:
    """Return each export that a run has published, as its ledger says, and that does not stand there; in order.

    Raises:
        InfrastructureError: the ledger cannot be read. A run without one has published nothing.
    """
    if not (run / "ledger.duckdb").exists():
        return ()
    rows = query(run, "SELECT shard, format, n_rows FROM shards WHERE n_rows > 0 ORDER BY ALL").to_pylist()
    published = ((f"{row['shard']}/{row['format']}", row["n_rows"]) for row in rows)
    return tuple(
        Problem(name, MANIFEST, None, f"is not there; the run has published {n_rows:,} rows of it")
        for name, n_rows in published
        if not os.path.lexists(run / "export" / name / MANIFEST)
    )


def require_published(run: Path) -> None:
    """Refuse a run of whose exports one is gone: what is told of the rest would be told of the whole.

    Raises:
        CheckError: as said.
        InfrastructureError: as `gone`.
    """
    missing = gone(run)
    if missing:
        raise CheckError(f"{run / 'export'}: {missing[0]}{_more(missing)}; {mended(run)}")


def verify_run(run: Path, taken: Sequence[Tombstone], counter: TokenCounter | None = None) -> VerifyReport:
    """Check the exports of a run as `verify_exports` does, and that each stands there that the run has published.

    Raises:
        UsageError: it has published none.
        InfrastructureError: as `gone`.
    """
    root, missing = run / "export", gone(run)
    if not any(root.rglob(MANIFEST)):
        if missing:
            return VerifyReport((), missing)
        raise UsageError(f"{root} holds no export: the run has not published yet; `coldforge run` goes on")
    report = verify_exports(root, counter, taken)
    return replace(report, problems=(*report.problems, *missing))


def require_whole(run: Path, report: VerifyReport) -> None:
    """Refuse exports of a run in which something is wrong.

    Raises:
        CheckError: as said; the message has the first fault, and which command has all.
    """
    if not report.ok:
        found = report.problems
        raise CheckError(
            f"{run / 'export'}: {found[0]}{_more(found)}; `{command('verify', run)}` lists all, and {mended(run)}"
        )


def mended(run: Path) -> str:
    """Return what writes the exports of a run anew."""
    return f"the same `coldforge run` again writes the exports of {run} anew"


def _more(problems: tuple[Problem, ...]) -> str:
    return f", and {len(problems) - 1:,} more" if len(problems) > 1 else ""
