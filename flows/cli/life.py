"""`coldforge trace`: the whole life of one question: source row, stages, rollouts, decisions, duplicates, cost."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.console import JsonFlag, print_json, print_line, print_table, print_wrapped, require_ledger
from flows.cli.run import StoreDir
from flows.cli.status import RunDir

if TYPE_CHECKING:
    from flows.report.lookup import Life
    from flows.report.tables import Table
    from pipeline.records import ImageRef, Question
    from pipeline.store.blobs import BlobStore


def trace(
    run: RunDir,
    identity: Annotated[
        str, typer.Argument(metavar="QUESTION", help="Any id of it, or one of its rollouts' ids, or how that begins.")
    ],
    store: StoreDir = None,
    as_json: JsonFlag = False,
) -> None:
    """Tell the whole life of a question of RUN: row, stages, rollouts, who graded them, decisions, duplicates, cost."""
    from flows.report.lookup import find_question, read_life

    found = find_question(require_ledger(run), identity)
    life = read_life(run, found)
    if as_json:
        _print_json(run, life, found.id)
    else:
        print_life(run, life, found.id, store)


def print_life(run: Path, life: Life, identity: str, store: Path | None) -> None:
    """Print the life of a question; `identity` names a row of which no question was made."""
    from flows.report.tables import by_value

    question = life.screened or life.ingested
    listed = _listed(life, identity)
    if question is None:
        print_line(f"source row {identity}: no question was made of it\n")
    else:
        _print_question(question, life, blobs_of(run, store))
    payloads = _payloads(run, listed)
    if payloads or question is None:
        _print_row(run, life.row or identity, payloads)
    for table in _tables(run, life, listed):
        for part in by_value(table, "model") if table.name == "attempts" else [table] if table.rows else []:
            print_table(part)
        if table.name == "life":
            _print_causes(table)


def _print_json(run: Path, life: Life, identity: str) -> None:
    from flows.report.tables import records

    question = life.screened or life.ingested
    listed = _listed(life, identity)
    told = {table.name: records(table) for table in _tables(run, life, listed)}
    about = None if question is None else question.to_row()
    print_json({"run": str(run), "ids": list(life.ids or (identity,)), "question": about, **told})


def _listed(life: Life, identity: str) -> str:
    """Return the ids as a list of SQL: they are hexadecimal and our own."""
    return ", ".join(f"'{one}'" for one in life.ids or (identity,))


def _tables(run: Path, life: Life, listed: str) -> Sequence[Table]:
    from flows.ledger.query import kept_open
    from flows.report.tables import filled, query_table

    question = life.screened or life.ingested
    with kept_open(run):
        tables = [query_table(run, sql.format(ids=listed), name, title) for name, title, sql in _OF_QUESTION]
    if question is not None:
        tables = [_with_rules(table, question) if table.name == "attempts" else table for table in tables]
    return [filled(table) for table in tables]


def _with_rules(attempts: Table, question: Question) -> Table:
    """Put the grader's rule where no judge has told; each answer is graded once."""
    said, by = attempts.columns.index("answer"), attempts.columns.index("by")
    answers = {str(row[said]) for row in attempts.rows if row[by] is None and row[said] is not None}
    rules = asyncio.run(_rules(sorted(answers), question))
    rows = (
        (*row[:by], row[by] if row[by] is not None else rules.get(str(row[said])), *row[by + 1 :])
        for row in attempts.rows
    )
    return attempts._replace(rows=tuple(rows))


async def _rules(answers: Sequence[str], question: Question) -> Mapping[str, str]:
    from flows.asking.grading import grade_of

    return {answer: (await grade_of(answer, question)).rule for answer in answers}


def _print_causes(life: Table) -> None:
    """Say of each stop what usually causes it."""
    from flows.report.causes import cause

    if "reason" not in life.columns:
        return
    stage, reason = life.columns.index("stage"), life.columns.index("reason")
    stops = dict.fromkeys((str(row[stage]), str(row[reason])) for row in life.rows if row[reason])
    for place, why in stops:
        print_wrapped(f"{place}: {why}: {cause(place, why)}", indent="  ")
    if stops:
        print_line("")


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
    print_fields(lines)


