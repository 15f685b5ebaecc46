"""How much of a text says again what it said before."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import NamedTuple

NGRAM = 10
"""Words. Gopher counts runs of 5 to 10 (Rae et al. 2021, table A1); a derivation writes one formula many times, so only
the longest tells a loop from mathematics. Measured on one sound trace of a reasoning model (6,700 characters about a
hyperbola): 16 % repeated in runs of 5, where Gopher allows 15 %; 3 % in runs of 10; 4 % in lines."""


def repeated_lines(text: str) -> float:
    r"""Return the share of characters in lines that stood there before.

    Lines without a letter or digit, such as `\[` around each formula, are not counted at all.
    """
    lines = [line for line in map(str.strip, text.splitlines()) if any(map(str.isalnum, line))]
    seen: set[str] = set()
    repeated = 0
    for line in lines:
        repeated += len(line) if line in seen else 0
        seen.add(line)
    return repeated / max(1, sum(map(len, lines)))


def repeated_words(text: str) -> float:
    """Return the share of characters in runs of `NGRAM` words that stood there before; each word counts once."""
    words = text.split()
    seen: set[tuple[str, ...]] = set()
    repeated = start = 0
    while start + NGRAM <= len(words):
        run = tuple(words[start : start + NGRAM])
        if run in seen:
            repeated += sum(map(len, run))
            start += NGRAM
        else:
            seen.add(run)
            start += 1
    return repeated / max(1, sum(map(len, words)))


RUN = 60
"""Width of a run of text that is looked for again: about ten words of English, or twenty signs of Chinese."""
_WIDE = 3
"""Width of a character of a script without spaces: a word of Chinese or Thai has two to four of them."""
_LOOP_WIDTH, _LOOP_TIMES = 120, 3
"""A stretch this long that repeats this often what stands right before it has no end of its own: tables and rulers of
dashes are shorter."""
_LOOP_PERIOD = 600
"""Characters that are repeated at most: a paragraph."""
_WALL_WORDS, _WALL_SHARE = 40, 0.4
"""The most frequent word of a language makes up less than a tenth of a text."""
_LEAST_REPEATED = 120
"""Width below which a share means nothing: a short thought may quote its question twice."""
_UNSPACED = re.compile(
    # Thai, Lao, Myanmar, Khmer; Japanese, Chinese, full-width forms.
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)
_WORDS = re.compile(rf"{_UNSPACED.pattern}|(?:(?!{_UNSPACED.pattern})[^\W\d_])+")


class Repetition(NamedTuple):
    """How a text repeats itself."""

    repeated: float
    """Share of its width in runs that stood there before."""
    loop: bool
    """Whether a stretch goes on repeating what stands right before it."""
    one_word: bool
    """Whether one word makes up most of it, in whatever order and between whatever marks."""


def repetition(text: str) -> Repetition:
    """Return how a text repeats itself, in any script; time and memory are linear in it."""
    text = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    widths = [_WIDE if _UNSPACED.match(sign) else 1 for sign in text]
    seen: dict[str, int] = {}
    repeated, loop, start = 0, False, 0
    ends = _ends(widths)
    while (end := ends[start]) is not None:
        run = text[start:end]
        before = seen.get(run)
        seen[run] = start
        if before is None:
            start += 1
            continue
        period, stretch = start - before, end
        while stretch < len(text) and text[stretch] == text[stretch - period]:
            stretch += 1
        width = sum(widths[start:stretch])
        repeated += width
        long = width >= _LOOP_WIDTH and stretch - start >= _LOOP_TIMES * period
        loop = loop or (long and period <= _LOOP_PERIOD)
        start = stretch
    share = repeated / max(1, sum(widths)) if repeated >= _LEAST_REPEATED else 0.0
    return Repetition(share, loop, _is_wall(text))


def _ends(widths: list[int]) -> list[int | None]:
    """Return for each place where the run that begins there ends; None where the text ends before."""
    ends: list[int | None] = []
    end = width = 0
    for start in range(len(widths)):
        while width < RUN and end < len(widths):
            width += widths[end]
            end += 1
        ends.append(end if width >= RUN else None)
        width -= widths[start]
    return [*ends, None]


def _is_wall(text: str) -> bool:
    words = Counter(match.group() for match in _WORDS.finditer(text))
    return words.total() >= _WALL_WORDS and max(words.values()) > _WALL_SHARE * words.total()
