"""What a run measured of a question, for whoever mixes or filters the rows of an export."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Labels(BaseModel):
    """Measurements of one question; None where a run did not make one. Valid = right + wrong rollouts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plain_right: int | None = None
    """Of the base model's rollouts without tools (gate 1)."""
    plain_valid: int | None = None
    tools_right: int | None = None
    """With tools, after at least one call that showed something (gate 2)."""
    tools_valid: int | None = None
    difficulty: float | None = None
    """Share of the valid rollouts without tools that were wrong; None where asking was stopped early."""
    benefit: float | None = None
    """Share right with tools, called for or not, minus that of fresh rollouts without: those of gate 1 chose the
    question and would flatter the tools."""
    benefit_low: float | None = None
    """Ends of its 95 % interval (Newcombe)."""
    benefit_high: float | None = None
    blind_right: int | None = None
    """Of rollouts that were shown no image."""
    blind_valid: int | None = None
    resolution_artifact: bool | None = None
    """Easy at the student's `deploy_pixels`: hard for nothing but the training's budget."""
    chance: float | None = None
    """Of guessing right without seeing anything."""
    majority_answer: str | None = None
    """The most frequent answer among questions of the same template."""
    majority_share: float | None = None
    """Of them with that answer."""
    is_majority: bool | None = None
    """Whether this question has it."""
