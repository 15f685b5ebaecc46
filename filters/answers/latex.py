r"""LaTeX in short answers, as plain text: `12\,\mathrm{cm}`, `\text{(B)}`, `2\frac12`, `45^\circ`.

Only what has one plain spelling is written out. A fraction becomes `1/2` where it stands alone or behind a whole number
("2 1/2"); anywhere else, as in `x^\frac12`, it stays as it is, and nobody downstream reads it as digits.
"""

from __future__ import annotations

import re

_SIZES = re.compile(
    r"\\(?:left|right|middle|[bB]ig{1,2}[lrm]?)(?![A-Za-z])\.?|\\(?:displaystyle|textstyle)(?![A-Za-z])"
)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{((?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*)\}")
_SIDE_BY_SIDE = re.compile(r"\}\s*(?=\\boxed)")
_TEXT = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|up|normal)?|mathrm|mathbf|mathit|mathsf|mbox|hbox|emph|underline|operatorname)\*?\s*"
    r"\{((?:[^{}]|\{[^{}]*\})*)\}"
)
_GROUPING = re.compile(r"(?<=[0-9])(?:\s?\{\s?,\s?\}|,\s?\\!|\\,)\s?(?=[0-9]{3}(?![0-9]))")
_FRACTION = re.compile(
    r"(?:(?<![\w.,/^}\\])(?P<before>[0-9]+)\s?|(?<![\w^/}.]))"
    r"\\[dtc]?frac\s*(?:\{\s*(?P<top>-?[0-9.]+)\s*\}|\s?(?P<one>[0-9]))\s*(?:\{\s*(?P<bottom>[0-9.]+)\s*\}|(?P<two>[0-9]))(?![\w^(\\!{])"
)
_MATH = re.compile(r"(?<![\\$])\$\$?(?=\S)([^$]*?[^\\$\s])\$\$?(?![0-9])|\\\((.+?)\\\)|\\\[(.+?)\\\]", re.DOTALL)
_DEGREES = re.compile(r"\s*\^\s*(?:\{\s*\\circ\s*\}|\\circ(?![A-Za-z]))|\s*\\degree(?![A-Za-z])")
_SPACES = re.compile(r"\\(?:[,;:> ]|quad(?![A-Za-z])|qquad(?![A-Za-z])|thinspace(?![A-Za-z]))|(?<=\w)~(?=\w)")
_SIGNS = {
    "times": "\u00d7",
    "cdot": "\u00d7",
    "div": "/",
    "pi": "\u03c0",
    "infty": "\u221e",
    "pm": "\u00b1",
    "mp": "\u2213",
    "le": "\u2264",
    "leq": "\u2264",
    "ge": "\u2265",
    "geq": "\u2265",
    "lt": "<",
    "gt": ">",
    "ne": "\u2260",
    "neq": "\u2260",
    "approx": "\u2248",
    "sim": "~",
    "to": "\u2192",
    "rightarrow": "\u2192",
    "Rightarrow": "\u21d2",
    "sqrt": "\u221a",
    "pounds": "\u00a3",
    "euro": "\u20ac",
    "yen": "\u00a5",
    "ldots": "...",
    "dots": "...",
    "mu": "\u00b5",
    "Omega": "\u03a9",
    "checkmark": "\u2713",
    "textdollar": "$",
}
_COMMAND = re.compile(rf"\\({'|'.join(_SIGNS)})(?![A-Za-z])\s?")
_ESCAPED = re.compile(r"\\([%#&_{}])")
_POWER = re.compile(r"\^\{([+-]?[0-9]+)\}")


def plain(text: str) -> str:
    """Return a text without LaTeX where its plain spelling is known; whatever else stands in it stays."""
    text = _GROUPING.sub(lambda match: "," if "," in match[0].replace("\\,", "") else " ", text)
    text = _MATH.sub(lambda match: match[1] or match[2] or match[3], _SIZES.sub("", text).replace("\\!", ""))
    text = _SIDE_BY_SIDE.sub("}, ", text)
    for form in (_BOX, _TEXT, _BOX):
        text = form.sub(r"\1", text)
    text = _FRACTION.sub(_fraction, text)
    text = _DEGREES.sub("\u00b0", text)
    text = _COMMAND.sub(lambda match: _SIGNS[match[1]], _SPACES.sub(" ", text))
    return _POWER.sub(r"^\1", _ESCAPED.sub(r"\1", text))


def _fraction(match: re.Match[str]) -> str:
    top, bottom, before = match["top"] or match["one"], match["bottom"] or match["two"], match["before"] or ""
    whole = top.isdigit() and bottom.isdigit()
    if before and not (whole and int(top) < int(bottom)):
        # 2\frac32 is no mixed number.
        return match[0]
    return f"{before} {top}/{bottom}".strip()
