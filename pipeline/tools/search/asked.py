"""The search tools: a text query, or the whole original image; recorded, so that a run replays what it saw first."""

from __future__ import annotations

import asyncio
from typing import Generic, NamedTuple, TypeVar

from pydantic import TypeAdapter

from pipeline.identity import canonical_json, digest
from pipeline.records import ImageRef
from pipeline.store.blobs import BlobStore
from pipeline.store.calls import CallCache, Made, timed
from pipeline.tools.search.hits import ImageHit, SearchProvider, TextHit

Hit = TypeVar("Hit", TextHit, ImageHit)

RESULTS = 5
"""Titles and snippets per query, thumbnails with titles per image (arXiv 2511.05271, App. A.1); no page is read."""

_TEXTS = TypeAdapter(tuple[TextHit, ...])
_IMAGES = TypeAdapter(tuple[ImageHit, ...])


class Found(NamedTuple, Generic[Hit]):
    """Hits, best first, and how long the search took when it was made, in seconds."""

    hits: tuple[Hit, ...]
    seconds: float


async def text_search(calls: CallCache, provider: SearchProvider, query: str) -> Found[TextHit]:
    """Return the recorded hits for `query`, searching if nobody did.

    Raises:
        InfrastructureError: the provider failed; nothing is recorded, and no model is told "no results".
    """

    async def make() -> Made:
        hits, seconds = await asyncio.to_thread(timed, lambda: provider.text(query, RESULTS))
        return Made(canonical_json(_TEXTS.dump_python(hits)), canonical_json({"query": query}), seconds)

    key = digest({"tool": "text_search", "provider": provider.revision, "query": query, "results": RESULTS})
    entry = await calls.once("search", key, make)
    return Found(_TEXTS.validate_json(entry.value), entry.seconds)


async def image_search(
    calls: CallCache, provider: SearchProvider, blobs: BlobStore, image: ImageRef
) -> Found[ImageHit]:
    """Return the recorded hits for `image`, searching if nobody did.

    Raises:
        InfrastructureError: as `text_search`.
    """

    async def make() -> Made:
        content = await asyncio.to_thread(blobs.get, image.sha256)
        hits, seconds = await asyncio.to_thread(timed, lambda: provider.image(content, RESULTS))
        return Made(canonical_json(_IMAGES.dump_python(hits)), canonical_json({"image": image.sha256}), seconds)

    key = digest({"tool": "image_search", "provider": provider.revision, "image": image.sha256, "results": RESULTS})
    entry = await calls.once("search", key, make)
    return Found(_IMAGES.validate_json(entry.value), entry.seconds)
