"""One picture from a real server that behaves as servers of strangers do."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import ClientConnectorError, ConnectionTimeoutError, web
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from pipeline.fetch.addresses import RefusedError, checked_url, is_public
from pipeline.fetch.connecting import Resolver, only_to
from pipeline.fetch.download import AGENT, Bounds
from pipeline.fetch.failures import FailedError, failure_of
from tests.support.servers.picture_server import (
    HERE,
    PNG,
    QUICK,
    SHORT,
    Names,
    PictureServer,
    only_here,
    picture_server,
)


def served(act: Callable[[PictureServer], Awaitable[None]]) -> None:
    async def main() -> None:
        async with picture_server() as server:
            await act(server)

    asyncio.run(main())


async def downloaded(server: PictureServer, path: str, host: str = "pictures.test") -> bytes:
    async with server.downloader() as downloader:
        return (await downloader.picture(URL(server.url(path, host)))).content


async def failure(server: PictureServer, path: str, host: str = "pictures.test") -> FailedError:
    with pytest.raises(FailedError) as caught:
        await downloaded(server, path, host)
    return caught.value


@pytest.mark.parametrize(
    "path", ["/picture.png", "/redirect/2", "/packed", "/to?url=picture.png", "/to?url=//pictures.test:{port}/a"]
)
def test_a_picture_comes_whatever_its_headers_say_of_it(path: str) -> None:
    async def act(server: PictureServer) -> None:
        assert await downloaded(server, path.format(port=server.port)) == PNG

    served(act)


@pytest.mark.parametrize(
    ("path", "said", "sure", "again"),
    [
        ("/status/404", "the server answered 404", True, False),
        ("/status/410", "the server answered 410", True, False),
        ("/status/403", "the server answered 403", True, False),
        ("/status/206", "the server answered 206", True, False),
        ("/status/304", "the server answered 304", True, False),
        ("/status/500", "the server answered 500", False, True),
        ("/status/503", "the server answered 503", False, True),
        ("/status/429", "the server answered 429", False, True),
        ("/html", "no picture: HTML page", True, False),
        ("/large", "too large: more than 100,000 bytes", True, False),
        ("/bomb", "too large: more than 100,000 bytes", True, False),
        ("/brotli", "packed as 'br'", True, False),
        ("/packed/60", "broken off: the packed bytes end too early", False, True),
        ("/drip", "timed out: not whole within 1 s", False, True),
        ("/cut", "broken off: it ends too early", False, True),
        ("/redirect/4", "more than 3 redirects", True, False),
        ("/to?url=/to?url=/to?url=/to", "refused: a redirect that does not say where", True, False),
        ("/to", "refused: a redirect that does not say where", True, False),
        ("/to?url=http://127.0.0.2:{port}/", "refused: address 127.0.0.2", True, False),
        ("/to?url=http://2130706433:{port}/", "refused: host '2130706433'", True, False),
        ("/to?url=http://[::ffff:127.0.0.1]:{port}/", "refused: address ::ffff:7f00:1", True, False),
        ("/to?url=http://169.254.169.254/latest", "refused: port 80", True, False),
        ("/to?url=http://inside.test:{port}/", "refused: address 10.0.0.7", True, False),
        ("/to?url=http://key@pictures.test:{port}/", "refused: a URL with a user", True, False),
        ("/to?url=file:///etc/passwd", "refused: scheme 'file'", True, False),
        ("/to?url=http://pictures.test:1/", "refused: port 1;", True, False),
    ],
)
def test_what_comes_instead_of_a_picture_is_told(path: str, said: str, sure: bool, again: bool) -> None:
    async def act(server: PictureServer) -> None:
        server.names.answers["inside.test"] = [["10.0.0.7"]]
        server.bounds = SHORT if path == "/drip" else QUICK
        error = await failure(server, path.format(port=server.port))
        assert said in str(error)
        assert (error.sure, error.again) == (sure, again)

    served(act)


@pytest.mark.parametrize(
    "answers", [["127.0.0.2"], ["8.8.8.8", "192.168.0.1"], ["::1"], ["::ffff:127.0.0.1"], [HERE, "fe80::1%lo"]]
)
def test_a_name_with_any_address_that_is_not_public_is_not_connected_to(answers: list[str]) -> None:
    async def act(server: PictureServer) -> None:
        server.names.answers["two.test"] = [answers]
        assert "which is not public" in str(await failure(server, "/picture.png", "two.test"))
        assert not server.asked

    served(act)


def test_the_connection_is_made_to_the_address_that_was_looked_at() -> None:
    async def act(server: PictureServer) -> None:
        # A name server of the attacker's: a good address for the look, another for whoever asks again.
        server.names.answers["turns.test"] = [[HERE], ["127.0.0.2"]]
        assert await downloaded(server, "/picture.png", "turns.test") == PNG
        assert server.names.asked == ["turns.test"]
        assert "not public" in str(await failure(server, "/picture.png", "turns.test"))
        assert server.headers[0]["Host"] == f"turns.test:{server.port}"

    served(act)


def test_a_redirect_is_looked_at_anew_though_its_name_was_seen() -> None:
    async def act(server: PictureServer) -> None:
        server.names.answers["other.test"] = [["127.0.0.2"]]
        error = await failure(server, f"/to?url=http://other.test:{server.port}/picture.png")
        assert "refused: address 127.0.0.2" in str(error)

    served(act)


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]", "[::1]", "0"])
def test_a_url_that_nobody_checked_opens_no_socket(host: str) -> None:
    """The connector itself reads numbers as addresses, and asks no resolver for them: its sockets are looked at."""

    async def act(server: PictureServer) -> None:
        downloader = type(server.downloader())({server.port}, QUICK, resolve=server.names)  # without the seam
        async with downloader:
            with pytest.raises(FailedError):
                await downloader.picture(URL(f"http://{host}:{server.port}/picture.png"))
        assert not server.asked

    served(act)


def test_nothing_of_this_machine_goes_along(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine pictures.test login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    async def act(server: PictureServer) -> None:
        async with server.downloader() as downloader:
            for path in ("/picture.png", "/redirect/1"):
                assert (await downloader.picture(URL(server.url(path)))).content == PNG
        kept = {"Host": f"pictures.test:{server.port}", "User-Agent": AGENT, "Accept": "image/*"}
        assert all(sent == {**kept, "Accept-Encoding": "identity"} for sent in server.headers)

    served(act)


def test_a_host_that_says_nothing_is_given_up_within_the_time_for_a_connection() -> None:
    async def main() -> None:
        async def hanging(host: str) -> list[str]:
            await asyncio.sleep(60)
            return [host]

        # A server that takes connections and says nothing, and a name server that does.
        silent = await asyncio.start_server(lambda _reader, _writer: asyncio.sleep(60), HERE, 0)
        port = silent.sockets[0].getsockname()[1]
        server = PictureServer(port, Names({"silent.test": [[HERE]]}), bounds=SHORT)
        began = time.monotonic()
        error = await failure(server, "/a.png", "silent.test")
        assert "timed out: not whole within 1 s" in str(error)
        server.names = hanging  # type: ignore[assignment]
        assert "timed out" in str(await failure(server, "/a.png", "silent.test"))
        assert time.monotonic() - began < 10
        silent.close()

    asyncio.run(main())


NAMED: list[tuple[int, str, bool]] = [
    (socket.EAI_NONAME, "no such host: ", False),
    (socket.EAI_NODATA, "no such host: ", False),
    (socket.EAI_AGAIN, "its name server does not answer: ", True),
    (socket.EAI_FAIL, "its name server does not answer: ", True),
    (socket.EAI_SYSTEM, "its name server does not answer: ", True),
]


@pytest.mark.parametrize(("code", "said", "again"), NAMED)
def test_a_name_that_is_none_is_another_failure_than_nobody_who_knows(code: int, said: str, again: bool) -> None:
    async def names(_host: str) -> list[str]:
        raise socket.gaierror(code, "so it is")

    assert asked_of(names) == (f"{said}so it is", False, again)


def test_a_name_without_an_address_is_none_and_a_silent_name_server_does_not_answer() -> None:
    async def empty(_host: str) -> list[str]:
        return []

    async def silent(_host: str) -> list[str]:
        raise TimeoutError

    assert asked_of(empty) == ("no such host: it has no address", False, False)
    assert asked_of(silent) == ("its name server does not answer: no answer in time", False, True)


def asked_of(names: Callable[[str], Awaitable[list[str]]]) -> tuple[str, bool, bool]:
    error = asyncio.run(failure(PictureServer(81, names), "/a.png"))  # type: ignore[arg-type]
    return str(error), error.sure, error.again


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    made = writer.get_extra_info("socket")
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.close()


def says(answer: bytes) -> Talk:
    async def said(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        await writer.drain()
        writer.close()

    return said


SHORTER = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc"


@pytest.mark.parametrize(
    ("scheme", "talk", "said"),
    [
        ("http", None, "connection refused: nothing is served at pictures.test:"),
        ("https", None, "connection refused: nothing is served at pictures.test:"),
        ("http", resets, "broken off: connection reset by peer"),
        ("https", resets, "broken off: reset before TLS was agreed on"),
        ("http", says(b""), "broken off: closed without an answer"),
        ("http", says(SHORTER), "broken off: it ends too early"),
        ("http", says(b"SSH-2.0-OpenSSH\r\n"), "no HTTP: Bad status line"),
        ("http", says(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 20_000 + b"\r\n\r\n"), "no HTTP: "),
        ("https", says(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "no TLS: wrong version number"),
    ],
)
def test_each_way_in_which_a_host_gives_no_answer_has_words_of_its_own(
    scheme: str, talk: Talk | None, said: str
) -> None:
    async def main() -> None:
        with socket.create_server((HERE, 0)) as free:
            port = free.getsockname()[1]
        served = None if talk is None else await asyncio.start_server(talk, HERE, port)
        server = PictureServer(port)
        async with server.downloader() as downloader:
            with pytest.raises(FailedError) as caught:
                await downloader.picture(URL(f"{scheme}://pictures.test:{port}/a.png"))
        assert str(caught.value).startswith(said)
        assert (caught.value.sure, caught.value.again) == (False, True)
        if served is not None:
            served.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENETUNREACH, "no route: network is unreachable"),
        (errno.EHOSTUNREACH, "no route: no route to host"),
        (errno.EMFILE, "no connection: too many open files"),
    ],
)
def test_what_the_system_says_of_a_connection_is_told_in_its_words(number: int, said: str) -> None:
    key = ConnectionKey("h", 81, is_ssl=False, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None)
    failed = failure_of(ClientConnectorError(key, OSError(number, "Multiple exceptions: …")), 5.0)
    assert (str(failed), failed.sure, failed.again) == (said, False, True)


def test_a_server_that_takes_no_connection_is_given_up() -> None:
    failed = failure_of(ConnectionTimeoutError("Connection timeout to host"), 5.0)
    assert (str(failed), failed.sure, failed.again) == ("timed out: no connection within 5 s", False, True)


def test_a_server_is_believed_only_with_a_certificate_of_its_name(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=pictures.test", "-addext", "subjectAltName=DNS:pictures.test",
         "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    asked_for = list[str | None]()

    async def picture(_request: web.Request) -> web.Response:
        return web.Response(body=PNG)

    async def main() -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        context.sni_callback = lambda _socket, name, _context: asked_for.append(name)
        app = web.Application()
        app.router.add_get("/a.png", picture)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, HERE, 0, ssl_context=context).start()
        server = PictureServer(runner.addresses[0][1])
        async with server.downloader() as downloader:
            with pytest.raises(FailedError, match="its certificate") as caught:
                await downloader.picture(URL(f"https://pictures.test:{server.port}/a.png"))
        assert not caught.value.sure
        await runner.cleanup()

    asyncio.run(main())
    assert asked_for == ["pictures.test"]  # by name, though the connection is to an address


def test_the_usual_bounds_are_those_that_the_documentation_names() -> None:
    assert Bounds() == Bounds(5.0, 20.0, 20_000_000, 3, 3, 1.0, 60.0)


def test_the_seam_of_these_tests_lets_one_address_through_and_nothing_else_does() -> None:
    assert str(checked_url(f"http://{HERE}/", (80,), only_here)) == f"http://{HERE}/"
    with pytest.raises(RefusedError):
        checked_url("http://127.0.0.2/", (80,), only_here)
    with pytest.raises(RefusedError):
        only_to(is_public)((2, 1, 6, "", (HERE, 80)))
    with pytest.raises(RefusedError):
        asyncio.run(Resolver(Names({"pictures.test": [[HERE]]}), is_public).resolve("pictures.test", 80))
