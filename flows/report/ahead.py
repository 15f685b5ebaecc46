"""Which stages a run has not come to, as its ledger tells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from flows.report.tables import query_table


class Ahead(NamedTuple):
    """What is left of a run."""

    stages: Sequence[str]
    """In order, one at least."""
    begun: bool
    """Whether some work on the first of them stands there, unfinished."""


def ahead(run: Path, stages: Sequence[str]) -> Ahead | None:
    """Return the stages after the last that the ledger tells of; None of a run that went to its end.

    `stages` are all of a run that goes through, in order.

    Raises:
        UsageError: the run has no ledger.
    """
    told = {str(stage) for (stage,) in query_table(run, "SELECT stage FROM stages").rows}
    left = stages[max((place for place, stage in enumerate(stages, 1) if stage in told), default=0) :]
    if not left:
        return None
    made = (path for path in (run / "stages" / left[0]).glob("*") if path.is_dir())
    return Ahead(left, any(not (path / "stage.json").exists() for path in made))
