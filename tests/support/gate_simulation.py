"""What gate 1 makes of questions whose true rate of success is known, when some rollouts fail to answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from filters.gates.counts import TOP_UP, Kind, answered
from filters.gates.rules import GateSettings, gate1
from tests.support.builders import gate_count
from tests.support.cases.gate_counts import asked_of, plain_numbers

RATE = 0.1
"""Of right answers, among those that a question gets: a hard question."""
SHARES = (1.0, 0.8, 0.6, 0.5)
"""Of rollouts that can be graded."""
SETTINGS = GateSettings()
ALIKE = 2.0
"""a + b of the beta distribution from which a question draws its own share of failures, if these cluster: at a half it
is uniform, so that some questions get no answer and others all."""


class Simulated(NamedTuple):
    """Shares of the questions, and how many rollouts each of them took."""

    kept: float
    too_easy: float
    undecided: float
    asked: float


def questions(share: float, n: int, *, clustered: bool, seed: int = 0) -> list[list[Kind]]:
    """Return n questions with all rollouts that gate 1 may ask for, in the order of samples.

    Args:
        share: of rollouts that can be graded, over all questions.
        n: questions.
        clustered: failures of one question are alike; else every rollout fails by itself.
        seed: of the draw.
    """
    draw = np.random.default_rng(seed)
    own = draw.beta(ALIKE * share, ALIKE * (1 - share), n) if clustered and share < 1 else np.full(n, share)
    size = (n, TOP_UP * SETTINGS.k)
    graded: NDArray[np.bool_] = draw.random(size) < own[:, None]
    right: NDArray[np.bool_] = draw.random(size) < RATE
    answers: tuple[Kind, Kind] = ("wrong", "right")
    return [
        [answers[hit] if told else "malformed" for told, hit in zip(*one, strict=True)]
        for one in zip(graded.tolist(), right.tolist(), strict=True)
    ]


def now(asked: Sequence[Sequence[Kind]]) -> Simulated:
    """Return what gate 1 decides, asking as it does."""
    ways, rollouts = Counter[str](), 0
    for kinds in asked:
        done = asked_of(kinds, SETTINGS)
        ways[gate1(gate_count(**plain_numbers(done, SETTINGS.k)), SETTINGS).reason] += 1
        rollouts += len(done)
    return _shares(ways, rollouts)


def before(asked: Sequence[Sequence[Kind]]) -> Simulated:
    """Return what it decided before it topped up: by k rollouts, hard only if all that failed could have been right."""
    ways, k, most = Counter[str](), SETTINGS.k, SETTINGS.max_plain_right
    for kinds in asked:
        seen = Counter(kinds[:k])
        right, valid = seen["right"], answered(seen)
        hard = valid >= SETTINGS.enough and right + k - valid <= most
        ways["too_easy" if right > most else "" if hard else "undecided"] += 1
    return _shares(ways, k * len(asked))


def _shares(ways: Counter[str], rollouts: int) -> Simulated:
    n = ways.total()
    return Simulated(ways[""] / n, ways["too_easy"] / n, ways["undecided"] / n, rollouts / n)
