r"""Reading a mathematical answer into a form: what it is, and what its parts are.

The parts are read by `parse`; here an answer is only taken apart. Inequalities in one letter become
intervals, `x = 5` a value with its name, `\pm` two values, a unit behind a term stays beside it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache

from filters.answers.mathematics.forms import Bracket, Form, Items, Matrix, Named, Relation, Span, Term, Union, Words
from filters.answers.mathematics.notation import Token, Unread, lex, unified
from filters.answers.mathematics.parse import read_term
from filters.answers.mathematics.trees import DEGREE, INFINITY, Tree, holds, linear, negative, rational
from filters.answers.numbers.measures import canonical_unit
from filters.answers.numbers.quantities import NO_UNIT, scale_of
from filters.answers.stated import unwrapped

_GROUPED = re.compile(
    r"(?<![0-9.,(\[{] )(?<![0-9.,(\[{])[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+|(?: [0-9]{3})+)(?![0-9]|,[0-9]|, ?[0-9])"
)
_DERIVATIVE = re.compile(
    r"\\[dt]?frac\s*\{?\s*(?:d|\\partial|\\Delta)(?![A-Za-z]{2})[^{}]*\}?\s*\{?\s*(?:d|\\partial|\\Delta)\s*[A-Za-z]"
    r"|\bd[a-z]?\s*/\s*d[a-z]\b"
)
_PROSE = re.compile(r"[^\W\d_]{3,}")


@lru_cache(maxsize=4096)  # the rollouts of a question share its answer and many of theirs
def read_form(text: str) -> Form | None:
    """Return what an answer is; None if it cannot be read, or has two readings."""
    bare = unwrapped(text)
    if _DERIVATIVE.search(bare):
        return None
    try:
        tokens = lex(_ungrouped(unified(bare)))
        return _whole(tokens)
    except (Unread, RecursionError):
        return Words(bare) if _PROSE.search(bare) and not re.search(r"[0-9=^*/+\\<>]", bare) else None


def _ungrouped(text: str) -> str:
    """Return a formula without thousands separators; inside of brackets a comma separates items."""
    depth, out, at = 0, [], 0
    while at < len(text):
        match = _GROUPED.match(text, at) if depth == 0 else None
        if match is not None:
            out.append(re.sub("[ ,]", "", match[0]))
            at = match.end()
            continue
        depth += (text[at] in "([{") - (text[at] in ")]}")
        out.append(text[at])
        at += 1
    return "".join(out)


def _whole(tokens: Sequence[Token]) -> Form:
    """Read an answer that may be several."""
    found = _french(list(tokens))
    if found is not None:
        return found
    parts = _split(tokens, {",", ";", "and", "or"})
    if len(parts) == 1:
        return _item(parts[0])
    signs = {token.text for token in _separators(tokens)}
    if len(signs) > 1 and "," in signs:
        groups = _groups(tokens, signs - {","})
        if groups is not None:
            return groups
        if ";" in signs:
            raise Unread("lists in a list")
    forms = [_item(part) for part in parts]
    first = forms[0]
    if isinstance(first, Named) and not any(isinstance(form, Named | Relation) for form in forms[1:]):
        # "n = 1, 2, 3" names all of them.
        return Items(tuple(_flat([first.value, *forms[1:]])), first.spelt)
    spans = [form for form in forms if isinstance(form, Span | Union)]
    if (
        len(spans) == len(forms)
        and "and" not in signs
        and all(form.variable for form in spans if isinstance(form, Span))
    ):
        return Union(tuple(spans))
    return Items(tuple(_flat(forms)))


def _groups(tokens: Sequence[Token], outer: set[str]) -> Form | None:
    """Read several solutions that name the same letters each, as tuples: p = 1, q = 2; p = 3, q = 4."""
    parts = [[_item(part) for part in _split(group, {","})] for group in _split(tokens, outer)]
    names = [[form.spelt for form in group if isinstance(form, Named)] for group in parts]
    alike = len(names) > 1 and len(names[0]) > 1 and all(name == names[0] for name in names)
    if not alike or any(len(group) != len(names[0]) for group in parts):
        return None
    return Items(tuple(Bracket("(", ")", tuple(group)) for group in parts))


def _flat(forms: Sequence[Form]) -> list[Form]:
    return [
        part for form in forms for part in (form.items if isinstance(form, Items) and not form.variable else (form,))
    ]


def _depths(tokens: Sequence[Token]) -> list[int]:
    """Return how many brackets are open before each token; 0 also at brackets that close too much, as in ]0, 1[."""
    depth, depths = 0, []
    for token in tokens:
        depth -= token.kind == "close"
        depths.append(max(depth, 0))
        depth += token.kind == "open"
    return depths


def _separators(tokens: Sequence[Token]) -> list[Token]:
    depths = _depths(tokens)
    signs = {",", ";", "and", "or"}
    return [
        token
        for token, depth in zip(tokens, depths, strict=True)
        if not depth and token.kind == "op" and token.text in signs
    ]


def _split(
    tokens: Sequence[Token], signs: AbstractSet[str], kinds: AbstractSet[str] = frozenset({"op"})
) -> list[list[Token]]:
    """Return what stands between signs outside of brackets; empty parts, as in ", and", are left out."""
    parts: list[list[Token]] = [[]]
    for token, depth in zip(tokens, _depths(tokens), strict=True):
        if not depth and token.kind in kinds and token.text in signs:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part] or [[]]


_ORDER = frozenset({"<", ">", "<=", ">=", "!="})
_SIGNS = _ORDER | {"=", "in", "approx"}


def _item(tokens: list[Token]) -> Form:
    if not tokens:
        raise Unread("nothing")
    sides = _split(tokens, _SIGNS)
    signs = [
        token.text
        for token, depth in zip(tokens, _depths(tokens), strict=True)
        if not depth and token.kind == "op" and token.text in _SIGNS
    ]
    if len(sides) != len(signs) + 1:
        raise Unread("a side is missing")
    if signs[-1:] == ["approx"] and set(signs[:-1]) == {"="}:
        # An exact value and its rounded form: x = 1/3 ≈ 0.33.
        sides, signs = sides[:-1], signs[:-1]
    if not signs:
        return _value(tokens)
    if set(signs) == {"="}:
        return _equation(sides)
    if signs == ["in"]:
        if not _is_name(sides[0]):
            raise Unread("in which set a term is")
        return _with_variable(_value(sides[1]), _spelt(sides[0]))
    if not _ORDER.issuperset(signs):
        raise Unread("about, or signs of several kinds")
    return _inequality(sides, signs)


def _french(tokens: list[Token]) -> Form | None:
    """Read ]a, b[, whose brackets stand the other way round."""
    if len(tokens) < 5 or tokens[0].text not in {"]", "["} or tokens[-1].text not in {"[", "]"}:  # noqa: PLR2004 - ]a,b[
        return None
    if (tokens[0].text, tokens[-1].text) == ("[", "]"):
        return None
    ends = _split(tokens[1:-1], {",", ";"})
    if len(ends) != 2:  # noqa: PLR2004 - an interval has two ends
        return None
    return Span(read_term(ends[0]), read_term(ends[1]), tokens[0].text == "[", tokens[-1].text == "]")


def _equation(sides: list[list[Token]]) -> Form:
    if _is_name(sides[0]):
        return Named(_tree(sides[0]), _spelt(sides[0]), _value(sides[-1]))
    if len(sides) == 2 and _is_name(sides[1]) and len(sides[1]) == 1:  # noqa: PLR2004 - 2x + 1 = y
        return Named(_tree(sides[1]), _spelt(sides[1]), _value(sides[0]))
    terms = [read_term(side) for side in sides]
    if not any(holds(term, lambda tree: tree[0] in {"sym", "apply"}) for term in terms):
        # A calculation says its result, unless it is wrong: 12/4 = 3.
        values = {rational(term) for term in terms} - {None}
        if len(values) > 1:
            raise Unread("sides that differ")
        return _value(sides[-1])
    if len(terms) != 2:  # noqa: PLR2004 - one sign
        raise Unread("a chain of equations")
    return Relation("=", terms[0], terms[1])


def _is_name(tokens: Sequence[Token]) -> bool:
    """Return whether the left side of an equation is a name and no term: x, x_1, f(x), |AB|, A:B, words, (x, y)."""
    kinds = {token.kind for token in tokens}
    if not kinds or kinds & {"num", "fn", "const"} - ({"num"} if _subscripted(tokens) else set()):
        return False
    if tokens[0].kind == "text" or (
        tokens[0].kind == "cmd" and tokens[0].text in {"angle", "triangle", "measuredangle"}
    ):
        return True
    if _measured(tokens):
        return True
    symbols = [token.text for token in tokens if token.kind == "sym"]
    others = [token.text for token in tokens if token.kind != "sym"]
    if not symbols:
        return False
    if not others:
        return len(symbols) == 1 or all(symbol.isupper() for symbol in symbols)
    if others[:2] == ["(", ")"] and len(symbols) == 2 and tokens[0].kind == "sym":  # noqa: PLR2004 - f(x)
        return symbols[0] in {"f", "g", "h", "F", "G", "P", "p", "q", "r", "s", "u", "v"}
    if tokens[0].text == "(" and tokens[-1].text == ")":
        return set(others) <= {"(", ")", ","}
    return _subscripted(tokens)


def _measured(tokens: Sequence[Token]) -> bool:
    r"""Return whether tokens name lengths and areas by capital letters: |AB|, S_{ABC} : S, \\frac{NO}{BO}."""
    symbols = [token.text for token in tokens if token.kind == "sym"]
    others = {token.text for token in tokens if token.kind not in {"sym", "num"}}
    return (
        bool(others)
        and len(symbols) > 1
        and all(map(str.isupper, symbols))
        and others <= {"|", ":", "frac", "{", "}", "_", "/"}
    )


def _subscripted(tokens: Sequence[Token]) -> bool:
    return (
        len(tokens) >= 3  # noqa: PLR2004 - a letter, the sign, and what stands below
        and tokens[0].kind == "sym"
        and tokens[1].text == "_"
        and not {"+", "-", "*", "/", "^"} & {token.text for token in tokens}
        and (
            len(tokens) == 3  # noqa: PLR2004 - as above
            or (tokens[2].text == "{" and tokens[-1].text == "}")
        )
    )


def _tree(tokens: Sequence[Token]) -> Tree | None:
    try:
        return read_term(tokens)
    except Unread:
        return None


def _spelt(tokens: Sequence[Token]) -> str:
    return "".join(token.text for token in tokens)


def _with_variable(form: Form, variable: str) -> Form:
    match form:
        case Span():
            return form._replace(variable=variable)
        case Bracket(opening, closing, (Term(low), Term(high))):
            return Span(low, high, opening == "[", closing == "]", variable)
        case Items():
            return form._replace(variable=variable)
        case Union():
            return form
        case Term(("sym", str(name))) if name.startswith("set "):
            return form
        case _:
            raise Unread("not a set")


_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}


def _inequality(sides: list[list[Token]], signs: list[str]) -> Form:
    terms = [read_term(side) for side in sides]
    if len(set(signs)) > 1 and not set(signs) <= {"<", "<="} and not set(signs) <= {">", ">="}:
        raise Unread("signs of two kinds")
    if signs[0] in {">", ">="}:
        terms.reverse()
        signs = [_MIRRORED[sign] for sign in reversed(signs)]
    around = _around_zero(terms, signs)
    if around is not None:
        return around
    names = [term[1] if term[0] == "sym" else f"{term[1]}()" if term[0] == "apply" else None for term in terms]
    match names, signs:
        case [_, str(name), _], [first, second] if name not in (names[0], names[2]):
            return Span(terms[0], terms[2], first == "<=", second == "<=", name)
        case [str(name), other], [sign] if sign != "!=" and other is None and not _names(terms[1], name):
            return Span(negative(INFINITY), terms[1], False, sign == "<=", name)
        case [other, str(name)], [sign] if sign != "!=" and other is None and not _names(terms[0], name):
            return Span(terms[0], INFINITY, sign == "<=", False, name)
        case _, [sign] if sign in {"<", "<="}:
            return _solved(terms[0], terms[1], closed=sign == "<=") or Relation(sign, terms[0], terms[1])
        case _, ["!="]:
            return Relation("!=", terms[0], terms[1])
        case _:
            raise Unread("a chain of inequalities")


def _around_zero(terms: Sequence[Tree], signs: Sequence[str]) -> Form | None:
    """Return what a <= |x| <= b, |x| < b or a < |x| say of x, with a > 0; None if the terms are of another kind."""
    at = next((at for at, term in enumerate(terms) if term[0] == "abs"), None)
    if at is None or terms[at][1][0] != "sym" or not {"<", "<="}.issuperset(signs):
        return None
    name = str(terms[at][1][1])
    high, high_closed = (terms[at + 1], signs[at] == "<=") if at + 1 < len(terms) else (INFINITY, False)
    bounds = [rational(term) for term in (*terms[:at], *terms[at + 1 :])]
    if not all(bound is not None and bound > 0 for bound in bounds):
        return None
    if at == 0:
        return Span(negative(high), high, high_closed, high_closed, name)
    low, low_closed = terms[0], signs[0] == "<="
    return Union(
        (
            Span(negative(high), negative(low), high_closed, low_closed, name),
            Span(low, high, low_closed, high_closed, name),
        )
    )


def _solved(left: Tree, right: Tree, *, closed: bool) -> Span | None:
    """Return what solves left < right in one letter of first degree; None if it is no such inequality."""
    found = linear(("+", left, negative(right)))
    if found is None or not found.slope:
        return None
    end: Tree = ("num", str(-found.constant / found.slope))
    if found.slope > 0:
        return Span(negative(INFINITY), end, False, closed, found.name)
    return Span(end, INFINITY, closed, False, found.name)


def _names(tree: Tree, name: str) -> bool:
    return holds(tree, lambda part: part == ("sym", name))


def _value(tokens: list[Token]) -> Form:  # noqa: C901 - one branch per kind of answer
    """Read what stands alone or on one side of an equation."""
    parts = _split(tokens, {"cup"}, frozenset({"cmd"}))
    if len(parts) > 1:
        return Union(tuple(_as_span(_value(part)) for part in parts))
    if not tokens:
        raise Unread("nothing")
    shares = _split(tokens, {":"})
    if len(shares) == 2:  # noqa: PLR2004 - 3 : 4 is told in one number
        return Term(("*", read_term(shares[0]), ("^", read_term(shares[1]), ("num", "-1"))), ":")
    if len(shares) > 2:  # noqa: PLR2004 - as above
        return Bracket(":", ":", tuple(Term(read_term(share)) for share in shares))
    signs = [at for at, token in enumerate(tokens) if token.kind == "cmd" and token.text in {"pm", "mp"}]
    if signs:
        return _both(tokens, signs)
    first, last = tokens[0], tokens[-1]
    enclosed = first.kind == "open" and last.kind == "close" and 0 not in _depths(tokens)[1:-1]
    if enclosed and first.text == "matrix":
        return _matrix(tokens[1:-1])
    if sum(token.text == "matrix" for token in tokens) > 2:  # noqa: PLR2004 - two of one matrix
        return _matrix_sum(tokens)
    if enclosed and first.text in {"(", "["} and tokens[1].text == "matrix" and tokens[-2].text == "matrix":
        return _value(tokens[1:-1])
    if enclosed and first.text in {"(", "[", "{", "\\{", "langle"}:
        inner = tokens[1:-1]
        items = _split(inner, {",", ";"})
        if first.text in {"{", "\\{"} and (len(items) > 1 or first.text == "\\{"):
            return _set(inner, items)
        if len(items) > 1:
            return Bracket(first.text, last.text, tuple(_value(item) for item in items))
    return _quantity(tokens)


def _as_span(form: Form) -> Form:
    match form:
        case Span() | Items():
            return form
        case Bracket("(" | "[" as opening, ")" | "]" as closing, (Term(low), Term(high))):
            return Span(low, high, opening == "[", closing == "]")
        case _:
            raise Unread("not a set of numbers")


def _both(tokens: list[Token], signs: list[int]) -> Form:
    if len(signs) != 1:
        raise Unread("several doubled signs")
    (at,) = signs
    values = [[*tokens[:at], Token("op", sign, False), *tokens[at + 1 :]] for sign in "+-"]
    return Items(tuple(_value(value) for value in values))


def _set(inner: list[Token], items: list[list[Token]]) -> Form:
    for mark in ("|", ":"):
        sides = _split(inner, {mark})
        if len(sides) == 2:  # noqa: PLR2004 - {x | x > 2}
            if [token.kind for token in sides[0]] != ["sym"]:
                raise Unread("a set of what is made of its letter, or of other than real numbers")
            return _whole(sides[1])
    if items == [[]]:
        raise Unread("nothing")
    return Items(tuple(_flat([_value(item) for item in items])))


def _matrix_sum(tokens: Sequence[Token]) -> Form:
    """Read a sum of products of matrices, computed entry by entry."""
    total: list[list[Tree]] = []
    for part in _split(tokens, {"+"}):
        rows: list[list[Tree]] = []
        for factor in _split(part, {"*"}):
            for matrix in _matrices(factor):
                rows = _times(rows, matrix) if rows else matrix
        total = _plus(total, rows) if total else rows
    return Matrix(tuple(map(tuple, total)))


def _matrices(tokens: Sequence[Token]) -> list[list[list[Tree]]]:
    """Return matrices side by side."""
    found, start, depth = [], 0, 0
    for at, token in enumerate(tokens):
        depth += (token.kind == "open") - (token.kind == "close")
        if not depth:
            if (tokens[start].text, token.text) != ("matrix", "matrix"):
                raise Unread("no matrix")
            form = _matrix(tokens[start + 1 : at])
            found.append([list(row) for row in form.rows])
            start = at + 1
    return found


def _plus(a: list[list[Tree]], b: list[list[Tree]]) -> list[list[Tree]]:
    if [len(row) for row in a] != [len(row) for row in b]:
        raise Unread("matrices of different sizes")
    return [[("+", x, y) for x, y in zip(row, other, strict=True)] for row, other in zip(a, b, strict=True)]


def _times(a: list[list[Tree]], b: list[list[Tree]]) -> list[list[Tree]]:
    if any(len(row) != len(b) for row in a):
        raise Unread("matrices that cannot be multiplied")
    columns = [list(column) for column in zip(*b, strict=True)]
    return [[("+", *(("*", x, y) for x, y in zip(row, column, strict=True))) for column in columns] for row in a]


def _matrix(tokens: Sequence[Token]) -> Matrix:
    rows = [_split(row, {"&"}, frozenset({"op", "cmd"})) for row in _split(tokens, {"\\"}, frozenset({"cmd"}))]
    terms = tuple(tuple(read_term(cell) for cell in row) for row in rows)
    if any(len(row) != len(terms[0]) for row in terms):
        raise Unread("rows of different lengths")
    return Matrix(terms)


_CURRENCY = frozenset("$\u20ac\u00a3\u00a5\u20b9")


_UNIT = re.compile(r"(?:[^\W\d_][^\d_^/]*(?:\^[23])?(?:/[^\W\d_]+(?:\^[23])?)?)?")
_LETTER_UNITS = frozenset("mgshlLNJWVACFK")
"""Letters that are a unit where they stand apart: 5 m."""


def _unit_text(tokens: Sequence[Token]) -> str:
    """Return the words behind a term as they were written: "units less" is two, "cm^2" one."""
    kept = [token for token in tokens if token.kind not in {"open", "close"}]
    return "".join(
        " " * (at > 0 and token.spaced and token.kind == "text") + token.text for at, token in enumerate(kept)
    )


def _quantity(tokens: list[Token]) -> Form:  # noqa: C901 - as above
    """Read a term with its unit or currency."""
    unit = ""
    if tokens[0].kind == "cmd" and tokens[0].text in _CURRENCY:
        unit, tokens = tokens[0].text, tokens[1:]
    elif tokens[-1].kind == "cmd" and tokens[-1].text in _CURRENCY:
        unit, tokens = tokens[-1].text, tokens[:-1]
    if [token.kind for token in tokens] == ["num", "sym"] and tokens[1].spaced and tokens[1].text in _LETTER_UNITS:
        raise Unread("a unit or a factor")
    end = next((at for at, token in enumerate(tokens) if token.kind == "text"), len(tokens))
    if end == 0:
        if all(token.kind == "text" for token in tokens):
            return Words(" ".join(token.text for token in tokens))
        raise Unread("words before a term")
    tree, written = (
        read_term(tokens[:end]),
        _unit_text(tokens[end:]),
    )
    if written and unit:
        raise Unread("two units")
    if not _UNIT.fullmatch(written):
        raise Unread(written)
    scale = scale_of(written) if written else None
    if scale is not None:
        return Term(("*", tree, ("num", str(scale))), unit)
    if written and (not NO_UNIT.isdisjoint(written.lower().split()) or len(written.split()) > 2):  # noqa: PLR2004 - "square metres"
        raise Unread(written)
    if tree[-1] == DEGREE and len(tree) == 3:  # noqa: PLR2004 - a product of two
        degrees = tree[1]
        if isinstance(degrees, tuple):
            return Term(degrees, canonical_unit("\u00b0" + written))
    unit = unit or canonical_unit(written)
    return Term(("*", tree, ("num", "1/100"))) if unit == "%" else Term(tree, unit)
