"""What a stage lost without deciding on it: little is the way of data, most of it is a mistake of somebody's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow.compute as pc

from flows.recipe.recipe import Runtime
from flows.stages.outcomes import UNDECIDED
from pipeline.engine.stage import Declared
from pipeline.engine.units import UnitResult
from pipeline.errors import LimitError
from pipeline.records import Outcome
from pipeline.store.shards import read_columns


@dataclass
class Losses:
    """What one stage has lost so far; `runtime.abort_above` is the most that it may."""

    stage: Declared[Any, Any]
    runtime: Runtime
    seen: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    """Reason → id and detail of one record."""
    units: list[UnitResult] = field(default_factory=list)
    """Those that lost something."""

    def add(self, unit: UnitResult) -> None:
        """Count one more committed unit.

        Raises:
            LimitError: too much is lost. The units that lost something count as not done, for what made them so may be
                put right without a change that anybody could notice; what was paid for them stays in the store.
        """
        path = unit.part.path(self.stage.directory, "outcomes")
        rows = read_columns([path], Outcome, ["record_id", "outcome", "reason", "detail"])
        lost = [row for row in rows.filter(pc.not_equal(rows["outcome"], "kept")).to_pylist() if is_lost(row)]
        self.seen += rows.num_rows
        self.reasons.update(row["reason"] for row in lost)
        for row in lost:
            self.examples.setdefault(row["reason"], f"{row['record_id'][:12]}: {row['detail'][:500]}")
        if lost:
            self.units.append(unit)
        self._require_few()

    def _require_few(self) -> None:
        name, lost = self.stage.name, self.reasons.total()
        most = self.runtime.may_lose(name)
        if self.seen < self.runtime.abort_min_rows or lost <= most * self.seen:
            return
        for unit in self.units:
            unit.part.path(self.stage.directory, "outcomes").unlink(missing_ok=True)
        reason, times = self.reasons.most_common(1)[0]
        raise LimitError(
            f"stage {name}: {lost:,} of {self.seen:,} records ({lost / self.seen:.0%}) were lost without a decision, "
            f"{times:,} of them as {reason}, such as {self.examples[reason]}; runtime.abort_above.{name} is {most:g}. "
            f"Put that right and run again, or go on all the same: --set runtime.abort_above.{name}=1"
        )


_TAKEN_BACK = "taken-back"


def take_back(stage: Declared[Any, Any]) -> None:
    """Let all units of a stage count as not done; what was paid for them stays in the store.

    Units that are at work may still commit: `begin_again` takes those back before the stage runs again.
    """
    stage.directory.mkdir(parents=True, exist_ok=True)
    (stage.directory / _TAKEN_BACK).touch()
    for path in stage.directory.glob("part-*.outcomes.parquet"):
        path.unlink(missing_ok=True)


def begin_again(stage: Declared[Any, Any]) -> None:
    """Take back what a stage committed while it was stopped by `take_back`."""
    if (stage.directory / _TAKEN_BACK).exists():
        take_back(stage)
        (stage.directory / _TAKEN_BACK).unlink()


def is_lost(outcome: Mapping[str, Any]) -> bool:
    """Return whether nobody decided on a record: it could not be worked on, or what came of it decides nothing."""
    return outcome["outcome"] == "quarantined" or outcome["reason"] in UNDECIDED
