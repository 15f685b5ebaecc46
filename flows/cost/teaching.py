"""How often each teacher is expected to be asked: attempts in order, until enough are accepted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from flows.recipe import SynthesisUse


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
