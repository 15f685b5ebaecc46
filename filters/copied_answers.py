"""An answer that is copied from the question: it says nothing, but a lenient reader finds the right words in it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

from filters.answer_text import clean, contains, equal, tokens

_RESTATED = 3
"""Words of a question from which an answer that holds all of them restates it; fewer ("Which city?") may be a name."""
_RUN = 6
"""Words of an answer from which one that is more than half of the question is no answer but a piece of it. A right
answer may well stand in its question ("Is the red or the blue bar taller?"), but it is short."""


def copied(answer: str, golds: Sequence[str], question: str, options: Sequence[str] = ()) -> bool:
    """Return whether an answer restates its question, or a long piece of the question and its options.

    An answer that is a stored one is no copy, and neither is one option that is named in full.
    """
    said = _words(answer)
    if not said or any(equal(said, _words(gold)) for gold in golds):
        return False
    stem = _words(question)
    if _count(stem) >= _RESTATED and contains(said, stem):
        return True
    if _count(said) < _RUN:
        return False
    offered = [_words(option) for option in options]
    everything = tuple(chain(stem, *offered))
    return not any(contains(option, said) for option in offered) and any(
        contains(whole, said) and 2 * len(said) > len(whole) for whole in (stem, everything)
    )


@lru_cache(maxsize=4096)  # the rollouts of a question share it and many of their answers
def _words(text: str) -> tuple[str, ...]:
    """Return the words to compare; letters that may label options do not count."""
    return tuple(word for word in tokens(clean(text)) if len(word) > 1 or not word.isalpha())


def _count(words: tuple[str, ...]) -> int:
    """Return how many words are words; an equation may stand on both sides ("2 + 2 = ?", "2 + 2 = 4")."""
    return sum(map(str.isalpha, words))
