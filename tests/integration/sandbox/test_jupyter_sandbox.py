"""What DeepEyesV2's environment is answered, and that no request whatsoever breaks the service."""

from __future__ import annotations

import base64
import http.client
import io
import os
import signal
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.sandbox import Limits, Policy, Pool, guest, usage
from pipeline.sandbox.service.guard import Bodies, make_guard
from pipeline.sandbox.service.jupyter_sandbox import LIMITS, JupyterSandbox
from pipeline.sandbox.service.protocol import MOST_BODY
from pipeline.sandbox.service.server import Options
from pipeline.sandbox.service.sessions import Sessions
from tests.support.servers.sandbox_service import Said, ask, in_thread, service

POLICY = Policy(Limits(cell_seconds=4.0, grace_seconds=0.5))
IMAGE = (48, 36)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    guest.setup()
    with service(Options(workers=1), POLICY, POLICY) as url:
        yield url


def cell(url: str, session_id: str, code: str, timeout: float | None = 200) -> Said:
    return ask(url, "POST", "/jupyter_sandbox", {"session_id": session_id, "code": code, "timeout": timeout})


def init_cell(*, padding: int = 0) -> str:
    """Code that opens `image_1` as that client does."""
    target = io.BytesIO()
    Image.new("RGB", IMAGE, "navy").save(target, "PNG")
    text = base64.b64encode(target.getvalue() + bytes(padding)).decode()
    return (
        "import base64\nfrom io import BytesIO\nfrom PIL import Image\n"
        f"image_1 = Image.open(BytesIO(base64.b64decode('{text}')))"
    )


def shown(said: Said) -> dict[str, Any]:
    """The answer without its time, which is checked."""
    assert said.status == 200
    answer: dict[str, Any] = said.json
    seconds = answer.pop("execution_time")
    assert type(seconds) is float
    assert seconds >= 0
    return answer


def success(cell_status: str = "ok", stdout: str = "", stderr: str = "", result: str = "") -> dict[str, Any]:
    output = {"stdout": stdout, "stderr": stderr, "result": result, "images": []}
    return {"status": "success", "cell_status": cell_status, "output": output}


def test_three_turns_with_an_image_an_exception_and_a_timeout(url: str) -> None:
    assert shown(cell(url, "episode", init_cell())) == success()

    turn = shown(
        cell(url, "episode", "import matplotlib.pyplot as plt\nplt.imshow(image_1)\nplt.show()\nprint(image_1.size)")
    )
    (picture,) = turn["output"].pop("images")
    assert turn == {
        "status": "success",
        "cell_status": "ok",
        "output": {"stdout": f"{IMAGE}\n", "stderr": "", "result": ""},
    }
    image = Image.open(io.BytesIO(base64.b64decode(picture, validate=True)))
    assert (image.format, image.size) == ("PNG", (640, 480))

    turn = shown(cell(url, "episode", "print('before')\nimage_1.crop((4, 3, 2, 1))"))
    stderr = turn["output"]["stderr"]
    assert turn == success("exception", "before\n", stderr)
    assert stderr.startswith("Traceback (most recent call last):\n")
    assert stderr.splitlines()[-1].startswith("ValueError: ")

    turn = shown(cell(url, "episode", "n = 1\nwhile True: pass", timeout=0.5))
    text = "TimeoutError: the cell exceeded 0.5 seconds and was interrupted; the session's variables are kept"
    assert turn == success("timeout", stderr=text)
    assert shown(cell(url, "episode", "image_1.size, n")) == success(result=f"({IMAGE}, 1)")


def test_after_a_cell_that_ended_the_session_the_next_is_told_that_it_is_fresh(url: str) -> None:
    assert shown(cell(url, "mortal", "x = 1"))["cell_status"] == "ok"
    died = shown(cell(url, "mortal", "import os\nos._exit(7)"))
    assert died == success("died", stderr="SessionDied: the cell ended the session's process with code 7")
    said = shown(cell(url, "mortal", "'x' in globals()"))["output"]
    assert said["result"] == "False"
    assert said["stderr"].startswith("The session of the earlier cells has ended")
    assert shown(cell(url, "mortal", "1")) == success(result="1")


def test_the_limits_are_weaker_and_a_request_cannot_lengthen_them(url: str) -> None:
    assert (LIMITS.cell_seconds, LIMITS.cell_cpu_seconds) == (200.0, 200.0)
    assert guest.identity(Policy(LIMITS)) != guest.identity(Policy())
    began = time.monotonic()
    # The policy of these tests says 4 seconds.
    assert shown(cell(url, "long", "import time\ntime.sleep(60)", timeout=1e300))["cell_status"] == "timeout"
    assert time.monotonic() - began < 40


def test_an_image_of_tens_of_megabytes_is_taken(url: str) -> None:
    assert shown(cell(url, "large", init_cell(padding=24 << 20))) == success()
    assert shown(cell(url, "large", "image_1.size")) == success(result=str(IMAGE))


