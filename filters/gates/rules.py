"""The gates: is a question hard without tools, and do tools help?

All count rollouts of a model. Only a graded answer is valid (right or wrong); an unknown grade, a malformed
rollout and one that a limit ended say nothing about difficulty and are never counted as wrong. Thresholds
live here and the counts in `GateCount` and `ArmCount`, so other thresholds need no model.

Comparing counts flatters tools twice. A question that passed gate 1 was selected for few right answers, so
its next k rollouts have more of them without any tool (regression to the mean); and one more right of eight is
easily chance. The fresh arm asks survivors without tools once more: as a placebo it tells how often the
comparison of counts passes a tool that does nothing, and under `rule: interval` it is what tools are compared
with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from filters.answers.chance import guess_floor
from filters.base import Rule
from filters.intervals import newcombe
from filters.turns import informed
from pipeline.identity import Identity, uniform
from pipeline.records import Arm, ArmCount, Decision, Finish, GateCount, Mode, Route, Trajectory

VERSION = 2

Gate1Reason = Literal["too_easy", "too_few_valid", "answerable_blind", "easy_for_stronger"]
Gate2Reason = Literal["solved_without_call", "unresolved_format", "too_few_valid"]
Kind = Literal["right", "wrong", "unknown", "malformed", "limit", "lost"]

_GATE1: Rule[Gate1Reason] = Rule("gate1", VERSION)
_GATE2: Rule[Gate2Reason] = Rule("gate2", VERSION)

# `length` is absent on purpose: a message cut in two is never well-formed, and that is the limit's doing.
_LIMITS_AFTER_A_TURN: frozenset[Finish] = frozenset({"max_turns", "max_tokens", "max_time"})


class _Gate(Identity):
    """What both gates go by."""

    VERSION: ClassVar[int] = VERSION

    k: int = Field(default=8, ge=1)
    """Rollouts per question and arm."""
    min_valid: int | None = Field(default=None, ge=1)
    """Fewer rollouts than this that could be graded decide nothing; None: half of k."""

    @property
    def enough(self) -> int:
        """Return the smallest number of graded rollouts that decides."""
        return -(-self.k // 2) if self.min_valid is None else self.min_valid


class PlainGate(_Gate):
    """What gate 1 asks and goes by. k = 8 and at most 2 right are those of DeepEyesV2 (App. A.1)."""

    max_plain_right: int = Field(default=2, ge=0)
    """Gate 1 keeps a question with at most this many right without tools."""
    max_blind_right: int = Field(default=2, ge=0)
    """More right than this without an image, and more than guessing explains, is `answerable_blind`."""
    judge_questions: bool = False
    """Ask `models.judge` whether a survivor is sound before more is spent on it."""
    early_stop: bool = False
    """Ask gate 1's rollouts in sample order and no further once its rejection is settled."""
    early_stop_exempt: float = Field(default=0.1, ge=0, le=1)
    """Share of questions, drawn by id, that are asked all k times all the same: an unbiased histogram."""


class ToolsGate(_Gate):
    """What gate 2 asks and goes by."""

    max_right_without_call: int = Field(default=2, ge=0)
    """Gate 2 rejects a question solved more often than this under the tool prompt without using a tool."""
    rule: Literal["count", "interval"] = "count"
    """When tools help: more often right than gate 1 counted, as in the paper; or surely more often than in a
    fresh arm, which every survivor then gets."""
    fresh_share: float = Field(default=0.1, ge=0, le=1)
    """Share of gate 1's survivors, drawn by id, that are asked k times more without tools: the placebo arm."""

    def asks_fresh(self, question_id: str) -> bool:
        """Return whether a survivor of gate 1 gets the fresh arm."""
        return self.rule == "interval" or uniform("fresh", question_id) < self.fresh_share


