"""Search on the web, asked by the client that models are asked by: its retries, limits, keys and refusals.

What a provider says is data of strangers: it is read field by field, and an answer that lacks one is none. It is asked
for again, and then stops the run; only a provider that says it found nothing has found nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import urlencode

from pipeline.errors import GivenUpError, UsageError
from pipeline.identity import Json, digest
from pipeline.models.client import Asked, Client, Key, Reply, Retry, UnusableError, message_of, post_json
from pipeline.models.limits import Limiter
from pipeline.models.traffic import Traffic
from pipeline.tools.search.hits import Answer, TextHit

T = TypeVar("T")

ProviderName = Literal["serper", "tavily", "searxng"]

VERSION = 1
"""Of what is sent and read; part of every revision."""
LONGEST_QUERY = 400
"""Characters of a query that are sent: the least that any of the providers takes (Tavily)."""


class Place(NamedTuple):
    """Where a provider is and how often it may be asked."""

    base_url: str | None = None
    """None: the provider's own."""
    key_variable: str | None = None
    """Name of the environment variable with the key; None: the provider's usual one."""
    timeout_seconds: float = 30.0
    patience_seconds: float = 300.0
    in_flight: int = 16
    rpm: int | None = None


class Locale(NamedTuple):
    """Whose results are asked for."""

    language: str = "en"
    country: str = "us"
    engines: tuple[str, ...] = ()
    """Of a SearXNG; none: those it asks by itself."""


class Provider(NamedTuple):
    """What tells one provider from another."""

    base_url: str
    """Empty: every user has one of their own."""
    key: Key
    ask: Callable[[str, int, Locale], Asked]
    read: Callable[[Mapping[str, Any]], tuple[TextHit, ...]]
    refusal: Callable[[int, bytes], Exception | None] = lambda _, __: None


@dataclass(frozen=True)
class WebText:
    """A `TextProvider` on the web."""

    name: ProviderName
    locale: Locale
    client: Client

    @property
    def revision(self) -> str:
        """Return the identity of who is asked, for whose results."""
        return digest({"provider": self.name, "locale": list(self.locale), "version": VERSION})

    async def text(self, query: str, results: int) -> Answer[TextHit]:
        """Return what the provider found.

        Raises:
            InfrastructureError: it did not answer, or not as it should.
            UsageError: it refuses the key or the settings.
        """
        provider = PROVIDERS[self.name]
        asked = provider.ask(query[:LONGEST_QUERY], results, self.locale)
        hits, seconds = await said(self.client, asked, provider.read)
        return Answer(hits[:results], seconds)


def open_text(name: ProviderName, locale: Locale, place: Place, traffic: Traffic | None = None) -> WebText:
    """Return a provider; nothing is sent yet.

    Raises:
        UsageError: it has no address of its own, and none is given.
    """
    provider = PROVIDERS[name]
    if not (place.base_url or provider.base_url):
        raise UsageError(f"search.text.base_url: say where your {name} is, such as http://127.0.0.1:8080")
    client = open_client(provider.key, provider.refusal, provider.base_url, place, "search.text", traffic)
    return WebText(name, locale, client)


def open_client(  # noqa: PLR0917 - what tells one provider's client from another's
    key: Key,
    refusal: Callable[[int, bytes], Exception | None],
    base_url: str,
    place: Place,
    field: str,
    traffic: Traffic | None = None,
) -> Client:
    """Return the client of a provider."""
    return Client(
        name="search provider",
        urls=(place.base_url or base_url,),
        key=key if place.key_variable is None else key._replace(variable=place.key_variable),
        refusal=refusal,
        fields=f"`{field}`",
        in_flight=place.in_flight,
        limiter=Limiter(place.rpm, None),
        timeout_seconds=place.timeout_seconds,
        retry=Retry(patience_seconds=place.patience_seconds),
        traffic=traffic or Traffic(),
    )


async def said(client: Client, asked: Asked, read: Callable[[Mapping[str, Any]], T]) -> tuple[T, float]:
    """Return what `read` makes of the object that a provider answers, and the seconds of the try that succeeded.

    Raises:
        InfrastructureError, UsageError: as `Client.ask`.
    """

    def understood(reply: Reply) -> T:
        try:
            content = json.loads(reply.body)
            if not isinstance(content, dict):
                raise UnusableError(f"search provider {client.base_url} answered no object: {reply.body[:200]!r}")
            return read(content)
        except (ValueError, RecursionError, LookupError, TypeError, AttributeError) as error:
            # Whatever a stranger's answer lacks; what `read` itself finds wrong it says as UnusableError.
            raise UnusableError(f"search provider {client.base_url} answered what cannot be read: {error!r}") from error

    async with client.slots:
        return await client.ask(asked, understood)


