"""Where records are lost: reasons with what usually causes them, whom they hit, and examples to look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flows.ledger.query import query
from flows.report.causes import LARGE_ROWS, LARGE_SHARE, cause
from flows.report.tables import Table, query_table
from pipeline.errors import UsageError
from pipeline.identity import parse_json

EXAMPLES = 3
"""Of each reason: enough to see what they share."""
GROUPS = 3
"""Groups that a reason hits, the largest first."""
WORDS = 60
"""Characters of a question: by them a person knows which it is."""
ANSWER = 32
"""Characters of an answer that is said or stored."""


class Hit(NamedTuple):
    """How much of one group a reason took."""

    source: str
    answer_type: str
    """As ingested; empty of a row that is no question."""
    teacher: str
    """Empty of questions."""
    n: int
    n_in: int


class Example(NamedTuple):
    """A record that was lost."""

    record_id: str
    source: str
    answer_type: str
    question: str
    """First words, or what the row held."""
    said: str
    """By the attempt, or what most rollouts of the stage said."""
    stored: str
    detail: str
    """Which filter, and what it measured; or the words of an error."""


class Loss(NamedTuple):
    """Records of one stage that stopped for one reason."""

    stage: str
    unit: str
    outcome: str
    reason: str
    n: int
    n_in: int
    """Records of the unit that went into the stage."""
    cause: str
    hits: Sequence[Hit]
    examples: Sequence[Example]

    @property
    def share(self) -> float:
        """Return the share of what went in."""
        return self.n / self.n_in

    @property
    def large(self) -> bool:
        """Return whether it is worth a sentence wherever the funnel is printed."""
        return self.n >= LARGE_ROWS and self.share >= LARGE_SHARE


_COUNTED = """
WITH went AS (SELECT stage, unit, count(*) AS n_in FROM outcomes GROUP BY ALL)
SELECT r.stage, r.unit, r.outcome, r.reason, r.n, w.n_in FROM reasons r JOIN went w USING (stage, unit)
"""

_HITS = """
WITH records AS (
  SELECT o.stage, o.unit, o.outcome, o.reason, o.source, coalesce(e.ingested_type, '') AS answer_type,
         coalesce(t.model, '') AS teacher
  FROM outcomes o LEFT JOIN every_question e ON e.question_id = o.question_id
  LEFT JOIN trajectories t ON t.trajectory_id = o.record_id
), groups AS (
  SELECT stage, unit, source, answer_type, teacher, count(*) AS n_in FROM records GROUP BY ALL
)
SELECT r.stage, r.unit, r.outcome, r.reason, source, answer_type, teacher, count(*) AS n, any_value(g.n_in) AS n_in
FROM records r JOIN groups g USING (stage, unit, source, answer_type, teacher)
WHERE r.outcome <> 'kept' GROUP BY ALL ORDER BY n DESC, source, answer_type, teacher
"""

_EXAMPLES = f"""
WITH lost AS (
  SELECT * FROM outcomes WHERE outcome <> 'kept'
  QUALIFY row_number() OVER (PARTITION BY stage, unit, outcome, reason ORDER BY record_id) <= {EXAMPLES}
), mostly AS (
  SELECT question_id, stage, mode(answer) AS answer FROM trajectories
  WHERE question_id IN (SELECT question_id FROM lost) AND arm NOT IN ('blind', 'pixels', 'fresh') GROUP BY ALL
)
SELECT l.stage, l.unit, l.outcome, l.reason, l.record_id, l.source, coalesce(e.answer_type, '') AS answer_type,
       e.text, l.payload, coalesce(t.answer, m.answer, '') AS said, e.answers,
       l.detail || CASE WHEN l.score IS NULL THEN '' ELSE printf(' %g', l.score) END AS detail
FROM lost l LEFT JOIN every_question e ON e.question_id = l.question_id
LEFT JOIN trajectories t ON t.trajectory_id = l.record_id
LEFT JOIN mostly m ON m.question_id = l.question_id AND m.stage = l.stage
ORDER BY l.record_id
"""  # noqa: S608 - a number of ours


def losses(run: Path, stage: str | None = None) -> Sequence[Loss]:
    """Return why records of a run, or of one stage, stopped: what takes most first.

    Raises:
        UsageError: the run has no ledger, or no such stage.
    """
    known = [str(name) for (name,) in query_table(run, "SELECT stage FROM stages ORDER BY position").rows]
    if stage is not None and stage not in known:
        raise UsageError(f"--stage {stage}: stages of {run} are {', '.join(known)}")
    hits, examples = _by_reason(run, _HITS), _by_reason(run, _EXAMPLES)
    found = [_loss(row, hits, examples) for row in query(run, _COUNTED).to_pylist()]
    chosen = [loss for loss in found if stage in {None, loss.stage}]
    return sorted(chosen, key=lambda loss: (-loss.n, known.index(loss.stage), loss.reason))


def large_losses(run: Path) -> Table:
    """Return the losses that are large for their stage with what usually causes each, in the order of the stages.

    Raises:
        UsageError: the run has no ledger.
    """
    rows = [row for row in query(run, _COUNTED).to_pylist() if _is_large(row)]
    told = [
        (row["stage"], row["reason"], row["n"], round(row["n"] / row["n_in"], 4), cause(row["stage"], row["reason"]))
        for row in rows
    ]
    title = f"Losses of {LARGE_SHARE:.0%} of a stage or more, and what usually causes them (coldforge why RUN)"
    return Table("large_losses", title, ("stage", "reason", "n", "share", "usually"), tuple(told))


def _is_large(row: Mapping[str, Any]) -> bool:
    return bool(row["n"] >= LARGE_ROWS and row["n"] / row["n_in"] >= LARGE_SHARE)


_KEY = ("stage", "unit", "outcome", "reason")


def _by_reason(run: Path, sql: str) -> Mapping[tuple[str, ...], Sequence[Mapping[str, Any]]]:
    found = defaultdict[tuple[str, ...], list[Mapping[str, Any]]](list)
    for row in query(run, sql).to_pylist():
        found[tuple(row[name] for name in _KEY)].append(row)
    return found


def _loss(
    row: Mapping[str, Any],
    hits: Mapping[tuple[str, ...], Sequence[Mapping[str, Any]]],
    examples: Mapping[tuple[str, ...], Sequence[Mapping[str, Any]]],
) -> Loss:
    key = tuple(row[name] for name in _KEY)
    return Loss(
        **row,
        cause=cause(row["stage"], row["reason"]),
        hits=[Hit(**{name: hit[name] for name in Hit._fields}) for hit in hits[key][:GROUPS]],
        examples=[_example(one) for one in examples[key]],
    )


def _example(row: Mapping[str, Any]) -> Example:
    stored = "; ".join(row["answers"]) if row["answers"] is not None else ""
    return Example(
        record_id=row["record_id"],
        source=row["source"],
        answer_type=row["answer_type"],
        question=_cut(row["text"] if row["text"] is not None else row_text(row["payload"]), WORDS),
        said=_cut(row["said"], ANSWER),
        stored=_cut(stored, ANSWER),
        detail=_cut(row["detail"], WORDS),
    )


def row_text(payload: str) -> str:
    """Return the text of a row, and of one that has none what it holds."""
    try:
        content = parse_json(payload)
    except ValueError:
        return payload
    text = content.get("text") if isinstance(content, dict) else None
    return text if isinstance(text, str) else payload


def _cut(text: str, length: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= length else f"{flat[: length - 1]}…"
