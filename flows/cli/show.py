"""`coldforge show`: the life of one question, or the transcript of one trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import console, print_line, print_table, require_ledger
from flows.cli.run import StoreDir
from flows.cli.status import RunDir

if TYPE_CHECKING:
    from flows.report.lookup import Life
    from pipeline.records import ImageRef, Question
    from pipeline.store.blobs import BlobStore


def show(
    run: RunDir,
    identity: Annotated[str, typer.Argument(metavar="ID", help="A question or trajectory id, or how it begins.")],
    store: StoreDir = None,
) -> None:
    """Show the life of a question of RUN, or the transcript of a trajectory, and where their pictures lie."""
    from flows.report.lookup import find, read_life
    from pipeline.store.blobs import BlobStore

    found = find(require_ledger(run), identity)
    blobs = BlobStore((store if store is not None else run.parent / ".store") / "blobs")
    if found.kind == "trajectory":
        _print_trajectory(run, found.id, blobs)
    else:
        _print_life(run, read_life(run, found), found.id, blobs)


def _print_trajectory(run: Path, identity: str, blobs: BlobStore) -> None:
    from flows.report.lookup import Found, read_life, read_trajectory
    from flows.report.transcript import render_transcript

    trajectory = read_trajectory(run, identity)
    question = read_life(run, Found(trajectory.question_id, "question")).screened
    console().print(render_transcript(trajectory, question), soft_wrap=True)
    print_line("")
    shown = [(f"image_{number}", image) for number, image in enumerate(trajectory.images, 1)]
    shown += [(f"turn {number}", image) for number, turn in enumerate(trajectory.turns, 1) for image in turn.images]
    _print_fields([(name, _place(image, blobs)) for name, image in shown])
    _print_parts(run, _OF_TRAJECTORY, f"'{identity}'")


def _print_parts(run: Path, parts: Sequence[tuple[str, str, str]], listed: str) -> None:
    """Print what the ledger knows under some ids; `listed` holds hexadecimal ids of our own, quoted."""
    from flows.report.tables import query_table

    for name, title, sql in parts:
        table = query_table(run, sql.format(ids=listed), name, title)
        if table.rows:
            print_table(table)


def _place(image: ImageRef, blobs: BlobStore) -> str:
    """Return where a picture lies, or that it does not."""
    path = blobs.path(image.sha256)
    return f"{path}" + ("" if path.exists() else " (not there: give the run's --store)")


def _print_life(run: Path, life: Life, identity: str, blobs: BlobStore) -> None:
    question = life.screened or life.ingested
    listed = ", ".join(f"'{one}'" for one in life.ids or (identity,))
    if question is None:
        print_line(f"source row {identity}: no question was made of it\n")
    else:
        _print_question(question, life, blobs)
    payloads = _payloads(run, listed)
    if payloads or question is None:
        _print_row(run, life.row or identity, payloads)
    _print_parts(run, _OF_QUESTION, listed)


def _payloads(run: Path, listed: str) -> list[tuple[str, str]]:
    """Return by which stage something was quarantined, and its payload."""
    from flows.report.tables import query_table

    sql = f"""SELECT o.stage, o.payload FROM outcomes o JOIN stages s USING (stage)
        WHERE o.outcome = 'quarantined' AND (o.question_id IN ({listed}) OR o.record_id IN ({listed}))
        ORDER BY s.position"""  # noqa: S608 - ids of our own
    return [(str(stage), str(payload)) for stage, payload in query_table(run, sql).rows]


def _print_row(run: Path, identity: str, payloads: Sequence[tuple[str, str]]) -> None:
    """Print what a source holds of a row that was stopped: its key, where it stands, and the payload of each stage."""
    from flows.report.lookup import read_row, source_directory
    from pipeline.sources.questions import image_names
    from pipeline.sources.source import ROWS

    row = read_row(run, identity)
    lines = []
    if row is not None:
        directory = source_directory(run, row.source)
        lines = [
            ("row key", row.source_row),
            ("source", f"{row.source} {row.source_revision}"),
            ("path", str(directory / ROWS) if directory else f"{ROWS} of the source"),
            *(("image", name) for name in image_names(row)),
        ]
    for stage, payload in payloads or ([("", row.payload)] if row else []):
        lines.append((f"payload {stage}".strip(), payload))
    _print_fields(lines)


_OF_QUESTION = (
    (
        "life",
        "Stages",
        """SELECT o.stage, CASE WHEN o.unit = 'trajectory' THEN left(o.record_id, 12) ELSE o.unit END AS record,
                  o.outcome, o.route, o.reason, o.detail
           FROM outcomes o JOIN stages s USING (stage)
           WHERE o.question_id IN ({ids}) OR o.record_id IN ({ids})
           ORDER BY s.position, o.unit, o.record_id""",
    ),
    (
        "gates",
        "Gates: rollouts of the base model",
        """SELECT 'gate1, no tools' AS gate, plain_right AS "right", plain_valid AS valid,
                  NULL AS right_without_call, nullif(plain_malformed, 0) AS bad_format, NULL AS route
           FROM gates WHERE question_id IN ({ids})
           UNION ALL
           SELECT 'gate2, with tools', tools_right, tools_valid, tools_right_without_call, tools_bad_format,
                  concat_ws(', ', route, CASE WHEN saturated THEN 'saturated' END,
                            CASE WHEN by_floor THEN 'by the guess floor' END)
           FROM gates WHERE question_id IN ({ids})
           AND question_id IN (SELECT question_id FROM outcomes WHERE stage = 'gate2')""",
    ),
    (
        "cluster",
        "Duplicates in its cluster",
        """SELECT d.question_id, d.question_id = d.representative AS represents
           FROM duplicates d WHERE d.cluster_id IN (SELECT cluster_id FROM duplicates WHERE question_id IN ({ids}))
           AND (SELECT count(*) FROM duplicates x WHERE x.cluster_id = d.cluster_id) > 1
           ORDER BY d.question_id""",
    ),
    (
        "attempts",
        "Attempts; `coldforge show RUN <id>` prints one",
        """SELECT left(trajectory_id, 12) AS id, CASE WHEN purpose = 'gate' THEN mode ELSE 'teacher' END AS asked,
                  sample, model, verdict, finish, n_turns AS turns, answer
           FROM trajectories WHERE question_id IN ({ids})
           ORDER BY purpose, mode, model, sample""",
    ),
)
"""Name, title and query of what is known about a question under its `ids`."""

_OF_TRAJECTORY = (
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


def _image_line(image: ImageRef) -> str:
    made = f", the first of {image.frames} pictures" if image.frames > 1 else ""
    made += "" if image.scaling == "none" else f", scaled {image.scaling.replace('_', ' ')}"
    return f"{image.width}x{image.height} {image.mime} {image.sha256[:12]}{made}"


def _print_question(question: Question, life: Life, blobs: BlobStore) -> None:
    from pipeline.identity import canonical_json

    tolerance = f", within {question.tolerance:g} relative" if question.tolerance is not None else ""
    images = [f"{_image_line(image)}\n{_place(image, blobs)}" for image in question.images]
    lines = [
        ("question", question.id),
        ("source row", f"{life.row} ({question.source} {question.source_revision[:12]}: {question.source_row})"),
        ("category", f"{question.category}; licence {question.licence}"),
        ("text", question.text),
        *(("image", image) for image in images),
        *(("choice", choice) for choice in question.choices),
        ("answers", f"{canonical_json(list(question.answers))} ({question.answer_type}{tolerance})"),
        ("meta", question.meta),
    ]
    if life.ingested is not None and life.ingested.id != question.id:
        lines.insert(1, ("as ingested", f"{life.ingested.id}: {life.ingested.text}"))
    _print_fields(lines)


def _print_fields(lines: Sequence[tuple[str, str]]) -> None:
    width = max(12, *(len(name) + 1 for name, _ in lines)) if lines else 0
    for name, text in lines:
        print_line(f"{name:<{width}}" + text.replace("\n", "\n" + width * " "))
    print_line("")