def test_cells_of_one_session_run_one_after_the_other(url: str) -> None:
    assert shown(cell(url, "queue", "seen = []")) == success()
    threads = [
        threading.Thread(
            target=cell, args=[url, "queue", f"seen.append({n})\nimport time\ntime.sleep(0.1)\nseen.append({n})"]
        )
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seen = [int(n) for n in shown(cell(url, "queue", "print(*seen)"))["output"]["stdout"].split()]
    assert seen[::2] == seen[1::2]
    assert sorted(seen[::2]) == [0, 1, 2, 3]


def test_a_failed_sandbox_is_503_and_no_outcome(url: str) -> None:
    assert shown(cell(url, "doomed", "x = 1")) == success()
    below = set(usage.tree(os.getpid()))
    said: list[Said] = []
    thread = threading.Thread(target=lambda: said.append(cell(url, "doomed", "while True: pass")))
    thread.start()
    time.sleep(0.3)  # into the cell; before it, the session is as lost
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            if int(pid) in below:
                os.kill(int(pid), signal.SIGKILL)
    thread.join()
    assert (said[0].status, set(said[0].json)) == (503, {"error"})
    assert shown(cell(url, "doomed", "1"))["output"]["result"] == "1"


@pytest.mark.parametrize("kept_seconds", [0.0, 300.0])
def test_when_all_are_in_use_the_longest_unused_gives_way_unless_it_was_used_lately(kept_seconds: float) -> None:
    @asynccontextmanager
    async def two_sessions() -> AsyncIterator[str]:
        with Pool(POLICY, workers=1, sessions=2) as pool:
            sessions = Sessions(pool, 900.0, 30.0)
            app = web.Application(middlewares=[make_guard(loopback=True, token=None)])
            app.add_routes(JupyterSandbox(sessions, Bodies(), kept_seconds).routes())
            runner = web.AppRunner(app)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
            await sessions.aclose()
            await runner.cleanup()

    with in_thread(two_sessions) as url:
        for name in ("a", "b", "a"):
            assert shown(cell(url, name, "x = 1")) == success()
        third = cell(url, "c", "1")
        if kept_seconds:
            assert (third.status, third.headers["Retry-After"]) == (429, "1")
        else:
            assert shown(third) == success(result="1")
            assert shown(cell(url, "a", "x")) == success(result="1")
            assert "NameError" in shown(cell(url, "b", "x"))["output"]["stderr"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
NAMES = st.sampled_from(["session_id", "code", "timeout", "images", "seed", "seconds"])
BODIES = st.binary(max_size=60) | JSON | st.dictionaries(NAMES, JSON | st.just("1"), max_size=6)
PATHS = st.sampled_from(
    [
        "/jupyter_sandbox",
        "/pool",
        "/sessions/" + "0" * 32,
        "/sessions/" + "0" * 32 + "/cells/1",
        "/sessions/" + "0" * 32 + "/cells/99999999999999999999",
        "/blobs/" + "0" * 64,
        "/%00",
    ]
)
METHODS = st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH"])
KINDS = st.sampled_from(
    ["application/json", "application/octet-stream", "text/plain", "application/json; charset=utf-7"]
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=METHODS, path=PATHS, body=BODIES, kind=KINDS)
def test_no_request_is_an_error_of_ours_or_goes_unanswered(
    url: str, method: str, path: str, body: object, kind: str
) -> None:
    said = ask(url, method, path, body, headers={"Content-Type": kind}, seconds=20)
    assert said.status < 500
    if said.status == 429:  # ids that were made up have taken all sessions, as they should
        assert said.headers["Retry-After"]


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(min_size=1, max_size=80), after=st.sampled_from([b"", b"\r\n\r\n"]))
def test_bytes_that_are_no_request_cost_only_their_connection(url: str, content: bytes, after: bytes) -> None:
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), timeout=20) as connection:
        connection.sendall(content + after)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert b" 500 " not in answer.partition(b"\r\n")[0]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Length": str(MOST_BODY + 1)}, 413),
        ({"Transfer-Encoding": "chunked"}, 411),
        ({"Content-Length": "3", "Content-Encoding": "gzip"}, 415),
        ({"Content-Length": "-1"}, 400),
    ],
)
def test_a_body_that_would_be_too_much_is_refused_unread(url: str, headers: dict[str, str], status: int) -> None:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.putrequest("POST", "/jupyter_sandbox")
    for name, value in {"Content-Type": "application/json", **headers}.items():
        connection.putheader(name, value)
    connection.endheaders()
    assert connection.getresponse().status == status
    connection.close()


def test_deep_and_long_json_is_refused(url: str) -> None:
    for body in (b"[" * 100_000, b'{"code": ' * 50_000, b"1" * 10_000, b'{"timeout": NaN}', b"\xff\xfe"):
        assert ask(url, "POST", "/jupyter_sandbox", body).status == 400
    timeouts: list[object] = [0, -1, True, "5", [], 10**400]
    for timeout in timeouts:
        said = ask(url, "POST", "/jupyter_sandbox", {"session_id": "t", "code": "1", "timeout": timeout})
        assert said.status == (200 if timeout == 10**400 else 400)
    for session_id in ("", "x" * 257, 5, None):
        assert ask(url, "POST", "/jupyter_sandbox", {"session_id": session_id, "code": "1"}).status == 400
