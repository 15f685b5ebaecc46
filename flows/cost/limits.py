"""Which limit of a recipe's budget a plan would reach, and where."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from flows.cost.estimate import Expected
from pipeline.models.samples import Budget


class Reached(NamedTuple):
    """A limit below what is expected."""

    limit: str
    """A field of `runtime.budget`."""
    value: float
    expected: float
    stage: str
    """Where the run would stop."""
    share: float
    """Of that stage's calls to that model, when it stops."""


def reached_limits(budget: Budget, lines: Sequence[Expected]) -> tuple[Reached, ...]:
    """Return the limits that a run is expected to reach, the one that stops it first."""
    spent = {
        "max_cost": [line.cost or 0.0 for line in lines],
        "max_tokens": [float(line.prompt_tokens + line.completion_tokens) for line in lines],
        "max_calls": [float(line.calls) for line in lines],
    }
    found = []
    for limit, value in budget._asdict().items():
        sums = list(accumulate(spent[limit]))
        if value is None or sums[-1] < value:
            continue
        place = next(number for number, total in enumerate(sums) if total >= value)
        share = 1 - (sums[place] - value) / spent[limit][place]
        found.append((place, Reached(limit, value, sums[-1], lines[place].stage, round(share, 4))))
    return tuple(reached for _, reached in sorted(found, key=lambda item: (item[0], item[1].share)))
