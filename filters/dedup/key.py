"""The key of a question: what two spellings of one question have in common, and no more.

Folded is what a keyboard, a file or a house style decides: white space, quotes, full-width forms, Unicode's normal
and compatibility forms, digits of other scripts, pauses between words and the punctuation that ends a sentence. Kept is
what carries meaning: combining marks, symbols and emoji, operators, brackets, exponents, factorials, and case where it
is mathematics or code. In doubt a sign is kept: a missed repeat costs a row of training, a false one loses a question.

Scripts that are written without spaces are split by characters, so that their n-grams are as fine as words are.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from filters.instructions import split_instructions

KEY_RECIPE = "question-key/v1"
"""Names this recipe in manifests of benchmarks: hashes of different recipes are never compared. Rises with any change
of a key."""


class Token(NamedTuple):
    """A word, a number, a symbol, or one character of a script without spaces."""

    text: str
    """As it is compared."""
    written: str
    """As it stands in the text, apart from Unicode's forms."""
    opens: bool
    """Begins a sentence or a line."""


@lru_cache(maxsize=1 << 14)  # of many questions that a source asks, most are asked of many pictures
def question_key(text: str) -> str:
    """Return what is equal for two spellings of one question: its tokens, joined by spaces.

    Marks of pictures at either end are taken off, and so is what a data set tells every model about the form of its
    answers. What would leave nothing is not taken off; only an empty text has an empty key. Total: no text makes it
    raise. Not idempotent: a key no longer says what was mathematics.
    """
    return " ".join(token.text for token in question_tokens(text))


@lru_cache(maxsize=1 << 10)  # a key and a template, or an entry of a benchmark, are made of them
def question_tokens(text: str) -> tuple[Token, ...]:
    """Return the tokens of `question_key`."""
    bare = without_image_marks(text)
    asked = split_instructions(bare).question
    return key_tokens(asked) or key_tokens(bare) or key_tokens(text)


def key_tokens(text: str) -> tuple[Token, ...]:
    """Return the tokens of a text of any length as they stand, instructions included."""
    written, formal = _spans(fold(text))
    raw = _raw_tokens(written, formal)
    shouted = _in_capitals(raw)
    kept = tuple(_compared(raw, place, capitals=shouted[place]) for place in _kept(raw))
    return kept or tuple(Token(token.text, token.text, opens=False) for token in raw)


# What stands for a picture: of LLaVA and the Hugging Face hub, of Qwen, of InternVL and MiniCPM.
_IMAGE_MARK = (
    r"(?:<image>|<image[ _-]?\d+>|<img>(?:</img>)?|<ImageHere>|<\|image(?:_\d+|_pad)?\|>|\[IMG\]"
    r"|<\|vision_start\|>(?:<\|image_pad\|>)*<\|vision_end\|>)"
)
_IMAGE_MARKS = re.compile(rf"^(?:\s*{_IMAGE_MARK})+|(?:{_IMAGE_MARK}\s*)+$", re.IGNORECASE)


def without_image_marks(text: str) -> str:
    """Return a text without the marks of pictures before and behind it; one between words says which is meant."""
    return _IMAGE_MARKS.sub(" ", text.strip()).strip() or text


# Unicode's forms

