"""What a run will ask of its models, before it has asked anything.

The first gate is exact: every row that reaches it is asked k times. What comes after depends on answers that
nobody has yet, so each stage has an expectation under the assumptions below and an upper limit. A pilot
replaces assumptions by what it measured (`flows.cost.pilot`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from filters.gates import GateSettings
from flows.cost.assumed import ASSUMED, CHARACTERS_PER_TOKEN
from flows.cost.measure import Measured, Measures
from flows.cost.roles import Load, Pace, cost, hours, in_batches, thinks, view_tokens
from flows.cost.teaching import expected_attempts
from flows.recipe import Recipe, Role, calls_by_api
from pipeline.prompts import Prompts
from pipeline.prompts import Role as Speaker
from pipeline.records import Mode


class Expected(NamedTuple):
    """What one stage asks one model."""

    stage: str
    model: str
    """Its place in the recipe's `models`."""
    basis: str
    """`assumed`, or `measured` where a pilot has asked."""
    records: int
    calls: int
    """Model samples."""
    calls_at_most: int
    prompt_tokens: int
    """Of all turns: each sends the whole conversation again."""
    cached_tokens: int
    """Of the prompt's: what a prefix cache would serve. None in batches, which promise no cache."""
    completion_tokens: int
    batch: bool
    cost: float | None
    """By the role's `price`; None where it has none."""
    hours: float | None
    """None for the embedded reader."""


class Totals(NamedTuple):
    """The sum of a plan."""

    calls: int
    batch_calls: int
    """Of the calls: those in batches."""
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost: float | None
    """None where no model has a price."""
    hours: float | None
    """Stages follow one another; so do the teachers of a question, whose hours are summed."""


def estimate(recipe: Recipe, prompts: Prompts, rows: int, measured: Measures | None = None) -> tuple[Expected, ...]:
    """Return the expected calls of each stage and model, for `rows` source rows.

    `measured` takes the place of assumptions wherever it has seen a model asked.
    """
    plan = _Plan(recipe, prompts, rows, measured)
    reached = plan.reached()
    k, turns = recipe.gate.k, recipe.rollout.max_turns
    base, teachers = recipe.models.base, recipe.models.teachers
    attempts = expected_attempts(recipe.synthesize, plan.acceptance())
    lines = [
        plan.line("gate1", "base", base, reached["gate1"], plan.gate1_rollouts(), at_most=rows * k),
        plan.line("gate2", "base", base, reached["gate2"], k, at_most=rows * k * turns),
    ]
    most = rows * recipe.synthesize.attempts * turns
    for number, (teacher, tries) in enumerate(zip(teachers, attempts, strict=True)):
        lines.append(plan.line("synthesize", f"teachers.{number}", teacher, reached["synthesize"], tries, at_most=most))
    return tuple(lines)


def totals(lines: Sequence[Expected]) -> Totals:
    """Return the sum of all lines."""
    costs = [line.cost for line in lines if line.cost is not None]
    times = [line.hours for line in lines if line.hours is not None]
    return Totals(
        calls=sum(line.calls for line in lines),
        batch_calls=sum(line.calls for line in lines if line.batch),
        prompt_tokens=sum(line.prompt_tokens for line in lines),
        cached_tokens=sum(line.cached_tokens for line in lines),
        completion_tokens=sum(line.completion_tokens for line in lines),
        cost=sum(costs) if costs else None,
        hours=sum(times) if times else None,
    )


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


