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
    """Or what the row held."""
    said: str
    """By the attempt; or what most rollouts of the stage said, and of a question that was too easy most right ones."""
    stored: str
    detail: str
    """Of the gates how many were right; else which filter decided, and what it measured; or the words of an error."""


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
    """All groups, the largest first."""
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

TOO_EASY = ("answerable_blind", "easy_for_stronger", "saturated", "solved_without_call", "too_easy")
"""Reasons of questions that were lost for being answered right."""

_EXAMPLES = f"""
WITH lost AS (
  SELECT * FROM outcomes WHERE outcome <> 'kept'
  QUALIFY row_number() OVER (PARTITION BY stage, unit, outcome, reason ORDER BY record_id) <= {EXAMPLES}
), asked AS (
  SELECT *, CASE WHEN reason = 'saturated' THEN 'gate2' ELSE stage END AS at,
         CASE reason WHEN 'answerable_blind' THEN 'blind' WHEN 'easy_for_stronger' THEN 'stronger' ELSE 'main'
         END AS arm,
         reason IN {TOO_EASY} AS easy
  FROM lost
), mostly AS (
  SELECT question_id, stage, CASE WHEN arm IN ('blind', 'stronger', 'pixels', 'fresh') THEN arm ELSE 'main' END AS arm,
         mode(answer) AS answer, mode(answer) FILTER (verdict = 'right') AS right_answer FROM trajectories
  WHERE question_id IN (SELECT question_id FROM lost) GROUP BY 1, 2, 3
), counted AS (
  SELECT question_id, 'gate1' AS stage, 'main' AS arm, plain_right || ' of ' || plain_valid || ' right' AS told
  FROM gates
  UNION ALL
  SELECT question_id, 'gate2', 'main', tools_right || ' of ' || tools_decided || ' right after a call, '
         || tools_right_without_call || ' without, ' || plain_right || ' of ' || plain_valid || ' without tools'
  FROM gates
  UNION ALL
  SELECT question_id, stage, arm, n_right || ' of ' || n_valid || ' right' FROM arms WHERE arm IN ('blind', 'stronger')
  UNION ALL
  SELECT question_id, 'synthesize', 'main', any_value(agreeing || ' of ' || valid || ' say ' || answer)
  FROM suspicions WHERE NOT reached GROUP BY question_id
)
SELECT l.stage, l.unit, l.outcome, l.reason, l.record_id, l.source, coalesce(e.answer_type, '') AS answer_type,
       e.text, l.payload, coalesce(t.answer, CASE WHEN l.easy THEN m.right_answer END, m.answer, '') AS said, e.answers,
       CASE WHEN c.told IS NOT NULL THEN concat_ws('; ', c.told, CASE WHEN l.reason = 'undecided' THEN l.detail END)
            WHEN l.score IS NOT NULL THEN printf('%s %g', l.detail, l.score)
            WHEN l.detail <> l.stage THEN l.detail ELSE '' END AS detail
FROM asked l LEFT JOIN every_question e ON e.question_id = l.question_id
LEFT JOIN trajectories t ON t.trajectory_id = l.record_id
LEFT JOIN mostly m ON m.question_id = l.question_id AND m.stage = l.at AND m.arm = l.arm
LEFT JOIN counted c ON c.question_id = l.question_id AND c.stage = l.at AND c.arm = l.arm AND l.unit = 'question'
ORDER BY l.record_id
"""  # noqa: S608 - a number and reasons of ours


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
        (row["stage"], row["reason"], row["n"], row["n"] / row["n_in"], cause(row["stage"], row["reason"]))
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
        hits=[Hit(**{name: hit[name] for name in Hit._fields}) for hit in hits[key]],
        examples=[_example(one) for one in examples[key]],
    )


def _example(row: Mapping[str, Any]) -> Example:
    stored = "; ".join(row["answers"]) if row["answers"] is not None else ""
    return Example(
        record_id=row["record_id"],
        source=row["source"],
        answer_type=row["answer_type"],
        question=row["text"] if row["text"] is not None else row_text(row["payload"]),
        said=row["said"],
        stored=stored,
        detail=row["detail"],
    )


def row_text(payload: str) -> str:
    """Return the text of a row, and of one that has none what it holds."""
    try:
        content = parse_json(payload)
    except ValueError:
        return payload
    text = content.get("text") if isinstance(content, dict) else None
    return text if isinstance(text, str) else payload