_HYPHENS = "\u2010\u2011\u2012\u2013\u2212\ufe58\ufe63"
_APOSTROPHES = "\u2018\u2019\u201a\u201b\u02bc\u00b4"
_QUOTES = "\u201c\u201d\u201e\u201f\u00ab\u00bb\u2039\u203a\u301d\u301e\u300a\u300b\u300c\u300d\u300e\u300f\uff62\uff63"
# Of Chinese and Japanese, Arabic, Urdu, Devanagari, Burmese, Khmer, Tibetan, Ethiopic.
_STOPS = "\u3002\uff61\u06d4\u0964\u0965\u104b\u17d4\u0f0d\u1362"
_IGNORED = (
    *(0x00AD, 0x034F, 0x061C, 0x0640, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x200B, 0x200C, 0x200E, 0x200F, 0x3164, 0xFEFF),
    *range(0x180B, 0x1810),
    *range(0x202A, 0x202F),
    *range(0x2060, 0x2070),
    *range(0xFE00, 0xFE10),
    *range(0xE0100, 0xE01F0),
)
"""Invisible: joiners, marks of direction, selectors of a glyph; and the Arabic tatweel, which stretches a line."""
_ONE_SPELLING = {
    **dict.fromkeys(map(ord, _HYPHENS), "-"),
    **dict.fromkeys(map(ord, _APOSTROPHES), "'"),
    **dict.fromkeys(map(ord, _QUOTES), '"'),
    **dict.fromkeys(map(ord, _STOPS), "."),
    **dict.fromkeys(_IGNORED, ""),
    **dict.fromkeys(map(ord, "\u00a1\u00bf"), " "),
    0x2014: ",",
    0x2015: ",",
    0x061F: "?",
    0x1367: "?",
    0x060C: ",",
    0x061B: ";",
    0x104A: ",",
    0x066B: ".",
    0x066C: ",",
    0xFF64: "\u3001",
    0x2044: "/",
    0x2215: "/",
    0x2217: "*",
    0x2236: ":",
    0x2223: "|",
    0x301C: "~",
    0x2026: "\u2026",
    **dict.fromkeys((0x00B7, 0x2219, 0x22C5), "\u22c5"),
}
_FORMS = frozenset(
    {"<wide>", "<narrow>", "<small>", "<vertical>", "<noBreak>", "<square>", "<fraction>", "<compat>"}
    | {"<initial>", "<medial>", "<final>", "<isolated>"}
)
"""Decompositions that are another form of the same text. `<super>` and `<sub>` are exponents and indices, `<circle>`
is a symbol, `<font>` a style that mathematics may mean."""
_MEANT_STYLES = ("DOUBLE-STRUCK", "SCRIPT", "FRAKTUR", "BLACK-LETTER", "MATHEMATICAL BOLD")


class _Folded(dict[int, str]):
    """Character → its spelling; each is looked up in Unicode's tables once."""

    def __missing__(self, code: int) -> str:
        self[code] = found = _spelling(chr(code))
        return found


def _spelling(char: str) -> str:
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    form, *codes = unicodedata.decomposition(char).split() or [""]
    # The variants of Greek letters are symbols of their own in formulas.
    letter = form in _FORMS and not "\u03d0" <= char <= "\u03f5"
    if form == "<font>":
        letter = not unicodedata.name(char).startswith(_MEANT_STYLES)
    if not letter:
        return char
    return "".join(_FOLD[int(code, 16)] for code in codes)


_FOLD = _Folded(_ONE_SPELLING)
_SUPER = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", "0123456789+-=()ni", strict=True))
_SUB = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₙᵢₓ", "0123456789+-=()nix", strict=True))
_RAISED = re.compile(f"[{''.join(_SUPER)}]+")
_LOWERED = re.compile(f"[{''.join(_SUB)}]+")
_VULGAR = re.compile("(?<=[0-9])(?=[\u00bc-\u00be\u2150-\u215e\u2189])")
_STYLED_WORD = re.compile("[\U0001d400-\U0001d7ff]{2,}")
_JOINER = re.compile("\u200d")


