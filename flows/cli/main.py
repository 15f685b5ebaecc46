"""The command line: `coldforge`.

Each command is a module beside this one. None of them imports a library that is slow to load before it
runs: `coldforge --help` is there at once.
"""

from __future__ import annotations

import sys
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
from flows.cli.trace import trace
from flows.cli.try_ import try_
from flows.cli.verify import verify
from flows.cli.why import why
from pipeline.errors import ColdforgeError
from pipeline.processes import heed_signals

INTERRUPTED = 130
"""128 + SIGINT, as a shell reports it; a signal to end (SIGTERM), as schedulers and `kill` send it, ends alike."""


class Commands(TyperGroup):
    """The commands, with every known failure turned into one message and its exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the chosen command."""
        try:
            return super().invoke(ctx)
        except ColdforgeError as error:
            _say(f"error: {error}")
            raise typer.Exit(error.exit_code) from error
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
    for command in (
        run,
        plan,
        status,
        stats,
        gates,
        why,
        trace,
        show,
        duplicates,
        report,
        export,
        search_cache,
        verify,
        card,
        push,
        replay,
        release,
        diff,
        doctor,
        schema,
        serve_model,
    ):
        app.command()(command)
    # `try` is a word of Python's.
    app.command("try")(try_)
    app.add_typer(sources, name="sources")
    app.add_typer(benchmarks, name="benchmarks")
    app.add_typer(sandbox, name="sandbox")
    app.add_typer(review, name="review")
    return app


def main() -> None:
    """Run the command line; the console script."""
    heed_signals()
    make_app()(prog_name="coldforge")
