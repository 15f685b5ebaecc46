"""Whatever bytes a server sends, they are a picture within the bounds, or a failure that is told."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st
from yarl import URL

from pipeline.fetch.download import Downloader
from pipeline.fetch.failures import FailedError
from pipeline.images import is_picture
from tests.support.servers.picture_server import HERE, PNG, SHORT, Names, only_here

BODIES = st.sampled_from([PNG, PNG[:40], b"<html>", b"", bytes(200_000)]) | st.binary(max_size=300)
HEADERS = st.lists(
    st.sampled_from(
        [
            b"Content-Length: 5",
            b"Content-Length: -1",
            b"Content-Length: 99999999999",
            b"Transfer-Encoding: chunked",
            b"Content-Encoding: gzip",
            b"Content-Encoding: deflate, gzip",
            b"Location: http://127.0.0.1/",
            b"Location: \xff",
            b"Location: //",
            b"Location: http://[::1",
            b"Retry-After: soon",
            b"Retry-After: 1e9",
            b"X: " + b"y" * 70_000,
            b"no colon",
        ]
    ),
    max_size=4,
)
STATUS = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.1 302 Found", b"HTTP/1.1 503 X", b"HTTP/9 999", b"HTTP/1.0 100", b""]
)


@given(STATUS, HEADERS, BODIES)
@settings(max_examples=60, deadline=None)
def test_any_answer_is_a_picture_or_a_failure(status: bytes, headers: list[bytes], body: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\r\n".join([status, *headers, b"", body]))
        writer.close()

    async def main() -> bytes | FailedError:
        server = await asyncio.start_server(answer, HERE, 0)
        port = server.sockets[0].getsockname()[1]
        names = Names({"any.test": [[HERE]]})
        try:
            async with Downloader({port}, SHORT, allowed=only_here, resolve=names) as downloader:
                return (await downloader.picture(URL(f"http://any.test:{port}/a.png"))).content
        except FailedError as error:
            return error
        finally:
            server.close()

    came = asyncio.run(main())
    if isinstance(came, bytes):
        assert is_picture(came)
        assert len(came) <= SHORT.most_bytes
    else:
        assert str(came)
