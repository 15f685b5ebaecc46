"""The two gates: is a question hard without tools, and do tools help?

Both count rollouts of the base model. Only a graded answer is valid (right or wrong); an unknown grade,
a malformed rollout and one that a limit ended say nothing about difficulty and are never counted as
wrong. Thresholds live here and the counts in `GateCount`, so other thresholds need no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import Field, model_validator

from filters.base import Rule, Settings
from filters.turns import informed
from pipeline.identity import uniform
from pipeline.records import Decision, Finish, GateCount, Mode, Route, Trajectory

VERSION = 1

Gate1Reason = Literal["too_easy", "too_few_valid"]
Gate2Reason = Literal["solved_without_call", "unresolved_format"]
Kind = Literal["right", "wrong", "unknown", "malformed", "limit", "lost"]

_GATE1: Rule[Gate1Reason] = Rule("gate1", VERSION)
_GATE2: Rule[Gate2Reason] = Rule("gate2", VERSION)

# `length` is absent on purpose: a message cut in two is never well-formed, and that is the limit's doing.
_LIMITS_AFTER_A_TURN: frozenset[Finish] = frozenset({"max_turns", "max_tokens", "max_time"})


class GateSettings(Settings):
    """Thresholds of both gates. k = 8 and at most 2 right are those of the DeepEyesV2 paper (App. A.1)."""

    k: int = Field(default=8, ge=1)
    """Rollouts per question and mode."""
    max_plain_right: int = Field(default=2, ge=0)
    """Gate 1 keeps a question with at most this many right without tools."""
    max_right_without_call: int = Field(default=2, ge=0)
    """Gate 2 rejects a question solved more often than this under the tool prompt without using a tool."""
    early_stop: bool = False
    """Ask gate 1's rollouts in sample order and no further once its rejection is settled."""
    early_stop_exempt: float = Field(default=0.1, ge=0, le=1)
    """Share of questions, drawn by id, that are asked all k times all the same: an unbiased histogram."""

    @model_validator(mode="after")
    def _gate_can_reject(self) -> Self:
        if self.max_plain_right >= self.k:
            raise ValueError(f"max_plain_right {self.max_plain_right} must be below k {self.k}, or gate 1 keeps all")
        return self


@dataclass(frozen=True)
class Routing:
    """Gate 2's decision, and where a kept question goes (None when it was rejected)."""

    decision: Decision
    route: Route | None


def kind(rollout: Trajectory) -> Kind:
    """Return what one rollout counts as.

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


def wanted(question_id: str, rollouts: Sequence[Trajectory], settings: GateSettings) -> int:
    """Return how many plain rollouts to ask for next, after those in sample order that are there; 0 is the end.

    Under `early_stop` these are as many as could settle a rejection, so that none is asked for too much. It
    depends on the rollouts' order by sample and never on that of their arrival. What passes is asked all k
    times: gate 2 compares with it.
    """
    left = settings.k - len(rollouts)
    if not settings.early_stop or uniform("early_stop", question_id) < settings.early_stop_exempt:
        return left
    right = sum(kind(rollout) == "right" for rollout in rollouts)
    return min(left, settings.max_plain_right + 1 - right)


def plain_count(question_id: str, settings: GateSettings, rollouts: Sequence[Trajectory]) -> GateCount:
    """Count the rollouts without tools; the fields of gate 2 are 0.

    Raises:
        ValueError: the rollouts are not distinct plain gate samples of this question, or more than k.
    """
    _check(question_id, settings.k, "plain", rollouts)
    kinds = Counter(kind(rollout) for rollout in rollouts)
    return GateCount(
        question_id=question_id,
        k=settings.k,
        plain_right=kinds["right"],
        plain_valid=kinds["right"] + kinds["wrong"],
        tools_right=0,
        tools_right_without_call=0,
        tools_bad_format=0,
        tools_valid=0,
        saturated=False,
        route=None,
        censored=settings.k - len(rollouts),
    )


def tools_count(plain: GateCount, rollouts: Sequence[Trajectory]) -> GateCount:
    """Add the counts of the rollouts with tools to those without.

    A right answer is credited to tools only if some call ran `ok` and showed something; the answer is
    the last turn, so such a call came before it.

    Raises:
        ValueError: as `plain_count`, for mode `tools`.
    """
    _check(plain.question_id, plain.k, "tools", rollouts)
    kinds = Counter(kind(rollout) for rollout in rollouts)
    helped = sum(kind(rollout) == "right" and any(map(informed, rollout.turns)) for rollout in rollouts)
    return plain.model_copy(
        update={
            "tools_right": helped,
            "tools_right_without_call": kinds["right"] - helped,
            "tools_bad_format": kinds["malformed"],
            "tools_valid": kinds["right"] + kinds["wrong"],
            "saturated": kinds["right"] > 0 and kinds["wrong"] == 0,
        }
    )


def gate1(count: GateCount, settings: GateSettings) -> Decision:
    """Keep what is hard even if every invalid rollout had been right; the score is the share right."""
    record, right, valid = count.question_id, count.plain_right, count.plain_valid
    score = right / valid if valid else None
    if right + (count.k - valid) <= settings.max_plain_right:
        return _GATE1.keep(record, score)
    if right > settings.max_plain_right:
        return _GATE1.reject(record, "too_easy", score)
    return _GATE1.unknown(record, "too_few_valid", score)


def gate2(count: GateCount, settings: GateSettings) -> Routing:
    """Route by what tools brought: `rl` if they raise the rate of success, `sft` if it stays unsolved.

    The score is the success rate with tools minus the rate without.
    """
    record, score = count.question_id, _benefit(count)
    # successes / tools_valid > plain_right / plain_valid, multiplied out: exact, and no division by zero.
    raised = count.tools_right * count.plain_valid > count.plain_right * count.tools_valid
    if count.tools_right >= 1 and raised:
        return Routing(_GATE2.keep(record, score), "rl")
    if count.tools_right_without_call > settings.max_right_without_call:
        return Routing(_GATE2.reject(record, "solved_without_call", score), None)
    if 2 * count.tools_bad_format > count.k:
        return Routing(_GATE2.reject(record, "unresolved_format", score), None)
    return Routing(_GATE2.keep(record, score), "sft")


def _benefit(count: GateCount) -> float | None:
    if not count.tools_valid or not count.plain_valid:
        return None
    return count.tools_right / count.tools_valid - count.plain_right / count.plain_valid


def _check(question_id: str, k: int, mode: Mode, rollouts: Sequence[Trajectory]) -> None:
    for rollout in rollouts:
        if (rollout.question_id, rollout.purpose, rollout.mode) != (question_id, "gate", mode):
            raise ValueError(f"trajectory {rollout.id} is not a {mode} gate rollout of question {question_id}")
    samples = {rollout.sample for rollout in rollouts}
    if len(samples) != len(rollouts) or len(rollouts) > k:
        raise ValueError(f"question {question_id}: {len(rollouts)} rollouts, {len(samples)} distinct, at most {k}")
