"""Thumbnails come from the hosts that serve them, within bounds, and nothing goes along with the request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiohttp import web
from PIL import Image

from pipeline.errors import InfrastructureError, RowError
from pipeline.images import encode_png
from pipeline.tools.search import thumbnails
from pipeline.tools.search.thumbnails import BOUNDS, Thumbnails

PICTURE = encode_png(Image.new("RGB", (8, 8), "red"))


@pytest.mark.parametrize(
    "url",
    [
        "http://encrypted-tbn0.gstatic.com/images?q=1",  # not encrypted
        "https://page.example/thumbnail.png",
        "https://gstatic.com.page.example/x.png",
        "https://notgstatic.com/x.png",
        "https://127.0.0.1/x.png",
        "https://2130706433/x.png",
        "https://[::ffff:127.0.0.1]/x.png",
        "https://169.254.169.254/latest/meta-data",
        "https://user@gstatic.com/x.png",
        "https://gstatic.com@127.0.0.1/x.png",
        "file:///etc/passwd",
        "data:image/png;base64,AAAA",
        "https://[bad/x",
        "",
    ],
)
def test_an_address_of_any_other_host_is_not_opened(url: str) -> None:
    fetch = Thumbnails()
    with pytest.raises(RowError, match="thumbnail"):
        asyncio.run(fetch(url))
    assert fetch._downloader is None


def fetched(answer: Callable[[web.Request], web.StreamResponse]) -> tuple[object, list[web.Request]]:
    async def main() -> tuple[object, list[web.Request]]:
        asked: list[web.Request] = []

        async def serve(request: web.Request) -> web.StreamResponse:
            asked.append(request)
            return answer(request)

        app = web.Application()
        app.router.add_get("/x.png", serve)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        fetch = Thumbnails(("http",), (host,), (port,), allowed=lambda _: True)
        try:
            found: object = await fetch(f"http://{host}:{port}/x.png")
        except (RowError, InfrastructureError) as error:
            found = error
        finally:
            await fetch.aclose()
            await runner.cleanup()
        return found, asked

    return asyncio.run(main())


def test_what_a_host_serves_is_taken_and_it_is_told_nothing_of_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    found, (request,) = fetched(lambda _: web.Response(body=PICTURE))
    assert found == PICTURE
    assert not {"Cookie", "Authorization", "Referer"} & set(request.headers)


@pytest.mark.parametrize("status", [301, 302, 403, 404, 410])
def test_a_link_that_leads_elsewhere_or_nowhere_is_not_followed(status: int) -> None:
    found, asked = fetched(lambda _: web.Response(status=status, headers={"Location": "http://127.0.0.1:1/"}))
    assert isinstance(found, RowError)
    assert len(asked) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_host_that_fails_is_asked_again_and_then_a_failure(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thumbnails, "jittered_pause", lambda *_: 0.0)
    found, asked = fetched(lambda _: web.Response(status=status))
    assert isinstance(found, InfrastructureError)
    assert len(asked) == BOUNDS.tries


def test_a_body_has_an_end() -> None:
    found, _ = fetched(lambda _: web.Response(body=b"x" * (BOUNDS.most_bytes + 1)))
    assert isinstance(found, RowError)
