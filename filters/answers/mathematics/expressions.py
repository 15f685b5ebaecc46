"""Grading an expression: by its form here, and by algebra through evidence that a stage measures.

Both sides are read into forms (`forms`), and only forms of one kind are compared. What is left are
pairs of terms: those of rational numbers are compared here, exactly; the others are evidence. A stage asks
`expression_pairs` for them, has them compared in `pipeline.math_worker`, which may be slow and is killed if it hangs,
and hands the answers to `settle`. So grading stays pure, and says the same whoever did the algebra.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from filters.answers.evasion import evasion
from filters.answers.mathematics.forms import (
    Bracket,
    Form,
    Items,
    Matrix,
    Named,
    Relation,
    Span,
    Term,
    Union,
    Words,
    ends_of,
)
from filters.answers.mathematics.read_forms import read_form
from filters.answers.mathematics.sizes import too_large
from filters.answers.mathematics.trees import DEGREE, INFINITY, Tree, holds, in_order, letters, negative, rational
from filters.answers.numbers.fraction_words import read_fraction
from filters.answers.numbers.measures import conversion
from filters.answers.numbers.quantities import read_number
from filters.answers.stated import unwrapped
from filters.answers.text import HEDGES, Grade, best, clean, tokens
from filters.answers.times import read_time, same_time, time_or_decimal
from pipeline.records import GradeResult

Pair = tuple[str, str]
"""Two trees in canonical JSON: of the answer and of a stored one."""
Oracle = Callable[[Tree, Tree], bool | None]
"""Whether two trees are equal; None where that is not known."""

OPEN = "needs_algebra"
"""Rule of a grade that algebra may settle; its detail is the answer and the stored ones as a JSON list."""


def grade_expression(said: str, gold: str, known: Mapping[Pair, bool | None] | None = None) -> Grade:
    """Grade one answer against one stored one; `known` is what algebra found out, None before it was asked."""
    if _as_written(said) == _as_written(gold):
        return Grade("right", "equal_as_written")
    plain_said, plain_gold = clean(said), clean(gold)
    evades = evasion(plain_said, plain_gold)
    spoken = HEDGES.intersection(tokens(plain_said)) - HEDGES.intersection(tokens(plain_gold)) - {"or"}
    if evades in {"abstained", "asked_back", "about_grading", "negated", "corrected"} or (
        evades == "hedged" and spoken
    ):
        return Grade("wrong", str(evades))
    times = read_time(plain_said), read_time(plain_gold)
    if times[0] is not None and times[1] is not None:
        same = same_time(times[0], times[1])
        return Grade("undecided" if same is None else "right" if same else "wrong", "time")
    if time_or_decimal(plain_said, plain_gold):
        return Grade("undecided", "time_or_decimal")
    mine, theirs = _form(said, plain_said), _form(gold, plain_gold)
    if mine is None or theirs is None:
        return Grade("undecided", "not_read")
    algebra = _Oracle(known or {})
    verdict = _equal(mine, theirs, algebra)
    if verdict is not None:
        return Grade("right", "equal_in_value") if verdict else Grade("wrong", "value_differs")
    if known is None and algebra.asked:
        return Grade("undecided", OPEN)
    return Grade("undecided", "too_large" if algebra.too_large else "algebra_open" if algebra.asked else "forms_differ")


def expression_pairs(prediction: str, golds: Sequence[str], result: GradeResult) -> list[Pair]:
    """Return the pairs of terms that algebra has to compare, each once; none if `result` is settled already."""
    if result.rule != OPEN:
        return []
    algebra = _Oracle({})
    for gold in golds:
        mine, theirs = _form(prediction, clean(prediction)), _form(gold, clean(gold))
        if mine is not None and theirs is not None:
            _equal(mine, theirs, algebra)
    return list(dict.fromkeys(algebra.asked))


def settle(result: GradeResult, equal: Sequence[bool | None]) -> GradeResult:
    """Return the grade of an open expression after algebra: `equal` holds its answers to `expression_pairs`, in order.

    One equal gold makes it right; it is wrong only if it was told apart from every gold.
    """
    if result.rule != OPEN:
        return result
    prediction, *golds = json.loads(result.detail)
    known = dict(zip(expression_pairs(prediction, golds, result), equal, strict=True))
    grade = best(grade_expression(prediction, gold, known) for gold in golds)
    rules = {"equal_in_value": "equal_by_algebra", "value_differs": "differs_by_algebra"}
    detail = " | ".join((prediction, *golds))
    return GradeResult(verdict=grade.verdict, rule=rules.get(grade.rule, grade.rule), detail=detail)


def _as_written(text: str) -> str:
    """Return what two spellings of one formula have in common; letters keep their case."""
    bare = unwrapped(text)
    # A space between two digits separates: 1 2 is not 12.
    return re.sub(r"(?<!\d)\s+|\s+(?!\d)|\\(?:left|right|[,;:! ])(?![A-Za-z])", "", bare).rstrip(".")


def _form(text: str, plain: str) -> Form | None:
    form = read_form(text)
    if isinstance(form, Words):
        # "twelve", "two thirds of a metre"
        number = read_number(plain)
        if number is not None and not number.about and number.other is None:
            return Term(("num", str(number.value)), number.unit)
        fraction = read_fraction(plain)
        if fraction is not None:
            return Term(("num", str(fraction)), "")
    return form


@dataclass
class _Oracle:
    """What compares two trees: exactly where both are rational, else as `known` says; what is not known is asked."""

    known: Mapping[Pair, bool | None]
    asked: list[Pair] = field(default_factory=list)
    too_large: bool = False
    """A number was met that algebra is not asked for."""

    def __call__(self, said: Tree, gold: Tree) -> bool | None:
        if in_order(said) == in_order(gold):
            return True
        a, b = rational(said), rational(gold)
        if a is not None and b is not None:
            return a == b
        if too_large(said) or too_large(gold):
            self.too_large = True
            return None
        if not _comparable(said, gold):
            return None
        pair = json.dumps(said), json.dumps(gold)
        self.asked.append(pair)
        return self.known.get(pair)


def _comparable(said: Tree, gold: Tree) -> bool:
    """Return whether algebra can compare two trees: not where a base or a letter's case is all that differs.

    A logarithm without a base is one of base 10 to some and of base e to others.
    """
    for part in (lambda tree: tree[:2] == ("fn", "log"), lambda tree: tree[0] == "sym" and " in base " in str(tree[1])):
        if holds(said, part) != holds(gold, part):
            return False
    return json.dumps(said).casefold() != json.dumps(gold).casefold()


def _all(values: Sequence[bool | None]) -> bool | None:
    return False if False in values else None if None in values else True


def _any(values: Sequence[bool | None]) -> bool | None:
    return True if True in values else None if None in values else False


def _equal(said: Form, gold: Form, equal: Oracle) -> bool | None:  # noqa: C901, PLR0912 - one case per kind of answer
    """Return whether two forms say the same; None where that is not known, or a person has to say."""
    match said, gold:
        case Term(), Term():
            return _equal_terms(said, gold, equal)
        case Words(a), Words(b):
            return True if tokens(clean(a)) == tokens(clean(b)) else None
        case (Words(), _) | (_, Words()):
            # Prose where a formula is stored is none of the answer; a name where one is stored has to be read.
            return False if isinstance(said, Words) and not isinstance(gold, Named) else None
        case Named(), Named():
            return _equal_named(said, gold, equal)
        case (Named(name), Relation("=")) if name is not None and isinstance(said.value, Term):
            return _equal_relations(Relation("=", name, said.value.tree), gold, equal)
        case (Relation("="), Named(name)) if name is not None and isinstance(gold.value, Term):
            return _equal_relations(said, Relation("=", name, gold.value.tree), equal)
        case Named(), Relation():
            return None
        case Named(_, _, value), _:
            return _equal(value, gold, equal)
        case _, Named(_, _, value):
            return None if isinstance(said, Relation) else _equal(said, value, equal)
        case Relation(), Relation():
            return _equal_relations(said, gold, equal)
        case Term(), Relation("=") if len(letters(gold.left) | letters(gold.right)) > 1:
            # A value is no equation of several letters.
            return False
        case (Relation(), _) | (_, Relation()):
            return None
        case Matrix(rows), Matrix(others):
            return _equal_matrices(rows, others, equal)
        case (Matrix(), Bracket()) | (Bracket(), Matrix()):
            return None
        case _:
            return _equal_sets(said, gold, equal)


def _equal_sets(said: Form, gold: Form, equal: Oracle) -> bool | None:
    """Compare what holds several numbers: points, intervals, sets, lists."""
    match said, gold:
        case Bracket(), Bracket():
            return _equal_brackets(said, gold, equal)
        case (Span(), Bracket()) | (Bracket(), Span()) | (Span(), Span()):
            a, b = _span(said), _span(gold)
            return False if a is None or b is None else _equal_spans(a, b, equal)
        case (Span() | Bracket(), Term(("sym", "set R"))) | (Term(("sym", "set R")), Span() | Bracket()):
            mine = _span(said) if not isinstance(said, Term) else _span(gold)
            return mine is not None and _all_numbers(mine)
        case Union(parts), Union(others):
            return _matched(parts, others, equal)
        case Items(items), Items(others):
            return _equal_items(said, gold, equal) if items and others else None
        case (Items(items), Bracket(_, _, others)) | (Bracket(_, _, others), Items(items)):
            # Values side by side are no point, but may be meant for one: in its order.
            in_order = len(items) == len(others) and _all(
                [_equal(a, b, equal) for a, b in zip(items, others, strict=True)]
            )
            return None if in_order is not False else False
        case (Items((item,)), Term() | Span() | Union()) | (Term() | Span() | Union(), Items((item,))):
            return _equal(item, gold, equal) if isinstance(said, Items) else _equal(said, item, equal)
        case _:
            return False


def _equal_terms(said: Term, gold: Term, equal: Oracle) -> bool | None:
    a, b = said.tree, gold.tree
    if said.unit == gold.unit:
        return _with_percent(a, b, equal)
    if said.unit and gold.unit:
        factor = conversion(said.unit, gold.unit)
        if factor is None:
            return None if equal(a, b) is not False else False
        return equal(("*", a, ("num", str(factor))), b)
    # A unit that only one side states is taken for the other's too: the question asks in some unit.
    if "\u00b0" in {said.unit, gold.unit}:
        turned = [("*", side.tree, DEGREE) if side.unit else side.tree for side in (said, gold)]
        return _any([equal(a, b), equal(turned[0], turned[1])])
    return _with_percent(a, b, equal)


def _with_percent(a: Tree, b: Tree, equal: Oracle) -> bool | None:
    """Compare two terms of one unit; 50 % may be stored as 50, which is open."""
    verdict = equal(a, b)
    percent = [holds(tree, lambda part: part == ("num", "1/100")) for tree in (a, b)]
    if verdict is False and percent[0] != percent[1]:
        scaled = [("*", tree, ("num", "100")) if told else tree for tree, told in zip((a, b), percent, strict=True)]
        return None if equal(scaled[0], scaled[1]) is not False else False
    return verdict


def _equal_named(said: Named, gold: Named, equal: Oracle) -> bool | None:
    values = _equal(said.value, gold.value, equal)
    if said.spelt == gold.spelt:
        return values
    if (
        said.name is not None
        and gold.name is not None
        and isinstance(said.value, Term)
        and isinstance(gold.value, Term)
    ):
        both = Relation("=", said.name, said.value.tree), Relation("=", gold.name, gold.value.tree)
        turned = _equal_relations(*both, equal)
        # y = 2 is another line than x = 2, but letters are often chosen anew.
        return True if turned else None if values is not False or turned is None else False
    return None if values is not False else False


def _equal_relations(said: Relation, gold: Relation, equal: Oracle) -> bool | None:
    if said.sign != gold.sign:
        same = [equal(said.left, gold.left), equal(said.right, gold.right)]
        return False if all(same) else None
    if said.sign == "=":
        return equal(("=", said.left, said.right), ("=", gold.left, gold.right))
    sides = _all([equal(said.left, gold.left), equal(said.right, gold.right)])
    if said.sign == "!=":
        turned = _all([equal(said.left, gold.right), equal(said.right, gold.left)])
        return True if sides or turned else None
    # a < b and a - b < 0 are one inequality, and so are its multiples, which are not looked for.
    moved = equal(("+", said.left, negative(said.right)), ("+", gold.left, negative(gold.right)))
    return True if sides or moved else None


def _span(form: Form) -> Span | None:
    match form:
        case Span():
            return form
        case Bracket("(" | "[" as opening, ")" | "]" as closing, (Term(low), Term(high))):
            return Span(low, high, opening == "[", closing == "]")
        case _:
            return None


def _all_numbers(span: Span) -> bool:
    return span.low == negative(INFINITY) and span.high == INFINITY


def _equal_spans(said: Span, gold: Span, equal: Oracle) -> bool | None:
    ends = list(zip(ends_of(said), ends_of(gold), strict=True))
    verdict = _all([equal(a, b) if closed == wanted else False for (a, closed), (b, wanted) in ends])
    if said.variable and gold.variable and said.variable != gold.variable:
        return None if verdict is not False else False
    return verdict


def _equal_brackets(said: Bracket, gold: Bracket, equal: Oracle) -> bool | None:
    if len(said.items) != len(gold.items):
        return False
    verdict = _all([_equal(a, b, equal) for a, b in zip(said.items, gold.items, strict=True)])
    if (said.opening, said.closing) == (gold.opening, gold.closing):
        return verdict
    spans = _span(said), _span(gold)
    if spans[0] is not None and spans[1] is not None:
        return _equal_spans(spans[0], spans[1], equal)
    return None if verdict is not False else False


def _equal_items(said: Items, gold: Items, equal: Oracle) -> bool | None:
    """Compare sets and lists, whose order says nothing; names beside values have to be those of the other side."""
    named = [[item for item in side.items if isinstance(item, Named)] for side in (said, gold)]
    verdict = _matched(said.items, gold.items, equal)
    values = [{item.spelt: item.value for item in side} for side in named]
    if values[0].keys() == values[1].keys() and len(values[0]) == len(said.items) == len(gold.items):
        return _all([_equal(value, values[1][name], equal) for name, value in values[0].items()])
    if bool(named[0]) != bool(named[1]):
        letters = {item.spelt.partition("_")[0] for item in (*named[0], *named[1])}
        if len(letters) > 1:
            # "4, 5" says AB = 4 and CD = 5 in their order alone.
            in_order = _all([_equal(a, b, equal) for a, b in zip(said.items, gold.items, strict=False)])
            return in_order if in_order and verdict else None if verdict is not False else False
    if said.variable and gold.variable and said.variable != gold.variable:
        return None if verdict is not False else False
    return verdict


def _matched(said: Sequence[Form], gold: Sequence[Form], equal: Oracle) -> bool | None:
    """Return whether each item has its own counterpart; None if it may have one."""
    if len(said) != len(gold):
        # A solution of several values that is told twice is one.
        said = [item for at, item in enumerate(said) if not isinstance(item, Bracket) or item not in said[:at]]
    table = [[_equal(a, b, equal) for b in gold] for a in said]
    if len(said) != len(gold):
        # {1, 1} is {1}; a list says it twice.
        covered = all(any(row) for row in table) and all(any(row[at] for row in table) for at in range(len(gold)))
        return None if covered and said and gold else False
    if _perfect([[cell is True for cell in row] for row in table]):
        return True
    return None if _perfect([[cell is not False for cell in row] for row in table]) else False


def _perfect(fits: Sequence[Sequence[bool]]) -> bool:
    """Return whether each row can have a column of its own in which it is True (by augmenting paths, Kuhn 1955)."""
    taken: dict[int, int] = {}

    def place(row: int, seen: set[int]) -> bool:
        for column, fit in enumerate(fits[row]):
            if fit and column not in seen:
                seen.add(column)
                if column not in taken or place(taken[column], seen):
                    taken[column] = row
                    return True
        return False

    return all(place(row, set()) for row in range(len(fits)))


def _equal_matrices(said: Sequence[Sequence[Tree]], gold: Sequence[Sequence[Tree]], equal: Oracle) -> bool | None:
    if [len(row) for row in said] != [len(row) for row in gold]:
        return False
    cells = [equal(a, b) for row, other in zip(said, gold, strict=True) for a, b in zip(row, other, strict=True)]
    return _all(cells)
