"""`coldforge show`: the transcript of one trajectory, or the life of one question."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.console import console, print_line, print_table, require_ledger
from flows.cli.run import StoreDir
from flows.cli.status import RunDir


def show(
    run: RunDir,
    identity: Annotated[str, typer.Argument(metavar="ID", help="A question or trajectory id, or how it begins.")],
    store: StoreDir = None,
) -> None:
    """Show the transcript of a trajectory of RUN, and where its pictures lie; of a question what `trace` tells."""
    from flows.cli.life import print_life
    from flows.report.lookup import find, read_life

    found = find(require_ledger(run), identity)
    if found.kind == "trajectory":
        _print_trajectory(run, found.id, store)
    else:
        print_life(run, read_life(run, found), found.id, store)


def _print_trajectory(run: Path, identity: str, store: Path | None) -> None:
    from flows.cli.life import blobs_of, place, print_fields
    from flows.report.lookup import Found, read_life, read_trajectory
    from flows.report.tables import query_table
    from flows.report.transcript import render_transcript

    trajectory = read_trajectory(run, identity)
    question = read_life(run, Found(trajectory.question_id, "question")).screened
    console().print(render_transcript(trajectory, question), soft_wrap=True)
    print_line("")
    blobs = blobs_of(run, store)
    shown = [(f"image_{number}", image) for number, image in enumerate(trajectory.images, 1)]
    shown += [(f"turn {number}", image) for number, turn in enumerate(trajectory.turns, 1) for image in turn.images]
    print_fields([(name, f"{image.width}x{image.height} {place(image, blobs)}") for name, image in shown])
    for name, title, sql in _OF_TRAJECTORY:
        # An id of our own, in hexadecimal digits.
        table = query_table(run, sql.format(ids=f"'{identity}'"), name, title)
        if table.rows:
            print_table(table)


_OF_TRAJECTORY = (
    (
        "edits",
        "Corrected by people: what they saw is the parent",
        """SELECT parent, record_id AS id, annotator, was, changes, comment FROM edits
           WHERE unit = 'trajectory' AND (edit_id = {ids} OR parent = {ids})""",
    ),
    (
        "validators",
        "Validators",
        """SELECT filter, outcome, reason, score FROM decisions WHERE trajectory_id = {ids} ORDER BY filter""",
    ),
    (
        "outcomes",
        "Stages",
        """SELECT o.stage, o.outcome, o.route, o.reason, o.detail FROM outcomes o JOIN stages s USING (stage)
           WHERE o.record_id = {ids} ORDER BY s.position""",
    ),
)
"""Name, title and query of what is known about a trajectory."""
