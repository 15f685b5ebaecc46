"""What tools are worth on a question, and on the questions of a run.

Both compare rollouts with tools with a *fresh* arm of rollouts without: one that decided nothing. The plain rollouts
of gate 1 will not do. A question is there because few of them were right, partly by bad luck, and the luck of the next
rollouts is average: against those counts a tool of no effect at all looks like a help (regression to the mean).

With tools every right answer counts, called for or not: the question is what offering them changes. Whether the call
was what helped is gate 2's to tell (`GateCount.tools_right` apart from `tools_right_without_call`). With tools a
rollout that is malformed or cut has not solved the question; without, it says nothing, as at gate 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from filters.intervals import Interval, mean_interval, newcombe
from pipeline.records import ArmCount, GateCount

ANYTHING = Interval(-1.0, 1.0)
"""Where a difference of shares is of which nothing is known."""


class QuestionBenefit(NamedTuple):
    """Of one question: share right with tools minus share right without."""

    value: float
    interval: Interval
    """Newcombe's; wide, for it rests on the few rollouts of one question."""


class Benefit(NamedTuple):
    """Of many questions."""

    mean: float
    interval: Interval
    """Clustered by question: the rollouts of one question are alike, so its difference is one observation."""
    questions: int


def question_benefit(count: GateCount, fresh: ArmCount) -> QuestionBenefit | None:
    """Return what tools are worth on a question, None where one of the arms has no rollout that tells.

    Raises:
        ValueError: `fresh` is another arm, or another question's.
    """
    if fresh.arm != "fresh" or fresh.question_id != count.question_id:
        raise ValueError(f"question {count.question_id}: not its fresh arm but {fresh.arm} of {fresh.question_id}")
    if not count.tools_decided or not fresh.valid:
        return None
    right = count.tools_right + count.tools_right_without_call
    value = right / count.tools_decided - fresh.right / fresh.valid
    return QuestionBenefit(value, newcombe(right, count.tools_decided, fresh.right, fresh.valid))


def net_benefit(differences: Sequence[float]) -> Benefit:
    """Return the mean of the differences of questions; of a single one, with an interval that leaves all open.

    Raises:
        ValueError: there is no difference, or one is not within -1 to 1.
    """
    if not differences or any(not abs(value) <= 1 for value in differences):
        raise ValueError("net benefit is of one question or more, and of differences of shares: within -1 to 1")
    mean = math.fsum(differences) / len(differences)
    if len(differences) == 1:
        return Benefit(mean, ANYTHING, 1)
    low, high = mean_interval(differences)
    return Benefit(mean, Interval(max(-1.0, low), min(1.0, high)), len(differences))
