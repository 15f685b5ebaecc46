"""Lanes of synthesis beside tools: which questions that need no tool are kept, and for what."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from pipeline.identity import Identity, uniform
from pipeline.records import GateCount, Lane, Route, Trajectory

VERSION = 3

LANES: dict[Route, Lane] = {"sft": "tools", "no_call": "no_call", "plain_cot": "plain_cot", "long_cot": "long_cot"}
"""The lane that each way out of the gates leads to."""


class LaneSettings(Identity):
    """Shares of what gate 1 finds too easy, each drawn by id; the rest is rejected."""

    VERSION: ClassVar[int] = VERSION

    no_call: float = Field(default=0.0, ge=0, le=1)
    """Answered without a call under the same tool prompt, so that the student learns when not to call. MMSearch-R1
    trains with 1,600 search-free questions of 5,000."""
    no_call_right: int | None = Field(default=None, ge=1)
    """A question of this lane is right in at least so many of k plain rollouts; None: in all. Where a model without
    tools is right at times, a call might have helped, and not to call is the wrong lesson."""
    plain_cot: float = Field(default=0.0, ge=0, le=1)
    """Answered by reasoning over the picture without the tool prompt: the part that DeepEyesV2 did not release."""

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if self.no_call + self.plain_cot > 1:
            raise ValueError(f"no_call {self.no_call:g} and plain_cot {self.plain_cot:g} are together more than 1")
        if self.no_call_right is not None and not self.no_call:
            raise ValueError("no_call_right is about the lane no_call, which keeps nothing; set no_call, or remove it")
        return self

    def draws_no_call(self, question_id: str) -> bool:
        """Return whether a question may come to the lane `no_call`: then gate 1 asks it all k times."""
        return uniform("lane", question_id) < self.no_call


def easy_route(count: GateCount, settings: LaneSettings) -> Route | None:
    """Return where a question that is too easy for tools goes all the same; None: nowhere."""
    if settings.draws_no_call(count.question_id):
        if settings.no_call_right is not None:
            return "no_call" if count.plain_right >= settings.no_call_right else None
        # What was topped up was not right in one of the first k.
        return "no_call" if count.plain_right == count.plain_asked == count.k else None
    drawn = uniform("lane", count.question_id)
    return "plain_cot" if drawn < settings.no_call + settings.plain_cot else None


def lane_of(trajectory: Trajectory) -> Lane:
    """Return the lane of a trajectory of synthesis.

    Raises:
        ValueError: it is a rollout of a gate, which teaches nothing.
    """
    match trajectory.arm:
        case "tools" | "no_call" | "plain_cot" | "long_cot":
            return trajectory.arm
        case other:
            raise ValueError(f"trajectory {trajectory.id} is of the gate arm {other}, not of a lane")
