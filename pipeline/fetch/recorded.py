"""What URLs led to, as the store's call cache records it; and the settings that say whether anything is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, ClassVar, NamedTuple

from pydantic import Field
from yarl import URL

from pipeline.fetch.addresses import RefusedError, checked_url, is_public
from pipeline.identity import Identity, Place, canonical_json, digest, parse_json
from pipeline.store import Store
from pipeline.store.calls import Made
from pipeline.store.lookup import stored_calls

Port = Annotated[int, Field(ge=1, le=65_535)]


class Fetch(Identity):
    """That pictures are fetched by their URLs, and from where."""

    VERSION: ClassVar[int] = 1

    ports: tuple[Port, ...] = (80, 443)
    """Of servers; no other is asked."""
    in_flight: Place[int] = Field(default=32, ge=1, le=1024)
    """Pictures at once."""
    per_host: Place[int] = Field(default=4, ge=1, le=64)
    """Of these, from one host: fewer than the six that a browser opens to one."""


class Fetched(NamedTuple):
    """What a URL led to: one of both is empty."""

    sha256: str
    """Of the bytes, in the store."""
    failure: str
    """What came instead."""


def key_of(url: URL) -> str:
    """Return the key in the call cache of a URL that was checked."""
    return digest({"fetch": str(url), "version": Fetch.VERSION})


def made(url: URL, led_to: Fetched, *, at: str = "", seconds: float = 0.0) -> Made:
    """Return what is recorded of a URL: what it led to and, for people, at which one that was in the end."""
    return Made(canonical_json(led_to._asdict()), canonical_json({"url": str(url), "at": at}), seconds)


def fetched(store: Store, fetch: Fetch, urls: Iterable[str]) -> dict[str, Fetched]:
    """Return what is known of each URL; one that was never asked for is left out.

    Raises:
        InfrastructureError: the record cannot be read.
    """
    known, keys = dict[str, Fetched](), dict[str, str]()
    for url in urls:
        try:
            keys[url] = key_of(checked_url(url, fetch.ports, is_public))
        except RefusedError as error:
            known[url] = Fetched("", f"refused: {error}")
    stored = stored_calls(store.calls.path, keys.values())
    return known | {url: Fetched(**parse_json(stored[key])) for url, key in keys.items() if key in stored}
