"""Lanes of synthesis beside tools: which questions that need no tool are kept, and for what."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from pipeline.identity import Identity, uniform
from pipeline.records import Lane, Route, Trajectory

VERSION = 1

LANES: dict[Route, Lane] = {"sft": "tools", "no_call": "no_call", "plain_cot": "plain_cot", "long_cot": "long_cot"}
"""The lane that each way out of the gates leads to."""


class LaneSettings(Identity):
    """Shares of what gate 1 finds too easy, each drawn by id; the rest is rejected."""

    VERSION: ClassVar[int] = VERSION

    no_call: float = Field(default=0.0, ge=0, le=1)
    """Answered without a call under the same tool prompt, so that the student learns when not to call. MMSearch-R1
    trains with 1,600 search-free questions of 5,000."""
    plain_cot: float = Field(default=0.0, ge=0, le=1)
    """Answered by reasoning over the picture without the tool prompt: the part that DeepEyesV2 did not release."""

    @model_validator(mode="after")
    def _shares_fit(self) -> Self:
        if self.no_call + self.plain_cot > 1:
            raise ValueError(f"no_call {self.no_call:g} and plain_cot {self.plain_cot:g} are together more than 1")
        return self


def easy_route(question_id: str, settings: LaneSettings) -> Route | None:
    """Return where a question that is too easy for tools goes all the same; None: nowhere."""
    drawn = uniform("lane", question_id)
    if drawn < settings.no_call:
        return "no_call"
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
