"""What one grader says of one answer."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Grade(NamedTuple):
    """A verdict and the name of the rule that gave it."""

    verdict: Literal["right", "wrong", "undecided"]
    rule: str
