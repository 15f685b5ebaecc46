"""Stands for the package vllm in an environment made by a test: its command line and the few calls we make of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Self

from aiohttp import web

__version__ = "fake"
LONGEST = 100
"""Characters of the longest prompt that is taken."""


def text(messages: list[dict[str, Any]]) -> str:
    """Everything that messages say."""
    return "".join(
        message["content"]
        if isinstance(message["content"], str)
        else "".join(p.get("text", "") for p in message["content"])
        for message in messages
    )


def reply(messages: list[dict[str, Any]], seed: int, pictures: str) -> str:
    """The only thing that this model ever says."""
    return f"<answer>{text(messages)[-9:]} {seed}{pictures}</answer>"


def serve(arguments: list[str]) -> None:
    """Serve as vLLM does, until ended; `die` in the prompt ends it."""
    if "--fail" in arguments:
        sys.exit("ValueError: no memory for 140 GB of weights")
    sys.stderr.write(f"started by {os.getppid()}\n")
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    name = given["--served-model-name"]

    async def health(_: web.Request) -> web.Response:
        return web.Response()

    async def models(_: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": name}]})

    async def complete(request: web.Request) -> web.Response:
        body = await request.json()
        if "die" in text(body["messages"]):
            sys.stderr.write("torch.OutOfMemoryError: out of memory\n")
            os._exit(1)
        message = {"role": "assistant", "content": reply(body["messages"], body["seed"], "")}
        choice = {"message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 3, "completion_tokens": 2}
        return web.json_response({"model": body["model"], "choices": [choice], "usage": usage})

    app = web.Application()
    app.router.add_get("/health", health)
    app.router.add_get("/v1/models", models)
    app.router.add_post("/v1/chat/completions", complete)
    web.run_app(app, host=given["--host"], port=int(given["--port"]), print=None)


class FlexibleArgumentParser:
    """Takes any flags."""

    def parse_args(self, flags: list[str]) -> list[str]:
        if "--fail" in flags:
            sys.exit("ValueError: no memory for 140 GB of weights")
        return flags


class EngineArgs:
    """Passes the parser on."""

    @staticmethod
    def add_cli_args(parser: FlexibleArgumentParser) -> FlexibleArgumentParser:
        return parser

    @staticmethod
    def from_cli_args(given: list[str]) -> list[str]:
        return given


class LLM:
    """Finishes what waits together, the last first."""

    def __init__(self) -> None:
        self.llm_engine = SimpleNamespace(step=self._step)
        self._count = 0
        self._waiting: list[SimpleNamespace] = []

    @classmethod
    def from_engine_args(cls, _: list[str]) -> Self:
        return cls()

    def get_default_sampling_params(self) -> SimpleNamespace:
        nothing: Callable[[], None] = lambda: None  # noqa: E731 - as the class has it
        return SimpleNamespace(__post_init__=nothing, top_k=20)

    def enqueue_chat(self, messages: list[dict[str, Any]], sampling: Any, *, use_tqdm: bool) -> list[str]:
        assert not use_tqdm
        said = text(messages)
        if "die" in said:
            sys.stderr.write("torch.OutOfMemoryError: out of memory\n")
            os._exit(1)
        if len(said) > LONGEST:
            raise ValueError(f"The prompt is longer than the maximum model length of {LONGEST}")
        sizes = [
            part["image_pil"].size
            for m in messages
            if isinstance(m["content"], list)
            for part in m["content"]
            if part["type"] == "image_pil"
        ]
        output = SimpleNamespace(
            text=reply(messages, sampling.seed, "".join(f" {w}x{h}" for w, h in sizes)),
            finish_reason="stop",
            stop_reason="</answer>",
            token_ids=[5],
            logprobs=None,
        )
        self._waiting.append(
            SimpleNamespace(
                request_id=str(self._count),
                finished=True,
                prompt_token_ids=[1, 2, 3],
                outputs=[output],
                num_cached_tokens=1,
            )
        )
        self._count += 1
        return [f"{self._count - 1}-0badcafe"]

    def _step(self) -> list[SimpleNamespace]:
        finished, self._waiting = self._waiting[::-1], []
        return finished


if __name__ == "__main__":
    serve(sys.argv[1:])