_OF_QUESTION = (
    (
        "edits",
        "Corrected by people: what they saw is the parent",
        """SELECT unit AS of, parent, coalesce(record_id, 'stale') AS id, annotator, was,
                  changes, comment
           FROM edits e WHERE e.edit_id IN ({ids}) OR e.parent IN ({ids})
           OR e.parent IN (SELECT trajectory_id FROM trajectories WHERE question_id IN ({ids})) ORDER BY ALL""",
    ),
    (
        "life",
        "Stages",
        """SELECT o.stage, CASE WHEN o.unit = 'trajectory' THEN o.record_id ELSE o.unit END AS record,
                  o.outcome, o.route, nullif(o.reason, '') AS reason, nullif(o.detail, '') AS detail
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
        """SELECT d.question_id, d.question_id = d.representative AS represents, q.source, q.text
           FROM duplicates d LEFT JOIN questions q USING (question_id)
           WHERE d.cluster_id IN (SELECT cluster_id FROM duplicates WHERE question_id IN ({ids}))
           AND (SELECT count(*) FROM duplicates x WHERE x.cluster_id = d.cluster_id) > 1
           ORDER BY d.question_id""",
    ),
    (
        "near",
        "Questions that are nearly it",
        """SELECT p.verdict, CASE WHEN p.question_id IN ({ids}) THEN p.other ELSE p.question_id END AS other,
                  p.phash_bits, p.share
           FROM duplicate_pairs p WHERE p.question_id IN ({ids}) OR p.other IN ({ids}) ORDER BY ALL LIMIT 8""",
    ),
    (
        "benchmarks",
        "Benchmarks that it was found in",
        """SELECT benchmark, "by", bits, share, stopped
           FROM benchmark_hits WHERE question_id IN ({ids}) ORDER BY ALL""",
    ),
    (
        "doubts",
        "Doubts about its stored answer",
        """SELECT answer, agreeing, valid, families, contradicts, reached FROM suspicions WHERE question_id IN ({ids})
           ORDER BY ALL""",
    ),
    (
        "attempts",
        "Rollouts, and the rule or judge that graded them (coldforge show RUN ID)",
        """SELECT t.trajectory_id AS id, CASE WHEN t.purpose = 'gate' THEN t.mode ELSE 'teacher' END AS asked,
                  t.arm, t.sample, t.model,
                  CASE WHEN t.finish = 'answer' THEN t.verdict ELSE t.finish END AS ended,
                  CASE WHEN v.votes IS NOT NULL THEN 'judge: ' || array_to_string(v.votes, ', ') END AS "by",
                  t.answer
           FROM trajectories t LEFT JOIN votes v ON v.record_id = t.trajectory_id AND v.asked = 'answer'
           WHERE t.question_id IN ({ids})
           ORDER BY t.purpose, t.mode, t.arm, t.model, t.sample""",
    ),
    (
        "decisions",
        "Validators that are against an attempt; all others keep it",
        """SELECT d.trajectory_id AS id, d.filter, d.outcome, d.reason, d.score, k.n AS keep
           FROM decisions d JOIN trajectories t USING (trajectory_id)
           JOIN (SELECT trajectory_id, count(*) FILTER (outcome = 'keep') AS n FROM decisions GROUP BY ALL) k
             USING (trajectory_id)
           WHERE t.question_id IN ({ids}) AND d.outcome <> 'keep' ORDER BY d.trajectory_id, d.filter""",
    ),
    (
        "cost",
        "What it has cost: all its rollouts, whoever paid for them",
        """SELECT t.stage, t.arm, t.model, count(*) AS rollouts, sum(t.n_turns)::BIGINT AS turns,
                  sum(t.prompt_tokens)::BIGINT AS prompt_tokens, sum(t.completion_tokens)::BIGINT AS completion_tokens,
                  sum(t.prompt_tokens * p.prompt + t.completion_tokens * p.completion) / 1e6 AS list_price
           FROM trajectories t LEFT JOIN prices p USING (purpose, model)
           WHERE t.question_id IN ({ids}) AND t.arm <> 'long_cot'
           GROUP BY ALL ORDER BY t.stage, t.arm, t.model""",
    ),
)
"""Name, title and query of what is known about a question under its `ids`."""


def blobs_of(run: Path, store: Path | None) -> BlobStore:
    """Return where a run's pictures lie."""
    from pipeline.store.blobs import BlobStore

    return BlobStore((store if store is not None else run.parent / ".store") / "blobs")


def place(image: ImageRef, blobs: BlobStore) -> str:
    """Return where a picture lies, or that it does not."""
    path = blobs.path(image.sha256)
    return str(path) if path.exists() else f"{path} (not there: give the run's --store)"


def _image_line(image: ImageRef) -> str:
    made = f", the first of {image.frames} pictures" if image.frames > 1 else ""
    made += "" if image.scaling == "none" else f", scaled {image.scaling.replace('_', ' ')}"
    return f"{image.width}x{image.height} {image.mime} {image.sha256[:12]}{made}"


def _print_question(question: Question, life: Life, blobs: BlobStore) -> None:
    from pipeline.identity import canonical_json

    tolerance = f", within {question.tolerance:g} relative" if question.tolerance is not None else ""
    images = [f"{_image_line(image)}\n{place(image, blobs)}" for image in question.images]
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
    print_fields(lines)


def print_fields(lines: Sequence[tuple[str, str]]) -> None:
    """Print names and texts side by side."""
    width = max(12, *(len(name) + 1 for name, _ in lines)) if lines else 0
    for name, text in lines:
        print_line(f"{name:<{width}}" + text.replace("\n", "\n" + width * " "))
    print_line("")
