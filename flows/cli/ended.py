"""Where a run stands that has not come to its end: said above whatever is told of it, for its tables do not show it."""

from __future__ import annotations

from pathlib import Path


def stopped(run: Path) -> str | None:
    """Return in a sentence where a run stopped whose ledger lacks stages; None of one that went to its end.

    Raises:
        UsageError: the run has no ledger.
    """
    from flows.report.ahead import ahead
    from flows.stages.order import STAGES

    left = ahead(run, [*STAGES])
    if left is None:
        return None
    return (
        f"stopped {'in' if left.begun else 'before'} {left.stages[0]}: nothing of it, or of what follows it, is told "
        "here; the same `coldforge run`, without --until, goes on there"
    )
