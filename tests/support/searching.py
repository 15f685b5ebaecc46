"""Searches of a provider by the product's own tools, over a local server of its protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from yarl import URL

from pipeline.images import encode_png, put_image
from pipeline.models.client import Retry
from pipeline.records import Question
from pipeline.store import Store
from pipeline.tools.search.asked import Found, Mode, Search, image_search, text_search
from pipeline.tools.search.hits import ImageHit, TextHit
from pipeline.tools.search.lens import open_lens
from pipeline.tools.search.thumbnails import Thumbnails
from pipeline.tools.search.web import Locale, Place, open_text
from tests.support.asking import NoSearch
from tests.support.builders import question
from tests.support.servers.openai_server import Reply
from tests.support.servers.search_servers import Body, SearchServer, lens, searxng, serper, tavily

PROVIDERS = ("serper", "tavily", "searxng", "lens")
MODES: tuple[Mode, ...] = ("replay", "record", "live", "strict")
ASKING = MODES[:3]
ANSWERS: Mapping[str, Callable[..., Body]] = {"serper": serper, "tavily": tavily, "searxng": searxng}
PUBLIC = "https://pictures.example/mill.jpg"
TRIES = 3
USUAL = Locale()


def picture(shade: int) -> bytes:
    return encode_png(Image.new("RGB", (64, 48), (shade, 90, 40)))


class Asked(NamedTuple):
    """What came of searches."""

    found: list[Found[TextHit] | Found[ImageHit] | BaseException]
    requests: list[dict[str, str]]
    stored: int
    text: str
    """All that the store holds."""


def asked(
    directory: Path,
    provider: str,
    mode: Mode,
    *,
    faults: Sequence[Reply | None] = (),
    answer: Callable[[str], Body] | None = None,
    times: int = 1,
    retry: Retry | None = None,
    timeout: float = 5.0,
    url: str | None = PUBLIC,
    query: str = "old  mill",
    locale: Locale = USUAL,
    vary: bool = False,
) -> Asked:
    """Search `times` times, one after the other, or as often for something else; an error stands for what is found.

    Of `faults` a None is an answer in between.
    """

    async def main(store: Store) -> Asked:
        server = SearchServer(provider, faults=list(faults), pictures={"1": picture(10), "2": b"none", "3": 404})
        async with server.serving() as base:
            said_by = answer or _usual(provider)
            server.answer = lambda: said_by(base)
            place = Place(base_url=base, timeout_seconds=timeout)
            few = retry or Retry(tries=TRIES, first_pause_seconds=0.001)
            found = []
            for number in range(times):
                other = number if vary else 0
                image = put_image(store.blobs, picture(other))
                one = question("Which mill?").model_copy(update={"images": (image,)})
                # A client of its own: one that has failed often rests before it is asked again.
                async with _opened(provider, mode, place, locale=locale, store=store, retry=few) as opened:
                    search = replace(opened, public_url=lambda _: url)
                    wanted = f"{query} {other}" if vary else query
                    found.append(await _caught(_once(store, search, provider, one, wanted)))
        rows = await store.calls._submit(lambda db: db.execute("SELECT value, facts FROM calls").fetchall())
        return Asked(found, server.requests, len(rows), repr(rows))

    with Store(directory) as store:
        return asyncio.run(main(store))


def _usual(provider: str) -> Callable[[str], Body]:
    if provider == "lens":
        return lambda base: lens([f"{base}/pictures/{number}" for number in (1, 2, 3)] + ["https://page.example/x.png"])
    return lambda _: ANSWERS[provider]()


@asynccontextmanager
async def _opened(
    provider: str, mode: Mode, place: Place, *, locale: Locale, store: Store, retry: Retry
) -> AsyncIterator[Search]:
    name, port = "again" if mode == "record" else "", URL(place.base_url or "").port or 80
    thumbnails = Thumbnails(("http",), ("127.0.0.1",), (port,), allowed=lambda _: True)
    if provider == "lens":
        image = open_lens(locale, place, store.blobs, thumbnails)
        image = replace(image, client=replace(image.client, retry=retry))
        search, client = Search(NoSearch(), image, mode, name), image.client
    else:
        text = open_text(provider, locale, place)  # type: ignore[arg-type]  # one of the three
        text = replace(text, client=replace(text.client, retry=retry))
        search, client = Search(text, NoSearch(), mode, name), text.client
    yield search
    await client.aclose()
    await thumbnails.aclose()


async def _once(
    store: Store, search: Search, provider: str, one: Question, query: str
) -> Found[TextHit] | Found[ImageHit]:
    if provider == "lens":
        found = await image_search(store.calls, search, store.blobs, one)
        assert found is not None
        return found
    return await text_search(store.calls, search, one, query)


async def _caught(work: Awaitable[Any]) -> Any:
    try:
        return await work
    except Exception as error:  # noqa: BLE001 - which one is what is tested
        return error


def hits(found: object) -> list[tuple[str, str]]:
    assert isinstance(found, Found), found
    return [(hit.title, hit.url) for hit in found.hits]
