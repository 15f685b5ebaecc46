"""Handlers of the service's own protocol (`protocol`)."""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from pipeline.sandbox.inside.policy import MIB
from pipeline.sandbox.service.guard import Bodies, RefusedError, answer, parse_object, seconds_field, text_field
from pipeline.sandbox.service.protocol import BYTES, JSON, MOST_IMAGES, VERSION, Description, encode_result
from pipeline.sandbox.service.sessions import Blobs, FullError, Live, Sessions

PATIENCE = 30.0
"""Seconds that a cell waits for others: more than the longest cell, so that a full machine still gets on."""
_MOST_KEPT = 16 * MIB
"""Of an answer that is kept in case it is asked for again: below a hundredth of what the session itself may use."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass
class Native:
    """What the handlers share."""

    sessions: Sessions
    bodies: Bodies
    facts: dict[str, Any]
    answer_seconds: float
    blobs: Blobs = field(default_factory=Blobs)

    def routes(self) -> list[web.RouteDef]:
        """Return the handlers by path; other ids than described match nothing and are 404."""
        session = "/sessions/{id:[0-9a-f]{32}}"
        return [
            web.get("/pool", self.describe),
            web.put("/blobs/{sha256:[0-9a-f]{64}}", self.put_blob),
            web.put(session, self.open),
            web.delete(session, self.close),
            web.put(session + "/cells/{number:[1-9][0-9]{0,8}}", self.run),
        ]

    async def describe(self, _: web.Request) -> web.StreamResponse:
        """Tell what the pool is."""
        pool = self.sessions.pool
        description = Description(
            protocol=VERSION,
            identity=pool.identity,
            workers=pool.workers,
            capacity=pool.capacity,
            answer_seconds=self.answer_seconds,
            facts=self.facts,
        )
        return web.json_response(text=description.model_dump_json())

    async def put_blob(self, request: web.Request) -> web.StreamResponse:
        """Keep an image file."""
        async with self.bodies.read(request, BYTES) as content:
            sha256 = await asyncio.to_thread(lambda: hashlib.sha256(content).hexdigest())
            if sha256 != request.match_info["sha256"]:
                raise RefusedError(400, f"the body's sha256 is {sha256}")
            self.blobs.put(sha256, content)
        return web.Response(status=204)

    async def open(self, request: web.Request) -> web.StreamResponse:
        """Open a session over images that were sent before."""
        async with self.bodies.read(request, JSON) as content:
            body = parse_object(content)
        digests, seed = _digests(body.get("images", [])), body.get("seed", 0)
        if type(seed) is not int or not -(1 << 63) <= seed < 1 << 63:
            raise RefusedError(400, "`seed` must be an integer of 64 bits")
        contents, missing = self.blobs.get(digests)
        if missing:
            return answer(409, f"{len(missing)} images have to be sent first", missing=missing)
        await self.sessions.open(request.match_info["id"], contents, seed)
        return web.Response(status=204)

    async def close(self, request: web.Request) -> web.StreamResponse:
        """End a session."""
        await self.sessions.close(request.match_info["id"])
        return web.Response(status=204)

    async def run(self, request: web.Request) -> web.StreamResponse:
        """Execute a cell, or answer again what the last one gave."""
        async with self.bodies.read(request, JSON) as content:
            return web.Response(body=await self._answer(request, parse_object(content)), content_type=BYTES)

    async def _answer(self, request: web.Request, body: dict[str, Any]) -> bytes:
        code, seconds = text_field(body, "code"), seconds_field(body, "seconds")
        live = self.sessions.get(request.match_info["id"])
        if live is None:
            raise RefusedError(404, "no such session; it ended at its idle limit, or the service was restarted")
        number = int(request.match_info["number"])
        if number == live.number + 1 and not live.busy:
            live.number = number
            cell = self.sessions.run(live, lambda notebook: encode_result(notebook.run(code, seconds)))
            live.answer = asyncio.create_task(_kept(live, cell))
        elif number != live.number:
            raise RefusedError(409, f"the last cell of this session is number {live.number}")
        if live.answer is None:
            raise RefusedError(410, "the answer was too large to be kept")
        return await asyncio.shield(live.answer)


async def _kept(live: Live, cell: asyncio.Task[bytes]) -> bytes:
    """Return the answer to a cell, leaving the session as it is to be found by whoever asks again."""
    try:
        content = await cell
    except FullError:
        live.number -= 1  # it was not executed and may be asked for again
        raise
    if len(content) > _MOST_KEPT:
        live.answer = None
    return content


def _digests(value: Any) -> list[str]:
    if not isinstance(value, list) or len(value) > MOST_IMAGES:
        raise RefusedError(400, f"`images` must be a list of at most {MOST_IMAGES}")
    if not all(isinstance(item, str) and _SHA256.fullmatch(item) for item in value):
        raise RefusedError(400, "`images` must hold sha256 digests in lower case")
    return value
