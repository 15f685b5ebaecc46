"""What a run will ask of its models, before it has asked anything.

The first gate is exact: every row that passes is asked k times. What comes after depends on answers that
nobody has yet, so each stage has an upper limit and an expectation under the assumptions below. A run with
`--limit` measures what they guess.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

from flows.recipe import Recipe
from pipeline.prompts import Prompts


@dataclass(frozen=True)
class Assumed:
    """Guesses, printed beside the numbers that rest on them."""

    hard: float = 0.5
    """Share of questions that pass gate 1."""
    unsolved: float = 0.5
    """Share of those that tools do not solve."""
    turns: int = 3
    """Assistant messages of a rollout with tools: look, look closer, answer."""
    attempts: int = 2
    """Attempts of a teacher until one is accepted."""
    completion_tokens: int = 250
    """Of one message: a short thought and a short program."""
    question_tokens: int = 60
    """Text of a question and its frame."""


ASSUMED = Assumed()
CHARACTERS_PER_TOKEN = 4
"""English prose under a byte-pair vocabulary of 150,000 entries, rounded."""
PIXELS_PER_IMAGE_TOKEN = 28 * 28
"""Qwen2.5-VL merges patches of 14 by 14 pixels two by two."""


class StageCalls(NamedTuple):
    """What one stage asks its model."""

    stage: str
    records: int
    """Expected."""
    calls: int
    """Model samples, expected."""
    calls_at_most: int
    prompt_tokens: int
    completion_tokens: int


def estimate(recipe: Recipe, prompts: Prompts, rows: int) -> tuple[StageCalls, ...]:
    """Return the expected calls of each stage that asks a model, for `rows` source rows of one image each."""
    k, turns, tries = recipe.gate.k, recipe.rollout.max_turns, recipe.synthesize.attempts
    hard = round(rows * ASSUMED.hard)
    unsolved = round(hard * ASSUMED.unsolved)
    image = recipe.student.max_pixels // PIXELS_PER_IMAGE_TOKEN
    with_tools = min(ASSUMED.turns, turns)

    def stage(name: str, records: int, *, rollouts: int, length: int, system: str, at_most: int) -> StageCalls:
        first = len(system) // CHARACTERS_PER_TOKEN + ASSUMED.question_tokens + image
        # Every prompt repeats what was said and shown before it: a message and an image per turn.
        prompt = sum(first + turn * (ASSUMED.completion_tokens + image) for turn in range(length))
        calls = records * rollouts * length
        return StageCalls(name, records, calls, at_most, records * rollouts * prompt, calls * ASSUMED.completion_tokens)

    teachers = len(recipe.models.teachers)
    return (
        stage("gate1", rows, rollouts=k, length=1, system=prompts.system("base", "plain"), at_most=rows * k),
        stage(
            "gate2",
            hard,
            rollouts=k,
            length=with_tools,
            system=prompts.system("base", "tools"),
            at_most=rows * k * turns,
        ),
        stage(
            "synthesize",
            unsolved,
            rollouts=min(ASSUMED.attempts, tries),
            length=with_tools,
            system=prompts.system("teacher", "tools"),
            at_most=rows * teachers * tries * turns,
        ),
    )


def assumptions() -> dict[str, float]:
    """Return the assumptions by name."""
    return asdict(ASSUMED)
