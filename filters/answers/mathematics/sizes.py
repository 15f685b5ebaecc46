"""How large the numbers become that algebra would compute of a tree, estimated without computing any of them.

Computer algebra works out a power of whole numbers as soon as it meets one, and a short text names a power that no
memory holds: `9^{9^9}` has 370 million digits. So a
tree is sized first, by adding and multiplying logarithms. That is an estimate, and no proof that algebra will be quick:
what it lets through is bounded by the time of a comparison (`pipeline.math_worker`).
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import NamedTuple

from filters.answers.mathematics.trees import Tree

MAX_BITS = 1_000_000
"""Of a number that is computed: 300,000 digits, with which sympy does any one thing in less than a second. Answers hold
far smaller ones, 2^{2^{16}} has 65,536; ten times as many bits and one factorial takes ten seconds."""


class _Size(NamedTuple):
    high: float
    """Logarithm to base 2 of the largest magnitude at the points at which terms are compared."""
    bits: float
    """Of the number in full: of numerator and denominator, or of what has to be computed to know its first digits."""


_CONSTANT = {"pi": _Size(1.7, 2), "e": _Size(1.5, 2), "i": _Size(0, 1), "oo": _Size(0, 1), "deg": _Size(-5.8, 8)}
_LETTER = _Size(2.4, 6)
"""At the points of `pipeline.math_worker`, letters are at most 5 and have six bits: 43/16."""
_BOUNDED = frozenset({"sin", "cos", "arcsin", "arccos", "arctan"})
_STEEP = frozenset({"tan", "cot", "sec", "csc", "tanh"})
_FAR_FROM_POLE = 16
"""Logarithm of what functions with poles are taken to reach: no point of comparison is near one."""


def too_large(tree: Tree) -> bool:
    """Return whether a term or an equation (`("=", left, right)`) holds a number of more than `MAX_BITS` bits."""
    if tree[0] == "=":
        return any(too_large(side) for side in tree[1:] if isinstance(side, tuple))
    try:
        _size(tree)
    except (OverflowError, _TooLarge):
        return True
    return False


class _TooLarge(Exception):  # noqa: N818 - no error: the answer to what is asked
    """A part of the tree is too large."""


def _size(tree: Tree) -> _Size:
    name, *parts = tree
    if name in {"num", "mixed"}:
        value = Fraction(str(parts[0]))
        bits = value.numerator.bit_length(), value.denominator.bit_length()
        high = math.log2(abs(value.numerator)) - math.log2(value.denominator) if value else 0.0
        return _bounded(_Size(high, max(bits)))
    if name == "const":
        return _CONSTANT[str(parts[0])]
    sizes = [_size(part) for part in parts if isinstance(part, tuple)]
    if name in {"sym", "apply"} or not sizes:
        return _LETTER
    return _bounded(_of(str(name), sizes, tree))


def _of(name: str, sizes: list[_Size], tree: Tree) -> _Size:
    highs, bits = [size.high for size in sizes], [size.bits for size in sizes]
    first = sizes[0]
    match name:
        case "+":
            return _Size(max(highs) + math.log2(len(sizes)), sum(bits) + len(bits))
        case "*":
            return _Size(sum(highs), sum(bits))
        case "^":
            exponent = 2 ** highs[1]
            # A negative power is as large as its base is small; how small a sum may be, its bits say at most.
            inverse = -first.high if tree[1][0] == "num" else first.bits
            high = inverse if _is_negative(tree[2]) else max(first.high, 0.0)
            return _Size(high * exponent, first.bits * max(exponent, 1.0))
        case "!":
            largest = 2 ** max(first.high, 1.0)
            return _Size(largest * max(first.high, 1.0), largest * max(first.high, 1.0) + first.bits)
        case "binom":
            largest = min(2 ** max(first.high, 0.0), max(first.high, 1.0) * 2 ** max(highs[1], 0.0))
            return _Size(largest, largest + sum(bits))
        case "fn":
            return _of_function(str(tree[1]), highs, sum(bits))
        case _:
            return _Size(max(highs), sum(bits))


def _of_function(name: str, highs: list[float], bits: float) -> _Size:
    if name in {"sinh", "cosh"}:
        return _Size(1.5 * 2 ** highs[0], bits + 1.5 * 2 ** highs[0])
    if name in {"ln", "log"}:
        return _Size(math.log2(bits + 1), bits)
    return _Size(1.0 if name in _BOUNDED else _FAR_FROM_POLE if name in _STEEP else max(highs), bits)


def _bounded(size: _Size) -> _Size:
    if max(abs(size.high), size.bits) > MAX_BITS:
        raise _TooLarge
    return size


def _is_negative(exponent: Tree | str) -> bool:
    return exponent[0] == "num" and str(exponent[1]).startswith("-")
