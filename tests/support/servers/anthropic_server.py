"""A local server of the Anthropic Messages API that refuses what the real one refuses."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KEY = "sk-ant-right"


class RefusalError(Exception):
    """A 400 of the API."""


def sign(thinking: str) -> str:
    return hashlib.sha256(f"secret{thinking}".encode()).hexdigest()


def thinking(text: str) -> dict[str, Any]:
    """A thinking block as the provider signs it."""
    return {"type": "thinking", "thinking": text, "signature": sign(text)}


def redacted(data: str = "b64==") -> dict[str, Any]:
    return {"type": "redacted_thinking", "data": data + sign(data)}


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def message(*content: dict[str, Any], stop_reason: str = "end_turn", **fields: Any) -> dict[str, Any]:
    usage = {
        "input_tokens": 11,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 300,
        "output_tokens": 57,
        "output_tokens_details": {"thinking_tokens": 40},
    }
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-test-20261101",
        "content": list(content),
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": usage,
        **fields,
    }


def check(body: dict[str, Any]) -> None:
    """Refuse a body of `POST /messages` as the API does."""
    _known(body)
    if not isinstance(body.get("max_tokens"), int) or body["max_tokens"] < 1:
        raise RefusalError("max_tokens: Field required")
    for name in ("temperature", "top_p"):
        if name in body:
            raise RefusalError(f"`{name}` is deprecated for this model.")
    thought = body.get("thinking", {"type": "disabled"})
    if thought["type"] == "enabled":
        raise RefusalError('"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive".')
    if not all(stop.strip() for stop in body.get("stop_sequences", [])):
        raise RefusalError("stop_sequences: each stop sequence must contain non-whitespace")
    if json.dumps(body).count('"cache_control"') > 4:
        raise RefusalError("A maximum of 4 blocks with cache_control may be provided.")
    _check_messages(body)


def _known(body: dict[str, Any]) -> None:
    fields = {"model", "max_tokens", "messages", "system", "stop_sequences", "thinking", "output_config", "tools"}
    fields |= {"tool_choice", "temperature", "top_p"}
    for name in body.keys() - fields:
        raise RefusalError(f"{name}: Extra inputs are not permitted")


def _check_messages(body: dict[str, Any]) -> None:
    messages = body["messages"]
    if not messages or messages[0]["role"] != "user":
        raise RefusalError("messages: first message must use the user role")
    if messages[-1]["role"] != "user":
        raise RefusalError("This model does not support assistant message prefill.")
    tools = {tool["name"] for tool in body.get("tools", [])}
    open_call: str | None = None
    for number, its in enumerate(messages):
        if its["role"] not in {"user", "assistant"}:
            raise RefusalError(f"messages.{number}.role: unexpected `{its['role']}`")
        if not its["content"]:
            raise RefusalError(f"messages.{number}: content must be non-empty")
        results = [block for block in its["content"] if block["type"] == "tool_result"]
        if open_call is not None and [block["tool_use_id"] for block in results] != [open_call]:
            raise RefusalError(f"messages.{number}: `tool_use` ids were found without `tool_result` blocks")
        if open_call is None and results:
            raise RefusalError(f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks")
        if results and its["content"][0]["type"] != "tool_result":
            raise RefusalError(f"messages.{number}: tool_result blocks must come first")
        open_call = _check_blocks(its, number, tools)
    if open_call:
        raise RefusalError("messages: a tool_use without its result")


def _check_blocks(its: dict[str, Any], number: int, tools: set[str]) -> str | None:
    calls = [block for block in its["content"] if block["type"] == "tool_use"]
    for place, block in enumerate(its["content"]):
        where = f"messages.{number}.content.{place}"
        said = _complaint(block, its["role"])
        if said:
            raise RefusalError(f"{where}: {said}")
        if block["type"] == "text" and calls and its["content"].index(calls[0]) < place:
            raise RefusalError(f"{where}: text after tool_use")
    if not all(block["name"] in tools and re.fullmatch(r"[a-zA-Z0-9_-]+", block["id"]) for block in calls):
        raise RefusalError(f"messages.{number}: a call of an unknown tool, or an id that is none")
    return calls[0]["id"] if calls else None


def _complaint(block: dict[str, Any], role: str) -> str:
    """Return what is wrong with a block, or nothing."""
    match block:
        case {"type": "text", "text": said, **rest} if rest.keys() <= {"cache_control"}:
            return "" if said.strip() else "text content blocks must contain non-whitespace text"
        case {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": str()}}:
            return "" if role == "user" else "images are the user's"
        case {"type": "thinking", "thinking": said, "signature": signature, **rest} if not rest:
            return "" if sign(said) == signature else "Invalid `signature` in `thinking` block"
        case {"type": "redacted_thinking", "data": data, **rest} if not rest:
            return "" if data.endswith(sign(data[:-64])) else "Invalid `data` in `redacted_thinking` block"
        case {"type": "tool_use", "id": str(), "name": str(), "input": dict(), **rest} if not rest:
            return ""
        case {"type": "tool_result", "tool_use_id": str(), "content": list()}:
            return ""
        case _:
            return f"unexpected block {str(block)[:80]}"


def error(kind: str, said: str) -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": said}, "request_id": "req_1"}


@dataclass
class AnthropicServer:
    """Answers by `script`, a function of the body."""

    script: Callable[[dict[str, Any]], dict[str, Any]] = lambda _: message(text("<think>t</think>\n<answer>4"))
    faults: list[tuple[int, str, str]] = field(default_factory=list)
    """Status, error type and message of the first answers."""
    types: tuple[str, ...] = ("adaptive", "disabled")
    """Of thinking that the model takes."""
    requests: list[dict[str, Any]] = field(default_factory=list)

    def routes(self, app: web.Application) -> None:
        app.router.add_get("/v1/models/{name}", self._model)
        app.router.add_post("/v1/messages", self._message)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free port of 127.0.0.1; yields the base URL."""
        app = web.Application(client_max_size=64 * 1024**2)
        self.routes(app)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}/v1"
        finally:
            await runner.cleanup()

    async def _model(self, request: web.Request) -> web.Response:
        if refused := allowed(request):
            return refused
        if request.match_info["name"] != "claude-test":
            return web.json_response(error("not_found_error", "model: nothing of that name"), status=404)
        every = ("adaptive", "between_tools", "disabled", "enabled")
        types = {name: {"supported": name in self.types} for name in every}
        capabilities = {"thinking": {"supported": True, "types": types}, "image_input": {"supported": True}}
        return web.json_response({"type": "model", "id": "claude-test", "capabilities": capabilities})

    async def _message(self, request: web.Request) -> web.Response:
        if refused := allowed(request):
            return refused
        body = await request.json()
        self.requests.append(body)
        if self.faults:
            status, kind, said = self.faults.pop(0)
            return web.json_response(error(kind, said), status=status, headers={"Retry-After": "0"})
        return self.answer(body)

    def answer(self, body: dict[str, Any]) -> web.Response:
        try:
            check(body)
        except RefusalError as refusal:
            return web.json_response(error("invalid_request_error", str(refusal)), status=400)
        return web.json_response(self.script(body))


def allowed(request: web.Request) -> web.Response | None:
    if request.headers.get("anthropic-version") != "2023-06-01":
        return web.json_response(error("invalid_request_error", "anthropic-version: header is required"), status=400)
    if request.headers.get("x-api-key") != KEY:
        return web.json_response(error("authentication_error", "invalid x-api-key"), status=401)
    return None
