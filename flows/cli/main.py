"""The command line: `coldforge`.

Each command is a module beside this one. None of them imports a library that is slow to load before it
runs: `coldforge --help` is there at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from flows.cli.benchmarks import app as benchmarks
from flows.cli.card import card
from flows.cli.doctor import doctor
from flows.cli.duplicates import duplicates
from flows.cli.export import export
from flows.cli.gates import gates
from flows.cli.life import trace
from flows.cli.places import told
from flows.cli.plan import plan
from flows.cli.push import push
from flows.cli.release import diff, release
from flows.cli.replay import replay
from flows.cli.report import report
from flows.cli.review import app as review
from flows.cli.run import run
from flows.cli.sandbox import app as sandbox
from flows.cli.schema import schema
from flows.cli.search_cache import search_cache
from flows.cli.serve_model import serve_model
from flows.cli.show import show
from flows.cli.sources import app as sources
from flows.cli.stats import stats
from flows.cli.status import status
from flows.cli.trying import try_
from flows.cli.verify import verify
from flows.cli.why import why
from pipeline.errors import ColdforgeError, InfrastructureError
from pipeline.processes import heed_signals

INTERRUPTED = 130
"""128 + SIGINT, as a shell reports it; a signal to end (SIGTERM), as schedulers and `kill` send it, ends alike."""


class Commands(TyperGroup):
    """The commands, with every known failure turned into one message and its exit code; so is a place that fails."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except ColdforgeError as error:
            _say(f"error: {error}")
            raise typer.Exit(error.exit_code) from error
        except OSError as error:
            said = told(error)
            if said is None:
                raise
            _say(f"error: {said}")
            raise typer.Exit(InfrastructureError.exit_code) from error
        except KeyboardInterrupt as error:
            resumable = ctx.invoked_subcommand == "run"
            _say("stopped; run the same command again to resume" if resumable else "stopped")
            raise typer.Exit(INTERRUPTED) from error


def _say(message: str) -> None:
    """Print to stderr; what a file or a server wrote into a message must not drive the terminal."""
    from flows.report.tables import visible

    sys.stdout.flush()
    with suppress(BrokenPipeError):
        sys.stderr.write(visible(message) + "\n")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"coldforge {version('coldforge')}")
        raise typer.Exit


def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Curation flows that turn visual question-answering data into verified tool-use trajectories.

    Exit codes: 0 done, 1 stopped (resumable), 2 wrong usage or recipe, 3 a check failed or no row
    came out, 130 interrupted (resumable).
    """


_PANELS: Mapping[str, Sequence[tuple[Callable[..., None] | typer.Typer, str]]] = {
    "Bring data": (
        (sources, "sources init photos.parquet"),
        (benchmarks, "benchmarks build test.jsonl"),
        (duplicates, "duplicates runs/mine"),
    ),
    "Plan and run": (
        (plan, "plan mine.yaml --pilot 200"),
        (run, "run mine.yaml --out runs/mine"),
        (status, "status runs/mine"),
        (try_, "try mine.yaml --question 7fdaf980 --role teacher"),
    ),
    "Look at what came out": (
        (stats, "stats runs/mine --sql 'select * from reasons' --format csv"),
        (report, "report runs/mine"),
        (show, "show runs/mine 30ce70ea"),
        (trace, "trace runs/mine 30ce70ea"),
    ),
    "Find out what to change": (
        (why, "why runs/mine --stage validate"),
        (gates, "gates runs/mine --max-plain-right 1"),
        (review, "review sample runs/mine --per source,teacher --n 200"),
    ),
    "Ship": (
        (export, "export runs/mine"),
        (search_cache, "search-cache runs/mine --out cache"),
        (verify, "verify runs/mine"),
        (card, "card runs/mine --check"),
        (push, "push runs/mine --to hf://me/mine --dry-run"),
        (release, "release runs/mine --require 'sft_rows >= 1000'"),
        (diff, "diff runs/mine/release/1.0 runs/mine"),
    ),
    "Check and serve": (
        (doctor, "doctor"),
        (replay, "replay runs/mine"),
        (sandbox, "sandbox run cells.py --image photo.png --json"),
        (serve_model, "serve-model Qwen/Qwen2.5-VL-7B-Instruct --tp 2"),
        (schema, "schema recipe"),
    ),
}
"""The commands by what one wants to do, each with an example that begins with its name."""


def make_app() -> typer.Typer:
    """Return the whole command line."""
    app = typer.Typer(
        cls=Commands,
        no_args_is_help=True,
        add_completion=False,
        # A traceback of ours is for a bug report: plain, and without the values of variables.
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for panel, commands in _PANELS.items():
        for command, example in commands:
            name, epilog = example.split()[0], f"Example: coldforge {example}"
            if isinstance(command, typer.Typer):
                app.add_typer(command, name=name, rich_help_panel=panel, epilog=epilog)
            else:
                app.command(name, rich_help_panel=panel, epilog=epilog)(command)
    return app


def main() -> None:
    """Run the command line; the console script."""
    heed_signals()
    make_app()(prog_name="coldforge")
