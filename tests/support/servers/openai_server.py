"""A local server of the OpenAI protocol whose faults are data: one `Reply` per request, in order."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web


@dataclass(frozen=True)
class Reply:
    """What one request is answered."""

    status: int = 200
    body: str = ""
    how: Literal["send", "drop", "reset", "hang"] = "send"
    """`drop` closes the connection in the middle of an answer, `reset` before it; `hang` never sends one."""
    headers: Mapping[str, str] = field(default_factory=dict)


DROPPED = Reply(how="drop")
RESET = Reply(how="reset")
HANGING = Reply(how="hang")
GARBAGE = Reply(body="<html>a proxy's idea of an answer</html>")


def completion(text: str | None, finish_reason: str = "stop", **message: Any) -> Reply:
    """A chat completion with one choice."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish_reason}
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    body = {"id": "x", "object": "chat.completion", "model": "weights-1", "choices": [choice], "usage": usage}
    return Reply(body=json.dumps(body))


@dataclass
class OpenAIServer:
    """Answers the first requests with `faults` and every other one by `script`."""

    script: Callable[[dict[str, Any]], Reply] = lambda _: completion("<think>t</think>\n<answer>4</answer>")
    faults: list[Reply] = field(default_factory=list)
    models: tuple[str, ...] = ("served",)
    key: str | None = None
    latency: float = 0.0
    """Seconds before an answer."""
    port: int = 0
    """0 takes a free one; a server that returns needs its old one."""
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of the completions asked for, refused ones included."""
    at_once: int = 0
    """The most requests that were open at one time."""
    _open: int = 0
    _closing: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free port of 127.0.0.1; yields the base URL."""
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/chat/completions", self._complete)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        # A port that was in use a moment ago is taken again at once.
        site = web.TCPSite(runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        try:
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}/v1"
        finally:
            self._closing.set()
            await runner.cleanup()

    @contextmanager
    def in_thread(self) -> Iterator[str]:
        """Serve from a thread, for clients that are processes of their own; yields the base URL."""
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

    async def _models(self, request: web.Request) -> web.StreamResponse:
        if self.faults:
            return await self._send(request, self.faults.pop(0))
        if not self._allowed(request):
            return web.json_response({"error": "key"}, status=401)
        return web.json_response({"object": "list", "data": [{"id": name} for name in self.models]})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        self._open += 1
        self.at_once = max(self.at_once, self._open)
        try:
            body = await request.json()
            self.requests.append(body)
            if not self._allowed(request):
                return web.json_response({"error": "key"}, status=401)
            # Decided when it arrives, whatever the order in which answers go out.
            reply = self.faults.pop(0) if self.faults else self.script(body)
            await asyncio.sleep(self.latency)
            return await self._send(request, reply)
        finally:
            self._open -= 1

    def _allowed(self, request: web.Request) -> bool:
        return self.key is None or request.headers.get("Authorization") == f"Bearer {self.key}"

    async def _send(self, request: web.Request, reply: Reply) -> web.StreamResponse:
        if reply.how == "send":
            return web.Response(
                status=reply.status, text=reply.body, content_type="application/json", headers=reply.headers
            )
        if reply.how == "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        if reply.how == "drop":
            await response.prepare(request)
            await response.write(b'{"choices": [')
            assert request.transport is not None
            request.transport.abort()
            return response
        await self._closing.wait()
        return response
