"""A model whose server we start ourselves when it is first asked, and stop when it is not needed any more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pipeline.models.chat import ChatRequest, ChatResponse
from pipeline.models.local.launch import OnDemand, Running, Serve, interpreter, start_server
from pipeline.models.providers.openai import Server


class _Client(NamedTuple):
    base_url: str
    server: Server


@dataclass
class Served:
    """One role behind a server that roles with the same `serve` share. Use from one event loop."""

    revision: str
    launch: OnDemand[Running]
    """Shared by the roles that serve the same."""
    connect: Callable[[str], Server]
    """Returns a client of a base URL."""
    in_flight: int
    """As of `Server`, of which there may be one after the other."""
    slots: asyncio.Semaphore = field(init=False)
    _client: _Client | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.slots = asyncio.Semaphore(self.in_flight)

    @property
    def process(self) -> object:
        """Return what starts and stops it."""
        return self.launch

    async def check(self) -> None:
        """See whether a server could be started; it is started when it is asked.

        Raises:
            UsageError: there is no environment with vLLM.
        """
        interpreter()

    async def generate(self, request: ChatRequest, samples: Sequence[int]) -> Sequence[ChatResponse]:
        """Do as `Server`, starting the server if it does not run.

        Raises:
            InfrastructureError: the server could not be started, or ended; the message has its last lines.
        """
        running = await self.launch.get()
        client = await self._connected(running.base_url)
        return await running.process.during(client.generate(request, samples))

    async def aclose(self) -> None:
        """Stop the server, for all who share it; the next question starts it again."""
        client, self._client = self._client, None
        if client is not None:
            await client.server.aclose()
        await self.launch.stop()

    async def _connected(self, base_url: str) -> Server:
        client = self._client
        if client is not None and client.base_url == base_url:
            return client.server
        new = self._client = _Client(base_url, self.connect(base_url))
        if client is not None:  # another role that shares the server had it stopped
            await client.server.aclose()
        return new.server


def server_on_demand(serve: Serve, served_name: str) -> OnDemand[Running]:
    """Return a server that is started when it is first needed."""

    async def stop(running: Running) -> None:
        await running.process.stop()

    return OnDemand(lambda: start_server(serve, served_name), stop)
