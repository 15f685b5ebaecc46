r"""Reading a formula, in LaTeX or in plain notation, into one tree; what has two readings is not read.

The reader is our own because readers of LaTeX guess: they take `2\frac12` for a product or for 21/2, drop what looks
like a unit, and fold letters.

Read: numbers (exact; decimals as fractions, repeating decimals, mixed numbers), letters, Greek letters, subscripts,
fractions, roots, powers, factorials, binomials, absolute values, floors, named functions, pi, e, i, infinity, degrees
and percent. Not read: sums, integrals, limits, primes, and whatever is not listed.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from filters.answers.mathematics.notation import Token, Unread
from filters.answers.mathematics.trees import DEGREE, INFINITY, PI, Tree, negative

MAX_DEPTH = 40
"""Of nesting. Answers have under ten levels; a text of 300 characters may have as many brackets."""

_INVERSE = {"sin": "arcsin", "cos": "arccos", "tan": "arctan"}
_CONSTANTS: dict[str, Tree] = {
    "pi": PI,
    "infty": INFINITY,
    "infinity": INFINITY,
    "oo": INFINITY,
    "degree": DEGREE,
    "degrees": DEGREE,
}
_APPLIED = frozenset("fghFGP")
"""Letters that name a function where a bracket follows; x(x+1) is a product."""


def read_term(tokens: Sequence[Token]) -> Tree:
    """Return the tree of a whole term.

    Raises:
        Unread: it is no term, or has two readings (`1/2x`).
    """
    reader = _Reader(tuple(tokens))
    tree = reader.sum(0)
    if reader.at != len(reader.tokens):
        raise Unread(reader.tokens[reader.at].text)
    return tree


class _Reader:
    """Recursive descent; `at` is the next token."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self.tokens = tokens
        self.at = 0

    def peek(self, ahead: int = 0) -> Token:
        at = self.at + ahead
        return self.tokens[at] if at < len(self.tokens) else Token("end", "", False)

    def take(self) -> Token:
        token = self.peek()
        if token.kind == "end":
            raise Unread("the term breaks off")
        self.at += 1
        return token

    def accept(self, kind: str, *texts: str) -> bool:
        token = self.peek()
        found = token.kind == kind and token.text in texts
        self.at += found
        return found

    def expect(self, kind: str, text: str) -> None:
        if not self.accept(kind, text):
            raise Unread(f"{text} expected")

    def sum(self, depth: int) -> Tree:
        if depth > MAX_DEPTH:
            raise Unread("nested too deep")
        parts = [self.signed(depth)]
        while self.peek().kind == "op" and self.peek().text in {"+", "-"}:
            parts.append(self.signed(depth))
        return parts[0] if len(parts) == 1 else ("+", *parts)

    def signed(self, depth: int) -> Tree:
        minus = False
        while self.peek().kind == "op" and self.peek().text in {"+", "-"}:
            minus ^= self.take().text == "-"
        tree = self.product(depth)
        return negative(tree) if minus else tree

    def product(self, depth: int) -> Tree:
        factors = [self.factor(depth)]
        divided = False
        while True:
            token = self.peek()
            if token.kind == "op" and token.text == "*":
                self.at += 1
                factors.append(self.factor(depth))
            elif token.kind == "op" and token.text == "/":
                self.at += 1
                factors.append(("^", self.factor(depth), ("num", "-1")))
                divided = True
            elif self.starts_factor(token):
                # The x of 1/2x may stand above or below the bar.
                if divided:
                    raise Unread("a factor behind a quotient")
                # x2 may be a power, a subscript or a product.
                if token.kind == "num":
                    raise Unread("a number behind a factor")
                factors.append(self.factor(depth))
            else:
                break
        return factors[0] if len(factors) == 1 else ("*", *factors)

    @staticmethod
    def starts_factor(token: Token) -> bool:
        return (
            token.kind in {"num", "sym", "fn", "const"}
            or (token.kind == "open" and token.text in {"(", "[", "{", "lfloor", "lceil"})
            or (token.kind == "cmd" and token.text in {"frac", "sqrt", "binom", "dbinom", "tbinom", "sum", "prod"})
        )

    def factor(self, depth: int) -> Tree:
        if self.peek().kind == "op" and self.peek().text in {"+", "-"}:
            # x * -2
            return self.signed_factor(depth)
        return self.power(self.postfix(self.atom(depth)), depth)

    def signed_factor(self, depth: int) -> Tree:
        minus = self.take().text == "-"
        tree = self.power(self.postfix(self.atom(depth)), depth)
        return negative(tree) if minus else tree

    def postfix(self, tree: Tree) -> Tree:
        while True:
            token = self.peek()
            if token == Token("op", "!", token.spaced):
                if self.peek(1).text == "!":
                    raise Unread("double factorial")
                self.at += 1
                tree = ("!", tree)
            elif token.kind == "op" and token.text == "%":
                self.at += 1
                tree = ("*", tree, ("num", "1/100"))
            elif token.kind == "const" and token.text.startswith("degree"):
                self.at += 1
                tree = ("*", tree, DEGREE)
            elif token.kind == "op" and token.text == "'":
                raise Unread("a derivative")
            else:
                return tree

    def power(self, base: Tree, depth: int) -> Tree:
        if not (self.peek().kind == "op" and self.peek().text in {"^", "**"}):
            return base
        self.at += 1
        if self.is_degree():
            return self.power(self.postfix(("*", base, DEGREE)), depth)
        exponent = self.exponent(depth)
        return self.postfix(("^", base, exponent))

    def is_degree(self) -> bool:
        r"""Pass over the circle of `^\circ` and `^{\circ}`."""
        braced = self.peek() == Token("open", "{", self.peek().spaced) and self.peek(1).text == "circ"
        if braced or (self.peek().kind == "cmd" and self.peek().text == "circ"):
            self.at += 3 if braced else 1
            return True
        return False

    def exponent(self, depth: int) -> Tree:
        minus = False
        while self.peek().kind == "op" and self.peek().text in {"+", "-"}:
            minus ^= self.take().text == "-"
        base = self.postfix(self.atom(depth + 1)) if self.peek().text != "{" else self.atom(depth + 1)
        # A tower is read from the top: 2**3**2 is 2**9.
        tree = self.power(base, depth + 1)
        return negative(tree) if minus else tree

    def atom(self, depth: int) -> Tree:
        if depth > MAX_DEPTH:
            raise Unread("nested too deep")
        token = self.take()
        match token.kind:
            case "num":
                return self.number(token, depth)
            case "sym":
                return self.symbol(token, depth)
            case "const":
                return _CONSTANTS[token.text]
            case "fn":
                return self.function(token.text, depth)
            case "open":
                return self.group(token.text, depth)
            case "cmd":
                return self.command(token.text, depth)
            case "op" if token.text == "|":
                inner = self.sum(depth + 1)
                self.expect("op", "|")
                return ("abs", inner)
            case _:
                raise Unread(token.text or "nothing")

    def group(self, opening: str, depth: int) -> Tree:
        closing = {"(": ")", "[": "]", "{": "}", "lfloor": "rfloor", "lceil": "rceil"}.get(opening)
        if closing is None:
            raise Unread(opening)
        inner = self.sum(depth + 1)
        self.expect("close", closing)
        return ("fn", opening[1:], inner) if opening in {"lfloor", "lceil"} else inner

    def number(self, token: Token, depth: int) -> Tree:
        following = self.peek()
        if following.kind == "op" and following.text == "_":
            self.at += 1
            base = self.subscript()
            return ("sym", f"{token.text} in base {base}")
        if not token.text.isdigit():
            return ("num", str(Fraction(token.text)))
        if following.kind == "cmd" and following.text == "frac":
            return self.mixed(int(token.text), depth)
        whole, top, bar, bottom = int(token.text), following, self.peek(1), self.peek(2)
        plain = top.kind == bottom.kind == "num" and top.spaced and (bar.kind, bar.text) == ("op", "/")
        if plain and top.text.isdigit() and bottom.text.isdigit():
            self.at += 3
            return _mixed(whole, int(top.text), int(bottom.text))
        return ("num", str(whole))

    def mixed(self, whole: int, depth: int) -> Tree:
        r"""Read 2\frac12; a fraction that is no proper one of whole numbers makes it a product."""
        start = self.at
        self.at += 1
        top, bottom = self.argument(depth), self.argument(depth)
        numbers = [part[1] for part in (top, bottom) if part[0] == "num" and isinstance(part[1], str)]
        if len(numbers) == 2 and all(map(str.isdigit, numbers)):  # noqa: PLR2004 - both parts
            return _mixed(whole, int(numbers[0]), int(numbers[1]))
        self.at = start
        return ("num", str(whole))

    def symbol(self, token: Token, depth: int) -> Tree:
        name = token.text
        if self.accept("op", "_"):
            name += "_" + self.subscript()
        if name in {"e", "i"}:
            return ("const", name)
        following = self.peek()
        if name in _APPLIED and following.kind == "open" and following.text == "(" and not following.spaced:
            self.at += 1
            arguments = [self.sum(depth + 1)]
            while self.accept("op", ","):
                arguments.append(self.sum(depth + 1))
            self.expect("close", ")")
            return ("apply", name, *arguments)
        return ("sym", name)

    def subscript(self) -> str:
        if not self.accept("open", "{"):
            return self.take().text
        parts: list[str] = []
        while not self.accept("close", "}"):
            parts.append(self.take().text)
        return "".join(parts)

    def command(self, name: str, depth: int) -> Tree:
        match name:
            case "frac":
                top, bottom = self.argument(depth), self.argument(depth)
                return ("*", top, ("^", bottom, ("num", "-1")))
            case "sqrt":
                return self.root(depth)
            case "sum" | "prod":
                # Not computed: two are one if they are written alike, whatever the order of their terms and factors.
                bounds = [self.bound() for sign in "_^" if self.accept("op", sign)]
                return (name, *bounds, self.product(depth + 1))
            case "binom" | "dbinom" | "tbinom":
                return ("binom", self.argument(depth), self.argument(depth))
            case _:
                raise Unread(name)

    def bound(self) -> str:
        """Read what stands below or above a sum, as it is spelt."""
        return self.subscript()

    def argument(self, depth: int) -> Tree:
        r"""Read one argument of a command: a group, or one digit or letter (`\frac12`)."""
        token = self.peek()
        if token.kind == "num" and len(token.text) > 1 and token.text.isdigit():
            # One digit is taken, the rest stands behind it.
            rest = Token("num", token.text[1:], False)
            self.tokens = (
                *self.tokens[: self.at],
                Token("num", token.text[0], token.spaced),
                rest,
                *self.tokens[self.at + 1 :],
            )
        if token.kind == "num":
            return ("num", str(Fraction(self.take().text)))
        return self.atom(depth + 1)

    def root(self, depth: int) -> Tree:
        degree: Tree = ("num", "2")
        if self.accept("open", "["):
            degree = self.sum(depth + 1)
            self.expect("close", "]")
        token = self.peek()
        if token.kind == "num" and len(token.text) > 1 and not token.spaced:
            # LaTeX draws the root over the 1 of \sqrt12.
            raise Unread("where the root ends")
        return ("^", self.atom(depth + 1), ("^", degree, ("num", "-1")))

    def function(self, name: str, depth: int) -> Tree:  # noqa: C901 - one branch per spelling
        if name == "sqrt":
            return self.root(depth)
        base: Tree | None = None
        if name == "log" and self.accept("op", "_"):
            base = self.atom(depth + 1)
        power: Tree | None = None
        if self.accept("op", "^", "**"):
            power = self.exponent(depth)
            if power == ("num", "-1") or power == negative(("num", "1")):
                if name not in _INVERSE:
                    raise Unread("an inverse")
                name, power = _INVERSE[name], None
        arguments = self.arguments(depth)
        if name in {"min", "max", "gcd", "lcm"}:
            tree: Tree = ("fn", name, *sorted(arguments, key=repr))
        elif len(arguments) != 1:
            raise Unread("arguments")
        elif base is not None:
            tree = ("*", ("fn", "ln", arguments[0]), ("^", ("fn", "ln", base), ("num", "-1")))
        elif name == "exp":
            tree = ("^", ("const", "e"), arguments[0])
        elif name == "abs":
            tree = ("abs", arguments[0])
        else:
            tree = ("fn", name, arguments[0])
        return tree if power is None else ("^", tree, power)

    def arguments(self, depth: int) -> list[Tree]:
        """Read what a function is taken of: what stands in brackets, else the factors up to a sign or a function."""
        if self.peek().kind == "open" and self.peek().text in {"(", "{", "["}:
            closing = {"(": ")", "{": "}", "[": "]"}[self.take().text]
            found = [self.sum(depth + 1)]
            while self.accept("op", ","):
                found.append(self.sum(depth + 1))
            self.expect("close", closing)
            return found
        factors = [self.factor(depth + 1)]
        while self.starts_factor(self.peek()) and self.peek().kind not in {"fn", "num"}:
            if self.peek().kind == "open":
                # sin x(x+1)
                raise Unread("where the argument ends")
            factors.append(self.factor(depth + 1))
        if self.peek().kind == "op" and self.peek().text == "/":
            raise Unread("where the argument ends")
        return [factors[0] if len(factors) == 1 else ("*", *factors)]


def _mixed(whole: int, top: int, bottom: int) -> Tree:
    if not 0 < top < bottom:
        # 2\frac32 is a product to some, and no mixed number to others.
        raise Unread("an improper mixed number")
    return ("mixed", str(whole + Fraction(top, bottom)))
