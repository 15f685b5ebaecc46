"""The text search tool: one query, recorded; a run replays what it saw the first time."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from pydantic import TypeAdapter

from pipeline.identity import canonical_json, digest
from pipeline.store.calls import CallCache, Made
from pipeline.timing import timed
from pipeline.tools.search.hits import SearchProvider, TextHit

RESULTS = 5
"""Titles and snippets per query (arXiv 2511.05271, App. A.1); no page is read."""

_HITS = TypeAdapter(tuple[TextHit, ...])


class TextFound(NamedTuple):
    """Hits, best first, and how long the search took when it was made, in seconds."""

    hits: tuple[TextHit, ...]
    seconds: float


async def text_search(calls: CallCache, provider: SearchProvider, query: str) -> TextFound:
    """Return the recorded hits for `query`, searching if nobody did.

    Raises:
        InfrastructureError: the provider failed; nothing is recorded, and no model is told "no results".
    """

    async def make() -> Made:
        hits, seconds = await asyncio.to_thread(timed, lambda: provider.text(query, RESULTS))
        return Made(canonical_json(_HITS.dump_python(hits)), canonical_json({"query": query}), seconds)

    key = digest({"tool": "text_search", "provider": provider.revision, "query": query, "results": RESULTS})
    entry = await calls.once("search", key, make)
    return TextFound(_HITS.validate_json(entry.value), entry.seconds)