def text_of(item: Mapping[str, Any], field: str) -> str:
    """Return a text of an answer, empty where it is left out or null.

    Raises:
        TypeError: something else stands there.
    """
    value = item.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(f"`{field}` is {value!r}")
    return value.encode("utf-8", "replace").decode()


def link_of(item: Mapping[str, Any], field: str) -> str:
    """Return the address of a hit.

    Raises:
        ValueError: it has none.
    """
    link = text_of(item, field)
    if not link:
        raise ValueError(f"a hit without `{field}`")
    return link


def _get(path: str, **parameters: Json) -> Asked:
    return Asked("GET", f"{path}?{urlencode(parameters)}", tokens=1)


def _post(path: str, **body: Json) -> Asked:
    return post_json(path, json.dumps(body).encode(), tokens=1)


def _hits(items: list[Mapping[str, Any]], *, link: str, snippet: str, date: str) -> tuple[TextHit, ...]:
    return tuple(
        TextHit(
            title=text_of(item, "title"),
            url=link_of(item, link),
            date=text_of(item, date) or None,
            snippet=text_of(item, snippet),
            redistributable=False,
        )
        for item in items
    )


def _ask_serper(query: str, results: int, locale: Locale) -> Asked:
    return _post("/search", q=query, gl=locale.country, hl=locale.language, num=results)


def _read_serper(content: Mapping[str, Any]) -> tuple[TextHit, ...]:
    return _hits(content["organic"], link="link", snippet="snippet", date="date")


def _refused_by_serper(status: int, body: bytes) -> Exception | None:
    if status == 400 and "credits" in message_of(body).lower():  # noqa: PLR2004 - HTTP Bad Request
        return GivenUpError(f"Serper: {message_of(body)}; buy more, then run again")
    return None


def _ask_tavily(query: str, results: int, locale: Locale) -> Asked:
    del locale  # its countries have other names, and its results no language
    return _post("/search", query=query, max_results=results, search_depth="basic", topic="general")


def _read_tavily(content: Mapping[str, Any]) -> tuple[TextHit, ...]:
    return _hits(content["results"], link="url", snippet="content", date="published_date")


def _refused_by_tavily(status: int, body: bytes) -> Exception | None:
    # Limits of the plan and of pay-as-you-go: numbers of its own, beside 429 for too many requests a minute.
    if status in {432, 433}:
        return GivenUpError(f"Tavily: {message_of(body)}; raise the plan's limit, then run again")
    return None


def _ask_searxng(query: str, results: int, locale: Locale) -> Asked:
    del results  # a page is as long as its engines make it
    engines = {"engines": ",".join(locale.engines)} if locale.engines else {}
    return _get("/search", q=query, format="json", language=locale.language, pageno=1, **engines)


def _read_searxng(content: Mapping[str, Any]) -> tuple[TextHit, ...]:
    silent = content.get("unresponsive_engines") or []
    if silent:
        # Some of the results, or none of those there are: neither is what was found.
        named = ", ".join(": ".join(map(str, engine)) if isinstance(engine, list) else str(engine) for engine in silent)
        raise UnusableError(
            f"SearXNG could not ask every engine ({named}); mend it, or name those that answer in search.text.engines"
        )
    return _hits(content["results"], link="url", snippet="content", date="publishedDate")


def _refused_by_searxng(status: int, body: bytes) -> Exception | None:
    if status == 403:  # noqa: PLR2004 - HTTP Forbidden
        return UsageError(
            "SearXNG refuses format=json (403): add json to `search.formats` in its settings.yml; it is not there by "
            f"default. It says: {message_of(body)[:100]}"
        )
    return None


PROVIDERS: Mapping[ProviderName, Provider] = {
    "serper": Provider(
        base_url="https://google.serper.dev",
        key=Key("SERPER_API_KEY", header="X-API-KEY", prefix=""),
        ask=_ask_serper,
        read=_read_serper,
        refusal=_refused_by_serper,
    ),
    "tavily": Provider(
        base_url="https://api.tavily.com",
        key=Key("TAVILY_API_KEY"),
        ask=_ask_tavily,
        read=_read_tavily,
        refusal=_refused_by_tavily,
    ),
    "searxng": Provider("", Key(None), _ask_searxng, _read_searxng, _refused_by_searxng),
}
