"""Google Lens by SerpApi: pictures on the web that look like one that is public already.

SerpApi is sent the address of a picture and never its bytes. The thumbnails of what it finds are fetched by whoever is
handed in, which knows what may be opened; one that cannot be had leaves a hit without a picture.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlencode

from pipeline.errors import RowError
from pipeline.identity import digest
from pipeline.images import put_image
from pipeline.models.client import Asked, Client, Key, UnusableError
from pipeline.models.traffic import Traffic
from pipeline.records import ImageRef
from pipeline.store.blobs import BlobStore
from pipeline.tools.search.hits import Answer, ImageHit, Picture
from pipeline.tools.search.web import VERSION, Locale, Place, link_of, open_client, said, text_of

BASE_URL = "https://serpapi.com"
KEY = Key("SERPAPI_API_KEY", parameter="api_key")

Fetch = Callable[[str], Awaitable[bytes]]
"""Returns what an address holds. Raises RowError where that is nothing that may be had, InfrastructureError where it
may be had later."""


class _Match(NamedTuple):
    title: str
    url: str
    thumbnail: str


@dataclass(frozen=True)
class Lens:
    """An `ImageProvider` on the web."""

    locale: Locale
    client: Client
    blobs: BlobStore
    fetch: Fetch
    needs_url: bool = True

    @property
    def revision(self) -> str:
        """Return the identity of who is asked, for whose results."""
        return digest({"provider": "lens", "locale": list(self.locale[:2]), "version": VERSION})

    async def image(self, picture: Picture, results: int) -> Answer[ImageHit]:
        """Return what Lens finds, with the thumbnails that can be had.

        Raises:
            InfrastructureError: SerpApi or a thumbnail's server failed.
            UsageError: SerpApi refuses the key or the settings.
        """
        language, country, _ = self.locale
        parameters = {"engine": "google_lens", "type": "visual_matches", "hl": language, "country": country}
        asked = Asked("GET", f"/search.json?{urlencode({**parameters, 'url': picture.url or ''})}", tokens=1)
        (number, matches), seconds = await said(self.client, asked, _read)
        return Answer(await self._with_pictures(matches[:results]), seconds, {"request": number})

    async def _with_pictures(self, matches: Sequence[_Match]) -> tuple[ImageHit, ...]:
        thumbnails = await asyncio.gather(*(self._thumbnail(match.thumbnail) for match in matches))
        return tuple(
            ImageHit(title=match.title, url=match.url, thumbnail=thumbnail, redistributable=False)
            for match, thumbnail in zip(matches, thumbnails, strict=True)
        )

    async def _thumbnail(self, url: str) -> ImageRef | None:
        try:
            return await asyncio.to_thread(put_image, self.blobs, await self.fetch(url)) if url else None
        except RowError:
            return None


def open_lens(locale: Locale, place: Place, blobs: BlobStore, fetch: Fetch, traffic: Traffic | None = None) -> Lens:
    """Return the provider; nothing is sent yet."""
    return Lens(locale, open_client(KEY, lambda _, __: None, BASE_URL, place, "search.image", traffic), blobs, fetch)


def _read(content: Mapping[str, Any]) -> tuple[str, tuple[_Match, ...]]:
    """Return SerpApi's number of the request, and the matches.

    An answer without matches is one that found nothing only if its status says that the search succeeded.
    """
    metadata = content["search_metadata"]
    if metadata["status"] != "Success":
        raise UnusableError(f"SerpApi: the search is {metadata['status']}: {content.get('error') or 'no reason given'}")
    matches = content.get("visual_matches") or []
    read = (_Match(text_of(item, "title"), link_of(item, "link"), text_of(item, "thumbnail")) for item in matches)
    return text_of(metadata, "id"), tuple(read)
