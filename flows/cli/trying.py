"""`coldforge try`: one live rollout, turn by turn, nothing committed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import console, print_line, print_table
from flows.cli.run import Changes, OutDir, RecipeFile, StoreDir

if TYPE_CHECKING:
    from flows.run.trying import Opening, Tried
    from pipeline.records import Question, Turn


def try_(
    recipe: RecipeFile,
    *,
    question: Annotated[
        str, typer.Option(metavar="ID", help="An id of the run's, or how it begins; or the key of a source's row.")
    ],
    role: Annotated[str, typer.Option(metavar="ROLE", help="base, teacher, or teachers.1 and so on.")] = "teacher",
    prompt: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="In place of the teacher's guidance; of base, of the first part of its system prompt."
        ),
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Without tools, as gate 1 asks.")] = False,
    sample: Annotated[
        int, typer.Option(min=0, metavar="N", help="Number of the sample: another one, another seed.")
    ] = 0,
    out: OutDir = None,
    store: StoreDir = None,
    changes: Changes = None,
) -> None:
    """Ask one question of RECIPE once, live, and show every turn as it comes; nothing is committed or cached.

    The question is looked up in the run directory, else in the sources. Calls are paid for and thrown away.
    """
    from flows.recipe.inputs import make_job
    from flows.report.transcript import render_turn
    from flows.run.trying import Trial, try_once

    job = make_job(recipe, out=out, store=store, changes=changes or ())
    terminal = console()
    turns: list[Turn] = []

    def watch(turn: Turn, seen: Sequence[tuple[int, int]]) -> None:
        turns.append(turn)
        terminal.print(render_turn(len(turns), turn, seen), soft_wrap=True)

    asked: list[Opening] = []

    def begun(opening: Opening) -> None:
        asked.append(opening)
        _print_opening(opening)

    tried = try_once(job, Trial(question, role, plain, prompt, sample), begun, watch)
    _print_end(tried, asked[0].question)


def _print_opening(opening: Opening) -> None:
    question, ask, lane = opening
    tools = "with tools" if ask.mode == "tools" else "without tools"
    print_line(f"question  {question.id[:12]} {question.category}, {question.source}: {question.text}")
    for choice in question.choices:
        print_line(f"          - {choice}")
    print_line(f"asked     {ask.role} {ask.model}, {tools}{f', lane {lane}' if lane else ''}")
    print_line(f"prompt    {len(ask.system):,} characters, {ask.prompts}")


def _print_end(tried: Tried, question: Question) -> None:
    from flows.report.tables import Table, filled
    from pipeline.identity import canonical_json

    made = tried.trajectory
    rule = f" by {tried.grade.rule} ({tried.grade.detail})" if tried.grade is not None else ""
    judge = f"; judge: {', '.join(tried.votes)}" if tried.votes else ""
    print_line("")
    print_line(f"ended     {made.finish}{f': {made.detail}' if made.detail else ''}")
    print_line(f"verdict   {made.verdict}{rule}{judge}")
    print_line(f"stored    {canonical_json(list(question.answers))} ({question.answer_type})")
    print_line(f"tokens    prompt {made.tokens.prompt:,}, completion {made.tokens.completion:,}\n")
    against = tuple(
        (one.filter, one.outcome, one.reason, one.score) for one in tried.decisions if one.outcome != "keep"
    )
    if against:
        title = "Validators that are against it"
        print_table(filled(Table("against", title, ("filter", "outcome", "reason", "score"), against)))
    elif tried.decisions:
        print_line(f"all {len(tried.decisions)} validators keep it (it was not replayed)")
    print_line("nothing was committed; no call was read from the store or written to it")
