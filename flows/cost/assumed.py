"""What a plan assumes where nothing was measured."""

from __future__ import annotations

from dataclasses import asdict, dataclass


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
    batch_hours: float = 1.0
    """Until a batch comes back; providers promise 24."""


ASSUMED = Assumed()
CHARACTERS_PER_TOKEN = 4
"""English prose under a byte-pair vocabulary of 150,000 entries, rounded."""


def assumptions() -> dict[str, float]:
    """Return the assumptions by name."""
    return {**asdict(ASSUMED), "characters_per_token": CHARACTERS_PER_TOKEN}
