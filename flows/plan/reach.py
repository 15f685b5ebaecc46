"""How many questions a corpus can answer at all: whose gold stands on any of its pages."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pipeline.identity import parse_json
from pipeline.records import SourceRow
from pipeline.sources import Source, read_source
from pipeline.tools.search.local import LocalSearch

LOOKED_AT = 1_000
"""Questions that are looked for: a share of them is known within 3 points (95 %)."""
IN_WORDS = frozenset({"text", "list", "date"})
"""Types of answers that are looked for: a number of few digits, a letter or a `yes` stands anywhere."""


class Reach(NamedTuple):
    """Questions of the category `search` with an answer in words."""

    held: int
    """One of their answers stands on a page, word by word."""
    asked: int
    others: int
    """With answers of other types."""

    def __str__(self) -> str:
        """Return it as a sentence."""
        if not self.asked:
            return f"no search question has an answer in words, to be looked for on its pages ({self.others:,} others)"
        share = f"{self.held:,} of {self.asked:,} ({self.held / self.asked:.0%})"
        return f"the gold of {share} search questions stands on a page; not looked for: {self.others:,} of other types"


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
    """Yield the answers of a row, if they are words."""
    payload = parse_json(row.payload)
    answers = payload.get("answers")
    if payload.get("answer_type") in IN_WORDS:
        yield from (text for text in (answers if isinstance(answers, list) else [answers]) if isinstance(text, str))
