"""What a mathematical answer may be: a term, a named value, an equation, an interval, a tuple, a set, a matrix."""

from __future__ import annotations

from typing import NamedTuple

from filters.answers.mathematics.trees import INFINITY, Tree, holds


class Term(NamedTuple):
    """A value, with its unit where one is stated."""

    tree: Tree
    unit: str = ""


class Words(NamedTuple):
    """A text that is no formula."""

    text: str


class Named(NamedTuple):
    """What something is said to be: `x = 5`, `f(x) = 2x`, `|AB| = 3`."""

    name: Tree | None
    """None where the name is no term: words, an angle."""
    spelt: str
    value: Form


class Relation(NamedTuple):
    """Two sides and what stands between them: `=`, `!=`, `<` or `<=`."""

    sign: str
    left: Tree
    right: Tree


class Span(NamedTuple):
    """All numbers between two ends; an end that does not belong to it is open."""

    low: Tree
    high: Tree
    low_closed: bool
    high_closed: bool
    variable: str = ""


class Bracket(NamedTuple):
    """Items in brackets: a point, a vector, or an open interval, which only its counterpart tells."""

    opening: str
    closing: str
    items: tuple[Form, ...]


class Items(NamedTuple):
    """A set, or values side by side; their order says nothing."""

    items: tuple[Form, ...]
    variable: str = ""


class Union(NamedTuple):
    """Several spans."""

    parts: tuple[Form, ...]


class Matrix(NamedTuple):
    """Rows of terms."""

    rows: tuple[tuple[Tree, ...], ...]


Form = Term | Words | Named | Relation | Span | Bracket | Items | Union | Matrix


def ends_of(span: Span) -> list[tuple[Tree, bool]]:
    """Return both ends of a span with whether they belong to it; an infinite end never does."""
    return [
        (end, closed and not holds(end, lambda tree: tree == INFINITY))
        for end, closed in ((span.low, span.low_closed), (span.high, span.high_closed))
    ]
