"""Where a run stands that has not come to its end: said above whatever is told of it, for its tables do not show it."""

from __future__ import annotations

from pathlib import Path


def stopped(run: Path) -> str | None:
    """Return in a sentence where a run stopped whose ledger lacks stages; None of one that went to its end.

    Raises:
        UsageError: the run has no ledger.
    """
    from flows.report.tables import query_table
    from flows.stages.order import STAGES

    names = [*STAGES]
    done = [names.index(str(name)) for (name,) in query_table(run, "SELECT stage FROM stages").rows]
    ahead = names[max(done, default=-1) + 1 :]
    if not ahead:
        return None
    begun = any(path.is_dir() for path in (run / "stages" / ahead[0]).glob("*"))
    place = f"stopped in {ahead[0]}: nothing of it," if begun else f"stopped before {ahead[0]}: nothing of it,"
    return f"{place} or of what follows it, is told here; the same `coldforge run`, without --until, goes on there"
