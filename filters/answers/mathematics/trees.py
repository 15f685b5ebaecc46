"""Formulas as trees: data that says the same whatever notation it was read from, and the values of some of them.

A tree is a tuple of an operator and its operands, tuples and strings all the way down, so that it can go to the process
that does algebra (`pipeline.math_worker`) without any text being read there again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Final, NamedTuple

Tree = tuple["str | Tree", ...]
"""An operator and its operands: ("+", a, b), ("num", "3/4"), ("sym", "x"), ("fn", "sin", a)."""

PI: Final[Tree] = ("const", "pi")
INFINITY: Final[Tree] = ("const", "oo")
DEGREE: Final[Tree] = ("const", "deg")


def negative(tree: Tree) -> Tree:
    """Return minus a tree; the minus of a number belongs to it."""
    if tree[0] == "num" and isinstance(tree[1], str):
        return ("num", str(-Fraction(tree[1])))
    return ("*", ("num", "-1"), tree)


_MAX_POWER = 200
"""Of a rational number that is computed here: 20 digits to the 200 are nothing; more goes to the algebra."""


def rational(tree: Tree) -> Fraction | None:  # noqa: C901 - one case per operator
    """Return the exact value of a tree of rational numbers; None if it has other parts or is not defined."""
    name, *parts = tree
    if name in {"num", "mixed"} and isinstance(parts[0], str):
        return Fraction(parts[0])
    operands = [rational(part) for part in parts if isinstance(part, tuple)]
    values = [value for value in operands if value is not None]
    if not values or len(values) != len(operands):
        return None
    match name:
        case "+":
            return sum(values, Fraction(0))
        case "*":
            product = Fraction(1)
            for value in values:
                product *= value
            return product
        case "^" if values[1].denominator == 1 and abs(values[1]) <= _MAX_POWER and _short(values[0]):
            return None if not values[0] and values[1] <= 0 else values[0] ** int(values[1])
        case "^" if abs(values[1].numerator) == 1 and values[1].denominator in {2, 3} and _short(values[0]):
            return _exact_root(values[0], values[1])
        case "abs":
            return abs(values[0])
        case "fn" if parts[0] in {"floor", "ceil"}:
            return Fraction(math.floor(values[0]) if parts[0] == "floor" else math.ceil(values[0]))
        case "!" if values[0].denominator == 1 and 0 <= values[0] <= 20:  # noqa: PLR2004 - 20 digits
            return Fraction(math.factorial(int(values[0])))
        case "binom" if all(value.denominator == 1 and 0 <= value <= 60 for value in values):  # noqa: PLR2004 - as above
            return Fraction(math.comb(*map(int, values)))
        case _:
            return None


class Linear(NamedTuple):
    """slope * name + constant."""

    name: str
    slope: Fraction
    constant: Fraction


def linear(tree: Tree) -> Linear | None:
    """Return a tree in one letter, of first degree with rational coefficients; None if it is none."""
    names = letters(tree)
    if len(names) != 1:
        return None
    (name,) = names
    # A line is known by three of its points; a power or a quotient is none of its parts.
    if holds(tree, lambda part: part[0] not in {"+", "*", "num", "mixed", "sym", "^"}):
        return None
    if holds(tree, lambda part: part[0] == "^" and rational(part) is None):
        return None
    values = [rational(_put(tree, name, at)) for at in (0, 1, 2, 3)]
    if any(value is None for value in values):
        return None
    zero, one, two, three = (value or Fraction(0) for value in values)
    slope = one - zero
    return Linear(name, slope, zero) if two - one == slope == three - two else None


def _put(tree: Tree, name: str, value: int) -> Tree:
    if tree == ("sym", name):
        return ("num", str(value))
    return tuple(_put(part, name, value) if isinstance(part, tuple) else part for part in tree)


def _exact_root(value: Fraction, exponent: Fraction) -> Fraction | None:
    """Return the square or cube root of a square or cube, or one by it; None if the root is no fraction."""
    degree = exponent.denominator
    parts = [round(abs(part) ** (1 / degree)) for part in (value.numerator, value.denominator)]
    root = Fraction(parts[0], parts[1])
    if value < 0 or not value or root**degree != value:
        return None
    return root if exponent > 0 else 1 / root


def in_order(tree: Tree) -> Tree:
    """Return a tree whose terms and factors stand in one order: a + b is b + a."""
    name, *parts = tree
    done = [in_order(part) if isinstance(part, tuple) else part for part in parts]
    return (name, *sorted(done, key=repr)) if name in {"+", "*"} else (name, *done)


def approximate(tree: Tree) -> float | None:
    """Return the value of a tree without letters, about; None if it has letters, is not real or is too large."""
    try:
        value = _float(tree)
    except (ValueError, ZeroDivisionError, OverflowError, KeyError):
        return None
    return value if isinstance(value, float) and math.isfinite(value) else None


_FLOATS: dict[str, Callable[[float], float]] = {
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "arcsin": math.asin,
    "arccos": math.acos,
    "arctan": math.atan,
    "ln": math.log,
    "floor": math.floor,
    "ceil": math.ceil,
}


def _float(tree: Tree) -> float:
    exact = rational(tree)
    if exact is not None:
        return float(exact)
    name, *parts = tree
    if name == "const":
        return {"pi": math.pi, "e": math.e, "deg": math.pi / 180}[str(parts[0])]
    if name == "fn":
        return float(_FLOATS[str(parts[0])](*(_float(part) for part in parts[1:] if isinstance(part, tuple))))
    values = [_float(part) for part in parts if isinstance(part, tuple)]
    match name:
        case "+":
            return math.fsum(values)
        case "*":
            return math.prod(values)
        case "^":
            return math.pow(*values)
        case "!" if values[0].is_integer() and 0 <= values[0] <= 100:  # noqa: PLR2004 - a float holds 170!
            return float(math.factorial(int(values[0])))
        case "abs":
            return abs(values[0])
        case _:
            raise KeyError(name)


def _short(value: Fraction) -> bool:
    return max(abs(value.numerator), value.denominator) < 10**20


def letters(tree: Tree) -> frozenset[str]:
    """Return the letters of a tree."""
    if tree[0] == "sym":
        return frozenset({str(tree[1])})
    return frozenset().union(*(letters(part) for part in tree if isinstance(part, tuple)))


def holds(tree: Tree, found: Callable[[Tree], bool]) -> bool:
    """Return whether a tree or a part of it is what is looked for."""
    return found(tree) or any(isinstance(part, tuple) and holds(part, found) for part in tree)
