"""How many questions a corpus can answer at all: whose gold stands on any of its pages."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from filters.answers.booleans import read_boolean
from filters.answers.text import clean, tokens
from pipeline.identity import parse_json
from pipeline.records import SourceRow
from pipeline.sources import Source, read_source
from pipeline.sources.values.coercion import scalar_text
from pipeline.tools.search.local import LocalSearch
from pipeline.tools.search.words import has_unspaced

LOOKED_AT = 1_000
"""Questions that are looked for: a share of them is known within 3 points (95 %)."""
IN_WORDS = frozenset({"text", "list", "date"})
"""Types of answers that are looked for, if they say enough (`_tells`)."""
MOST_DIGITS = 4
"""Of a number that stands anywhere: a year, a count, a page."""


class Reach(NamedTuple):
    """Questions of the category `search` with an answer that does not stand on any page by itself."""

    held: int
    """One of their answers stands on a page, word by word."""
    asked: int
    others: int
    """With answers of other types, or that say too little."""

    def __str__(self) -> str:
        """Return it as a sentence."""
        if not self.asked:
            return (
                f"no search question has an answer that tells, to be looked for on its pages ({self.others:,} others)"
            )
        share = f"{self.held:,} of {self.asked:,} ({self.held / self.asked:.0%})"
        return (
            f"the gold of {share} search questions stands on a page; not looked for: {self.others:,} that tell nothing"
        )


def reach(sources: Iterable[Source], corpus: LocalSearch) -> Reach:
    """Look for the golds of search questions: of many a sample, the first by id, which is a hash.

    Raises:
        InfrastructureError: the index cannot be read.
    """
    rows = (row for source in sources for row in read_source(source) if row.category == "search" and not row.reason)
    chosen = heapq.nsmallest(LOOKED_AT, rows, key=lambda row: row.id)
    golds = [list(_golds(row)) for row in chosen]
    worded = [texts for texts in golds if texts]
    return Reach(sum(any(map(corpus.holds, texts)) for texts in worded), len(worded), len(golds) - len(worded))


def _golds(row: SourceRow) -> Iterator[str]:
    """Yield the answers of a row that are looked for."""
    payload = parse_json(row.payload)
    answers = payload.get("answers")
    if payload.get("answer_type") in IN_WORDS:
        texts = (scalar_text(one) for one in (answers if isinstance(answers, list) else [answers]))
        yield from (text for text in texts if isinstance(text, str) and _tells(text))


def _tells(answer: str) -> bool:
    """Return whether it means something that an answer stands on a page.

    An option's letter, a yes or no, a number of few digits (also in words), and what is shorter than three letters, or
    two of a script without spaces, stand on the pages of any corpus.
    """
    said = clean(answer)
    signs = [sign for word in tokens(said) for sign in word if sign.isalnum()]
    if read_boolean(said) is not None:
        return False
    if not any(map(str.isalpha, signs)):
        return len(signs) > MOST_DIGITS
    return len(signs) >= (2 if has_unspaced(said) else 3)
