"""The sandbox service: the same sessions from elsewhere, for many at once, and for nobody who should not have them."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import random
import secrets
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from PIL import Image

from flows.cli.checks import tell_sandbox
from flows.recipe.recipe import Runtime, SandboxUse
from pipeline.errors import InfrastructureError, RowError, UsageError
from pipeline.sandbox import Limits, Policy, Pool, Sandbox, guest, usage
from pipeline.sandbox.service import guard, server
from pipeline.sandbox.service.client import RemotePool
from pipeline.sandbox.service.link import Link, encode
from pipeline.sandbox.service.server import Options
from pipeline.sandbox.service.sessions import Sessions
from tests.support.command import start
from tests.support.servers.sandbox_service import ask, service

POLICY = Policy(Limits(cell_seconds=10.0, grace_seconds=0.5))
TOKEN = "open-sesame"  # noqa: S105
Seen = Counter[tuple[str, str]]


@pytest.fixture(scope="module", autouse=True)
def environment() -> Path:
    return guest.setup()


@pytest.fixture(scope="module")
def seen() -> Seen:
    """Requests that reached the service, by method and first part of the path."""
    return Counter()


@pytest.fixture(scope="module")
def url(seen: Seen) -> Iterator[str]:
    @web.middleware
    async def count(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        seen[request.method, request.path.split("/")[1]] += 1
        return await handler(request)

    with service(Options(workers=2), POLICY, middlewares=(count,)) as url:
        yield url


@pytest.fixture(scope="module")
def local() -> Iterator[Pool]:
    with Pool(POLICY, workers=1) as pool:
        yield pool


@pytest.fixture
def remote(url: str) -> Iterator[RemotePool]:
    with RemotePool(url) as pool:
        yield pool


@pytest.fixture(params=["local", "remote"])
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    found: Sandbox = request.getfixturevalue(request.param)
    return found


def png(width: int, height: int) -> bytes:
    """A picture that no other test has sent."""
    target = io.BytesIO()
    Image.new("RGB", (width, height), "#" + secrets.token_hex(3)).save(target, "PNG")
    return target.getvalue()


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def test_state_is_kept_and_sessions_are_apart(sandbox: Sandbox) -> None:
    with sandbox.session(seed=1) as one, sandbox.session(seed=1) as other:
        one.run("x = 1")
        other.run("x = 2")
        assert [one.run("x").value, other.run("x").value] == ["1", "2"]


def test_images_go_in_as_files_and_come_out_as_pixels(sandbox: Sandbox) -> None:
    with sandbox.session([png(40, 30), png(20, 10)]) as session:
        result = session.run("from PIL import Image\ndisplay(image_1, Image.new('L', (48, 36)))\nimage_2.size")
    assert result.value == "(20, 10)"
    assert [(image.mode, image.width, image.height) for image in result.images] == [("RGB", 40, 30), ("L", 48, 36)]
    assert [len(image.pixels) for image in result.images] == [40 * 30 * 3, 48 * 36]


def test_everything_of_an_exception_arrives(sandbox: Sandbox) -> None:
    with sandbox.session() as session:
        result = session.run("import sys\nprint('out')\nprint('err', file=sys.stderr)\n1 / 0")
        assert (result.status, result.stdout, result.stderr, result.ended) == ("exception", "out\n", "err\n", False)
        assert result.error is not None
        assert (result.error.type, result.error.message) == ("ZeroDivisionError", "division by zero")
        assert "line 4" in result.error.traceback
        assert result.usage.wall > 0
        assert session.run("'\ud800'").status == "exception"
        assert session.run("1").value == "1"


def test_a_limit_of_one_cell_holds(sandbox: Sandbox) -> None:
    with sandbox.session() as session:
        assert session.run("while True: pass", seconds=0.3).status == "timeout"
        assert session.run("2").value == "2"


def test_a_session_that_died_says_so_and_runs_nothing_more(sandbox: Sandbox) -> None:
    with sandbox.session() as session:
        result = session.run("import os\nos._exit(3)")
        assert (result.status, result.ended) == ("died", True)
        with pytest.raises(InfrastructureError):
            session.run("1")


def test_an_image_that_does_not_decode_is_the_rows_error(sandbox: Sandbox) -> None:
    with pytest.raises(RowError) as raised, sandbox.session([b"no image"]):
        pass
    assert raised.value.reason == "image_undecodable"


def test_both_pools_are_one_to_the_cache(local: Pool, remote: RemotePool) -> None:
    assert remote.identity == local.identity
    assert remote.facts() == local.facts()
    assert (remote.workers, remote.capacity) == (2, 32)


def test_an_image_travels_once(remote: RemotePool, seen: Seen) -> None:
    image, before = png(64, 48), seen["PUT", "blobs"]
    for _ in range(3):
        with remote.session([image, image]) as session:
            assert session.run("image_2.size").value == "(64, 48)"
    assert seen["PUT", "blobs"] - before == 1


def test_a_cell_under_way_ends_when_its_session_is_closed(remote: RemotePool) -> None:
    with remote.session() as session, ThreadPoolExecutor(1) as threads:
        assert session.run("1").value == "1"
        endless = threads.submit(session.run, "while True: pass")
        began = time.monotonic()
        remote.close()
        assert isinstance(endless.exception(), InfrastructureError)
        assert time.monotonic() - began < 8  # the cell's own limit is 10 seconds


def test_a_cell_asked_for_again_is_answered_again_and_not_executed(url: str) -> None:
    session_id = secrets.token_hex(16)
    assert ask(url, "PUT", f"/sessions/{session_id}", {"images": []}).status == 204
    assert ask(url, "PUT", f"/sessions/{session_id}", {"images": []}).status == 204
    cell = f"/sessions/{session_id}/cells"
    assert ask(url, "PUT", f"{cell}/1", {"code": "n = 0"}).status == 200
    slow = {"code": "import time\ntime.sleep(0.5)\nn += 1\nn, time.time()"}
    with ThreadPoolExecutor(3) as threads:
        answers = {said.body for said in threads.map(lambda _: ask(url, "PUT", f"{cell}/2", slow), range(3))}
    assert len(answers | {ask(url, "PUT", f"{cell}/2", slow).body}) == 1
    assert b'"(1, ' in answers.pop()
    assert ask(url, "PUT", f"{cell}/1", {"code": "n"}).status == 409
    assert ask(url, "PUT", f"{cell}/4", {"code": "n"}).status == 409
    assert b'"1"' in ask(url, "PUT", f"{cell}/3", {"code": "str(n)"}).body.replace(b"'", b"")
    assert ask(url, "DELETE", f"/sessions/{session_id}").status == 204
    assert ask(url, "PUT", f"{cell}/4", {"code": "n"}).status == 404


def test_a_connection_that_breaks_in_a_cell_loses_nothing(url: str) -> None:
    session_id = secrets.token_hex(16)
    link = Link(url, None, None)
    link.send("PUT", f"/sessions/{session_id}", encode({}), "application/json", seconds=20)
    path, body = f"/sessions/{session_id}/cells/1", encode({"code": "import time\ntime.sleep(0.5)\nn = 1\nid(n)"})
    host = urlsplit(url).netloc
    with socket.create_connection((urlsplit(url).hostname, urlsplit(url).port)) as broken:
        head = f"PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        broken.sendall(head.encode() + b"\r\n\r\n" + body)
        time.sleep(0.2)  # into the cell; too short a time would only make the test weaker
    assert link.send("PUT", path, body, "application/json", seconds=20).status == 200
    again = encode({"code": "n"})
    assert link.send("PUT", f"/sessions/{session_id}/cells/2", again, "application/json", seconds=20).status == 200
    link.close()


def talk(sandbox: Sandbox, secret: int) -> None:
    with sandbox.session(seed=secret) as session:
        assert session.run(f"x = {secret}").status == "ok"
        assert session.run("y = x + 1\nprint(x)").stdout == f"{secret}\n"
        assert session.run("x, y").value == f"({secret}, {secret + 1})"


def children() -> set[int]:
    tasks = Path("/proc/self/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}


def test_every_one_of_200_clients_gets_its_own_results_while_zygotes_are_killed() -> None:
    lost: list[int] = []
    through, others = threading.Semaphore(0), children()

    def client(sandbox: Sandbox, secret: int) -> int:
        while True:
            try:
                talk(sandbox, secret)
            except InfrastructureError:
                lost.append(secret)
            else:
                through.release()
                return secret

    def kill() -> None:
        # By progress and not by time: on a slow machine no zygote would live long enough. Five, and more until one of
        # them had a session that somebody talked to.
        for awaited in (*(30,) * 5, *(6,) * 8):
            if awaited < 30 and lost:
                return
            for _ in range(awaited):
                through.acquire()
            os.kill(random.choice(sorted(children() - others)), signal.SIGKILL)

    with service(Options(workers=2, sessions=24), POLICY) as url, ThreadPoolExecutor(201) as threads:
        # Eight clients apart, as eight runs would be; each has 25 rollouts at once.
        pools = [RemotePool(url) for _ in range(8)]
        killer = threads.submit(kill)
        secret_of = [random.randrange(10**9) for _ in range(200)]
        results = list(threads.map(lambda n: client(pools[n % 8], secret_of[n]), range(200)))
        killer.result()
        for pool in pools:
            pool.close()
    assert results == secret_of
    assert lost, "no session was lost with its zygote"


def test_without_room_clients_are_turned_away_and_get_through_in_the_end() -> None:
    with service(Options(workers=1, sessions=1), POLICY) as url:
        first, second = secrets.token_hex(16), secrets.token_hex(16)
        assert ask(url, "PUT", f"/sessions/{first}", {}).status == 204
        refused = ask(url, "PUT", f"/sessions/{second}", {})
        assert (refused.status, refused.headers["Retry-After"]) == (429, "1")
        assert ask(url, "DELETE", f"/sessions/{first}").status == 204

        def one(number: int) -> str | None:
            with RemotePool(url) as pool, pool.session() as session:
                return session.run(f"{number}").value

        with ThreadPoolExecutor(5) as threads:
            assert list(threads.map(one, range(5))) == ["0", "1", "2", "3", "4"]


def test_what_a_vanished_client_left_open_ends_at_the_idle_limit() -> None:
    policy = Policy(Limits(idle_seconds=1.0))
    with service(Options(workers=1, sessions=1), policy) as url:
        left = f"/sessions/{secrets.token_hex(16)}"
        assert ask(url, "PUT", left, {}).status == 204
        with RemotePool(url) as pool, pool.session() as session:
            assert session.run("1").value == "1"
        assert ask(url, "PUT", f"{left}/cells/1", {"code": "1"}).status == 404


def test_a_lost_session_is_infrastructure(url: str) -> None:
    with RemotePool(url) as pool, pool.session() as session:
        ask(url, "DELETE", f"/sessions/{session._id}")
        with pytest.raises(InfrastructureError, match="no such session"):
            session.run("1")
    assert ask(url, "GET", "/pool").status == 200


def test_a_token_is_required_and_nothing_else_lets_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_TOKEN", TOKEN)
    monkeypatch.setenv("WRONG_TOKEN", "open-barley")
    monkeypatch.setenv("BROKEN_TOKEN", f"{TOKEN}\n")
    with service(Options(workers=1, token=TOKEN), POLICY) as url:
        for shown in ({}, {"Authorization": "Bearer x"}, {"Authorization": TOKEN}, {"Authorization": "Bearer \xff"}):
            said = ask(url, "GET", "/pool", headers=shown)
            assert (said.status, said.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert ask(url, "GET", "/nothing/here").status == 401
        assert ask(url, "POST", "/jupyter_sandbox", {"session_id": "a", "code": "1"}).status == 401
        with pytest.raises(UsageError, match="an environment variable"):
            RemotePool(url)
        with pytest.raises(UsageError, match=r"\$WRONG_TOKEN"):
            RemotePool(url, "WRONG_TOKEN")
        with pytest.raises(UsageError, match=r"\$NO_TOKEN is not set"):
            RemotePool(url, "NO_TOKEN")
        with pytest.raises(UsageError, match=r"\$BROKEN_TOKEN") as refused:
            RemotePool(url, "BROKEN_TOKEN")
        assert TOKEN not in str(refused.value)
        with RemotePool(url, "SERVICE_TOKEN") as pool, pool.session() as session:
            assert session.run("1").value == "1"


def test_a_token_in_bytes_that_are_no_request_is_not_logged(url: str, caplog: pytest.LogCaptureFixture) -> None:
    address = urlsplit(url)
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(f"GET /pool HTTP/1.1\r\nHost: localhost\r\nAuthorization: {TOKEN}\x00\r\n\r\n".encode())
        assert b" 400 " in connection.recv(100)
    assert caplog.records == []


def test_a_body_that_does_not_decompress_is_refused_without_a_traceback(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    address = urlsplit(url)
    head = "PUT /sessions/0 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Encoding: gzip"
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(f"{head}\r\nContent-Length: 4\r\n\r\nnone".encode())
        answer = b"".join(iter(lambda: connection.recv(1000), b""))  # until the service hangs up
    assert answer.startswith(b"HTTP/1.1 4")
    assert caplog.records == []


def test_other_machines_are_not_let_in_without_a_token() -> None:
    with pytest.raises(UsageError, match="COLDFORGE_SANDBOX_TOKEN"), service(Options(host="0.0.0.0")):  # noqa: S104
        pass


def test_web_pages_on_the_same_machine_cannot_use_it(url: str) -> None:
    code = {"session_id": "page", "code": "1"}
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "[::2]:80"):
        assert ask(url, "POST", "/jupyter_sandbox", code, headers={"Host": host}).status == 403
    for host in ("localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8000"):
        assert ask(url, "GET", "/pool", headers={"Host": host}).status == 200
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonp"):
        assert ask(url, "POST", "/jupyter_sandbox", code, headers={"Content-Type": kind}).status == 415
    assert ask(url, "OPTIONS", "/jupyter_sandbox", headers={"Origin": "http://evil.example"}).status == 405


def test_a_blob_is_what_its_name_says(url: str) -> None:
    content = secrets.token_bytes(100)
    kind = {"Content-Type": "application/octet-stream"}
    right, wrong = hashlib.sha256(content).hexdigest(), hashlib.sha256(b"").hexdigest()
    assert ask(url, "PUT", f"/blobs/{wrong}", content, headers=kind).status == 400
    assert ask(url, "PUT", f"/blobs/{right}", content, headers=kind).status == 204
    for name in ("..%2f..%2fetc%2fpasswd", "../x", right.upper(), right + "0"):
        assert ask(url, "PUT", f"/blobs/{name}", content, headers=kind).status in {404, 405}
    missing = ask(url, "PUT", f"/sessions/{secrets.token_hex(16)}", {"images": [wrong, right]})
    assert (missing.status, missing.json["missing"]) == (409, [wrong])


def test_the_client_refuses_what_is_no_such_service(url: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with pytest.raises(InfrastructureError, match="coldforge sandbox serve"):
            RemotePool(f"http://127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(UsageError, match="correct the address"):
        RemotePool(f"{url}/elsewhere")
    for address in ("localhost:8000", "ftp://localhost", "http://user:word@localhost", "http://"):
        with pytest.raises(UsageError, match="http://HOST:PORT"):
            RemotePool(address)


def test_an_id_taken_again_while_its_first_session_fails_is_not_forgotten(local: Pool) -> None:
    async def main() -> None:
        sessions = Sessions(local, idle_seconds=60, patience=1)
        first = asyncio.create_task(sessions.open("a", [b"no image"]))
        await asyncio.sleep(0)
        closing = asyncio.create_task(sessions.close("a"))
        await asyncio.sleep(0)
        second = await sessions.open("a")
        with pytest.raises(RowError):
            await first
        await closing
        assert sessions.get("a") is second
        assert await sessions.run(second, lambda notebook: notebook.run("6 * 7").value) == "42"
        await sessions.aclose()

    asyncio.run(main())
    assert local._free._value == local.capacity, "nothing stays open"


def test_a_head_that_never_ends_costs_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_IDLE_CONNECTION_SECONDS", 0.5)
    with service(Options(workers=1)) as url:
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
            connection.sendall(b"GET /pool HTTP/1.1\r\nHost: ")
            assert connection.recv(1) == b"", "closed, without an answer"


def test_the_bodies_of_cells_that_wait_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_MOST_HELD", 1_500)
    code = "import time; time.sleep(1)" + " " * 900
    with service(Options(workers=2)) as url, ThreadPoolExecutor() as threads:

        def cell(session_id: str) -> int:
            return ask(url, "POST", "/jupyter_sandbox", {"session_id": session_id, "code": code}).status

        assert sorted(threads.map(cell, ["a", "b"])) == [200, 429]
        assert cell("b") == 200


def test_a_recipe_names_the_service(url: str) -> None:
    told = tell_sandbox(Runtime(sandbox=SandboxUse(url=url)))
    assert f"ran isolated at {url}" in told


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_no_process(number: signal.Signals) -> None:
    process = start(["sandbox", "serve", "--port", "0", "--workers", "1"])
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        endless = {"session_id": "a", "code": "while True: pass"}
        busy = threading.Thread(target=ask, args=[url, "POST", "/jupyter_sandbox", endless])
        busy.start()
        pool = RemotePool(url)
        with pool.session() as session:
            assert session.run("1").value == "1"
            started = usage.tree(process.pid)
            process.send_signal(number)
            assert process.wait(20) == 0
        assert wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in started))
        busy.join(20)
        assert not busy.is_alive()
    finally:
        process.kill()
        process.communicate()
