"""`coldforge gates`: what other thresholds of the gates would give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from flows.cli.console import JsonFlag, print_json, print_line, print_table, print_wrapped, require_ledger
from flows.cli.status import RunDir

if TYPE_CHECKING:
    from flows.ledger.regate import Regated, Thresholds


def gates(
    run: RunDir,
    *,
    max_plain_right: Annotated[
        int | None, typer.Option(metavar="N", help="Right without tools that gate 1 still calls hard.")
    ] = None,
    min_tools_right: Annotated[
        int | None, typer.Option(metavar="N", help="Right after a call that RL asks for.")
    ] = None,
    rule: Annotated[
        Literal["count", "interval"] | None,
        typer.Option(help="When tools help: more often right than gate 1 counted, or surely more than a fresh arm."),
    ] = None,
    min_valid: Annotated[
        int | None, typer.Option(metavar="N", help="Graded rollouts with tools that RL needs.")
    ] = None,
    max_right_without_call: Annotated[
        int | None, typer.Option(metavar="N", help="Right under the tool prompt without a call that gate 2 lets pass.")
    ] = None,
    guess_floor: Annotated[
        float | None, typer.Option(metavar="SHARE", help="How often guessing may reach what counts as help; 1: always.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Tell which routes other thresholds give the questions of RUN, from the rollouts that it kept.

    No model is asked and nothing is changed. Flags are called as the fields of `gate` in the recipe; what is not given
    is as in the run.
    """
    require_ledger(run)
    from flows.ledger.regate import regate

    wanted = {
        "max_plain_right": max_plain_right,
        "min_tools_right": min_tools_right,
        "min_valid": min_valid,
        "max_right_without_call": max_right_without_call,
        "guess_floor": guess_floor,
        "rule": rule,
    }
    told = regate(run, {name: value for name, value in wanted.items() if value is not None})
    if as_json:
        print_json(
            {
                "run": str(run),
                "own": told.own._asdict(),
                "given": told.given._asdict(),
                "routes": [route._asdict() for route in told.routes],
                "moves": [move._asdict() for move in told.moves],
            }
        )
    else:
        _print(told)


def _print(told: Regated) -> None:
    from flows.report.tables import Table

    _print_words("thresholds of the run:", told.own)
    _print_words("thresholds given:     ", told.given)
    print_line("")
    rows = tuple((*route, route.given - route.own) for route in told.routes)
    title = "Questions by gate and route; too_easy includes those kept for other lanes"
    print_table(Table("regated", title, ("stage", "route", "run", "given", "change"), rows))
    if not told.moves:
        print_line("no question changes side")
        return
    moves = tuple((move.was, move.becomes, move.n, " ".join(id_[:12] for id_ in move.examples)) for move in told.moves)
    print_table(Table("moves", "Questions that change side", ("was", "becomes", "questions", "such as"), moves))


def _print_words(title: str, thresholds: Thresholds) -> None:
    words = ", ".join(f"{name} {value}" for name, value in thresholds._asdict().items())
    print_wrapped(f"{title} {words}", indent=" " * (len(title) + 1))
