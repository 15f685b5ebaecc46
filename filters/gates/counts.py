"""Counting rollouts: what each of them counts as, and what follows from the counts of a question."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from filters.answers.chance import RARELY, guess_floor
from filters.gates.benefit import question_benefit
from filters.informed import informed
from filters.intervals import wilson
from filters.turns import CALLS
from pipeline.records import Arm, ArmCount, Finish, GateCount, Mode, Trajectory

Kind = Literal["right", "wrong", "unjudged", "unknown", "malformed", "limit", "lost"]
_VALID: tuple[Kind, ...] = ("right", "wrong", "unjudged")
"""What says something about difficulty. Other words for an answer are not right where nobody is named to judge them."""
TOP_UP = 3
"""Gate 1 asks up to so many times k, until k rollouts have answered. Where failures are independent and half of all
rollouts fail, 97 % of questions have their k by then."""

# `length` is absent on purpose: a message cut in two is never well-formed, and that is the limit's doing.
_LIMITS_AFTER_A_TURN: frozenset[Finish] = frozenset({"max_turns", "max_tokens", "max_time"})


def kind(rollout: Trajectory) -> Kind:
    """Return what one rollout counts as; `docs/design/013-gates.md` says what follows from it in each gate.

    Malformed: it ended on a message that is not a valid turn, either at once (`bad_call`) or because a
    limit of turns, tokens or time struck while the last message was still invalid. Lost: the model
    refused, or the sandbox was nondeterministic.
    """
    match rollout.finish:
        case "answer":
            return rollout.verdict
        case "bad_call":
            return "malformed"
        case "refused" | "nondeterministic":
            return "lost"
        case "max_turns" | "max_tokens" | "max_time" | "length":
            stuck = bool(rollout.turns) and rollout.turns[-1].status == "bad_call"
            return "malformed" if stuck and rollout.finish in _LIMITS_AFTER_A_TURN else "limit"


def plain_count(
    question_id: str, k: int, rollouts: Sequence[Trajectory], chance: float = 0.0, rarely: float = RARELY
) -> GateCount:
    """Count the rollouts without tools up to the k-th that answered: those after it decide nothing.

    Args:
        question_id: whose.
        k: rollouts that decide.
        rollouts: up to `TOP_UP` times k, in any order.
        chance: that a guess is right.
        rarely: how often luck may reach the floor of guessing.

    Raises:
        ValueError: the rollouts are not distinct plain gate samples of this question, or too many.
    """
    _check(question_id, TOP_UP * k, "plain", "main", rollouts)
    kinds = Counter[Kind]()
    for rollout in sorted(rollouts, key=lambda rollout: rollout.sample):
        if answered(kinds) == k:
            break
        kinds[kind(rollout)] += 1
    return derived(
        GateCount(
            question_id=question_id,
            k=k,
            plain_right=kinds["right"],
            plain_valid=answered(kinds),
            plain_malformed=kinds["malformed"],
            plain_limit=kinds["limit"],
            plain_lost=kinds["lost"],
            plain_unknown=kinds["unknown"],
            tools_right=0,
            tools_right_without_call=0,
            tools_bad_format=0,
            tools_limit=0,
            tools_lost=0,
            tools_unknown=0,
            tools_valid=0,
            saturated=False,
            route=None,
            censored=max(0, k - kinds.total()),
            chance=chance,
            guess_floor=guess_floor(k, chance, rarely),
        )
    )


def tools_count(plain: GateCount, rollouts: Sequence[Trajectory], fresh: ArmCount | None = None) -> GateCount:
    """Add the counts of the rollouts with tools to those without; `fresh` tells what tools are worth.

    A right answer is credited to tools only if the observation of some call could have carried it (`informed`);
    the answer is the last turn, so such a call came before it.

    Raises:
        ValueError: as `plain_count`, for mode `tools` and k rollouts; or as `question_benefit`.
    """
    _check(plain.question_id, plain.k, "tools", "main", rollouts)
    kinds = Counter(kind(rollout) for rollout in rollouts)
    right = [rollout.turns for rollout in rollouts if kind(rollout) == "right"]
    unhelped = [turns for turns in right if not any(informed(turns))]
    counted = {
        "tools_right": len(right) - len(unhelped),
        "tools_right_without_call": len(unhelped),
        "tools_right_uninformed": sum(any(turn.action in CALLS for turn in turns) for turns in unhelped),
        "tools_bad_format": kinds["malformed"],
        "tools_limit": kinds["limit"],
        "tools_lost": kinds["lost"],
        "tools_unknown": kinds["unknown"],
        "tools_valid": answered(kinds),
        "saturated": kinds["right"] == plain.k,
    }
    return derived(plain.model_copy(update=counted), fresh)


def derived(count: GateCount, fresh: ArmCount | None = None) -> GateCount:
    """Return the count with all that follows from its numbers.

    Where gate 1 stopped asking because it had seen enough right answers, their share says little: it has neither an
    interval nor a difficulty.

    Raises:
        ValueError: as `question_benefit`.
    """
    whole = not count.censored
    plain, tools = wilson(count.plain_right, count.plain_valid), wilson(count.tools_right, count.tools_decided)
    benefit = None if fresh is None else question_benefit(count, fresh)
    return count.model_copy(
        update={
            "difficulty": 1 - count.plain_right / count.plain_valid if whole and count.plain_valid else None,
            "plain_low": plain.low if whole else None,
            "plain_high": plain.high if whole else None,
            "tools_low": tools.low,
            "tools_high": tools.high,
            "benefit": None if benefit is None else benefit.value,
            "benefit_low": None if benefit is None else benefit.interval.low,
            "benefit_high": None if benefit is None else benefit.interval.high,
        }
    )


def arm_count(rollouts: Sequence[Trajectory], *, max_pixels: int, easy_from: int) -> ArmCount:
    """Count the rollouts of an arm beside the main one.

    Args:
        rollouts: of one question, arm and model.
        max_pixels: of their view, 0 where no image is shown.
        easy_from: so many right, and the question is no longer hard.

    Raises:
        ValueError: there are none, or they are not samples of one question, arm and model.
    """
    (first, *_) = rollouts or (None,)
    if first is None:
        raise ValueError("an arm without rollouts has no counts")
    _check(first.question_id, len(rollouts), "plain", first.arm, rollouts)
    kinds = Counter(kind(rollout) for rollout in rollouts)
    right, valid = kinds["right"], answered(kinds)
    low, high = wilson(right, valid)
    return ArmCount(
        question_id=first.question_id,
        arm=first.arm,
        model=first.model,
        max_pixels=max_pixels,
        asked=len(rollouts),
        right=right,
        valid=valid,
        malformed=kinds["malformed"],
        low=low,
        high=high,
        above=right >= easy_from,
    )


def answered(kinds: Counter[Kind]) -> int:
    """Return how many rollouts answered: with a grade, or in words that nobody is named to judge."""
    return sum(kinds[kind] for kind in _VALID)


def _check(question_id: str, most: int, mode: Mode, arm: Arm, rollouts: Sequence[Trajectory]) -> None:
    wanted_of = (question_id, "gate", arm, mode)
    for rollout in rollouts:
        if (rollout.question_id, rollout.purpose, rollout.arm, rollout.mode) != wanted_of:
            raise ValueError(f"trajectory {rollout.id} is not a {mode} gate rollout of question {question_id}")
    samples = {rollout.sample for rollout in rollouts}
    if len(samples) != len(rollouts) or len(rollouts) > most:
        raise ValueError(f"question {question_id}: {len(rollouts)} rollouts, {len(samples)} distinct, at most {most}")
