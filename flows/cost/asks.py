"""Which conversations a question takes at each stage: its arms at the gates, its lanes in synthesis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from filters.gates.rules import GateSettings
from flows.cost.assumed import ASSUMED
from flows.recipe import Recipe
from pipeline.prompts.sets import Role as Speaker
from pipeline.records import Mode


class Ask(NamedTuple):
    """Conversations of one kind that a record of a stage takes."""

    rollouts: float
    """On average."""
    speaker: Speaker
    mode: Mode
    pixels: int
    """Budget of the view; 0 shows no image."""


def asks_of(stage: str, recipe: Recipe, hard: float, attempts: float) -> Sequence[Ask]:
    """Return what a record of a stage takes.

    Args:
        stage: `gate1`, `gate2` or `synthesize`.
        recipe: what is asked for.
        hard: share of questions that pass gate 1.
        attempts: expected attempts at one question, of the teacher that is meant.
    """
    match stage:
        case "gate1":
            return _gate1(recipe, hard)
        case "gate2":
            return _gate2(recipe)
        case _:
            return _teacher(recipe, hard, attempts)


def _gate1(recipe: Recipe, hard: float) -> Sequence[Ask]:
    """Return the plain arm, the blind one, and the survivors' arms at other pixel budgets."""
    gate, student = recipe.gate, recipe.student
    return [
        Ask(expected_plain(gate, hard), "base", "plain", student.max_pixels),
        *([Ask(gate.k, "base", "plain", 0)] if gate.blind else []),
        *(Ask(gate.k * hard, "base", "plain", pixels) for pixels in recipe.other_budgets),
    ]


def _gate2(recipe: Recipe) -> Sequence[Ask]:
    """Return the arm with tools, and the fresh one without that a share of the survivors gets, or all."""
    gate, pixels = recipe.gate, recipe.student.max_pixels
    share = 1.0 if gate.rule == "interval" else gate.fresh_share
    return [Ask(gate.k, "base", "tools", pixels), Ask(gate.k * share, "base", "plain", pixels)]


def _teacher(recipe: Recipe, hard: float, attempts: float) -> Sequence[Ask]:
    """Return the attempts of a teacher by lane, so many for each question."""
    lanes, pixels = recipe.lanes, recipe.student.max_pixels
    parts = (hard * ASSUMED.unsolved, (1 - hard) * lanes.no_call, (1 - hard) * lanes.plain_cot)
    tools, no_call, plain_cot = (attempts * part / (sum(parts) or 1.0) for part in parts)
    return [
        Ask(tools, "teacher", "tools", pixels),
        Ask(no_call, "no_call", "tools", pixels),
        Ask(plain_cot, "teacher", "plain", pixels),
    ]


def expected_plain(settings: GateSettings, hard: float) -> float:
    """Return the expected rollouts of a question at gate 1.

    Under early stopping a rejected question ends with the rollout that is one right too many: a negative
    binomial wait. Survivors, and the exempt share of the others, are asked all k times.
    """
    if not settings.early_stop:
        return settings.k
    settled = min(settings.k, (settings.max_plain_right + 1) / ASSUMED.easy_right)
    early = (1 - hard) * (1 - settings.early_stop_exempt)
    return settings.k - early * (settings.k - settled)