def fold(text: str) -> str:
    """Return a text in one of its Unicode forms, LaTeX for Unicode's exponents and one spelling of LaTeX's signs."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.encode(errors="replace").decode())
        text = _RAISED.sub(lambda run: f"^{{{''.join(map(_SUPER.__getitem__, run[0]))}}}", text)
        text = _LOWERED.sub(lambda run: f"_{{{''.join(map(_SUB.__getitem__, run[0]))}}}", text)
        text = _STYLED_WORD.sub(lambda word: unicodedata.normalize("NFKC", word[0]), _VULGAR.sub(" ", text))
        text = _JOINER.sub(_joining, text)
        text = unicodedata.normalize("NFC", text.translate(_FOLD))
    return _latex(text.replace("...", "\u2026"))


def _joining(match: re.Match[str]) -> str:
    """Keep a joiner between emoji, which makes one of several; between letters it is a matter of shape."""
    before = match.string[match.start() - 1 : match.start()]
    return "\u200d" if before and unicodedata.category(before) in {"So", "Sk", "Mn"} else ""


# Unicode spells the eleventh LAMDA.
_GREEK = {
    name: name.upper().replace("LAMBDA", "LAMDA")
    for name in (
        *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu"),
        *("xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega"),
    )
}
_SIGNS = {
    **{name: unicodedata.lookup(f"GREEK SMALL LETTER {letter}") for name, letter in _GREEK.items()},
    **{name.title(): unicodedata.lookup(f"GREEK CAPITAL LETTER {letter}") for name, letter in _GREEK.items()},
    **dict.fromkeys(("le", "leq", "leqslant"), "≤"),
    **dict.fromkeys(("ge", "geq", "geqslant"), "≥"),
    **dict.fromkeys(("ne", "neq"), "≠"),
    **dict.fromkeys(("to", "rightarrow"), "→"),
    **dict.fromkeys(("wedge", "land"), "∧"),
    **dict.fromkeys(("vee", "lor"), "∨"),
    **dict.fromkeys(("neg", "lnot"), "¬"),
    **dict.fromkeys(("dfrac", "tfrac", "cfrac"), "\\frac"),
    **dict.fromkeys(("ldots", "dots", "cdots"), "\u2026"),
    "lt": "<",
    "gt": ">",
    "times": "×",
    "div": "÷",
    "pm": "±",
    "mp": "∓",
    "cdot": "\u22c5",
    "infty": "∞",
    "ast": "*",
    "leftarrow": "←",
    "Rightarrow": "⇒",
    "Leftarrow": "⇐",
    "iff": "⇔",
    "in": "∈",
    "notin": "∉",
    "cup": "∪",
    "cap": "∩",
    "subset": "⊂",
    "subseteq": "⊆",
    "supset": "⊃",
    "supseteq": "⊇",
    "emptyset": "∅",
    "forall": "∀",
    "exists": "∃",
    "angle": "∠",
    "triangle": "△",
    "perp": "⊥",
    "parallel": "∥",
    "sum": "∑",
    "prod": "∏",
    "int": "∫",
    "partial": "∂",
    "nabla": "∇",
    "approx": "≈",
    "equiv": "≡",
    "sim": "∼",
    "cong": "≅",
    "oplus": "⊕",
    "circ": "∘",
    "lfloor": "⌊",
    "rfloor": "⌋",
    "lceil": "⌈",
    "rceil": "⌉",
    "langle": "⟨",
    "rangle": "⟩",
    "mid": "|",
    "vert": "|",
}
"""Commands of LaTeX that have a character."""
_SPACING = re.compile(
    r"\\(?:[,;:!]|(?:left|right|big|Big|bigg|Bigg|quad|qquad|displaystyle|textstyle|limits|nolimits)(?![A-Za-z]))"
)
_UPRIGHT = re.compile(r"\\(?:text|textrm|mathrm|mbox|operatorname|textbf|textit)\s?\{([^{}\\]*)\}")
_COMMAND = re.compile(r"\\([A-Za-z]+)")
# The braces around one number or word, where they hold nothing together: x^{2}, x_{n}.
_BRACED = re.compile(r"(?<=[_^])\{([0-9A-Za-z]+|-[0-9]+)\}(?![0-9A-Za-z])")
_DEGREE = re.compile(r"\^\s*(?:\{\s*(?:\\circ|∘)\s*\}|\\circ(?![A-Za-z])|∘)|\\degree(?![A-Za-z])")


def _latex(text: str) -> str:
    if "\\" in text:
        text = _UPRIGHT.sub(r" \1 ", _DEGREE.sub("°", _SPACING.sub(" ", text)))
        text = _COMMAND.sub(lambda command: _SIGNS.get(command[1], command[0]), text)
    return _BRACED.sub(r"\1", text) if "{" in text else text


# What is mathematics or code

# As Pandoc reads dollars: no space inside, no digit behind. "$5 and $10" is money.
# Bounded, so that an open delimiter in hostile text costs no more than a formula.
_FORMAL = re.compile(
    r"```(?P<block>.{1,1000}?)```|`(?P<code>[^`\n]+)`|\$\$(?P<display>.{1,1000}?)\$\$"
    r"|(?<![\\$])\$(?P<inline>(?! )[^$\n]{1,400}?)(?<![ \\])\$(?![0-9$])"
    r"|\\\((?P<round>.{1,1000}?)\\\)|\\\[(?P<square>.{1,1000}?)\\\]",
    re.DOTALL,
)


def _spans(text: str) -> tuple[str, bytearray]:
    """Return the text without delimiters of formulas and code, and for each character whether it is in one."""
    parts: list[tuple[str, bool]] = []
    end = 0
    if "`" in text or "$" in text or "\\" in text:
        for match in _FORMAL.finditer(text):
            parts += [(text[end : match.start()], False), (str(match[match.lastgroup or 0]).strip(" \n.,;"), True)]
            end = match.end()
    parts.append((text[end:], False))
    written, formal = "", bytearray()
    for part, is_formal in parts:
        glued = written[-1:].isalnum() and part[:1].isalnum()
        written += (" " if glued else "") + part
        formal += bytes([0] * glued + [is_formal] * len(part))
    return written.replace("\\$", " $"), formal  # one character for one


# Tokens

_UNSPACED = (
    *("CJK ", "HIRAGANA", "KATAKANA", "BOPOMOFO", "IDEOGRAPHIC", "THAI ", "LAO ", "KHMER ", "MYANMAR ", "TIBETAN "),
    *("YI ", "JAVANESE ", "BALINESE ", "TAI ", "NEW TAI ", "VERTICAL KANA"),
)
"""How the names of letters begin in scripts that put no space between words."""


class _Shapes(dict[int, str]):
    """Character → its class: w letter, m mark, d digit, c letter of a script without spaces; others are themselves."""

    def __missing__(self, code: int) -> str:
        self[code] = found = _shape(chr(code))
        return found


def _shape(char: str) -> str:
    if char.isspace():
        return "\n" if char in "\n\r\x0b\x0c\x85\u2028\u2029" else " "
    match unicodedata.category(char):
        case "Nd":
            return "d"
        case "Mn" | "Mc" | "Me":
            return "m"
        case kind if kind[0] == "L" or kind == "Nl":
            return "c" if unicodedata.name(char, "").startswith(_UNSPACED) else "w"
        case "Cc":
            return " "
        case _:
            return char if char.isascii() else "S"


_SHAPES = _Shapes()
_TOKEN = re.compile(
    r"(?P<command>\\w+)|(?P<blank>_{2,})|(?P<word>[w_](?:[wmd_]|'(?=w))*)|(?P<number>d{1,3}(?:,ddd)+(?!d)(?:\.d+)?|d+(?:\.d+)?|\.d+)"
    r"|(?P<char>cm*)|(?P<symbol>[^\s]m*)"
)
# Capitals inside a word, and Greek letters beside Latin ones: pH, getValue, Δx.
_CAMEL = re.compile("[a-zß-öø-ÿ][A-ZÀ-Þ]|[\u0391-\u03c9][A-Za-z]|[A-Za-z][\u0391-\u03c9]")


_ENDS = frozenset(".?!\u2026:")
_ENDING = _ENDS | frozenset(";,\"'")
_LONGEST_END = 8
"""Marks of punctuation in a row; more are no end but a drawing."""
_AROUND = frozenset("\"'([{*")
"""What may stand before the first word of a sentence."""


class _Raw(NamedTuple):
    kind: str
    text: str
    formal: bool
    before: str
    """Shape of the character before it; a space at the beginning."""
    after: str
    opens: bool

    @property
    def is_word(self) -> bool:
        """Return whether it is a word of prose, not a single letter that may be a symbol."""
        return self.kind == "char" or (self.kind == "word" and len(self.text) > 1)


def _raw_tokens(text: str, formal: Sequence[int]) -> list[_Raw]:
    shapes = text.translate(_SHAPES)
    raw: list[_Raw] = []
    end, fresh = 0, True
    for match in _TOKEN.finditer(shapes):
        start = match.start()
        between = shapes[end:start]
        opens = fresh or "\n" in between
        before = shapes[start - 1] if start else " "
        after = shapes[match.end()] if match.end() < len(shapes) else " "
        end = match.end()
        token = _Raw(str(match.lastgroup), text[start:end], bool(formal[start]), before, after, opens)
        raw.append(token)
        if token.text in _ENDS:
            fresh = after in " \n\"')c" or before == "c" or fresh
        elif token.text not in _AROUND:
            fresh = False
    return raw


def _kept(raw: Sequence[_Raw]) -> Iterator[int]:
    """Yield the places of the tokens that count."""
    quoting: set[str] = set()
    for place, token in enumerate(raw):
        before = raw[place - 1] if place else None
        after = raw[place + 1] if place + 1 < len(raw) else None
        if token.text in {'"', "'"} and not token.formal:
            if _measures(token, before, quoting):
                yield place
        elif token.kind != "symbol" or token.formal or _counts(token, before, after, final=_final(raw, place)):
            yield place


def _measures(token: _Raw, before: _Raw | None, quoting: set[str]) -> bool:
    """Return whether a mark like a quote is one of inches, feet, minutes or a derivative; others fold."""
    if token.text in quoting:
        quoting.discard(token.text)
        return False
    if token.before in " \n([{" or before is None or before.text in {"(", "[", "{", '"', "'"}:
        quoting.add(token.text)
        return False
    return before.kind == "number" or (before.kind == "word" and len(before.text) == 1)


def _final(raw: Sequence[_Raw], place: int) -> bool:
    """Return whether nothing but punctuation follows."""
    behind = raw[place + 1 : place + 1 + _LONGEST_END]
    return len(raw) - place <= _LONGEST_END and all(token.text in _ENDING for token in behind)


def _counts(token: _Raw, before: _Raw | None, after: _Raw | None, *, final: bool) -> bool:
    """Return whether a mark carries meaning: all do but pauses and ends of sentences between words."""
    prose_before, prose_after = before is not None and before.is_word, after is not None and after.is_word
    match token.text:
        case "!":
            factorial = token.before in "d)]}!" or (token.before in "wm" and not prose_before)
            negation = token.after in "=wd(" and token.before not in "wmcd"
            return factorial or negation
        case "." | "\u2026":
            return not final and token.after not in " \n\"')c" and token.before != "c"
        case "?":
            return not (final or prose_before or prose_after)
        case "," | ";":
            return not (final or prose_before or prose_after)
        case ":":
            return not (final or prose_before or before is None)
        case "\u3001":
            # A pause behind a particle in Japanese; between other words it separates the parts of a list.
            pause = before is not None and "\u3041" <= before.text[0] <= "\u309f"
            return not (final or pause)
        case "-":
            compound = token.before in "wm" and token.after == "w" and (prose_before or prose_after)
            return not compound
        case _:
            return True


_SAID_SMALL = frozenset(
    {"TV", "US", "UK", "EU", "UN", "PC", "OK", "AM", "PM", "AD", "BC", "DJ", "CD", "ID", "IQ", "IT"}
)
"""Two capitals that are written small as well; any others may be points, products or elements: AB, Co and CO."""
_BESIDE_I = frozenset(
    {"do", "did", "can", "could", "should", "would", "will", "must", "may", "am", "have", "had", "see", "need", "want"}
)
_OPENING_WORDS = frozenset("AEOYÀÉÓАВИКОСУЯ")
"""Words of one letter in English, French, Spanish, Portuguese, Italian and Russian."""
_SHORTEST_CAPITALS = 3
_LONGEST_UNIT = 3


def _in_capitals(raw: Sequence[_Raw]) -> list[bool]:
    """Return for each token whether its sentence is written in capitals throughout, so that they say nothing."""
    starts = [place for place, token in enumerate(raw) if token.opens]
    flags: list[bool] = []
    for start, end in pairwise((*starts, len(raw))):
        words = [token.text for token in raw[start:end] if token.kind == "word" and not token.formal]
        shouted = " ".join(words).isupper() and any(len(word) >= _SHORTEST_CAPITALS for word in words)
        flags += [shouted and len(words) >= _SHORTEST_CAPITALS] * (end - start)
    return flags


def _compared(raw: Sequence[_Raw], place: int, *, capitals: bool) -> Token:
    token = raw[place]
    text = "_" if token.kind == "blank" else token.text
    if token.kind in {"word", "number"} and not token.formal and not text.islower():
        before = raw[place - 1] if place else None
        after = raw[place + 1] if place + 1 < len(raw) else None
        if len(text) == 1:
            small = _word_of_one_letter(raw, place, capitals=capitals)
        else:
            small = not _case_counts(token, before, after, capitals=capitals)
        text = text.lower() if small else text
    return Token(text, token.text, token.opens)


def _case_counts(token: _Raw, before: _Raw | None, after: _Raw | None, *, capitals: bool) -> bool:
    """Return whether the capitals of a word of prose are those of a symbol, a unit, an element or a name in code."""
    text = token.text
    if "_" in text or any(map(str.isdigit, text)):
        return True
    if capitals:
        return False
    if _CAMEL.search(text) is not None or token.after == "(":
        return True
    behind_number = before is not None and before.kind == "number"
    if text.isupper() and (len(text) <= _LONGEST_UNIT if behind_number else len(text) == len("AB")):
        return behind_number or text not in _SAID_SMALL
    return any(map(_operates, (before, after)))


def _word_of_one_letter(raw: Sequence[_Raw], place: int, *, capitals: bool) -> bool:
    """Return whether a capital by itself is an article, a pronoun or a part of a compound: it is no symbol then."""
    token, ahead = raw[place], raw[place + 1 : place + 3]
    if token.text == "I":
        beside = {other.text.lower() for other in (*raw[max(0, place - 1) : place], *ahead[:1])}
        return not beside.isdisjoint(_BESIDE_I)
    if len(ahead) > 1 and (token.after, ahead[0].after) == ("-", "w"):
        return ahead[1].is_word  # T-shirt
    if token.text not in _OPENING_WORDS or not ahead:
        return False
    return (ahead[0].is_word or ahead[0].after == "-") and (token.opens or capitals or ahead[0].text[0].isupper())


def _operates(token: _Raw | None) -> bool:
    """Return whether a token is an operator or relation of mathematics."""
    if token is None or token.kind != "symbol":
        return False
    return token.text in "*^" or unicodedata.category(token.text[0]) == "Sm"
