"""How models are asked in each arm of the gates and in each lane of synthesis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

from flows.asking.judge import Judge
from flows.asking.resources import Stock
from flows.recipe.inputs import Inputs
from flows.recipe.recipe import Recipe
from flows.recipe.roles import Role, calls_by_api
from pipeline.dialects import Dialect, by_name
from pipeline.identity import canonical_json
from pipeline.models.chat import ChatModel
from pipeline.prompts.judge_prompts import load_judge_prompts
from pipeline.prompts.sets import Prompts
from pipeline.prompts.sets import Role as Speaker
from pipeline.records import Arm, Mode, Purpose
from pipeline.rollout.loop import Setting


class _Asked(NamedTuple):
    """Which model is asked, as whom and for what."""

    model: ChatModel
    role: Role
    speaker: Speaker
    purpose: Purpose
    arm: Arm
    mode: Mode


def gate_setting(recipe: Recipe, inputs: Inputs, stock: Stock, arm: Arm, mode: Mode) -> Setting:
    """Return how the base model is asked in an arm of a gate; in `stronger`, how that model is."""
    model, role = stock.base, recipe.models.base
    if arm == "stronger":
        if stock.stronger is None or recipe.models.stronger is None:
            raise AssertionError("there is no stronger model to ask")
        model, role = stock.stronger, recipe.models.stronger
    return _setting(recipe, inputs.prompts, _Asked(model, role, "base", "gate", arm, mode))


TaughtLane = Literal["tools", "no_call", "plain_cot"]
"""Lanes in which teachers are asked; the texts of `long_cot` bring their solution along."""

TAUGHT: Mapping[TaughtLane, tuple[Speaker, Mode]] = {
    "tools": ("teacher", "tools"),
    "no_call": ("no_call", "tools"),
    "plain_cot": ("teacher", "plain"),
}
"""Under which prompts teachers are asked."""


def teacher_settings(recipe: Recipe, inputs: Inputs, stock: Stock, lane: TaughtLane) -> tuple[Setting, ...]:
    """Return how each teacher is asked in a lane, in the recipe's order."""
    speaker, mode = TAUGHT[lane]
    pairs = zip(stock.teachers, recipe.models.teachers, strict=True)
    asked = (_Asked(model, role, speaker, "synthesis", lane, mode) for model, role in pairs)
    return tuple(_setting(recipe, inputs.prompts, one) for one in asked)


class PlainPrompt(NamedTuple):
    """Under which prompts a student is trained on a text that has its solution."""

    system: str
    user_template: str
    prompts: str
    """Canonical JSON: role → sha256."""
    dialect: Dialect
    view: str
    """Canonical JSON, as of any rollout."""
    seed: int
    count: Callable[[str], int]
    """Returns the tokens of a text."""


def plain_prompt(recipe: Recipe, inputs: Inputs) -> PlainPrompt:
    """Return what a student without tools is told."""
    prompts, rule = inputs.prompts, recipe.student.view_rule
    return PlainPrompt(
        system=prompts.system("export", "plain"),
        user_template=prompts.user("export", "plain"),
        prompts=canonical_json({"export/plain": prompts.hash("export", "plain")}),
        dialect=by_name(recipe.dialect),
        view=canonical_json({"family": rule.family, "max_pixels": rule.max_pixels, "policy": rule.policy, "seen": []}),
        seed=recipe.seed,
        count=inputs.tokens.count,
    )


def open_judge(recipe: Recipe, stock: Stock) -> Judge | None:
    """Return the judge of a recipe, None where it names none.

    Raises:
        UsageError: its prompts or its sampling are wrong.
    """
    role = recipe.models.judge
    if role is None or stock.judge is None:
        return None
    return Judge(
        model=stock.judge,
        sampling=role.sampling,
        seed=recipe.seed,
        calls=stock.world.calls,
        views=stock.world.views,
        prompts=load_judge_prompts(),
        settings=recipe.judge,
    )


def _setting(recipe: Recipe, prompts: Prompts, asked: _Asked) -> Setting:
    dialect, native = by_name(recipe.dialect), calls_by_api(asked.role)
    text_hash = prompts.hash(asked.speaker, asked.mode, native=native)
    return Setting(
        purpose=asked.purpose,
        arm=asked.arm,
        mode=asked.mode,
        dialect=dialect,
        tools=dialect.tools if native and asked.mode == "tools" else "",
        model=asked.model,
        sampling=asked.role.sampling,
        seed=recipe.seed,
        system=prompts.system(asked.speaker, asked.mode, native=native),
        user_template=prompts.user(asked.speaker, asked.mode),
        prompts=canonical_json({f"{asked.speaker}/{asked.mode}": text_hash}),
        limits=recipe.rollout.limits,
    )
