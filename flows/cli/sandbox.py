"""`coldforge sandbox`: the sandbox on its own: build its environment, run cells, serve others, check this machine."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.console import JsonFlag, console, print_json, print_line

if TYPE_CHECKING:
    from pipeline.sandbox import CellResult, Policy

app = typer.Typer(help="Isolated notebooks for model-written Python.", no_args_is_help=True)

CellFile = Annotated[Path, typer.Argument(metavar="FILE", help="Cells, separated by lines `# %%`.")]
ImageFiles = Annotated[list[Path] | None, typer.Option("--image", help="Becomes image_1, image_2, ... in order.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object per cell, each on its own line.")]
Timeout = Annotated[float | None, typer.Option(min=0.1, help="Seconds per cell, instead of the policy's.")]

Host = Annotated[str, typer.Option(help="Address to listen on; any but this machine's own needs a token.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="0 takes any that is free.")]
Workers = Annotated[int | None, typer.Option(min=1, help="Cells at once; default: one per core.")]
SessionCount = Annotated[
    int | None, typer.Option("--sessions", min=1, help="Sessions open at once; default: 16 per worker.")
]

TOKEN = "COLDFORGE_SANDBOX_TOKEN"  # noqa: S105 - the name of the variable, not a secret
"""Never a flag: the arguments of a process can be read by everyone on the machine."""

_SEPARATOR = re.compile(r"^# %%[^\n]*(?:\n|\Z)", re.MULTILINE)


@app.command(epilog="Example: coldforge sandbox setup")
def setup() -> None:
    """Build the environment that cells run in, once; does nothing if it is there."""
    from pipeline.sandbox import guest

    progress = console(stderr=True)
    path = guest.setup(lambda line: progress.print(line, markup=False, soft_wrap=True))
    print_line(str(path))


@app.command(epilog="Example: coldforge sandbox run cells.py --image photo.png --json")
def run(file: CellFile, image: ImageFiles = None, as_json: JsonLines = False, timeout: Timeout = None) -> None:
    """Run the cells of FILE in one session. Exit 0 if all are `ok`, 1 if one is not, 3 if it cannot isolate."""
    from pipeline.errors import UsageError

    try:
        cells = split_cells(_read(file).decode())
    except UnicodeDecodeError as error:
        raise UsageError(f"{file}: not UTF-8 text: {error}") from error
    contents = [_picture(path) for path in image or ()]
    statuses = set()
    for number, result in enumerate(_run_cells(cells, contents, _policy(timeout)), 1):
        statuses.add(result.status)
        if as_json:
            print_json(_as_json(number, result))
        else:
            _print_cell(number, result)
    raise typer.Exit(0 if statuses <= {"ok"} else 1)


@app.command(epilog="Example: coldforge sandbox serve --port 8000")
def serve(host: Host = "127.0.0.1", port: Port = 8000, workers: Workers = None, sessions: SessionCount = None) -> None:
    """Serve sandbox sessions over HTTP until stopped, for `runtime.sandbox.url` of recipes and for DeepEyesV2's RL.

    Clients have to show the token in COLDFORGE_SANDBOX_TOKEN, if it is set. Curation and RL have a pool each.
    """
    import asyncio
    import os

    from pipeline.sandbox.service.server import Options
    from pipeline.sandbox.service.server import serve as serve_until_stopped

    def tell(url: str) -> None:
        print_line(f"sandbox service at {url}")
        sys.stdout.flush()

    asyncio.run(serve_until_stopped(Options(host, port, os.environ.get(TOKEN) or None, workers, sessions), tell))


@app.command(epilog="Example: coldforge sandbox doctor")
def doctor(as_json: JsonFlag = False) -> None:
    """Run one cell in a session of its own and tell what isolates it. Exit 3 if this machine cannot."""
    from pipeline.errors import InfrastructureError
    from pipeline.sandbox import IsolationError, Policy, Pool

    try:
        with Pool(Policy(), workers=1) as pool, pool.session() as session:
            result = session.run("6 * 7")
            facts = pool.facts()
    except IsolationError as error:
        if as_json:
            print_json({"tier": "none", "step": error.step, "cause": error.cause, "fix": error.fix})
            raise typer.Exit(error.exit_code) from error
        raise
    if result.value != "42":
        raise InfrastructureError(f"sandbox: `6 * 7` gave status {result.status}, value {result.value}")
    if as_json:
        print_json({"tier": "full", **facts})
        return
    print_line("tier: full (a cell ran isolated)")
    for name, value in facts.items():
        print_line(f"{name}: {value}")


def split_cells(text: str) -> list[str]:
    """Return the code between lines that start with `# %%`; what stands before the first counts if it is not blank."""
    first, *rest = _SEPARATOR.split(text)
    return [first, *rest] if first.strip() else rest


def _run_cells(cells: Sequence[str], images: Sequence[bytes], policy: Policy) -> Iterator[CellResult]:
    """Yield each cell's outcome; a cell that ended its session is followed by a fresh one."""
    from pipeline.sandbox import Pool

    pending = list(cells)
    with Pool(policy, workers=1) as pool:
        while pending:
            with pool.session(images) as session:
                ended = False
                while pending and not ended:
                    result = session.run(pending.pop(0))
                    ended = result.ended
                    yield result


def _policy(timeout: float | None) -> Policy:
    from pipeline.sandbox import Limits, Policy

    if timeout is None:
        return Policy()
    # CPU time in the same proportion to wall time as by default.
    return Policy(Limits(cell_seconds=timeout, cell_cpu_seconds=timeout))


def _read(path: Path) -> bytes:
    from pipeline.errors import UsageError

    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def _picture(path: Path) -> bytes:
    """Return an image file as the store would hold it, so that cells see here what they see in a run."""
    from pipeline.errors import RowError, UsageError
    from pipeline.images import stored

    try:
        return stored(_read(path))[0]
    except RowError as error:
        raise UsageError(f"--image {path}: {error}") from error


def _as_json(number: int, result: CellResult) -> dict[str, Any]:
    import hashlib

    error = result.error
    return {
        "cell": number,
        "status": result.status,
        "stdout": result.stdout,
        "stderr": result.stderr,
        "value": result.value,
        "images": [
            {"width": image.width, "height": image.height, "sha256": hashlib.sha256(image.png()).hexdigest()}
            for image in result.images
        ],
        "error": None
        if error is None
        else {"type": error.type, "message": error.message, "traceback": error.traceback},
        "seconds": round(result.usage.wall, 6),
    }


def _print_cell(number: int, result: CellResult) -> None:
    print_line(f"[{number}] {result.status} ({result.usage.wall:.3f} s)")
    texts = (result.stdout, result.stderr, result.value, result.error.traceback if result.error else None)
    for text in texts:
        if text:
            print_line(text.rstrip("\n"))
    for image in result.images:
        print_line(f"<image {image.width}x{image.height}>")
    for note in result.notes:
        print_line(f"note: {note}")
