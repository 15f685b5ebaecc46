"""The gates: is a question hard without tools, and do tools help?

Both count rollouts of a model. Gate 1 decides on answers alone: a rollout without one says nothing about difficulty,
and more are asked for in its place. Gate 2 asks whether tools solve a question: one that is malformed or cut has not.
What a judge left open, or the model refused, decides nothing in either. Thresholds live here and the counts in
`GateCount` and `ArmCount`, so other thresholds need no model.

Comparing counts flatters tools twice. A question that passed gate 1 was selected for few right answers, so
its next k rollouts have more of them without any tool (regression to the mean); and one more right of eight is
easily chance. The fresh arm asks survivors without tools once more: as a placebo it tells how often the
comparison of counts passes a tool that does nothing, and under `rule: interval` it is what tools are compared
with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from filters.answers.chance import RARELY, guess_floor
from filters.gates.counts import TOP_UP, Kind, answered
from filters.intervals import newcombe
from filters.rule import Rule
from pipeline.identity import Identity, Place, uniform
from pipeline.records import ArmCount, Decision, GateCount, Route

VERSION = 4

Gate1Reason = Literal["too_easy", "undecided", "answerable_blind", "easy_for_stronger"]
Gate2Reason = Literal["solved_without_call", "undecided"]

_GATE1: Rule[Gate1Reason] = Rule("gate1", VERSION)
_GATE2: Rule[Gate2Reason] = Rule("gate2", VERSION)

_USUAL_RIGHT = 2
"""Right answers that are still few, of the 8 of DeepEyesV2."""


class _Gate(Identity):
    """What both gates go by."""

    VERSION: ClassVar[int] = VERSION

    k: int = Field(default=8, ge=1)
    """Rollouts per question and arm."""
    max_plain_right: int = Field(default=_USUAL_RIGHT, ge=0)
    """A question with at most this many right without tools is hard: gate 1 keeps it."""
    min_valid: int | None = Field(default=None, ge=1)
    """Fewer graded rollouts than this neither send a question to RL nor show that a stronger model always solves it;
    None: half of k."""
    guess_floor: float = Field(default=RARELY, gt=0, le=1)
    """How often guessing may reach the right answers that count as help of tools, or as an answer without the picture.
    Where a question is easily guessed (options, yes or no, small counts) the floor is several right of k; `plan` prints
    it. 1: there is no floor."""

    @property
    def enough(self) -> int:
        """Return the smallest number of graded rollouts that tells how often a model is right."""
        return -(-self.k // 2) if self.min_valid is None else self.min_valid

    def floor(self, chance: float) -> int:
        """Return the least number right of k that guessing does not explain."""
        return guess_floor(self.k, chance, self.guess_floor)


class PlainGate(_Gate):
    """What gate 1 asks and goes by. k = 8 and at most 2 right are those of DeepEyesV2 (App. A.1)."""

    max_blind_right: int | None = Field(default=None, ge=0)
    """More right than this without an image, and more than guessing explains, is `answerable_blind`; None: 2, or k - 1
    where that is less."""
    judge_questions: bool = False
    """Ask `models.judge` whether a survivor is sound before more is spent on it."""
    early_stop: bool = False
    """Ask gate 1's rollouts in sample order and no further once its rejection is settled."""
    early_stop_exempt: float = Field(default=0.1, ge=0, le=1)
    """Share of questions, drawn by id, that are asked all k times all the same: an unbiased histogram."""

    @property
    def most_blind(self) -> int:
        """Return how many right answers without an image are still few."""
        return min(_USUAL_RIGHT, self.k - 1) if self.max_blind_right is None else self.max_blind_right

    def asks_all(self, question_id: str) -> bool:
        """Return whether a question is asked all k times, even if its rejection is settled before."""
        return not self.early_stop or uniform("early_stop", question_id) < self.early_stop_exempt