class GateSettings(PlainGate, ToolsGate):
    """What a recipe says of both gates."""

    blind: bool = False
    """Ask every question k times without its images first, and reject what is answered all the same."""
    sweep: tuple[int, ...] = ()
    """Pixel budgets at which survivors are asked once more without tools, for their labels."""

    @model_validator(mode="after")
    def _gate_can_reject(self) -> Self:
        if self.max_plain_right >= self.k:
            raise ValueError(f"max_plain_right {self.max_plain_right} must be below k {self.k}, or gate 1 keeps all")
        if self.enough > self.k:
            raise ValueError(f"min_valid {self.min_valid} must not be above k {self.k}, or nothing is ever decided")
        return self

    @property
    def plain(self) -> PlainGate:
        """Return what gate 1 goes by."""
        return PlainGate(**{name: getattr(self, name) for name in PlainGate.model_fields})

    @property
    def tools(self) -> ToolsGate:
        """Return what gate 2 goes by."""
        return ToolsGate(**{name: getattr(self, name) for name in ToolsGate.model_fields})


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


def wanted(question_id: str, rollouts: Sequence[Trajectory], settings: PlainGate) -> int:
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


def plain_count(
    question_id: str, settings: PlainGate, rollouts: Sequence[Trajectory], chance: float = 0.0
) -> GateCount:
    """Count the rollouts without tools; the fields of gate 2 are 0. `chance` is that of a guess.

    Raises:
        ValueError: the rollouts are not distinct plain gate samples of this question, or more than k.
    """
    _check(question_id, settings.k, "plain", "main", rollouts)
    kinds = Counter(kind(rollout) for rollout in rollouts)
    return GateCount(
        question_id=question_id,
        k=settings.k,
        plain_right=kinds["right"],
        plain_valid=kinds["right"] + kinds["wrong"],
        tools_right=0,
        tools_right_without_call=0,
        tools_bad_format=0,
        tools_limit=0,
        tools_valid=0,
        saturated=False,
        route=None,
        censored=settings.k - len(rollouts),
        chance=chance,
    )


def tools_count(plain: GateCount, rollouts: Sequence[Trajectory]) -> GateCount:
    """Add the counts of the rollouts with tools to those without.

    A right answer is credited to tools only if some call ran `ok` and showed something; the answer is
    the last turn, so such a call came before it.

    Raises:
        ValueError: as `plain_count`, for mode `tools`.
    """
    _check(plain.question_id, plain.k, "tools", "main", rollouts)
    kinds = Counter(kind(rollout) for rollout in rollouts)
    helped = sum(kind(rollout) == "right" and any(map(informed, rollout.turns)) for rollout in rollouts)
    return plain.model_copy(
        update={
            "tools_right": helped,
            "tools_right_without_call": kinds["right"] - helped,
            "tools_bad_format": kinds["malformed"],
            "tools_limit": kinds["limit"],
            "tools_valid": kinds["right"] + kinds["wrong"],
            "saturated": kinds["right"] == plain.k,
        }
    )


def arm_count(rollouts: Sequence[Trajectory], *, max_pixels: int) -> ArmCount:
    """Count the rollouts of an arm beside the main one; `max_pixels` of their view, 0 where no image is shown.

    Raises:
        ValueError: there are none, or they are not samples of one question, arm and model.
    """
    (first, *_) = rollouts or (None,)
    if first is None:
        raise ValueError("an arm without rollouts has no counts")
    _check(first.question_id, len(rollouts), "plain", first.arm, rollouts)
    kinds = Counter(kind(rollout) for rollout in rollouts)
    return ArmCount(
        question_id=first.question_id,
        arm=first.arm,
        model=first.model,
        max_pixels=max_pixels,
        asked=len(rollouts),
        right=kinds["right"],
        valid=kinds["right"] + kinds["wrong"],
        malformed=kinds["malformed"],
    )


def answerable_blind(blind: ArmCount, chance: float, settings: PlainGate) -> Decision:
    """Reject what is answered without its image more often than by guessing; the score is the share right."""
    score = blind.right / blind.valid if blind.valid else None
    if blind.right > settings.max_blind_right and blind.right >= guess_floor(blind.asked, chance):
        return _GATE1.reject(blind.question_id, "answerable_blind", score)
    return _GATE1.keep(blind.question_id, score)


