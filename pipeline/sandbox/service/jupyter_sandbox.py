"""The request shape of DeepEyesV2's environment, so that its RL training can use this sandbox unchanged.

    POST /jupyter_sandbox  {"session_id": text, "code": text, "timeout": seconds}
    200 {"status": "success", "execution_time": seconds,
         "output": {"stdout", "stderr", "result": texts, "images": [base64 of a PNG, ...]},
         "cell_status": text}

That client ends an episode on any other `status` and on any other HTTP status. So `status` is "success" for everything
that code can do, and `cell_status` says what it was: ok, exception, timeout, killed_memory, killed_output, died or
protocol_error. What went wrong is at the end of `stderr`, where that environment looks for it. Only when the sandbox
itself failed the answer is 503. Without room it is 429, which that client takes for a failure as well.

An unknown id makes a session, which has no images of its own: that client sends `image_1` as base64 in the code of a
first cell. It never ends a session either, so when all are in use the one that was used least recently gives way,
unless that was within the last `KEPT_SECONDS`; `IDLE_SECONDS` after its last cell it ends anyway. When a session is
gone, the next cell of that id runs in a fresh one and its `stderr` begins with a sentence that says so.

`LIMITS` are weaker than those of curation: 200 seconds of wall and CPU time per cell, an hour of CPU time per session,
any number of cells. `timeout` shortens the first and lengthens nothing. The pool is one of its own.
"""

from __future__ import annotations

import asyncio
import base64
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from pipeline.sandbox.backend import Notebook
from pipeline.sandbox.inside.policy import Limits
from pipeline.sandbox.result import CellResult
from pipeline.sandbox.service.guard import Bodies, RefusedError, parse_object, seconds_field, text_field
from pipeline.sandbox.service.protocol import JSON
from pipeline.sandbox.service.sessions import FullError, Sessions

IDLE_SECONDS = 1_800.0
"""An episode of eight calls takes less, waiting for its batch included."""
KEPT_SECONDS = 300.0
"""A turn of at most 8,192 tokens, at 27 of them per second or faster, is over by then."""
LIMITS = Limits(
    cell_seconds=200.0,  # what that client asks for
    cell_cpu_seconds=200.0,
    session_cpu_seconds=3_600,  # eight calls of the longest kind, and as much again
    idle_seconds=IDLE_SECONDS,
)
PATIENCE = 30.0
"""Seconds that a cell waits for others: with its 200 seconds still within the 240 that the client waits."""

_MOST_ID = 256
_MOST_REMEMBERED = 100_000
"""Ids that have had a session, a few megabytes of them: several batches of episodes."""
_FRESH = (
    "The session of the earlier cells has ended, so this cell ran in a fresh one: "
    "their variables, images and files are gone."
)


@dataclass
class _Turn:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    wanted: int = 0


@dataclass
class JupyterSandbox:
    """The one handler and what it remembers."""

    sessions: Sessions
    bodies: Bodies
    kept_seconds: float = KEPT_SECONDS
    _turns: dict[str, _Turn] = field(default_factory=dict)
    """Who uses a session now or waits for it."""
    _waiting: int = 0
    _seen: OrderedDict[str, None] = field(default_factory=OrderedDict)
    """Ids that have had a session, the latest last."""

    def routes(self) -> list[web.RouteDef]:
        """Return the handler with its path."""
        return [web.post("/jupyter_sandbox", self.run)]

    async def run(self, request: web.Request) -> web.StreamResponse:
        """Execute a cell in the session of that id, made if there is none."""
        async with self.bodies.read(request, JSON) as content:
            return web.json_response(await self._run(parse_object(content)))

    async def _run(self, body: dict[str, Any]) -> dict[str, Any]:
        session_id, code, seconds = _session_id(body), text_field(body, "code"), seconds_field(body, "timeout")

        def job(notebook: Notebook) -> tuple[dict[str, Any], bool]:
            result = notebook.run(code, seconds)
            return _shown(result), result.ended

        async with self._turn(session_id):
            fresh = self.sessions.get(session_id) is None
            if fresh:
                await self.sessions.make_room(self.kept_seconds)
            live = await self.sessions.open(session_id)
            shown, ended = await self.sessions.run(live, job)
            if fresh and self._has_been(session_id):
                shown["output"]["stderr"] = _lines(_FRESH, shown["output"]["stderr"])
            if ended:
                await self.sessions.close(session_id)
        return shown

    @asynccontextmanager
    async def _turn(self, session_id: str) -> AsyncIterator[None]:
        """Wait for the cells that were sent to this session before."""
        if self._waiting >= 2 * self.sessions.pool.capacity:
            raise FullError("too many cells wait")
        turn = self._turns.setdefault(session_id, _Turn())
        turn.wanted += 1
        self._waiting += 1
        try:
            async with turn.lock:
                yield
        finally:
            self._waiting -= 1
            turn.wanted -= 1
            if not turn.wanted:
                del self._turns[session_id]

    def _has_been(self, session_id: str) -> bool:
        """Return whether this id had a session before, and remember it."""
        seen = session_id in self._seen
        self._seen[session_id] = None
        self._seen.move_to_end(session_id)
        if len(self._seen) > _MOST_REMEMBERED:
            self._seen.popitem(last=False)
        return seen


def _session_id(body: dict[str, Any]) -> str:
    session_id = text_field(body, "session_id")
    if not 0 < len(session_id) <= _MOST_ID:
        raise RefusedError(400, f"`session_id` must have 1 to {_MOST_ID} characters")
    return session_id


def _shown(result: CellResult) -> dict[str, Any]:
    trace = result.error.traceback if result.error else ""
    return {
        "status": "success",
        "execution_time": result.usage.wall,
        "output": {
            "stdout": result.stdout,
            "stderr": _lines(result.stderr, trace, *result.notes),
            "result": result.value or "",
            "images": [base64.b64encode(image.png()).decode() for image in result.images],
        },
        "cell_status": result.status,
    }


def _lines(*texts: str) -> str:
    """Join texts that are not empty, each from the beginning of a line."""
    joined = ""
    for text in filter(None, texts):
        joined += text if not joined or joined.endswith("\n") else f"\n{text}"
    return joined
