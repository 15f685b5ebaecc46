"""Words for FTS5 in every script: what is written without spaces is split by characters and found by pairs of them.

Its tokenizer `unicode61` takes a run of letters for one word, so that a page in Chinese or Japanese would be found by
whole sentences alone. Between the characters of such a script stands a `SEAM` in the index, which no reader ever sees;
text of other scripts is left byte for byte as it was, and so is how it is found.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

SEAM = "\x1f"
"""The unit separator: no letter to FTS5, and in no text that people wrote."""
TOKENIZE = "porter unicode61 categories 'L* N* Co M*'"
"""Marks are part of a word (the default takes none): vowels of Hindi, Tamil or Thai are written with them."""
MAX_WORDS = 64
"""Of a query; more add nothing but time."""

# Han with its extensions and radicals, kana, bopomofo, hangul (its words carry their particles), Yi; then Thai, Lao,
# Burmese, Khmer, Tai and Javanese. Tibetan divides its syllables by a mark.
_UNSPACED = (
    "\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029\u3031-\u3035\u3038-\u30ff\u3105-\u312f\u3131-\u318e\u31a0-\u31bf"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua48c\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9f\U0001aff0-\U0001b16f"
    "\U00020000-\U000323af\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ebd\u0ec0-\u0ece\u0edc-\u0edf\u1000-\u109f\uaa60-\uaa7f"
    "\ua9e0-\ua9fe\u1780-\u17d3\u1950-\u1974\u1980-\u19c9\u1a20-\u1a5e\uaa80-\uaadf\ua980-\ua9c0"
)
_RUN = re.compile(f"[{_UNSPACED}]+")


def spread(text: str) -> str:
    """Return a text for the index: composed (NFC), with seams around the characters of scripts without spaces."""
    return _RUN.sub(lambda run: SEAM + SEAM.join(_characters(run[0])) + SEAM, _composed(text))


def without_seams(text: str) -> str:
    """Return the text, or the part of one, that `spread` was given."""
    return text.replace(SEAM, "")


def any_word(query: str) -> str:
    """Return the FTS5 expression for pages with any word of a query; empty where it has none.

    Every word is quoted: whatever a model writes, none of it is syntax.
    """
    return " OR ".join(f'"{word}"' for word in _words(query)[:MAX_WORDS])


def whole_phrase(text: str) -> str:
    """Return the FTS5 expression for pages that hold all words of a text one after the other; empty where it has none.

    As any FTS5 expression it goes by stems, so that `mills` stands where `mill` does.
    """
    words = [part for word in _spaced(spread(text)) for part in word.split(SEAM) if part]
    return f'"{" ".join(words)}"' if words else ""


def has_unspaced(text: str) -> bool:
    """Return whether a text has a character of a script that is written without spaces."""
    return _RUN.search(_composed(text)) is not None


def _words(query: str) -> list[str]:
    found: list[str] = []
    for word in _spaced(_composed(query)):
        at = 0
        for run in _RUN.finditer(word):
            found += [word[at : run.start()], *_pairs(_characters(run[0]))]
            at = run.end()
        found.append(word[at:])
    return [word for word in found if any(map(str.isalnum, word))]


def _pairs(characters: list[str]) -> list[str]:
    """Return neighbours as phrases of two: single characters are on every page."""
    if len(characters) == 1:
        return characters
    return [f"{first} {second}" for first, second in pairwise(characters)]


def _characters(run: str) -> list[str]:
    """Return characters with the marks that belong to them."""
    found: list[str] = []
    for character in run:
        if found and unicodedata.category(character).startswith("M"):
            found[-1] += character
        else:
            found.append(character)
    return found


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text.replace(SEAM, " "))


def _spaced(text: str) -> list[str]:
    """Return runs of letters, digits, underscores, marks and seams."""
    return "".join(c if _is_part(c) else " " for c in text).split(" ")


def _is_part(character: str) -> bool:
    return character.isalnum() or character in {"_", SEAM} or unicodedata.category(character).startswith("M")