class ToolsGate(_Gate):
    """What gate 2 asks and goes by."""

    min_tools_right: int = Field(default=1, ge=1)
    """Tools help where at least this many are right after a call; more where guessing reaches as many."""
    max_right_without_call: int | None = Field(default=None, ge=0)
    """Gate 2 rejects a question solved more often than this under the tool prompt without using a tool; None: 2, or
    k - 1 where that is less."""
    rule: Literal["count", "interval"] = "count"
    """When tools help: more often right than gate 1 counted, as in the paper; or surely more often than in a
    fresh arm, which every survivor then gets."""
    fresh_share: float = Field(default=0.1, ge=0, le=1)
    """Share of gate 1's survivors, drawn by id, that are asked k times more without tools: the placebo arm."""

    @property
    def most_without_call(self) -> int:
        """Return how many right answers without a call are still few."""
        return min(_USUAL_RIGHT, self.k - 1) if self.max_right_without_call is None else self.max_right_without_call

    def asks_fresh(self, question_id: str) -> bool:
        """Return whether a survivor of gate 1 gets the fresh arm."""
        return self.rule == "interval" or uniform("fresh", question_id) < self.fresh_share


class GateSettings(PlainGate, ToolsGate):
    """What a recipe says of both gates."""

    blind: bool = False
    """Ask every question k times without its images first, and reject what is answered all the same."""
    sweep: tuple[int, ...] = ()
    """Pixel budgets at which survivors are asked once more without tools, for their labels."""
    max_malformed: Place[float] = Field(default=0.5, gt=0, le=1)
    """The stage stops if more than this share of an arm's first 200 rollouts are malformed, which is mostly a template
    that does not fit the model. Raise it for a base model that truly cannot; 1 never stops."""

    @model_validator(mode="after")
    def _thresholds_can_act(self) -> Self:
        """Refuse a threshold that no question can fall on the other side of."""
        k = self.k
        for name in ("max_plain_right", "max_blind_right", "max_right_without_call"):
            value = getattr(self, name)
            if value is not None and value >= k:
                raise ValueError(f"{name} {value} must be below k {k}, or it rejects nothing; give 0 to {k - 1}")
        if self.enough > k:
            raise ValueError(f"min_valid {self.min_valid} must not be above k {k}, or nothing is ever decided")
        if self.min_tools_right > k:
            raise ValueError(f"min_tools_right {self.min_tools_right} must not be above k {k}, or nothing is ever rl")
        if self.rule == "interval" and newcombe(k, k, 0, k).low <= 0:
            raise ValueError(f"rule: interval finds nothing with k {k}: {k} right against none may be chance; raise k")
        if self.early_stop and self.early_stop_exempt == 1:
            raise ValueError("early_stop_exempt 1 asks everything k times, so that early_stop never stops; lower it")
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
    by_floor: bool = False
    """It would be `rl` but for the guess floor."""
    detail: str = ""
    """Why nothing was decided."""


def wanted(kinds: Iterable[Kind], settings: PlainGate, *, all_k: bool = True) -> int:
    """Return how many plain rollouts to ask for next, after those in sample order that are there; 0 is the end.

    First k. Then as many as are missing until k have answered, up to `TOP_UP` times k in all, unless more were right
    than gate 1 keeps, or none of the first k answered: then others would hardly. Without `all_k` these are at each time
    as many as could settle a rejection, so that none is asked for too much. The number depends on the rollouts' order
    by sample and never on that of their arrival. What passes has k answers: gate 2 compares with it.
    """
    seen = Counter(kinds)
    total, open_ = seen.total(), settings.max_plain_right + 1 - seen["right"]
    if total < settings.k:
        left = settings.k - total
    elif open_ <= 0 or not answered(seen):
        left = 0
    else:
        left = min(settings.k - answered(seen), TOP_UP * settings.k - total)
    return left if all_k else max(0, min(left, open_))


def easy_blind_from(chance: float, settings: PlainGate) -> int:
    """Return from how many of k right answers without an image on they are more than guessing explains."""
    return max(settings.most_blind + 1, settings.floor(chance))


def answerable_blind(blind: ArmCount) -> Decision:
    """Reject what is answered without its image more often than by guessing; the score is the share right."""
    score = blind.right / blind.valid if blind.valid else None
    if blind.above:
        return _GATE1.reject(blind.question_id, "answerable_blind", score)
    return _GATE1.keep(blind.question_id, score)


