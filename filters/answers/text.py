"""Reading short texts as answers: cleaning, comparable tokens, and the words that make an answer no answer.

Everything here is a function of one string, total (no text makes it raise) and deterministic.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Literal, NamedTuple

from filters.answers.latex import plain

# NFKC would turn 10² into 102, 52₈ into 528 and 3½ into 31/2.
_SUBSCRIPT = re.compile("([\u2080-\u2089]+)")
_SUPERSCRIPT = re.compile("([\u207a\u207b]?[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]+)")
_VULGAR = re.compile("(?<=[0-9])(?=[\u00bc-\u00be\u2150-\u215e])")
_HYPHENS = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63"
_APOSTROPHES = "\u2018\u2019\u201a\u201b\u2032\u00b4\u02bc`"
_QUOTES = "\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb"
_ONE_SPELLING = str.maketrans(
    dict.fromkeys(_HYPHENS, "-")
    | dict.fromkeys(_APOSTROPHES, "'")
    | dict.fromkeys(_QUOTES, '"')
    | {"\u2044": "/", "\u066b": ".", "\u066c": ",", "\u066a": "%", "\u0609": "\u2030"}
    # The full stop and the comma of Chinese and Japanese, the comma of Arabic.
    | {"\u0964": ".", "\u3002": ".", "\u3001": ",", "\u060c": ","}
)
_WRAPPERS = (
    re.compile(r"\*\*(.*)\*\*|__(.*)__", re.DOTALL),
    re.compile(r"\*(?=\S)([^*]*[^*\s])\*|_(?=\S)([^_]*[^_\s])_"),
    re.compile(r"<(b|i|u|em|strong|p|span|mark|code)>([^<>]*)</\1>", re.IGNORECASE),
    re.compile(r"\$\$?(.*?[^\\])\$\$?", re.DOTALL),
    # An apostrophe may stand inside a word.
    re.compile(r"'((?:[^']|(?<=\w)'(?=\w))*)'"),
    re.compile(r'"([^"]*)"'),
)
# Emphasis of a part ("The number is **73**"); the stars of 2**3**2 stand between numbers.
_EMPHASIS = re.compile(r"(?<![\w*)])\*\*(?=\S)([^*]*[^*\s])\*\*(?![\w*(])|(?<![\w*)])\*(?=\S)([^*]*[^*\s])\*(?![\w*(])")
# Most answers are words and numbers in which there is nothing to clean.
_UNADORNED = re.compile(r"[A-Za-z0-9]+(?:[ ,.:%-][A-Za-z0-9]+)*\.?", re.ASCII)
_DEEPEST = 4
"""Wrappers are nested at most so deep in practice: a boxed formula in bold, quoted."""


def clean(text: str) -> str:
    """Return the text in one spelling of characters, without marks of typesetting in it or around the whole of it."""
    if _UNADORNED.fullmatch(text):
        return text
    if not (text.isascii() and text.isprintable()):
        text = text.encode(errors="replace").decode()
        text = _SUBSCRIPT.sub(r"_\1", _SUPERSCRIPT.sub(lambda match: "^" + match[1], text))
        text = unicodedata.normalize("NFKC", _VULGAR.sub(" ", text)).translate(_ONE_SPELLING)
        text = "".join(map(_plain, text))
    if "\\" in text or "{" in text or text.count("$") > 1:
        text = plain(text)
    # A line break may part two answers, so it is not a mere space.
    text = "; ".join(" ".join(line.split()) for line in text.replace("`", "'").splitlines() if line.strip())
    if "*" in text:
        text = _EMPHASIS.sub(lambda match: match[1] or match[2], text)
    for _ in range(_DEEPEST):
        bare = text.rstrip(".")
        match = next((match for form in _WRAPPERS if (match := form.fullmatch(bare))), None)
        unwrapped = next((group.strip() for group in reversed(match.groups()) if group), "") if match else ""
        # "**a** or **b**" is not one text in bold.
        if not unwrapped or any(mark in unwrapped for mark in ("**", "__")) or unwrapped.count("$") > 1:
            break
        text = unwrapped
    return text.replace("\\$", "$")


def _plain(char: str) -> str:
    """Return a digit of any script as its own, and nothing for what is invisible (such as U+200B)."""
    digit = unicodedata.decimal(char, None)
    if digit is not None:
        return str(digit)
    return "" if unicodedata.category(char) in {"Cf", "Cc", "Co"} and not char.isspace() else char


# What a text is compared by. Signs that carry meaning stay: `C++`, `A-` (a grade), `-5`, `18+`, `1/2`, `<5`;
# a hyphen between words or years does not count.
# Vowel signs and other marks of scripts such as Hindi, Tamil and Arabic belong to the letter before them.
_MARKS = "".join(char for char in map(chr, range(0x300, 0x2000)) if unicodedata.category(char) in {"Mn", "Mc"})
_TOKEN = re.compile(
    r"[0-9]+(?:st|nd|rd|th)(?!\w)"
    r"|(?:(?<![\w)])-)?[0-9]+(?:[.,:][0-9]+)*"
    r"|[^\W\d_]\+\+(?!\w)|(?<!\w)[^\W\d_]{1,2}[+*-](?![\w+*-])"
    rf"|(?:(?![0-9_])\w|[{_MARKS}])+"
    r"|(?<=[0-9])\s*(?:[*^+]|/(?=\s*[0-9]))|\+(?!\s*[0-9])|(?<=[^\W\d_])\+(?=[0-9])"
    r"|\^(?=[0-9+-])"
    r"|[^\w\s.,:;!?'\"()\[\]{}/\\|_*^+-]"
)
_THOUSANDS = re.compile(r"-?[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_POINT_INITIALS = re.compile(r"\b(?:[^\W\d_]\.){2,}")
# An article stands before a word, at the beginning or after one of these words. The A of "A minor", "A 1" and
# "A, Paris" is a letter.
_ARTICLE = re.compile(
    r"(^|(?<!\w)(?:of|in|on|at|and|to|with|for|by|from)\s+)"
    r"(?:the|an|a(?!\s+(?:[^\W_]\b|[0-9]|(?:minor|major|flat|sharp)\b)))\s+(?=\w)"
)
# One spelling for small numbers, a few symbols, and the British words that colour and measure questions use.
_WORDS = {
    "zero": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "ten": "10",
    "eleven": "11",
    "twelve": "12",
    "first": "1st",
    "second": "2nd",
    "third": "3rd",
    "fourth": "4th",
    "fifth": "5th",
    "&": "and",
    "percent": "%",
    "colour": "color",
    "colours": "colors",
    "coloured": "colored",
    "grey": "gray",
    "metre": "meter",
    "metres": "meters",
    "centre": "center",
    "theatre": "theater",
    "okay": "ok",
}
# Letters that have no decomposition but a usual plain spelling; U+0131 is the Turkish i without a dot.
_PLAIN_LETTERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i"})


@lru_cache(maxsize=4096)  # a grade asks for the same text several times, and rollouts of a question repeat it
def tokens(text: str) -> tuple[str, ...]:
    """Return what two spellings of one cleaned text have in common, diacritics kept.

    Case, punctuation, articles, thousands separators and the spelling of small numbers do not count.
    """
    if text.isascii() and text.isalpha():
        return (_word(text.lower()),)
    text = _ARTICLE.sub(_kept, text.casefold().replace("'", ""))
    if "." in text:
        text = _POINT_INITIALS.sub(lambda match: match[0].replace(".", ""), text)
    return tuple(_word(token.strip()) for token in _TOKEN.findall(text))


def _kept(match: re.Match[str]) -> str:
    return match[1]


def _word(token: str) -> str:
    if "," in token and _THOUSANDS.fullmatch(token):
        return token.replace(",", "")
    return _WORDS.get(token, token)


def folded(words: tuple[str, ...]) -> tuple[str, ...]:
    """Return tokens without the diacritics of Latin letters; marks of other scripts make other letters."""
    return words if all(map(str.isascii, words)) else tuple(map(_fold, words))


def _fold(word: str) -> str:
    kept: list[str] = []
    for char in unicodedata.normalize("NFD", word.translate(_PLAIN_LETTERS)):
        on_latin = bool(kept) and kept[-1].isascii()
        if not (unicodedata.combining(char) and on_latin):
            kept.append(char)
    return unicodedata.normalize("NFC", "".join(kept))


def equal(a: tuple[str, ...], b: tuple[str, ...]) -> bool:
    """Return whether two token sequences are one text; nothing equals an empty one.

    Diacritics may be missing on one side ("Sao Paulo"), not differ. Spaces between words of letters may be
    missing ("basket ball"), unless that would hide a negation.
    """
    if a == b:
        return bool(a)
    if a and b and a[0][0] != b[0][0] and a[0].isascii() and b[0].isascii():
        return False  # as most texts that differ; the rest takes longer
    plain_a, plain_b = folded(a), folded(b)
    if a != plain_a and b != plain_b:
        return False
    if plain_a == plain_b:
        return True
    if "".join(plain_a) != "".join(plain_b):
        return False
    return all(word.isalpha() and word not in NEGATIONS for word in (*plain_a, *plain_b))


def contains(words: tuple[str, ...], part: tuple[str, ...]) -> bool:
    """Return whether `part` occurs in `words` in one piece."""
    width = len(part)
    return 0 < width <= len(words) and any(words[at : at + width] == part for at in range(len(words) - width + 1))


NEGATIONS = frozenset(
    {"not", "no", "non", "never", "neither", "nor", "none", "without", "cannot", "isnt", "arent", "wasnt", "werent"}
    | {"dont", "doesnt", "didnt", "cant", "except", "wrong", "incorrect", "false", "unlike", "instead", "rather"}
)
HEDGES = frozenset(
    {"maybe", "perhaps", "possibly", "probably", "likely", "presumably", "either", "or", "unsure", "uncertain", "seems"}
    | {
        "guess",
        "think",
        "believe",
        "might",
        "could",
        "may",
        "apparently",
        "alternatively",
        "vs",
        "versus",
        "roughly",
        "approximately",
    }
)
# Whole answers that say there is none, as tokens joined by spaces.
_ABSTENTION = re.compile(
    r"(?:(?:i am|im) )?(?:not sure|unsure)|unknown|unclear|unanswerable|unreadable|illegible|undetermined|n ?a"
    r"|(?:(?:i|we) )?(?:do not|dont|did not|didnt) know(?: the answer)?"
    r"|(?:(?:it|this|answer|i|we) )?(?:can ?not|cant|could not|couldnt|am unable to|unable to)"
    r" (?:be )?(?:tell|say|determined?|answer(?:ed)?|read|seen?|identif(?:y|ied)|known?)(?: [\w ]{0,60})?"
    r"|no (?:idea|answer|information|text)|not (?:visible|known|given|available|enough information|readable|legible)"
)


def negated(words: tuple[str, ...]) -> bool:
    """Return whether the text says no to something."""
    return not NEGATIONS.isdisjoint(words)


def hedged(words: tuple[str, ...]) -> bool:
    """Return whether the text leaves more than one answer open."""
    return not HEDGES.isdisjoint(words)


def abstains(words: tuple[str, ...]) -> bool:
    """Return whether the whole text says that there is no answer."""
    return _ABSTENTION.fullmatch(" ".join(words)) is not None


class Grade(NamedTuple):
    """A verdict and the name of the rule that gave it."""

    verdict: Literal["right", "wrong", "undecided"]
    rule: str


_RANK = {"right": 0, "undecided": 1, "wrong": 2}


def best(grades: Iterable[Grade]) -> Grade:
    """Return the best of at least one grade: one stored spelling that an answer is suffices."""
    return min(grades, key=lambda grade: _RANK[grade.verdict])
