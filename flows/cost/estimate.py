"""What a run will ask of its models, before it has asked anything.

The first gate is exact: every row that reaches it is asked k times. What comes after depends on answers that
nobody has yet, so each stage has an expectation under the assumptions below and an upper limit. A pilot
replaces assumptions by what it measured (`flows.plan.pilot`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from filters.gates.counts import TOP_UP
from flows.cost.asks import ASSUMED, CHARACTERS_PER_TOKEN, Conversations, asks_of, expected_attempts
from flows.cost.measure import ASKING, Measured, Measures
from flows.cost.prices import Load, Pace, cost, gpus, hours, in_batches, thinks, view_tokens
from flows.recipe.inputs import Inputs
from flows.recipe.recipe import Recipe
from flows.recipe.roles import Role, calls_by_api
from pipeline.models.samples import Budget
from pipeline.prompts.sets import Prompts


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
    gpu_hours: float | None
    """Of the GPUs that `serve` takes; None where the recipe starts no server."""


class Rows(NamedTuple):
    """Source rows."""

    asked: int
    """That models are asked about."""
    solved: int = 0
    """That bring their solution along: of the lane `long_cot`, for which no model is asked."""

    @property
    def total(self) -> int:
        """Return how many there are."""
        return self.asked + self.solved


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
    gpu_hours: float | None
    hours: float | None
    """Stages follow one another; so do the teachers of a question, whose hours are summed."""


def estimate(recipe: Recipe, prompts: Prompts, rows: Rows, measured: Measures | None = None) -> tuple[Expected, ...]:
    """Return the expected calls of each stage and model, all arms and lanes together.

    `measured` takes the place of assumptions wherever it has seen a model asked.
    """
    plan = _Plan(recipe, prompts, rows, measured)
    reached, models = plan.reached(), recipe.models
    lines = [
        plan.line("gate1", "base", models.base, reached["gate1"], plan.asks("gate1", 0)),
        plan.line("gate2", "base", models.base, reached["gate2"], plan.asks("gate2", 0)),
    ]
    if models.stronger is not None:
        k = Conversations(recipe.gate.k, "base", "plain", recipe.student.max_pixels)
        lines.insert(1, plan.line("gate1", "stronger", models.stronger, reached["gate1"] * plan.hard(), [k]))
    attempts = expected_attempts(recipe.synthesize, plan.acceptance())
    for number, (teacher, tries) in enumerate(zip(models.teachers, attempts, strict=True)):
        name = f"teachers.{number}"
        lines.append(plan.line("synthesize", name, teacher, reached["synthesize"], plan.asks("synthesize", tries)))
    if models.judge is not None:
        lines += [plan.judge_line(stage, models.judge, sum(attempts)) for stage in ASKING]
    return tuple(lines)


def rows_of(inputs: Inputs) -> Rows:
    """Return the rows of a run."""
    return Rows(len(inputs.rows) - inputs.rows.left_out - inputs.solved, inputs.solved)


def totals(lines: Sequence[Expected]) -> Totals:
    """Return the sum of all lines."""
    costs = [line.cost for line in lines if line.cost is not None]
    times = [line.hours for line in lines if line.hours is not None]
    of_gpus = [line.gpu_hours for line in lines if line.gpu_hours is not None]
    return Totals(
        calls=sum(line.calls for line in lines),
        batch_calls=sum(line.calls for line in lines if line.batch),
        prompt_tokens=sum(line.prompt_tokens for line in lines),
        cached_tokens=sum(line.cached_tokens for line in lines),
        completion_tokens=sum(line.completion_tokens for line in lines),
        cost=sum(costs) if costs else None,
        hours=sum(times) if times else None,
        gpu_hours=sum(of_gpus) if of_gpus else None,
    )


class Place(NamedTuple):
    """Who is asked where, and how that is known."""

    stage: str
    name: str
    role: Role
    basis: str = "assumed"


@dataclass(frozen=True)
class _Plan:
    """A recipe, and what is known about it."""

    recipe: Recipe
    prompts: Prompts
    rows: Rows
    measured: Measures | None

    def hard(self) -> float:
        """Return the share of questions that pass gate 1."""
        return ASSUMED.hard if self.measured is None else self.measured.hard

    def reached(self) -> Mapping[str, float]:
        """Return the expected records of each stage that asks a model."""
        if self.measured is not None:
            return {stage: self.rows.total * share for stage, share in self.measured.reach.items()}
        gate1 = self.rows.asked * ASSUMED.screened
        gate2 = gate1 * ASSUMED.hard
        easy = (gate1 - gate2) * (self.recipe.lanes.no_call + self.recipe.lanes.plain_cot)
        return {"gate1": gate1, "gate2": gate2, "synthesize": gate2 * ASSUMED.unsolved + easy}

    def acceptance(self) -> tuple[float, ...]:
        """Return the share of attempts that is accepted, per teacher."""
        seen = self.measured.accepted if self.measured is not None else {}
        names = [f"teachers.{number}" for number in range(len(self.recipe.models.teachers))]
        return tuple(seen[name].value if name in seen else ASSUMED.accepted for name in names)

    def asks(self, stage: str, attempts: float) -> Sequence[Conversations]:
        """Return what a record of a stage takes; `attempts` are those of whoever is asked in synthesis."""
        return asks_of(stage, self.recipe, self.hard(), attempts)

    def line(self, stage: str, name: str, role: Role, records: float, asks: Sequence[Conversations]) -> Expected:
        seen = None if self.measured is None else self.measured.of(stage, name)
        load = self._assumed(stage, role, records, asks) if seen is None else _as_measured(seen, records)
        if in_batches(role):
            load = load._replace(cached_tokens=0.0)
        time = hours(role, self.recipe, load, PACE)
        # More rows make a batch larger and hardly slower, so a pilot's time tells nothing of theirs.
        if seen is not None and seen.wall_seconds is not None and not in_batches(role):
            time = seen.wall_seconds * records / 3_600
        basis = "assumed" if seen is None else "measured"
        return _expected(Place(stage, name, role, basis), records, load, self._at_most(stage, name), time)

    def judge_line(self, stage: str, judge: Role, attempts: float) -> Expected:
        """Return what a judge is asked: about undecided answers, and at gate 1 about survivors if the recipe says so.

        `attempts` are those of all teachers at one question.
        """
        votes, records = self.recipe.judge.votes, self.reached()[stage]
        rollouts = records * sum(ask.rollouts for ask in self.asks(stage, attempts))
        asked = stage == "gate1" and self.recipe.gate.judge_questions
        survivors = records * self.hard() if asked else 0.0
        calls = votes * (rollouts * ASSUMED.undecided + survivors)
        image = view_tokens(judge, self.recipe, self.recipe.student.max_pixels)
        prompt = calls * ASSUMED.judge_tokens + votes * survivors * image
        load = Load(calls, prompt, 0.0, calls * ASSUMED.verdict_tokens, 1)
        conversations = max(self._at_most(stage, "base") // self._turns(stage), 1) + (self.rows.asked if asked else 0)
        time = hours(judge, self.recipe, load, PACE)
        return _expected(Place(stage, "judge", judge), records, load, votes * conversations, time)

    def _turns(self, stage: str) -> int:
        return 1 if stage == "gate1" else self.recipe.rollout.max_turns

    def _at_most(self, stage: str, name: str) -> int:
        """Return the calls if every row came here and every conversation were as long as it may be."""
        recipe, turns = self.recipe, self.recipe.rollout.max_turns
        k = recipe.gate.k
        match stage, name:
            case "gate1", "base":
                arms = TOP_UP + recipe.gate.blind + len(recipe.other_budgets)
                return self.rows.asked * k * arms
            case "gate1", _:
                return self.rows.asked * k
            case "gate2", _:
                fresh = recipe.gate.rule == "interval" or recipe.gate.fresh_share > 0
                return self.rows.asked * k * (turns + fresh)
            case _:
                return self.rows.asked * recipe.synthesize.attempts * turns

    def _assumed(self, stage: str, role: Role, records: float, asks: Sequence[Conversations]) -> Load:
        loads = [self._assumed_of(stage, role, records, ask) for ask in asks if ask.rollouts]
        return Load(
            calls=sum(load.calls for load in loads),
            prompt_tokens=sum(load.prompt_tokens for load in loads),
            cached_tokens=sum(load.cached_tokens for load in loads),
            completion_tokens=sum(load.completion_tokens for load in loads),
            waves=max((load.waves for load in loads), default=0.0),
        )

    def _assumed_of(self, stage: str, role: Role, records: float, ask: Conversations) -> Load:
        """Return the load of `records` questions with conversations of one kind."""
        # Who shows that no call is needed makes none.
        talks = ask.mode == "tools" and ask.speaker != "no_call"
        turns = min(ASSUMED.turns, self.recipe.rollout.max_turns) if talks else 1
        text = self.prompts.system(ask.speaker, ask.mode, native=calls_by_api(role))
        system = len(text) // CHARACTERS_PER_TOKEN
        image = view_tokens(role, self.recipe, ask.pixels) if ask.pixels else 0
        said = min(ASSUMED.completion_tokens, role.sampling.max_tokens)
        question = ASSUMED.question_tokens + image
        # What every later turn adds to the prompt: the last message, and what was shown after it.
        step = said + ASSUMED.observation_tokens + image
        conversations = records * ask.rollouts
        prompt = conversations * sum(system + question + turn * step for turn in range(turns))
        # New in a prompt are a question's first sight and each turn's step; all rollouts share the beginning.
        fresh = records * min(ask.rollouts, 1) * question + conversations * (turns - 1) * step
        paid = said + (ASSUMED.thought_tokens if thinks(role) else 0)
        return Load(
            calls=conversations * turns,
            prompt_tokens=prompt,
            cached_tokens=max(0.0, prompt - fresh - system),
            completion_tokens=conversations * turns * paid,
            # A teacher's attempts follow one another, the rollouts of a gate do not.
            waves=turns * max(1.0, ask.rollouts) if stage == "synthesize" else turns,
        )


PACE = Pace(
    ASSUMED.tokens_per_second, ASSUMED.first_token_seconds, ASSUMED.prompt_tokens_per_second, ASSUMED.batch_hours
)


def _expected(place: Place, records: float, load: Load, at_most: int, time: float | None) -> Expected:
    money, taken = cost(place.role, load), gpus(place.role)
    return Expected(
        stage=place.stage,
        model=place.name,
        basis=place.basis,
        records=round(records),
        calls=round(load.calls),
        calls_at_most=at_most,
        prompt_tokens=round(load.prompt_tokens),
        cached_tokens=round(load.cached_tokens),
        completion_tokens=round(load.completion_tokens),
        batch=in_batches(place.role),
        cost=None if money is None else round(money, 4),
        hours=None if time is None else round(time, 4),
        gpu_hours=None if time is None or taken is None else round(time * taken, 4),
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


class Reached(NamedTuple):
    """A limit below what is expected."""

    limit: str
    """A field of `runtime.budget`."""
    value: float
    expected: float
    stage: str
    """Where the run would stop."""
    share: float
    """Of that stage's calls to that model, when it stops."""


def reached_limits(budget: Budget, lines: Sequence[Expected]) -> tuple[Reached, ...]:
    """Return the limits that a run is expected to reach, the one that stops it first."""
    spent = {
        "max_cost": [line.cost or 0.0 for line in lines],
        "max_tokens": [float(line.prompt_tokens + line.completion_tokens) for line in lines],
        "max_calls": [float(line.calls) for line in lines],
    }
    found = []
    for limit, value in budget._asdict().items():
        sums = list(accumulate(spent[limit]))
        if value is None or sums[-1] < value:
            continue
        place = next(number for number, total in enumerate(sums) if total >= value)
        share = 1 - (sums[place] - value) / spent[limit][place]
        found.append((place, Reached(limit, value, sums[-1], lines[place].stage, round(share, 4))))
    return tuple(reached for _, reached in sorted(found, key=lambda item: (item[0], item[1].share)))
