"""Fakes of what a run talks to, with faults as data."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.errors import InfrastructureError
from pipeline.models.chat import ChatRequest, ChatResponse, Text
from pipeline.sandbox import CellError, CellResult
from pipeline.sandbox.usage import Usage


def last_text(request: ChatRequest) -> str:
    """The text of the last message of a request."""
    return "".join(part.text for part in request.messages[-1].parts if isinstance(part, Text))


@dataclass
class ScriptedModel:
    """Answers by a function of (request, sample); writes every call it was paid for to a file."""

    script: Callable[[ChatRequest, int], str]
    log: Path | None = None
    latency: float = 0.0
    fail_at: frozenset[int] = frozenset()
    """Numbers of the calls that fail as infrastructure."""
    revision: str = "scripted/1"
    slots: AbstractAsyncContextManager[object] = field(default_factory=nullcontext)
    calls: list[str] = field(default_factory=list)

    async def generate(self, request: ChatRequest, samples: Sequence[int]) -> Sequence[ChatResponse]:
        responses = []
        for sample in samples:
            key = request.key(sample)
            self.calls.append(key)
            if self.log is not None:
                with self.log.open("a") as file:
                    file.write(key + "\n")
                    file.flush()
                    os.fsync(file.fileno())
            if len(self.calls) in self.fail_at:
                raise InfrastructureError("scripted failure")
            if self.latency:
                await asyncio.sleep(self.latency)  # the latency of a server, not a wait for a condition
            text = self.script(request, sample)
            responses.append(
                ChatResponse(
                    text=text,
                    finish="stop",
                    prompt_tokens=1,
                    completion_tokens=len(text),
                    model_version="scripted",
                    seconds=self.latency,
                )
            )
        return responses


@dataclass
class CountingSandbox:
    """A sandbox whose cells print how many ran in their session.

    The code `lose` fails once, `fail` always; `die` ends its session.
    """

    identity: str = "counting"
    workers: int = 2
    capacity: int = 2
    open: int = 0
    most: int = 0
    lost: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def facts(self) -> dict[str, str]:
        return {}

    def close(self) -> None:
        pass

    @contextmanager
    def session(self, images: Sequence[bytes] = (), seed: int = 0) -> Iterator[CountingNotebook]:
        del images, seed
        with self.lock:
            self.open += 1
            self.most = max(self.most, self.open)
        try:
            yield CountingNotebook(self)
        finally:
            with self.lock:
                self.open -= 1


@dataclass
class CountingNotebook:
    sandbox: CountingSandbox
    cells: int = 0

    def run(self, code: str, seconds: float | None = None) -> CellResult:
        del seconds
        if code == "lose" and self.sandbox.lost == 0:
            self.sandbox.lost += 1
            raise InfrastructureError("gone")
        if code == "fail":
            raise InfrastructureError("gone")
        self.cells += 1
        died = code == "die"
        error = CellError("ProcessError", "ended", "ProcessError: ended") if died else None
        usage = Usage(0.0, 0.0, 0)
        return CellResult("died" if died else "ok", f"{self.cells}", "", None, (), error, (), died, usage)
