"""Local batch APIs of Anthropic, Gemini and OpenAI, which count what is submitted to them.

Each keeps to its provider's forms: what a request is called, where its answer lies, which states there are.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from aiohttp import web

Fate = Literal["done", "expired", "refused", "failed", "unpaid"]


@dataclass
class Batch:
    """What was submitted."""

    name: str
    """As the client called it, where the API lets it."""
    bodies: dict[str, Any]
    """By key."""
    polls: int = 0


@dataclass
class BatchServer:
    """One provider's batch endpoints."""

    script: Callable[[dict[str, Any]], dict[str, Any]]
    """Answers one body."""
    polls: int = 1
    """A batch has ended when it was asked for this often."""
    held: bool = False
    """No batch ends while this is set."""
    fates: Callable[[int, str, dict[str, Any]], Fate] = lambda _number, _key, _body: "done"
    """What becomes of a request of the n-th batch."""
    broken: set[int] = field(default_factory=set)
    """Numbers of batches that end as failures, whole."""
    lose_answers: int = 0
    """So many submissions are accepted, and the connection is closed before the id is told."""
    refuse: str = ""
    """Submissions are refused with this."""
    batches: dict[str, Batch] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    fetched: int = 0
    """Times that results were fetched."""

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free port of 127.0.0.1; yields its root."""
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_post("/v1/messages/batches", self._anthropic_make)
        app.router.add_get("/v1/messages/batches", self._anthropic_list)
        app.router.add_get("/v1/messages/batches/{id}", self._anthropic_state)
        app.router.add_get("/v1/messages/batches/{id}/results", self._anthropic_results)
        app.router.add_post("/v1/files", self._openai_upload)
        app.router.add_post("/v1/batches", self._openai_make)
        app.router.add_get("/v1/batches", self._openai_list)
        app.router.add_get("/v1/batches/{id}", self._openai_state)
        app.router.add_get("/v1/files/{id}/content", self._openai_results)
        app.router.add_post("/upload/v1beta/files", self._gemini_start)
        app.router.add_post("/upload/v1beta/put/{id}", self._gemini_upload)
        app.router.add_post("/v1beta/models/{call}", self._gemini_make)
        app.router.add_get("/v1beta/batches", self._gemini_list)
        app.router.add_get("/v1beta/batches/{id}", self._gemini_state)
        app.router.add_get("/download/v1beta/files/{call}", self._gemini_results)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}"
        finally:
            await runner.cleanup()

    @property
    def submitted(self) -> list[str]:
        """Keys in order of submission, over all batches."""
        return [key for batch in self.batches.values() for key in batch.bodies]

    def _make(self, request: web.Request, name: str, bodies: list[tuple[str, Any]]) -> str:
        keys = [key for key, _ in bodies]
        assert len(set(keys)) == len(keys), "custom ids must be unique"
        assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", key) for key in keys), "custom ids have 1 to 64 characters"
        made = f"batch-{len(self.batches)}"
        self.batches[made] = Batch(name, dict(bodies))
        if self.lose_answers:
            self.lose_answers -= 1
            assert request.transport is not None
            request.transport.abort()
        return made

    def _ended(self, batch: Batch) -> bool:
        batch.polls += 1
        return not self.held and batch.polls >= self.polls

    def _number(self, batch_id: str) -> int:
        return list(self.batches).index(batch_id)

    def _lines(self, batch_id: str, write: Callable[[str, Any, Fate], dict[str, Any] | None]) -> web.Response:
        self.fetched += 1
        number, batch = self._number(batch_id), self.batches[batch_id]
        lines = [write(key, body, self.fates(number, key, body)) for key, body in batch.bodies.items()]
        # No provider promises an order.
        text = "\n".join(json.dumps(line) for line in reversed(lines) if line is not None)
        return web.Response(text=text, content_type="application/jsonl")

    # Anthropic

    async def _anthropic_make(self, request: web.Request) -> web.Response:
        if self.refuse:
            error = {"type": "invalid_request_error", "message": self.refuse}
            return web.json_response({"type": "error", "error": error}, status=400)
        requests = (await request.json())["requests"]
        assert all(its.keys() == {"custom_id", "params"} for its in requests)
        made = self._make(request, "", [(its["custom_id"], its["params"]) for its in requests])
        return web.json_response(self._anthropic(made, ended=False))

    def _anthropic(self, batch_id: str, *, ended: bool) -> dict[str, Any]:
        total = len(self.batches[batch_id].bodies)
        counts = dict.fromkeys(("canceled", "errored", "expired", "processing", "succeeded"), 0)
        counts["succeeded" if ended else "processing"] = total
        return {
            "id": batch_id,
            "type": "message_batch",
            "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts,
            "created_at": datetime.now(UTC).isoformat(),
            "results_url": "http://elsewhere.invalid/results" if ended else None,
        }

    async def _anthropic_list(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [self._anthropic(its, ended=False) for its in reversed(self.batches)]})

    async def _anthropic_state(self, request: web.Request) -> web.Response:
        batch_id = request.match_info["id"]
        if batch_id not in self.batches:
            return web.json_response({"type": "error", "error": {"type": "not_found_error"}}, status=404)
        return web.json_response(self._anthropic(batch_id, ended=self._ended(self.batches[batch_id])))

    async def _anthropic_results(self, request: web.Request) -> web.Response:
        def write(key: str, body: Any, fate: Fate) -> dict[str, Any]:
            error = {"type": "invalid_request_error", "message": "messages.0.content.0: Could not process image"}
            if fate == "failed":
                error = {"type": "api_error", "message": "Internal server error"}
            match fate:
                case "done":
                    result: dict[str, Any] = {"type": "succeeded", "message": self.script(body)}
                case "expired":
                    result = {"type": "expired"}
                case _:
                    result = {"type": "errored", "error": {"type": "error", "error": error}}
            return {"custom_id": key, "result": result}

        return self._lines(request.match_info["id"], write)

    # OpenAI

    async def _openai_upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["purpose"] == "batch"
        file = form["file"]
        assert isinstance(file, web.FileField)
        name = f"file-{len(self.files)}"
        self.files[name] = file.file.read()
        return web.json_response({"id": name, "object": "file"})

    async def _openai_make(self, request: web.Request) -> web.Response:
        asked = await request.json()
        assert (asked["endpoint"], asked["completion_window"]) == ("/v1/chat/completions", "24h")
        lines = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
        assert all((line["method"], line["url"]) == ("POST", "/v1/chat/completions") for line in lines)
        bodies = [(line["custom_id"], line["body"]) for line in lines]
        made = self._make(request, asked["metadata"]["coldforge_wave"], bodies)
        return web.json_response(self._openai(made, ended=False))

    def _openai(self, batch_id: str, *, ended: bool) -> dict[str, Any]:
        state: dict[str, Any] = {
            "id": batch_id,
            "object": "batch",
            "status": "completed" if ended else "in_progress",
            "metadata": {"coldforge_wave": self.batches[batch_id].name},
        }
        if ended and self._number(batch_id) in self.broken:
            return {**state, "status": "failed", "errors": {"data": [{"code": "token_limit", "message": "queue full"}]}}
        files = {"output_file_id": f"out-{batch_id}", "error_file_id": f"err-{batch_id}"}
        return {**state, **files} if ended else state

    async def _openai_list(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [self._openai(its, ended=False) for its in reversed(self.batches)]})

    async def _openai_state(self, request: web.Request) -> web.Response:
        batch_id = request.match_info["id"]
        if batch_id not in self.batches:
            return web.json_response({"error": {"message": "no such batch"}}, status=404)
        return web.json_response(self._openai(batch_id, ended=self._ended(self.batches[batch_id])))

    async def _openai_results(self, request: web.Request) -> web.Response:
        kind, _, batch_id = request.match_info["id"].partition("-")

        def write(key: str, body: Any, fate: Fate) -> dict[str, Any] | None:
            status = {"done": 200, "refused": 400, "failed": 500, "unpaid": 402, "expired": None}[fate]
            if (fate == "done") != (kind == "out"):
                return None
            if status is None:
                return {"custom_id": key, "response": None, "error": {"code": "batch_expired", "message": "late"}}
            answer = self.script(body) if fate == "done" else {"error": {"message": "Invalid image"}}
            return {"custom_id": key, "response": {"status_code": status, "body": answer}, "error": None}

        return self._lines(batch_id, write)

    # Gemini

    async def _gemini_start(self, request: web.Request) -> web.Response:
        assert request.headers["X-Goog-Upload-Command"] == "start"
        assert request.headers["X-Goog-Upload-Header-Content-Type"] == "application/jsonl"
        target = f"http://{request.host}/upload/v1beta/put/{len(self.files)}"
        return web.Response(headers={"X-Goog-Upload-URL": target})

    async def _gemini_upload(self, request: web.Request) -> web.Response:
        assert request.headers["X-Goog-Upload-Command"] == "upload, finalize"
        name = f"files/{request.match_info['id']}"
        self.files[name] = await request.read()
        return web.json_response({"file": {"name": name}})

    async def _gemini_make(self, request: web.Request) -> web.Response:
        assert request.match_info["call"].endswith(":batchGenerateContent")
        batch = (await request.json())["batch"]
        lines = [json.loads(line) for line in self.files[batch["inputConfig"]["fileName"]].splitlines()]
        made = self._make(request, batch["displayName"], [(line["key"], line["request"]) for line in lines])
        return web.json_response(self._gemini(made, ended=False))

    def _gemini(self, batch_id: str, *, ended: bool) -> dict[str, Any]:
        state = "SUCCEEDED" if ended else "RUNNING"
        if ended and self._number(batch_id) in self.broken:
            state = "FAILED"
        metadata = {"displayName": self.batches[batch_id].name, "state": f"BATCH_STATE_{state}"}
        output = {"output": {"responsesFile": f"files/{batch_id}"}} if state == "SUCCEEDED" else {}
        return {"name": f"batches/{batch_id}", "metadata": {**metadata, **output}}

    async def _gemini_list(self, _: web.Request) -> web.Response:
        return web.json_response({"operations": [self._gemini(its, ended=False) for its in reversed(self.batches)]})

    async def _gemini_state(self, request: web.Request) -> web.Response:
        batch_id = request.match_info["id"]
        if batch_id not in self.batches:
            return web.json_response({"error": {"code": 404, "message": "not found"}}, status=404)
        return web.json_response(self._gemini(batch_id, ended=self._ended(self.batches[batch_id])))

    async def _gemini_results(self, request: web.Request) -> web.Response:
        def write(key: str, body: Any, fate: Fate) -> dict[str, Any]:
            if fate == "done":
                return {"key": key, "response": self.script(body)}
            code = {"expired": 4, "refused": 3, "failed": 13}[fate]
            return {"key": key, "error": {"code": code, "message": "Unable to process input image."}}

        return self._lines(request.match_info["call"].removesuffix(":download"), write)
