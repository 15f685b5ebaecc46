"""`coldforge serve-model`: vLLM's OpenAI server from its own environment, as long as this command runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import print_line

if TYPE_CHECKING:
    from pipeline.models.local.launch import Address, Serve

ModelName = Annotated[
    str, typer.Argument(metavar="MODEL", help="A checkpoint's directory, or NAME[@REVISION] on a hub.")
]
Flags = Annotated[
    list[str] | None, typer.Argument(metavar="[-- FLAG...]", help="Passed on to vLLM, such as `-- --dtype float16`.")
]
Parallel = Annotated[int, typer.Option("--tp", min=1, help="GPUs that share each layer (tensor parallel).")]
Copies = Annotated[int, typer.Option("--dp", min=1, help="Copies of the model, each on --tp GPUs (data parallel).")]
Host = Annotated[str, typer.Option(help="Address to listen on; vLLM lets in everyone who reaches it.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="0 takes any that is free.")]


def serve_model(
    model: ModelName,
    flags: Flags = None,
    *,
    tp: Parallel = 1,
    dp: Copies = 1,
    host: Host = "127.0.0.1",
    port: Port = 8000,
) -> None:
    """Serve MODEL with vLLM until stopped, and print the lines that point a recipe at it.

    vLLM has an environment of its own (requirements-vllm.txt): .venv-vllm beside coldforge's, or where
    COLDFORGE_VLLM_PYTHON names an interpreter.
    """
    import asyncio

    from pipeline.models.local.launch import Address, Serve

    serve = Serve(model=model, tp=tp, dp=dp, flags=tuple(flags or ()))
    asyncio.run(_serve(serve, Address(host, port)))


async def _serve(serve: Serve, address: Address) -> None:
    from pipeline.models.local.launch import start_server

    running = await start_server(serve, serve.name, address, echo=sys.stderr.buffer)
    try:
        print_line(f"serving {serve.name} at {running.base_url} until Ctrl-C; in a recipe:")
        print_line(f"  served_name: {serve.name}\n  base_url: {running.base_url}")
        sys.stdout.flush()
        await running.process.wait()
    finally:
        await running.process.stop()
