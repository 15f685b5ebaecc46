"""Connections to addresses that were looked at: names are resolved here and nowhere else.

Every address of a name is looked at before any of them is connected to, and the connection is made to one of these, so
that no second answer of a name server can swap it. TLS still asks for the name.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor

import aiohttp
from aiohappyeyeballs import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

from pipeline.fetch.addresses import Allowed, require_allowed

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the addresses of a name.

Raises:
    OSError: there is no such name, or nobody who knows answers.
"""


def connector(resolve: Resolve, allowed: Allowed) -> aiohttp.TCPConnector:
    """Return a connector that reaches what `allowed` lets it."""
    return aiohttp.TCPConnector(limit=0, resolver=Resolver(resolve, allowed), socket_factory=only_to(allowed))


class Resolver(AbstractResolver):
    """What a connector resolves names with: it gets the addresses to connect to, or none of them."""

    def __init__(self, resolve: Resolve, allowed: Allowed) -> None:
        self._resolve = resolve
        self._allowed = allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name.

        Raises:
            RefusedError: one of them is not public: a name with both kinds is a trap or a mistake.
            OSError: as `Resolve`; a name without an address is none, and who is silent does not answer.
        """
        try:
            found = await self._resolve(host)
        except TimeoutError as error:
            raise socket.gaierror(socket.EAI_AGAIN, "no answer in time") from error
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "it has no address")
        for address in found:
            require_allowed(address, self._allowed)
        results: list[ResolveResult] = [
            {"hostname": host, "host": address, "port": port, "family": _family(address), "proto": 0, "flags": 0}
            for address in found
        ]
        return [result for result in results if family in {socket.AF_UNSPEC, result["family"]}]

    async def close(self) -> None:
        """Hold nothing."""


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def only_to(allowed: Allowed) -> Callable[[AddrInfoType], socket.socket]:
    """Return what makes the sockets of a connector: the last place at which an address is looked at.

    A connector does not resolve what looks like an address to it, and so does not ask `Resolver`.
    """

    def made(info: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        require_allowed(str(address[0]), allowed)
        return socket.socket(family=family, type=kind, proto=protocol)

    return made


def system_resolve(threads: Executor, seconds: float) -> Resolve:
    """Return what asks this machine's own resolver, at most `seconds` long.

    Each lookup keeps a thread until the C library gives up, so they are not those that others wait for.
    """

    async def resolve(host: str) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        # As bytes: it is ASCII already, and Python would refuse some names before anybody is asked.
        name = host.encode("ascii")
        async with asyncio.timeout(seconds):
            found = await loop.run_in_executor(threads, lambda: socket.getaddrinfo(name, None, type=socket.SOCK_STREAM))
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))

    return resolve
