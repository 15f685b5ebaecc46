"""vLLM's OpenAI server as a process of ours: started from its own environment, watched, stopped with us.

vLLM caps FastAPI below what Prefect needs, so it never shares our environment: all that is known of it here
is its command line (vLLM 0.32: `vllm.entrypoints.openai.api_server`, and `GET /health`).
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, BinaryIO, Generic, NamedTuple, TypeVar

from pydantic import Field

from pipeline.errors import UsageError
from pipeline.models.chat import Frozen
from pipeline.models.local.supervised import Supervised

INTERPRETER = "COLDFORGE_VLLM_PYTHON"
"""Names the interpreter of an environment with vLLM (`requirements-vllm.txt`)."""
READY_SECONDS = 1_800.0
"""A model of 70 billion parameters is 140 GB to read, often over a network, before vLLM compiles it for minutes."""
_ASK_SECONDS = 0.5
"""Between two looks at whether the server is ready: little beside the tens of seconds that any start takes."""


class Serve(Frozen):
    """Which model vLLM serves and how; never part of an identity."""

    model: str
    """A directory with a checkpoint, or the name of one on a hub, `@` and its revision."""
    tp: int = Field(default=1, ge=1)
    """GPUs that share each layer (tensor parallel)."""
    dp: int = Field(default=1, ge=1)
    """Copies of the model behind one URL (data parallel); each takes `tp` GPUs."""
    flags: tuple[str, ...] = ()
    """Passed on to vLLM as they are. What changes answers, such as a quantisation, belongs into the identity, too."""

    @property
    def name(self) -> str:
        """Return what to call the model where nothing else says: a directory's path means nothing to a client."""
        return Path(self.model).resolve().name if Path(self.model).exists() else self.model


class Address(NamedTuple):
    """Where a server listens."""

    host: str = "127.0.0.1"
    port: int = 0
    """0: any that is free."""

    @property
    def url(self) -> str:
        """Return the URL without a path; what listens on all addresses is asked on this machine's own."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"


class Running(NamedTuple):
    """A server that answers."""

    process: Supervised
    base_url: str
    """As `Server` takes it."""


def interpreter() -> Path:
    """Return the interpreter of the environment that vLLM is installed in.

    Raises:
        UsageError: there is none.
    """
    named = os.environ.get(INTERPRETER)
    path = Path(named) if named else Path(sys.prefix).parent / ".venv-vllm" / "bin" / "python"
    if not os.access(path, os.X_OK):
        raise UsageError(
            f"{path}: no interpreter of an environment with vLLM; make one (`python -m venv .venv-vllm`, then its "
            f"`pip install -r requirements-vllm.txt`) and name its interpreter in ${INTERPRETER}"
        )
    return path


def engine_flags(serve: Serve) -> list[str]:
    """Return what vLLM's server and its offline engine are both told of a model."""
    model, _, revision = serve.model.partition("@") if not Path(serve.model).exists() else (serve.model, "", "")
    pinned = ["--revision", revision] if revision else []
    parallel = ["--tensor-parallel-size", str(serve.tp), "--data-parallel-size", str(serve.dp)]
    return ["--model", model, *pinned, *parallel, *serve.flags]


def environment(python: Path) -> dict[str, str]:
    """Return the variables of a process that runs vLLM: ours, with its own tools first, and no telemetry."""
    path = f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    # PYTHONPATH is made for our interpreter; vLLM's would import our packages in place of its own.
    own = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return {**own, "PATH": path, "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}


async def start_server(
    serve: Serve,
    served_name: str,
    address: Address = Address(),  # noqa: B008 - immutable
    *,
    ready_seconds: float = READY_SECONDS,
    echo: BinaryIO | None = None,
) -> Running:
    """Start a server and wait until it answers; its log goes to `echo`, and its last lines into errors.

    Raises:
        UsageError: there is no environment with vLLM, or the port is taken.
        InfrastructureError: it ended, or is not ready after `ready_seconds`.
    """
    python = interpreter()
    address = address._replace(port=_free_port(address))
    command = [str(python), "-m", "vllm.entrypoints.openai.api_server", *engine_flags(serve)]
    process = await Supervised.start(
        f"vLLM for {served_name}",
        [*command, "--served-model-name", served_name, "--host", address.host, "--port", str(address.port)],
        environment(python),
        echo,
    )
    try:
        await process.during(asyncio.wait_for(_healthy(address.url), ready_seconds))
    except TimeoutError as error:
        await process.stop()
        raise process.failure(f"is not ready after {ready_seconds:g} seconds (`serve-model` shows all)") from error
    except BaseException:
        await process.stop()
        raise
    return Running(process, f"{address.url}/v1")


async def _healthy(url: str) -> None:
    """Return once the server says that it is ready."""
    import aiohttp

    # Refused while it loads; slow to answer while it compiles.
    limit = aiohttp.ClientTimeout(total=10)
    async with aiohttp.ClientSession(timeout=limit) as session:
        while True:
            try:
                async with session.get(f"{url}/health") as reply:
                    if reply.status == 200:  # noqa: PLR2004 - HTTP OK
                        return
            except (aiohttp.ClientError, OSError, TimeoutError):
                pass  # not yet: the caller's limit ends this
            await asyncio.sleep(_ASK_SECONDS)


def _free_port(address: Address) -> int:
    """Return the port of `address`, or one that is free now.

    Raises:
        UsageError: something else listens there.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            raise UsageError(
                f"{address.host}:{address.port} cannot be listened on ({error.strerror}); give another --port"
            ) from error
        port: int = probe.getsockname()[1]
        return port


T = TypeVar("T")


class OnDemand(Generic[T]):
    """A model server, for instance, that several roles share. Use from one event loop."""

    def __init__(
        self, start: Callable[[], Coroutine[Any, Any, T]], stop: Callable[[T], Coroutine[Any, Any, None]]
    ) -> None:
        self._start = start
        self._stop = stop
        self._started: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Return it, started if nobody has; a start that failed is not tried again before `stop`.

        Raises:
            Exception: as the start did, for everyone who waited for it and who asks later: what fails after
                minutes must not be tried for each of thousands of requests.
        """
        if self._started is None:
            self._started = asyncio.create_task(self._start())
        return await asyncio.shield(self._started)

    async def stop(self) -> None:
        """Stop it, if it was started."""
        started, self._started = self._started, None
        if started is None:
            return
        started.cancel()
        (result,) = await asyncio.gather(started, return_exceptions=True)
        if not isinstance(result, BaseException):
            await self._stop(result)
