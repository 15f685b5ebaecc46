r"""The notation of formulas, LaTeX and plain: one spelling of characters, and the tokens that it consists of.

What means the same becomes the same token (`\times`, `\cdot` and `*`; `\le`, `<=` and `≤`); sizes, spacing and
thousands separators go. A run of letters is a name that is known, one or two factors, or a word.
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from typing import Final, NamedTuple

FUNCTIONS: Final = frozenset(
    {"sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "log", "ln", "exp"}
    | {"sqrt", "abs", "min", "max", "gcd", "lcm"}
)
_SHORT = {"asin": "arcsin", "acos": "arccos", "atan": "arctan", "lg": "log"}
_GREEK_NAMES = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma tau upsilon"
    " phi varphi chi psi omega Gamma Delta Theta Lambda Xi Sigma Phi Psi Omega ell hbar"
)
_GREEK = frozenset(_GREEK_NAMES.split(" "))
_NAMED = frozenset({"pi", "infty", "infinity", "oo", "degree", "degrees"})
"""Names of constants."""

_SIGNS = str.maketrans(
    dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d", "-")
    | dict.fromkeys("\u00d7\u00b7\u22c5\u2217\u2715", "*")
    | {
        "\u00f7": "/",
        "\u2044": "/",
        "\u2215": "/",
        "\u066a": "%",
        "\u066b": ".",
        "\u221a": "\\sqrt ",
        "\u221e": "\\infty ",
        "\u03c0": "\\pi ",
    }
    | {
        "\u00b0": "\\degree ",
        "\u2264": "\\le ",
        "\u2265": "\\ge ",
        "\u2260": "\\ne ",
        "\u00b1": "\\pm ",
        "\u2213": "\\mp ",
    }
    | {
        "\u222a": "\\cup ",
        "\u2229": "\\cap ",
        "\u2208": "\\in ",
        "\u2248": "\\approx ",
        "\u2220": "\\angle ",
        "\u211d": "\\mathbb{R}",
    }
    | {
        "\u2124": "\\mathbb{Z}",
        "\u2115": "\\mathbb{N}",
        "\u211a": "\\mathbb{Q}",
        "\u2205": "\\emptyset ",
        "\u2192": "\\to ",
    }
    | {"\u230a": "\\lfloor ", "\u230b": "\\rfloor ", "\u2308": "\\lceil ", "\u2309": "\\rceil ", "\u2032": "'"}
    | {
        "\u2a7d": "\\le ",
        "\u2a7e": "\\ge ",
        "\u27e8": "\\langle ",
        "\u27e9": "\\rangle ",
        "\u2227": "\\land ",
        "\u2228": "\\lor ",
    }
)
_GREEK_SIGNS = {chr(code): unicodedata.name(chr(code)).rsplit(" ", 1)[-1] for code in range(0x3B1, 0x3CA)}
_SUPERSCRIPTS = re.compile("[\u2070\u00b9\u00b2\u00b3\u2074-\u207f]+")
_SUBSCRIPTS = re.compile("[\u2080-\u208e]+")
_SPACING = re.compile(
    r"(?<!\\)\\[,;:! >]|\\n(?![A-Za-z])|\\(?:q?quad|(?:thinspace|displaystyle|textstyle|limits)(?![A-Za-z]))|(?<!\\)~"
)
_SIZES = re.compile(r"\\(?:left|right|middle|[bB]ig{1,2}[lrm]?)(?![A-Za-z])\.?")
_GROUPING = re.compile(r"(?<=[0-9])(?:\s?\{\s?,\s?\}|,\s?\\!)\s?(?=[0-9]{3}(?![0-9]))")
_TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|up|normal)?|mathrm|mathbf|mathit|mathsf|rm|bf|mbox|hbox|operatorname|boldsymbol)\*?\s*"
    r"\{([^{}]*)\}"
)


def unified(text: str) -> str:
    """Return a formula in one spelling of characters and of LaTeX: no sizes, no spacing, no typographic signs."""
    if not text.isascii():
        text = _SUPERSCRIPTS.sub(lambda match: "^{" + unicodedata.normalize("NFKC", match[0]) + "}", text)
        text = _SUBSCRIPTS.sub(lambda match: "_{" + unicodedata.normalize("NFKC", match[0]) + "}", text)
        text = "".join(map(_character, text)).translate(_SIGNS)
    text = _SIZES.sub("", text.replace("\\dfrac", "\\frac").replace("\\tfrac", "\\frac").replace("\\cfrac", "\\frac"))
    return " ".join(_SPACING.sub(" ", _GROUPING.sub("", text)).split())


def _character(char: str) -> str:
    """Return a character in ASCII or LaTeX: full-width forms, letters of mathematics, digits of any script, ½."""
    if char in _GREEK_SIGNS and char != "\u03c0":
        return f"\\{_GREEK_SIGNS[char].lower()} "
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    plain = unicodedata.normalize("NFKC", char)
    top, bar, bottom = plain.partition("\u2044")
    if bar and top and bottom:
        return f"\\frac{{{top}}}{{{bottom}}}"
    if unicodedata.category(char) == "Cf":
        return ""
    return plain if len(plain) == 1 else char


class Token(NamedTuple):
    """One piece of a formula."""

    kind: str
    """`num`, `sym`, `fn`, `cmd`, `op`, `open`, `close` or `text`."""
    text: str
    spaced: bool
    """White space stands before it."""


_REPEATING = r"[0-9]*\.[0-9]*\\(?:overline|dot|bar)\s*\{?[0-9]+\}?"
_LEX = re.compile(
    rf"(?P<text>{_TEXT.pattern})"
    rf"|(?P<repeating>{_REPEATING})"
    r"|(?P<sci>(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)[eE][+-]?[0-9]+(?![0-9A-Za-z.]))"
    r"|(?P<num>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
    r"|(?P<brace>\\[{}])"
    r"|(?P<bb>\\mathbb\s*\{?[A-Z]\}?)"
    r"|(?P<env>\\(?:begin|end)\s*\{(?:[pbB]?(?:small)?matrix\*?|array)\}(?:\s*\{[lcr|]+\})?)"
    r"|(?P<cmd>\\(?:[A-Za-z]+|[%$#&\\|])|[$\u20ac\u00a3\u00a5\u20b9])"
    r"|(?P<word>[A-Za-z]+)"
    r"|(?P<op>\*\*|<=|>=|!=|[-+*/^_!,;:=<>|%'&])"
    r"|(?P<open>[(\[{])|(?P<close>[)\]}])"
)
_OPENS = {"lfloor": "close rfloor", "lceil": "close rceil", "langle": "close rangle"}
_RELATIONS = {
    "le": "<=",
    "leq": "<=",
    "leqslant": "<=",
    "ge": ">=",
    "geq": ">=",
    "geqslant": ">=",
    "lt": "<",
    "gt": ">",
    "ne": "!=",
    "neq": "!=",
    "in": "in",
    "approx": "approx",
    "equiv": "=",
    "simeq": "approx",
}
_TIMES = frozenset({"cdot", "times", "ast"})
_SEPARATORS = frozenset({"and", "or", "lor", "land"})


class Unread(Exception):  # noqa: N818 - no error: a text that is no formula
    """The text is no formula that is read here, or it has two readings."""


def lex(text: str) -> list[Token]:
    """Return the tokens of a unified formula.

    Raises:
        Unread: a character that stands in no formula.
    """
    tokens: list[Token] = []
    at, spaced = 0, False
    while at < len(text):
        if text[at] == " ":
            at, spaced = at + 1, True
            continue
        match = _LEX.match(text, at)
        if match is None:
            raise Unread(text[at:])
        tokens += _tokens(match, spaced=spaced)
        at, spaced = match.end(), False
    return tokens


def _tokens(match: re.Match[str], *, spaced: bool) -> list[Token]:
    kind, text = match.lastgroup or "", match[0]
    if match["text"] is not None:
        return _of_text(_TEXT.fullmatch(text), spaced=spaced)
    match kind:
        case "repeating":
            return [Token("num", str(_repeating(text)), spaced)]
        case "sci":
            mantissa, _, exponent = text.lower().partition("e")
            power = [Token("op", "^", False), Token("open", "{", False), Token("op", exponent[0], False)]
            power = power if exponent[0] in "+-" else power[:-1]
            digits = Token("num", exponent.lstrip("+-"), False)
            ten = [Token("op", "*", False), Token("num", "10", False), *power, digits, Token("close", "}", False)]
            # As one factor: 1/2e3 is not 1/2 times 1000.
            return [Token("open", "(", spaced), Token("num", mantissa, False), *ten, Token("close", ")", False)]
        case "num":
            return [Token("num", text, spaced)]
        case "brace":
            return [Token("open" if text == "\\{" else "close", text, spaced)]
        case "bb":
            return [Token("sym", "set " + text.rstrip("}")[-1], spaced)]
        case "env":
            return [Token("open" if "begin" in text else "close", "matrix", spaced)]
        case "cmd":
            return [_command(text.removeprefix("\\") or text, spaced=spaced)]
        case "word":
            return _words(text, spaced=spaced)
        case _:
            return [Token(kind, text, spaced)]


def _of_text(match: re.Match[str] | None, *, spaced: bool) -> list[Token]:
    content = "" if match is None else match[1].strip()
    if content in {"e", "i"}:
        return [Token("sym", content, spaced)]
    if content.lower() in _SEPARATORS:
        return [Token("op", content.lower(), spaced)]
    if re.fullmatch(r"[0-9]+(?:\.[0-9]+)?", content):
        return [Token("num", content, spaced)]
    if content in FUNCTIONS or content in _SHORT:
        return [Token("fn", _SHORT.get(content, content), spaced)]
    return [Token("text", content, spaced)] if content else []


def _command(name: str, *, spaced: bool) -> Token:  # noqa: C901 - one line per kind of command
    if name in _RELATIONS:
        return Token("op", _RELATIONS[name], spaced)
    if name in _TIMES:
        return Token("op", "*", spaced)
    if name in FUNCTIONS or name in _SHORT:
        return Token("fn", _SHORT.get(name, name), spaced)
    if name in _NAMED:
        return Token("const", name, spaced)
    if name in _GREEK:
        return Token("sym", name.removeprefix("var"), spaced)
    if name in {"lor", "land"}:
        return Token("op", "or" if name == "lor" else "and", spaced)
    if name in {"lbrace", "rbrace"}:
        return Token("open" if name == "lbrace" else "close", "\\{" if name == "lbrace" else "\\}", spaced)
    if name in {"lbrack", "rbrack"}:
        return Token("open" if name == "lbrack" else "close", "[" if name == "lbrack" else "]", spaced)
    if name in _OPENS or f"close {name}" in _OPENS.values():
        return Token("open" if name in _OPENS else "close", name, spaced)
    if name in {"%", "div", "|", "lvert", "rvert", "vert", "mid"}:
        signs = {"%": "%", "div": "/"}
        return Token("op", signs.get(name, "|"), spaced)
    return Token("cmd", name, spaced)


_SHORT_UNITS = frozenset(
    {"cm", "mm", "km", "nm", "kg", "mg", "ml", "mL", "cl", "dl", "ft", "Hz", "kN", "kW", "kJ", "eV", "Pa"}
)
"""Units of two letters, which are no two factors."""


def _words(text: str, *, spaced: bool) -> list[Token]:
    """Return what a run of letters is: a name, a separator, a function with its argument (`sinx`), one or two factors.

    Longer runs are words: "abc" may be a product, but "red" is none.
    """
    lowered = text.lower()
    if lowered in _SEPARATORS:
        return [Token("op", lowered, spaced)]
    if text in _SHORT or text in FUNCTIONS:
        return [Token("fn", _SHORT.get(text, text), spaced)]
    if lowered in _NAMED:
        return [Token("const", lowered, spaced)]
    if text in _GREEK:
        return [Token("sym", text, spaced)]
    name = next(
        (name for name in ("arcsin", "arccos", "arctan", "sin", "cos", "tan", "ln", "log") if text.startswith(name)), ""
    )
    if name and len(text) == len(name) + 1:
        return [Token("fn", name, spaced), Token("sym", text[-1], False)]
    if text.isupper() and 2 < len(text) <= 5:  # noqa: PLR2004 - the corners of a figure: ABCD
        return [Token("sym", text, spaced)]
    if text in _SHORT_UNITS:
        return [Token("text", text, spaced)]
    if len(text) <= 2:  # noqa: PLR2004 - as the docstring says
        return [Token("sym", letter, spaced and not at) for at, letter in enumerate(text)]
    return [Token("text", text, spaced)]


def _repeating(text: str) -> Fraction:
    whole, _, rest = text.partition(".")
    fixed, _, period = re.sub(r"\\[a-z]+|\{|\}", " ", rest).strip().rpartition(" ")
    fixed = fixed.strip()
    scale = 10 ** len(fixed)
    return (
        Fraction(int(whole or "0"))
        + Fraction(int(fixed or "0"), scale)
        + Fraction(int(period), scale * (10 ** len(period) - 1))
    )
