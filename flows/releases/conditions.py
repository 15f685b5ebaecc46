"""Conditions that a release states: one figure of the run each, and a bound that it has to keep."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from filters.review.rates import Rate
from flows.releases.rows import Shipped
from flows.report.tables import query_table
from pipeline.errors import UsageError

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}
_CONDITION = re.compile(r"\s*([a-z_]+)\s*(>=|<=|==|>|<)\s*([0-9]+(?:\.[0-9]+)?)\s*")

_UNJUDGED = "SELECT count(*) FILTER (verdict = 'unjudged') / greatest(count(*), 1) FROM trajectories"


class Condition(NamedTuple):
    """A bound on a figure."""

    text: str
    figure: str
    comparison: str
    bound: float

    def holds(self, value: float) -> bool:
        """Return whether a value keeps the bound."""
        return _COMPARISONS[self.comparison](value, self.bound)


def condition(text: str) -> Condition:
    """Return a condition as it is written: `sft_rows >= 1000`.

    Raises:
        UsageError: it is not written so, or names no figure.
    """
    found = _CONDITION.fullmatch(text)
    if found is None or found[1] not in FIGURES:
        raise UsageError(
            f"{text!r} is no condition; write one such as 'sft_rows >= 1000'; figures: {', '.join(FIGURES)}"
        )
    return Condition(" ".join(text.split()), found[1], found[2], float(found[3]))


def figures(run: Path, exports: Mapping[str, Shipped], shared: float, review: Rate | None) -> dict[str, float]:
    """Return what a run can be held to.

    Args:
        run: with a ledger.
        exports: of each shard.
        shared: the share of RL's pictures that stand in SFT as well.
        review: the defect rate by people's marks; None where no review tells it, so that it is no figure of the run.
    """
    rows = {shard: export.manifest.rows for shard, export in exports.items()}
    checked = {name for export in exports.values() for name in export.manifest.benchmarks}
    people = {} if review is None else {"defect_rate": review.share, "defect_rate_high": review.high}
    ((unjudged,),) = query_table(run, _UNJUDGED).rows
    return {
        "sft_rows": rows.get("sft", 0),
        "rl_rows": rows.get("rl", 0),
        "benchmarks": len(checked),
        "shared_pictures": shared,
        "unjudged": float(str(unjudged)),
        **{name: value for name, value in people.items() if value is not None},
    }


FIGURES = ("sft_rows", "rl_rows", "benchmarks", "shared_pictures", "unjudged", "defect_rate", "defect_rate_high")
"""Rows of each shard; benchmarks that were kept out; shares: of RL's pictures that stand in SFT as well, of the graded
answers that no rule decides, of SFT rows that people call defective, and the upper end of its interval of 95 %."""
