"""A local server of Gemini's `generateContent` that refuses what the real one refuses."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

KEY = "AIza-right"
MODEL = "gemini-test"


class RefusalError(Exception):
    """A 400 of the API."""


def sign(content: str) -> str:
    return hashlib.sha256(f"secret{content}".encode()).hexdigest()


def answer(*parts: dict[str, Any], finish: str = "STOP", **fields: Any) -> dict[str, Any]:
    usage = {
        "promptTokenCount": 331,
        "cachedContentTokenCount": 300,
        "candidatesTokenCount": 17,
        "thoughtsTokenCount": 40,
        "totalTokenCount": 388,
    }
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish, "index": 0, **fields}
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-test-001", "responseId": "r"}


def check(body: dict[str, Any]) -> None:
    """Refuse a body of `generateContent` as the API does."""
    for name in body.keys() - {"contents", "generationConfig", "systemInstruction", "tools"}:
        raise RefusalError(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')
    config = body["generationConfig"]
    known = {"maxOutputTokens", "seed", "stopSequences", "thinkingConfig", "temperature", "topP"}
    for name in config.keys() - known - {"responseLogprobs", "responseMimeType", "responseJsonSchema"}:
        raise RefusalError(f'Invalid JSON payload received. Unknown name "{name}" at "generation_config"')
    if len(config.get("stopSequences", [])) > 5:
        raise RefusalError("The number of stop sequences must be at most 5")
    if not -(2**31) <= config["seed"] < 2**31:
        raise RefusalError("Invalid value at 'generation_config.seed' (TYPE_INT32)")
    if "thinkingBudget" in config["thinkingConfig"]:
        raise RefusalError("Thinking budget is not supported for this model.")
    _check_contents(body)


def _check_contents(body: dict[str, Any]) -> None:
    declared = {tool["name"] for group in body.get("tools", []) for tool in group["functionDeclarations"]}
    called: list[str] = []
    if not body["contents"] or body["contents"][-1]["role"] != "user":
        raise RefusalError("Please ensure that the conversation ends with a user role")
    before = "model"
    for number, content in enumerate(body["contents"]):
        if content["role"] == before or content["role"] not in {"user", "model"}:
            raise RefusalError(f"contents.{number}: roles must alternate")
        before = content["role"]
        if not content["parts"]:
            raise RefusalError(f"contents.{number}.parts: must not be empty")
        answered = [part["functionResponse"]["name"] for part in content["parts"] if "functionResponse" in part]
        if answered and any("inlineData" in part for part in content["parts"]):
            raise RefusalError("a picture that a function returned belongs into its functionResponse")
        if answered != called:
            raise RefusalError("Please ensure that the number of function response parts is equal to that of the calls")
        called = [part["functionCall"]["name"] for part in content["parts"] if "functionCall" in part]
        for part in content["parts"]:
            _check_part(part, content["role"], declared)


def _check_part(part: dict[str, Any], role: str, declared: set[str]) -> None:
    known = {"text", "inlineData", "functionCall", "functionResponse", "thought", "thoughtSignature"}
    for name in part.keys() - known:
        raise RefusalError(f'Invalid JSON payload received. Unknown name "{name}"')
    if "thoughtSignature" in part and not part["thoughtSignature"].startswith("sig-"):
        raise RefusalError("Corrupted thought signature.")
    match part:
        case {"functionCall": {"name": name, "args": dict()}}:
            if name not in declared or "thoughtSignature" not in part:
                raise RefusalError("Function call is missing a thought_signature in functionCall parts.")
        case {"functionResponse": {"response": dict(), "parts": [*pictures]}} if role == "user":
            assert all(picture.keys() == {"inlineData"} for picture in pictures)
        case {"functionResponse": {"response": dict()}} if role == "user":
            pass
        case {"inlineData": {"mimeType": "image/png", "data": str()}} if role == "user":
            pass
        case {"text": str()}:
            pass
        case _:
            raise RefusalError(f"a part of role {role} without data: {str(part)[:80]}")


def error(code: int, status: str, said: str, reason: str = "") -> dict[str, Any]:
    return {"error": {"code": code, "status": status, "message": said, "details": [{"reason": reason}]}}


@dataclass
class GeminiServer:
    """Answers by `script`, a function of the body."""

    script: Callable[[dict[str, Any]], dict[str, Any]] = lambda _: answer({"text": "<think>t</think>\n<answer>4"})
    faults: list[tuple[int, str, str]] = field(default_factory=list)
    """Code, status and message of the first answers."""
    requests: list[dict[str, Any]] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve on a free port of 127.0.0.1; yields the base URL."""
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_get("/v1beta/models/{name}", self._model)
        app.router.add_post("/v1beta/models/{call}", self._generate)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            host, port = runner.addresses[0][:2]
            yield f"http://{host}:{port}/v1beta"
        finally:
            await runner.cleanup()

    async def _model(self, request: web.Request) -> web.Response:
        if refused := allowed(request):
            return refused
        if request.match_info["name"] != MODEL:
            return web.json_response(error(404, "NOT_FOUND", "no such model"), status=404)
        return web.json_response({"name": f"models/{MODEL}", "supportedGenerationMethods": ["generateContent"]})

    async def _generate(self, request: web.Request) -> web.Response:
        if refused := allowed(request):
            return refused
        if request.match_info["call"] != f"{MODEL}:generateContent":
            return web.json_response(error(404, "NOT_FOUND", "no such method"), status=404)
        body = await request.json()
        self.requests.append(body)
        if self.faults:
            code, status, said = self.faults.pop(0)
            return web.json_response(error(code, status, said), status=code)
        try:
            check(body)
        except RefusalError as refusal:
            return web.json_response(error(400, "INVALID_ARGUMENT", str(refusal)), status=400)
        return web.json_response(self.script(body))


def allowed(request: web.Request) -> web.Response | None:
    if request.headers.get("x-goog-api-key") != KEY:  # the real API answers 400 to a wrong key
        said = "API key not valid. Please pass a valid API key."
        return web.json_response(error(400, "INVALID_ARGUMENT", said, "API_KEY_INVALID"), status=400)
    return None
