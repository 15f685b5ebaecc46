"""The image search tool: the whole original image, recorded; a run replays what it saw the first time."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from pydantic import TypeAdapter

from pipeline.identity import canonical_json, digest
from pipeline.records import ImageRef
from pipeline.store.blobs import BlobStore
from pipeline.store.calls import CallCache, Made
from pipeline.timing import timed
from pipeline.tools.search.hits import ImageHit, SearchProvider

RESULTS = 5
"""Thumbnails with titles per search (arXiv 2511.05271, App. A.1)."""

_HITS = TypeAdapter(tuple[ImageHit, ...])


class ImageFound(NamedTuple):
    """Hits, best first, and how long the search took when it was made, in seconds."""

    hits: tuple[ImageHit, ...]
    seconds: float


async def image_search(calls: CallCache, provider: SearchProvider, blobs: BlobStore, image: ImageRef) -> ImageFound:
    """Return the recorded hits for `image`, searching if nobody did.

    Raises:
        InfrastructureError: the provider failed; nothing is recorded, and no model is told "no results".
    """

    async def make() -> Made:
        content = await asyncio.to_thread(blobs.get, image.sha256)
        hits, seconds = await asyncio.to_thread(timed, lambda: provider.image(content, RESULTS))
        return Made(canonical_json(_HITS.dump_python(hits)), canonical_json({"image": image.sha256}), seconds)

    key = digest({"tool": "image_search", "provider": provider.revision, "image": image.sha256, "results": RESULTS})
    entry = await calls.once("search", key, make)
    return ImageFound(_HITS.validate_json(entry.value), entry.seconds)
