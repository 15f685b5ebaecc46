"""What a plan tells of the gates before they ask: from where on luck does not count, and what could be saved."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from filters.answers.chance import COUNTS
from filters.gates.rules import GateSettings
from flows.cost.asks import early_stop_saves, expected_plain
from flows.cost.estimate import Expected
from flows.recipe.recipe import Recipe


class Floor(NamedTuple):
    """How many right rollouts help of tools takes for questions of one form."""

    form: str
    chance: float
    """That a guess is right."""
    right: int | None
    """Of k; None: luck is right too often in any number of k, so that no such question goes to RL."""


class Saving(NamedTuple):
    """What `gate.early_stop` would not ask for."""

    calls: int
    share: float
    """Of gate 1's plain rollouts."""


FORMS = (
    ("yes or no, two options", 1 / 2),
    ("three options", 1 / 3),
    ("four options", 1 / 4),
    ("five options", 1 / 5),
    (f"a count up to {COUNTS}", 1 / COUNTS),
    ("any other", 0.0),
)
"""Forms of questions, with the chance of `filters.answers.chance.chance`."""


def floors(gate: GateSettings) -> tuple[Floor, ...]:
    """Return the least number right after a call that counts as help, by the form of a question."""
    found = ((form, chance, max(gate.min_tools_right, gate.floor(chance))) for form, chance in FORMS)
    return tuple(Floor(form, round(chance, 4), right if right <= gate.k else None) for form, chance, right in found)


def early_stop_saving(recipe: Recipe, lines: Sequence[Expected]) -> Saving | None:
    """Return what stopping gate 1 early would save of an estimate; None where it is on, or saves nothing."""
    records = {line.stage: line.records for line in lines if line.model == "base"}
    if recipe.gate.early_stop or not records.get("gate1"):
        return None
    hard = min(1.0, records["gate2"] / records["gate1"])
    share = early_stop_saves(recipe, hard)
    calls = round(records["gate1"] * expected_plain(recipe.gate, hard, recipe.lanes) * share)
    return Saving(calls, round(share, 4)) if calls else None
