"""Which conversations a question takes at each stage: its arms at the gates, its lanes in synthesis."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

from filters.gates.lanes import LaneSettings
from filters.gates.rules import GateSettings
from flows.recipe.recipe import Recipe, SynthesisUse
from pipeline.prompts.sets import Role as Speaker
from pipeline.records import Mode


class Conversations(NamedTuple):
    """Conversations of one kind that a record of a stage takes."""

    rollouts: float
    """On average."""
    speaker: Speaker
    mode: Mode
    pixels: int
    """Budget of the view; 0 shows no image."""


def asks_of(stage: str, recipe: Recipe, hard: float, attempts: float) -> Sequence[Conversations]:
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


def _gate1(recipe: Recipe, hard: float) -> Sequence[Conversations]:
    """Return the plain arm, the blind one, and the survivors' arms at other pixel budgets."""
    gate, student = recipe.gate, recipe.student
    return [
        Conversations(expected_plain(gate, hard, recipe.lanes), "base", "plain", student.max_pixels),
        *([Conversations(gate.k, "base", "plain", 0)] if gate.blind else []),
        *(Conversations(gate.k * hard, "base", "plain", pixels) for pixels in recipe.other_budgets),
    ]


def _gate2(recipe: Recipe) -> Sequence[Conversations]:
    """Return the arm with tools, and the fresh one without that a share of the survivors gets, or all."""
    gate, pixels = recipe.gate, recipe.student.max_pixels
    share = 1.0 if gate.rule == "interval" else gate.fresh_share
    return [Conversations(gate.k, "base", "tools", pixels), Conversations(gate.k * share, "base", "plain", pixels)]


def _teacher(recipe: Recipe, hard: float, attempts: float) -> Sequence[Conversations]:
    """Return the attempts of a teacher by lane, so many for each question."""
    lanes, pixels = recipe.lanes, recipe.student.max_pixels
    parts = (hard * ASSUMED.unsolved, (1 - hard) * lanes.no_call, (1 - hard) * lanes.plain_cot)
    tools, no_call, plain_cot = (attempts * part / (sum(parts) or 1.0) for part in parts)
    return [
        Conversations(tools, "teacher", "tools", pixels),
        Conversations(no_call, "no_call", "tools", pixels),
        Conversations(plain_cot, "teacher", "plain", pixels),
    ]


def expected_plain(settings: GateSettings, hard: float, lanes: LaneSettings) -> float:
    """Return the expected rollouts of a question at gate 1, if all of them are answered.

    Under early stopping a rejected question ends with the rollout that is one right too many: a negative
    binomial wait. Survivors, the exempt share of the others, and the share that the lane `no_call` draws are asked all
    k times.
    """
    if not settings.early_stop:
        return settings.k
    settled = min(settings.k, (settings.max_plain_right + 1) / ASSUMED.easy_right)
    early = (1 - hard) * (1 - settings.early_stop_exempt) * (1 - lanes.no_call)
    return settings.k - early * (settings.k - settled)


def early_stop_saves(recipe: Recipe, hard: float) -> float:
    """Return the share of gate 1's plain rollouts that `gate.early_stop` would not ask for; 0 where it is on."""
    gate = recipe.gate
    stopping = expected_plain(gate.model_copy(update={"early_stop": True}), hard, recipe.lanes)
    return 1 - stopping / expected_plain(gate, hard, recipe.lanes)


@dataclass(frozen=True)
class Assumed:
    """Guesses, printed beside the numbers that rest on them."""

    screened: float = 1.0
    """Share of source rows that reach gate 1: on the safe side."""
    hard: float = 0.5
    """Share of those that pass gate 1."""
    unsolved: float = 0.5
    """Share of those that tools do not solve."""
    easy_right: float = 0.9
    """Share right among the rollouts of a question that gate 1 rejects; under early stopping."""
    accepted: float = 0.5
    """Share of a teacher's attempts."""
    undecided: float = 0.05
    """Share of answers that no rule decides, and a judge is asked about."""
    judge_tokens: int = 500
    """Of one question to a judge, its instructions included."""
    verdict_tokens: int = 60
    """Of a judge's verdict and its reason."""
    turns: int = 3
    """Assistant messages of a rollout with tools: look, look closer, answer."""
    completion_tokens: int = 250
    """Of one message: a short thought and a short program."""
    thought_tokens: int = 1_000
    """Of one message, besides, where thinking is native."""
    question_tokens: int = 60
    """Text of a question and its frame; each question has one image, as large as views get."""
    observation_tokens: int = 80
    """Text of what a call returns, beside one image."""
    tokens_per_second: float = 40.0
    """That one answer grows by, on a busy server."""
    first_token_seconds: float = 1.0
    prompt_tokens_per_second: float = 8_000.0
    """That a replica of our own reads beside what its prefix cache holds: 7 billion parameters at 2 operations each on
    one GPU of 312 TFLOP/s, of which prompts get 40 %. Larger models count as served by as many more."""
    batch_hours: float = 1.0
    """Until a batch comes back; providers promise 24."""


ASSUMED = Assumed()
CHARACTERS_PER_TOKEN = 4
"""English prose under a byte-pair vocabulary of 150,000 entries, rounded."""


def assumptions() -> dict[str, float]:
    """Return the assumptions by name."""
    return {**asdict(ASSUMED), "characters_per_token": CHARACTERS_PER_TOKEN}


def expected_attempts(use: SynthesisUse, acceptance: Sequence[float]) -> tuple[float, ...]:
    """Return the expected attempts per question of each teacher, in the recipe's order.

    What a teacher has left to do depends on who was asked before it and not on their order, so sets of teachers
    are enough.

    Args:
        use: attempts per teacher, how many must be accepted, and who is asked first.
        acceptance: per teacher, the chance that one attempt is accepted; attempts count as independent.
    """
    expected = [0.0] * len(acceptance)
    reached: dict[frozenset[int], float] = {frozenset(): 1.0}
    for _ in acceptance:
        following: dict[frozenset[int], float] = defaultdict(float)
        for before, chance in reached.items():
            for teacher, share in _next(use, before, len(acceptance)):
                tries = _attempts(use, [acceptance[other] for other in before], acceptance[teacher])
                expected[teacher] += chance * share * tries
                following[before | {teacher}] += chance * share
        reached = following
    return tuple(expected)


def _next(use: SynthesisUse, before: frozenset[int], teachers: int) -> Iterator[tuple[int, float]]:
    """Yield who may be asked after `before`, with the chance: one under `cascade`; by weight, of those left."""
    if use.policy == "cascade":
        yield len(before), 1.0
        return
    weights = use.weights or (1.0,) * teachers
    left = [teacher for teacher in range(teachers) if teacher not in before]
    total = sum(weights[teacher] for teacher in left)
    for teacher in left:
        yield teacher, weights[teacher] / total


def _attempts(use: SynthesisUse, before: Sequence[float], own: float) -> float:
    """Return a teacher's expected attempts, all of those `before` it having had theirs."""
    # waiting[n]: the chance that a question goes on with n accepted attempts.
    waiting = [1.0, *[0.0] * (use.accept - 1)]
    for accepted in before:
        for _ in range(use.attempts):
            waiting = _after_attempt(waiting, accepted)
    expected = 0.0
    for _ in range(use.attempts):
        expected += sum(waiting)
        waiting = _after_attempt(waiting, own)
    return expected


def _after_attempt(waiting: Sequence[float], accepted: float) -> list[float]:
    came = [0.0, *waiting[:-1]]
    return [stayed * (1 - accepted) + up * accepted for stayed, up in zip(waiting, came, strict=True)]