def gate1(count: GateCount, settings: PlainGate) -> Decision:
    """Keep what is hard even if every invalid rollout had been right; the score is the share right."""
    record, right, valid = count.question_id, count.plain_right, count.plain_valid
    score = right / valid if valid else None
    if right > settings.max_plain_right:
        return _GATE1.reject(record, "too_easy", score)
    if valid >= settings.enough and right + (count.k - valid) <= settings.max_plain_right:
        return _GATE1.keep(record, score)
    return _GATE1.unknown(record, "too_few_valid", score)


def easy_for_stronger(stronger: ArmCount, settings: PlainGate) -> Decision:
    """Reject what a stronger model always answers without tools (Metis): hard for its size, not for want of tools."""
    score = stronger.right / stronger.valid if stronger.valid else None
    if stronger.valid >= settings.enough and stronger.right == stronger.valid:
        return _GATE1.reject(stronger.question_id, "easy_for_stronger", score)
    return _GATE1.keep(stronger.question_id, score)


def gate2(count: GateCount, settings: ToolsGate, fresh: ArmCount | None = None) -> Routing:
    """Route by what tools brought: `rl` if they raise the rate of success, `sft` if it stays unsolved.

    The score is the success rate with tools minus the rate without.

    Raises:
        ValueError: the rule compares with a fresh arm, and there is none.
    """
    record, score = count.question_id, _benefit(count)
    if count.tools_right >= credited_from(count) and _raised(count, settings, fresh):
        return Routing(_GATE2.keep(record, score), "rl")
    if count.tools_right_without_call > settings.max_right_without_call:
        return Routing(_GATE2.reject(record, "solved_without_call", score), None)
    if 2 * count.tools_bad_format > count.k:
        return Routing(_GATE2.reject(record, "unresolved_format", score), None)
    if count.tools_valid + count.tools_limit < settings.enough:
        return Routing(_GATE2.unknown(record, "too_few_valid", score), None)
    return Routing(_GATE2.keep(record, score), "sft")


def placebo(count: GateCount, fresh: ArmCount) -> bool:
    """Return whether the comparison of counts would pass k more rollouts without any tool."""
    return fresh.right >= credited_from(count) and _more_often(
        fresh.right, fresh.valid, count.plain_right, count.plain_valid
    )


def credited_from(count: GateCount) -> int:
    """Return the least number of right rollouts that guessing does not explain."""
    return max(1, guess_floor(count.k, count.chance))


def _raised(count: GateCount, settings: ToolsGate, fresh: ArmCount | None) -> bool:
    if settings.rule == "count":
        return _more_often(count.tools_right, count.tools_valid, count.plain_right, count.plain_valid)
    if fresh is None:
        raise ValueError(f"question {count.question_id}: rule interval compares with a fresh arm")
    return newcombe(count.tools_right, count.tools_valid, fresh.right, fresh.valid).low > 0


def _more_often(right: int, valid: int, right_before: int, valid_before: int) -> bool:
    # right / valid > right_before / valid_before, multiplied out: exact, and no division by zero.
    return right * valid_before > right_before * valid


def _benefit(count: GateCount) -> float | None:
    if not count.tools_valid or not count.plain_valid:
        return None
    return count.tools_right / count.tools_valid - count.plain_right / count.plain_valid


def _check(question_id: str, k: int, mode: Mode, arm: Arm, rollouts: Sequence[Trajectory]) -> None:
    wanted_of = (question_id, "gate", arm, mode)
    for rollout in rollouts:
        if (rollout.question_id, rollout.purpose, rollout.arm, rollout.mode) != wanted_of:
            raise ValueError(f"trajectory {rollout.id} is not a {mode} gate rollout of question {question_id}")
    samples = {rollout.sample for rollout in rollouts}
    if len(samples) != len(rollouts) or len(rollouts) > k:
        raise ValueError(f"question {question_id}: {len(rollouts)} rollouts, {len(samples)} distinct, at most {k}")
