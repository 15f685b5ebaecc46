"""vLLM's offline engine as a model: the worker script in vLLM's own environment, started when it is first asked."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from pipeline.errors import ColdforgeError, InfrastructureError, UsageError
from pipeline.models.chat import ChatRequest, ChatResponse, View
from pipeline.models.local import vllm_worker
from pipeline.models.local.launch import READY_SECONDS, OnDemand, Serve, engine_flags, environment, interpreter
from pipeline.models.local.supervised import Supervised
from pipeline.models.providers.openai import refusal
from pipeline.models.providers.openai_answers import read_answer
from pipeline.models.providers.openai_requests import write_request
from pipeline.store.blobs import BlobStore

_BAD_REQUEST = 400
"""As what the worker refuses would be refused by vLLM's server."""


class Engine:
    """A worker that is ready. Use from one event loop."""

    def __init__(self, process: Supervised, streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        self.process = process
        self._reader, self._writer = streams
        self._numbers = itertools.count()
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())

    async def ask(self, body: bytes, images: Sequence[bytes]) -> dict[str, Any]:
        """Return the worker's answer to one body."""
        number = next(self._numbers)
        head = orjson.dumps({"id": number, "body": orjson.Fragment(body), "images": [len(image) for image in images]})
        self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(vllm_worker.frame(head, images))
            await self._writer.drain()
            return await self._waiting[number]
        finally:
            del self._waiting[number]

    async def stop(self) -> None:
        """End the worker."""
        self._writer.close()
        await self.process.stop()
        self._reading.cancel()

    async def _read(self) -> None:
        while (answer := await _receive(self._reader)) is not None:
            waiting = self._waiting.get(answer["id"])
            if waiting is not None and not waiting.done():  # who asked may have been cancelled
                waiting.set_result(answer)


@dataclass
class Offline:
    """One model in the offline engine. Use from one event loop."""

    revision: str
    """`vllm_offline/<what the recipe says is loaded>`: the identity of the model."""
    served_name: str
    launch: OnDemand[Engine]
    """Shared by the roles that load the same."""
    blobs: BlobStore
    in_flight: int = 256
    """Requests handed over at once; the engine batches what fits and queues the rest."""
    slots: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        self.slots = asyncio.Semaphore(self.in_flight)

    @property
    def process(self) -> object:
        """Return what starts and stops it."""
        return self.launch

    async def check(self) -> None:
        """See whether the engine could be started; it is started when it is asked.

        Raises:
            UsageError: there is no environment with vLLM.
        """
        interpreter()

    async def generate(self, request: ChatRequest, samples: Sequence[int]) -> Sequence[ChatResponse]:
        """Return one response per sample index; sample i runs under the seed `request.seed + i`.

        Raises:
            InfrastructureError: the engine could not be started, or ended; the message has its last lines.
            RowError: it refuses the request itself, such as with `context_too_long`.
        """
        return await asyncio.gather(*(self._one(request, sample) for sample in samples))

    async def aclose(self) -> None:
        """End the engine, for all who share it; the next question starts it again."""
        await self.launch.stop()

    async def _one(self, request: ChatRequest, sample: int) -> ChatResponse:
        if request.tools:
            raise UsageError(f"{self.revision}: the offline engine takes calls as text only; set `tools_api: text`")
        views: list[View] = []

        def place(view: View) -> orjson.Fragment:
            views.append(view)
            return orjson.Fragment(b'{"type":"image_pil","image_pil":%d}' % (len(views) - 1))

        engine = await self.launch.get()
        body = write_request(request, sample, served_name=self.served_name, encode=place)
        images = [self.blobs.get(view.blob) for view in views]
        began = time.monotonic()
        answer = await engine.process.during(engine.ask(body, images))
        if "refused" in answer:
            raise _refusal(answer["refused"])
        # One engine of ours has one configuration; there is no fingerprint to compare.
        response = read_answer(orjson.dumps(answer["completion"]), request, with_fingerprint=False)
        return response.model_copy(update={"seconds": time.monotonic() - began})


def engine_on_demand(serve: Serve, served_name: str, ready_seconds: float = READY_SECONDS) -> OnDemand[Engine]:
    """Return an engine that is started when it is first needed."""

    async def stop(engine: Engine) -> None:
        await engine.stop()

    return OnDemand(lambda: _start(serve, served_name, ready_seconds), stop)


async def _start(serve: Serve, served_name: str, ready_seconds: float) -> Engine:
    python = interpreter()
    script = str(Path(vllm_worker.__file__))
    # The directory is readable by us only, and removed with the socket once the two have met.
    with tempfile.TemporaryDirectory(prefix="coldforge-vllm-") as directory:
        path = Path(directory) / "engine"
        async with _listening(path) as met:
            # Isolated (-I): the modules beside the script must not stand in for others of the same name.
            command = [str(python), "-I", script, str(path), *engine_flags(serve)]
            process = await Supervised.start(f"vLLM for {served_name}", command, environment(python))
            try:
                streams = await process.during(asyncio.wait_for(met, ready_seconds))
                await process.during(_receive(streams[0]))  # "ready"
            except TimeoutError as error:
                await process.stop()
                raise process.failure(f"is not ready after {ready_seconds:g} seconds") from error
            except BaseException:
                await process.stop()
                raise
    return Engine(process, streams)


@asynccontextmanager
async def _listening(path: Path) -> AsyncIterator[asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]:
    """Listen on a socket that only we can reach; yields a future with the one who connects."""
    met: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.get_running_loop().create_future()

    def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.set_result((reader, writer))

    server = await asyncio.start_unix_server(meet, path)
    path.chmod(0o600)  # noqa: ASYNC240 - no disk is waited for
    try:
        yield met
    finally:
        server.close()


async def _receive(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """Return the next object, None when the other end has closed."""
    try:
        (size,) = vllm_worker.LENGTH.unpack(await reader.readexactly(vllm_worker.LENGTH.size))
        content: dict[str, Any] = orjson.loads(await reader.readexactly(size))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return content


def _refusal(reason: str) -> ColdforgeError:
    body = orjson.dumps({"error": reason})
    return refusal(_BAD_REQUEST, body) or InfrastructureError(reason)
