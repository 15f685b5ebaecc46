"""Sums that are asked for in words: worked out in Python, or in the head, where long ones go wrong."""

from __future__ import annotations

import random
import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Final, NamedTuple

_OPERATORS: Final = {
    "+": "+",
    "plus": "+",
    "-": "-",
    "\u2212": "-",
    "minus": "-",
    "*": "*",
    "x": "*",
    "\u00d7": "*",
    "times": "*",
    "multiplied by": "*",
    "/": "/",
    "\u00f7": "/",
    "divided by": "/",
}
"""As they are written → as Python writes them."""
_NUMBER = r"(-?(?:0|[1-9]\d{0,14})(?:\.\d{1,6})?)"
_ASKED = re.compile(
    rf"(?:(?:what is|how much is|compute|calculate|work out) )?{_NUMBER}"
    rf" ({'|'.join(map(re.escape, _OPERATORS))}) {_NUMBER} ?[=?.]*",
    re.IGNORECASE,
)
_EASY = 1_000
"""A result below this is found in the head without a slip."""
_SLIPS = 0.6
"""How often a longer one comes out wrong by one in one of its places."""


class Sum(NamedTuple):
    """Two numbers, as they are written, and what is to be done with them."""

    first: str
    operator: str
    second: str

    @property
    def code(self) -> str:
        """The sum in Python, printed; to four places where it may have endless ones."""
        value = f"first {self.operator} second"
        shown = f"round({value}, 4)" if self.operator == "/" or "." in self.first + self.second else value
        return f"first, second = {self.first}, {self.second}\nprint({shown})"

    def __str__(self) -> str:
        return f"{self.first} {self.operator} {self.second}"


def asked_sum(text: str) -> Sum | None:
    """Return the sum that all of a question asks for, None if it asks for something else or divides by zero."""
    found = _ASKED.fullmatch(text.strip())
    if found is None:
        return None
    asked = Sum(found[1], _OPERATORS[found[2].casefold()], found[3])
    return None if asked.operator == "/" and not Decimal(asked.second) else asked


def in_head(asked: Sum, rng: random.Random) -> str:
    """Return the result as one without paper would say it."""
    result = _result(asked)
    digits = len(str(abs(int(result))))
    if abs(result) >= _EASY and rng.random() < _SLIPS:
        result += rng.choice((-1, 1)) * 10 ** rng.randint(1, digits - 2)
    return f"{result:f}"


def _result(asked: Sum) -> Decimal:
    first, second = Decimal(asked.first), Decimal(asked.second)
    match asked.operator:
        case "+":
            return first + second
        case "-":
            return first - second
        case "*":
            return first * second
        case _:
            return (first / second).quantize(Decimal("0.0001"), ROUND_HALF_UP).normalize()
