"""The service as a whole: two pools, their handlers, one listening socket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import NamedTuple

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from pipeline.errors import UsageError
from pipeline.sandbox.inside.policy import Limits, Policy
from pipeline.sandbox.pool import Pool
from pipeline.sandbox.service import jupyter_sandbox, native
from pipeline.sandbox.service.guard import Bodies, is_loopback, make_guard
from pipeline.sandbox.service.jupyter_sandbox import JupyterSandbox
from pipeline.sandbox.service.native import Native
from pipeline.sandbox.service.protocol import MOST_BODY
from pipeline.sandbox.service.sessions import Sessions

_BACKLOG = 1_024
"""Connections that wait to be taken: all clients of a large run may come at once."""
_IDLE_CONNECTION_SECONDS = 60.0
"""A connection without a whole head of a request for so long is closed; clients of ours open another."""
_LAST_ANSWERS_SECONDS = 5.0
"""For answers that are on their way when the service stops; the cells they wait for are ended by then."""
_SLACK_SECONDS = 30.0
"""From the end of a cell until its answer is there: a killed session is taken apart, pictures travel."""


_LOG = logging.getLogger(__name__)


def _is_fault(record: logging.LogRecord) -> bool:
    """Return whether an error is ours: bytes that are no request are the sender's, and may hold a token."""
    return record.exc_info is None or not isinstance(record.exc_info[1], HttpProcessingError | web.RequestPayloadError)


_LOG.addFilter(_is_fault)


class Options(NamedTuple):
    """Where the service listens, whom it answers, and how much it takes."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: any that is free."""
    token: str | None = None
    """What clients have to show; None: nothing."""
    workers: int | None = None
    """Cells at once, of each pool; default: the number of cores."""
    sessions: int | None = None
    """Open at once, of each pool; default: the pool's."""


@asynccontextmanager
async def serving(
    options: Options,
    policy: Policy | None = None,
    jupyter_policy: Policy | None = None,
    middlewares: tuple[Callable[..., object], ...] = (),
) -> AsyncIterator[str]:
    """Serve until left; yields the URL. Nothing of it is left then, whatever was running.

    Args:
        options: see there.
        policy: what sessions of the service's own protocol may use.
        jupyter_policy: what those of DeepEyesV2's environment may use; default: `jupyter_sandbox.LIMITS`.
        middlewares: see every request before it is looked at.

    Raises:
        UsageError: others could reach the service without a token, or it cannot listen there.
        IsolationError: this machine has no such isolation.
        InfrastructureError: a session could not be started.
    """
    loopback = is_loopback(options.host)
    if not loopback and not options.token:
        raise UsageError(
            f"--host {options.host} lets other machines in: put a secret into $COLDFORGE_SANDBOX_TOKEN, here and "
            "where the clients run; or listen on 127.0.0.1"
        )
    policy, jupyter_policy = policy or Policy(), jupyter_policy or Policy(jupyter_sandbox.LIMITS)
    async with AsyncExitStack() as stack:
        pools = [stack.enter_context(Pool(its, options.workers, options.sessions)) for its in (policy, jupyter_policy)]
        facts = await asyncio.to_thread(_try, pools[0])
        ours = Sessions(pools[0], policy.limits.idle_seconds, native.PATIENCE)
        theirs = Sessions(pools[1], jupyter_policy.limits.idle_seconds, jupyter_sandbox.PATIENCE)
        bodies = Bodies()
        app = web.Application(
            middlewares=[*middlewares, make_guard(loopback=loopback, token=options.token)],  # type: ignore[list-item]
            client_max_size=MOST_BODY,
        )
        app.add_routes(Native(ours, bodies, facts, _answer_seconds(policy.limits)).routes())
        app.add_routes(JupyterSandbox(theirs, bodies).routes())
        # No access log: it would hold nothing that a user of a sandbox looks for.
        runner = web.AppRunner(
            app,
            access_log=None,
            logger=_LOG,
            keepalive_timeout=_IDLE_CONNECTION_SECONDS,
            shutdown_timeout=_LAST_ANSWERS_SECONDS,
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        for sessions in (ours, theirs):
            stack.push_async_callback(sessions.aclose)
            stack.push_async_callback(_stop, asyncio.create_task(sessions.watch()))
        yield await _listen(runner, options)


async def serve(options: Options, listening: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises:
        UsageError, IsolationError, InfrastructureError: as `serving`.
    """
    import signal

    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with serving(options) as url:
        listening(url)
        await stop.wait()


def _try(pool: Pool) -> dict[str, object]:
    """Open a session: a machine that cannot isolate is to refuse now, and the first client finds a warm zygote."""
    with pool.session():
        return pool.facts()


def _answer_seconds(limits: Limits) -> float:
    return native.PATIENCE + limits.cell_seconds + limits.grace_seconds + _SLACK_SECONDS


async def _listen(runner: web.AppRunner, options: Options) -> str:
    site = web.TCPSite(runner, options.host, options.port, backlog=_BACKLOG)
    try:
        await site.start()
    except OSError as error:
        raise UsageError(
            f"cannot listen on {options.host}:{options.port} ({error.strerror}); choose another --host or --port"
        ) from error
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _stop(watch: asyncio.Task[None]) -> None:
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch
