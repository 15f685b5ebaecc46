"""The gates: is a question hard without tools, and do tools help?

All count rollouts of a model. Only a graded answer is valid: right, wrong, or unjudged, which is not right (no rule
decides it, and no judge is named). A grade that a judge left open, a malformed rollout and one that a limit ended say
nothing about difficulty and are never counted as wrong. Thresholds
live here and the counts in `GateCount` and `ArmCount`, so other thresholds need no model.

Comparing counts flatters tools twice. A question that passed gate 1 was selected for few right answers, so
its next k rollouts have more of them without any tool (regression to the mean); and one more right of eight is
easily chance. The fresh arm asks survivors without tools once more: as a placebo it tells how often the
comparison of counts passes a tool that does nothing, and under `rule: interval` it is what tools are compared
with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from filters.answers.chance import guess_floor
from filters.gates.counts import kind
from filters.intervals import newcombe
from filters.rule import Rule
from pipeline.identity import Identity, uniform
from pipeline.records import ArmCount, Decision, GateCount, Route, Trajectory

VERSION = 3

Gate1Reason = Literal["too_easy", "too_few_valid", "answerable_blind", "easy_for_stronger"]
Gate2Reason = Literal["solved_without_call", "unresolved_format", "too_few_valid"]

_GATE1: Rule[Gate1Reason] = Rule("gate1", VERSION)
_GATE2: Rule[Gate2Reason] = Rule("gate2", VERSION)


class _Gate(Identity):
    """What both gates go by."""

    VERSION: ClassVar[int] = VERSION

    k: int = Field(default=8, ge=1)
    """Rollouts per question and arm."""
    max_plain_right: int = Field(default=2, ge=0)
    """A question with at most this many right without tools is hard: gate 1 keeps it."""
    min_valid: int | None = Field(default=None, ge=1)
    """Fewer rollouts than this that could be graded decide nothing; None: half of k."""

    @property
    def enough(self) -> int:
        """Return the smallest number of graded rollouts that decides."""
        return -(-self.k // 2) if self.min_valid is None else self.min_valid


class PlainGate(_Gate):
    """What gate 1 asks and goes by. k = 8 and at most 2 right are those of DeepEyesV2 (App. A.1)."""

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

    min_tools_right: int = Field(default=1, ge=1)
    """Tools help where at least this many are right after a call; more where guessing reaches as many."""
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


def easy_blind_from(k: int, chance: float, settings: PlainGate) -> int:
    """Return from how many of k right answers without an image on they are more than guessing explains."""
    return max(settings.max_blind_right + 1, guess_floor(k, chance))


def answerable_blind(blind: ArmCount) -> Decision:
    """Reject what is answered without its image more often than by guessing; the score is the share right."""
    score = blind.right / blind.valid if blind.valid else None
    if blind.above:
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
    if _helped(count, settings, fresh):
        return Routing(_GATE2.keep(record, score), "rl")
    if count.tools_right_without_call > settings.max_right_without_call:
        return Routing(_GATE2.reject(record, "solved_without_call", score), None)
    if 2 * count.tools_bad_format > count.k:
        return Routing(_GATE2.reject(record, "unresolved_format", score), None)
    if count.tools_valid + count.tools_limit < settings.enough:
        return Routing(_GATE2.unknown(record, "too_few_valid", score), None)
    return Routing(_GATE2.keep(record, score), "sft")


def _helped(count: GateCount, settings: ToolsGate, fresh: ArmCount | None) -> bool:
    least = max(settings.min_tools_right, guess_floor(count.k, count.chance))
    if settings.rule == "count":
        return more_often(count.tools_right, count.tools_valid, count.plain_right, count.plain_valid, least)
    if fresh is None:
        raise ValueError(f"question {count.question_id}: rule interval compares with a fresh arm")
    raised = newcombe(count.tools_right, count.tools_valid, fresh.right, fresh.valid).low > 0
    return raised and count.tools_right >= least


def more_often(right: int, valid: int, right_before: int, valid_before: int, least: int) -> bool:
    """Return whether a comparison of counts finds `right` of `valid` better than before, and no less than `least`.

    Gate 2 compares what tools brought. The fresh arm, k more rollouts without any tool, is compared alike: how often
    that passes tells what the comparison is worth.
    """
    # right / valid > right_before / valid_before, multiplied out: exact, and no division by zero.
    return right >= least and right * valid_before > right_before * valid


def _benefit(count: GateCount) -> float | None:
    if not count.tools_valid or not count.plain_valid:
        return None
    return count.tools_right / count.tools_valid - count.plain_right / count.plain_valid