@dataclass(frozen=True)
class _Plan:
    """A recipe, and what is known about it."""

    recipe: Recipe
    prompts: Prompts
    rows: int
    measured: Measures | None

    def reached(self) -> Mapping[str, float]:
        """Return the expected records of each stage that asks a model."""
        if self.measured is not None:
            return {stage: self.rows * share for stage, share in self.measured.reach.items()}
        gate1 = self.rows * ASSUMED.screened
        gate2 = gate1 * ASSUMED.hard
        return {"gate1": gate1, "gate2": gate2, "synthesize": gate2 * ASSUMED.unsolved}

    def acceptance(self) -> tuple[float, ...]:
        """Return the share of attempts that is accepted, per teacher."""
        seen = self.measured.accepted if self.measured is not None else {}
        names = [f"teachers.{number}" for number in range(len(self.recipe.models.teachers))]
        return tuple(seen[name].value if name in seen else ASSUMED.accepted for name in names)

    def gate1_rollouts(self) -> float:
        hard = ASSUMED.hard if self.measured is None else self.measured.hard
        return expected_plain(self.recipe.gate, hard)

    def line(self, stage: str, name: str, role: Role, records: float, rollouts: float, *, at_most: int) -> Expected:
        seen = None if self.measured is None else self.measured.of(stage, name)
        load = self._assumed(stage, role, records, rollouts) if seen is None else _as_measured(seen, records)
        if in_batches(role):
            load = load._replace(cached_tokens=0.0)
        pace = Pace(ASSUMED.tokens_per_second, ASSUMED.first_token_seconds, ASSUMED.batch_hours)
        money, time = cost(role, load), hours(role, self.recipe, load, pace)
        # More rows make a batch larger and hardly slower, so a pilot's time tells nothing of theirs.
        if seen is not None and seen.wall_seconds is not None and not in_batches(role):
            time = seen.wall_seconds * records / 3_600
        return Expected(
            stage=stage,
            model=name,
            basis="assumed" if seen is None else "measured",
            records=round(records),
            calls=round(load.calls),
            calls_at_most=at_most,
            prompt_tokens=round(load.prompt_tokens),
            cached_tokens=round(load.cached_tokens),
            completion_tokens=round(load.completion_tokens),
            batch=in_batches(role),
            cost=None if money is None else round(money, 4),
            hours=None if time is None else round(time, 4),
        )

    def _assumed(self, stage: str, role: Role, records: float, rollouts: float) -> Load:
        """Return the load of `records` questions with `rollouts` conversations each."""
        plain = stage == "gate1"
        speaker: Speaker = "teacher" if stage == "synthesize" else "base"
        mode: Mode = "plain" if plain else "tools"
        turns = 1 if plain else min(ASSUMED.turns, self.recipe.rollout.max_turns)
        text = self.prompts.system(speaker, mode, native=calls_by_api(role))
        system = len(text) // CHARACTERS_PER_TOKEN
        image = view_tokens(role, self.recipe)
        said = min(ASSUMED.completion_tokens, role.sampling.max_tokens)
        question = ASSUMED.question_tokens + image
        # What every later turn adds to the prompt: the last message, and what was shown after it.
        step = said + ASSUMED.observation_tokens + image
        conversations = records * rollouts
        prompt = conversations * sum(system + question + turn * step for turn in range(turns))
        # New in a prompt are a question's first sight and each turn's step; all rollouts share the beginning.
        fresh = records * min(rollouts, 1) * question + conversations * (turns - 1) * step
        paid = said + (ASSUMED.thought_tokens if thinks(role) else 0)
        return Load(
            calls=conversations * turns,
            prompt_tokens=prompt,
            cached_tokens=max(0.0, prompt - fresh - system),
            completion_tokens=conversations * turns * paid,
            # A teacher's attempts follow one another, the rollouts of a gate do not.
            waves=turns * max(1.0, rollouts) if stage == "synthesize" else turns,
        )


def _as_measured(seen: Measured, records: float) -> Load:
    scale = records / seen.records if seen.records else 0.0
    return Load(
        calls=seen.calls * scale,
        prompt_tokens=seen.prompt_tokens * scale,
        cached_tokens=seen.cached_tokens * scale,
        completion_tokens=seen.completion_tokens * scale,
        waves=seen.turns_per_record,
    )