def gate1(count: GateCount, settings: PlainGate) -> Decision:
    """Keep what is hard: few right of the first k that answered; the score is the share right.

    Fewer answers decide nothing, unless too many of them are right already.
    """
    record, right, valid = count.question_id, count.plain_right, count.plain_valid
    score = right / valid if valid else None
    if right > settings.max_plain_right:
        return _GATE1.reject(record, "too_easy", score)
    if valid < count.k:
        return _GATE1.unknown(record, "undecided", score)
    return _GATE1.keep(record, score)


def without_answer(count: GateCount) -> str:
    """Return what became of the plain rollouts of a question that is undecided, each kind counted."""
    parts = {"malformed": count.plain_malformed, "limit": count.plain_limit}
    return _parts(count.plain_valid, parts | {"lost": count.plain_lost, "unknown": count.plain_unknown})


def exhausted(count: GateCount) -> bool:
    """Return whether gate 1 asked all that it may: what is undecided stays so under any thresholds."""
    return count.plain_asked >= TOP_UP * count.k or not count.plain_valid


def easy_for_stronger(stronger: ArmCount, settings: PlainGate) -> Decision:
    """Reject what a stronger model always answers without tools (Metis): hard for its size, not for want of tools."""
    score = stronger.right / stronger.valid if stronger.valid else None
    if stronger.valid >= settings.enough and stronger.right == stronger.valid:
        return _GATE1.reject(stronger.question_id, "easy_for_stronger", score)
    return _GATE1.keep(stronger.question_id, score)


def gate2(count: GateCount, settings: ToolsGate, fresh: ArmCount | None = None) -> Routing:
    """Route by what tools brought: `rl` if they raise the rate of success, `sft` if it stays unsolved.

    Malformed rollouts and those that a limit ended are unsolved: to follow the protocol is what a cold start teaches.
    For RL a minimum has to be graded all the same. The score is the success rate with tools minus the rate without.

    Raises:
        ValueError: the rule compares with a fresh arm, and there is none.
    """
    record, score = count.question_id, _benefit(count)
    least, floor = settings.min_tools_right, settings.floor(count.chance)
    helped = count.tools_valid >= settings.enough and _raised(count, settings, fresh, max(least, floor))
    if helped is None:
        why = f"none of the fresh arm's {count.k} rollouts can be compared with"
        return Routing(_GATE2.unknown(record, "undecided", score), None, detail=why)
    if helped:
        return Routing(_GATE2.keep(record, score), "rl")
    if count.tools_right_without_call > settings.most_without_call:
        return Routing(_GATE2.reject(record, "solved_without_call", score), None)
    if count.tools_decided < settings.enough:
        why = _parts(count.tools_decided, {"lost": count.tools_lost, "unknown": count.tools_unknown})
        return Routing(_GATE2.unknown(record, "undecided", score), None, detail=why)
    by_floor = count.tools_valid >= settings.enough and _raised(count, settings, fresh, least) is True
    return Routing(_GATE2.keep(record, score), "sft", by_floor)


def _raised(count: GateCount, settings: ToolsGate, fresh: ArmCount | None, least: int) -> bool | None:
    """Return whether tools raise the rate of success; None where the fresh arm says nothing to compare with."""
    if settings.rule == "count":
        return more_often(count.tools_right, count.tools_decided, count.plain_right, count.plain_valid, least)
    if fresh is None:
        raise ValueError(f"question {count.question_id}: rule interval compares with a fresh arm")
    if count.tools_right < least:
        return False
    if not fresh.valid:
        return None
    return newcombe(count.tools_right, count.tools_decided, fresh.right, fresh.valid).low > 0


def more_often(right: int, of: int, right_before: int, of_before: int, least: int) -> bool:
    """Return whether a comparison of counts finds `right` of `of` better than before, and no less than `least`.

    Gate 2 compares what tools brought. The fresh arm, k more rollouts without any tool, is compared alike: how often
    that passes tells what the comparison is worth.
    """
    # right / of > right_before / of_before, multiplied out: exact, and no division by zero.
    return right >= least and right * of_before > right_before * of


def _benefit(count: GateCount) -> float | None:
    if not count.tools_decided or not count.plain_valid:
        return None
    return count.tools_right / count.tools_decided - count.plain_right / count.plain_valid


def _parts(telling: int, others: Mapping[str, int]) -> str:
    told = ", ".join(f"{name} {n}" for name, n in others.items() if n)
    return f"{telling} of {telling + sum(others.values())} tell; {told}"
