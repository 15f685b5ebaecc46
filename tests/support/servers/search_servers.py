"""Local servers of the search providers' protocols: exact requests are refused or answered, faults are data."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.servers.openai_server import Reply

Body = dict[str, Any]
KEYS = {"serper": "serper-key", "tavily": "tvly-key", "lens": "serpapi/key+1"}
"""The last has characters that a URL spells otherwise."""


def serper(pages: int = 2) -> Body:
    """As https://google.serper.dev/search answers."""
    return {
        "searchParameters": {"q": "q", "gl": "us", "hl": "en", "num": 10, "type": "search", "engine": "google"},
        "knowledgeGraph": {"title": "Mill", "type": "Building", "website": "https://mill.example/"},
        "organic": [
            {
                "title": f"Mill {number}",
                "link": f"https://mill.example/{number}",
                "snippet": f"The mill of number {number} was built by a river.",
                "position": number,
                **({"date": "Jan 5, 2024"} if number == 1 else {}),
            }
            for number in range(1, pages + 1)
        ],
        "peopleAlsoAsk": [],
        "relatedSearches": [{"query": "mills"}],
    }


def tavily(pages: int = 2) -> Body:
    """As https://api.tavily.com/search answers."""
    return {
        "query": "q",
        "answer": None,
        "images": [],
        "results": [
            {
                "title": f"Mill {number}",
                "url": f"https://mill.example/{number}",
                "content": f"The mill of number {number} was built by a river.",
                "score": 0.9 / number,
                "raw_content": None,
                **({"published_date": "Fri, 05 Jan 2024 10:00:00 GMT"} if number == 1 else {}),
            }
            for number in range(1, pages + 1)
        ],
        "response_time": 1.2,
        "request_id": "123e4567",
    }


def searxng(pages: int = 2, unresponsive: list[list[str]] | None = None) -> Body:
    """As /search?format=json of SearXNG answers."""
    return {
        "query": "q",
        "number_of_results": 0,
        "results": [
            {
                "url": f"https://mill.example/{number}",
                "title": f"Mill {number}",
                "content": f"The mill of number {number} was built by a river.",
                "publishedDate": "2024-01-05T00:00:00" if number == 1 else None,
                "thumbnail": "",
                "engine": "brave",
                "engines": ["brave", "startpage"],
                "positions": [number],
                "score": 1.0 / number,
                "category": "general",
            }
            for number in range(1, pages + 1)
        ],
        "answers": [],
        "corrections": [],
        "infoboxes": [],
        "suggestions": ["mills"],
        "unresponsive_engines": unresponsive or [],
    }


def lens(thumbnails: list[str], status: str = "Success") -> Body:
    """As https://serpapi.com/search.json?engine=google_lens answers."""
    body: Body = {
        "search_metadata": {"id": "64c32cfeb68f8bc186aaa013", "status": status, "total_time_taken": 1.9},
        "search_parameters": {"engine": "google_lens", "url": "https://pictures.example/mill.jpg"},
    }
    if status != "Success" or not thumbnails:
        said = "Google Lens hasn't returned any results for this query." if status == "Success" else "Try again later."
        return body | {"error": said}
    return body | {
        "visual_matches": [
            {
                "position": number,
                "title": f"Mill {number}",
                "link": f"https://mill.example/{number}",
                "source": "Mills",
                "source_icon": "https://serpapi.com/icon.png",
                "thumbnail": thumbnail,
                "image": f"https://mill.example/{number}.jpg",
            }
            for number, thumbnail in enumerate(thumbnails, 1)
        ],
        "related_content": [{"query": "mills", "link": "https://www.google.com/search?q=mills"}],
    }


@dataclass
class SearchServer:
    """Answers the first requests with `faults` and every other one by `answer`; a wrong key or field is refused."""

    provider: str
    answer: Callable[[], Body] = dict
    faults: list[Reply | None] = field(default_factory=list)
    """None: answered."""
    pictures: Mapping[str, bytes | int] = field(default_factory=dict)
    """By path: bytes, or the status of an error."""
    requests: list[dict[str, str]] = field(default_factory=list)
    """What was asked: fields of a body or a query, without keys."""
    _closing: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free port of 127.0.0.1; yields the base URL."""
        app = web.Application()
        paths = {"lens": "/search.json"}
        app.router.add_route("*", paths.get(self.provider, "/search"), self._search)
        app.router.add_get("/pictures/{name}", self._picture)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}"
        finally:
            self._closing.set()
            await runner.cleanup()

    @contextmanager
    def in_thread(self) -> Iterator[str]:
        """Serve from a thread, for runs that have a loop of their own; yields the base URL."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, daemon=True)
        thread.start()
        serving = self.serving()
        try:
            yield asyncio.run_coroutine_threadsafe(serving.__aenter__(), loop).result()
            asyncio.run_coroutine_threadsafe(serving.__aexit__(None, None, None), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _search(self, request: web.Request) -> web.StreamResponse:
        asked = dict(request.query)
        if request.method == "POST":
            asked = {name: str(value) for name, value in (await request.json()).items()}
        key, asked = self._key(request, asked)
        self.requests.append(asked)
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            return await self._send(request, fault)
        if key != KEYS.get(self.provider, ""):
            status = 403 if self.provider == "serper" else 401
            return web.json_response({"message": f"Unauthorized. {key}", "statusCode": status}, status=status)
        missing = _WANTED[self.provider] - asked.keys()
        wrong_method = request.method != ("POST" if self.provider in {"serper", "tavily"} else "GET")
        if missing or wrong_method:
            return web.json_response({"message": f"{request.method} lacks {sorted(missing)}"}, status=400)
        return web.json_response(self.answer())

    def _key(self, request: web.Request, asked: dict[str, str]) -> tuple[str, dict[str, str]]:
        match self.provider:
            case "serper":
                return request.headers.get("X-API-KEY", ""), asked
            case "tavily":
                return request.headers.get("Authorization", "").removeprefix("Bearer "), asked
            case "lens":
                return asked.pop("api_key", ""), asked
            case _:
                return "", asked

    async def _picture(self, request: web.Request) -> web.StreamResponse:
        held = self.pictures.get(request.match_info["name"], 404)
        return web.Response(status=held) if isinstance(held, int) else web.Response(body=held)

    async def _send(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        if reply.how == "send":
            return web.Response(
                status=reply.status, text=reply.body, content_type="application/json", headers=reply.headers
            )
        if reply.how == "hang":
            await self._closing.wait()
            return web.Response()
        assert request.transport is not None
        if reply.how == "drop":
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            await response.write(b'{"organic": [')
            request.transport.abort()
            return response
        request.transport.abort()
        return web.Response()


_WANTED: Mapping[str, set[str]] = {
    "serper": {"q", "gl", "hl", "num"},
    "tavily": {"query", "max_results"},
    "searxng": {"q", "format"},
    "lens": {"engine", "url", "type"},
}


def said(body: object, status: int = 200, **headers: str) -> Reply:
    """A reply of JSON."""
    return Reply(status, json.dumps(body), headers=headers)
