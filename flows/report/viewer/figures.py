"""What the report shows beside the tables of `stats`: distributions, the shift that selection makes, and samples."""

from __future__ import annotations

from flows.report.queries import Report

_TURNS = (
    "SELECT stage, n_turns AS turns, count(*) AS rollouts FROM trajectories JOIN stages USING (stage) "
    "GROUP BY stage, position, n_turns ORDER BY position, n_turns"
)

_TOKENS = """
SELECT stage, 1 << CAST(floor(log2(completion_tokens)) AS INTEGER) AS at_least, count(*) AS rollouts
FROM trajectories JOIN stages USING (stage) WHERE completion_tokens > 0 AND arm <> 'long_cot'
GROUP BY stage, position, at_least ORDER BY position, at_least
"""
_SUMS_OF_TOKENS = """
SELECT stage, count(*) AS rollouts, sum(prompt_tokens)::BIGINT AS prompt_tokens,
       sum(completion_tokens)::BIGINT AS completion_tokens,
       quantile_disc(completion_tokens, 0.5) AS median_completion, max(completion_tokens) AS most_completion
FROM trajectories JOIN stages USING (stage) WHERE arm <> 'long_cot'
GROUP BY stage, position ORDER BY position
"""

_MIX_OF_SELECTED = """
SELECT route, field AS "by", value, n, share, ingested_share
FROM selection_mix WHERE stage = 'select' ORDER BY route, field, ingested_share DESC, value
"""

SAMPLES_EACH = 3
_SAMPLES = f"""
WITH last AS (
  SELECT record_id AS trajectory_id, any_value(question_id) AS question_id, arg_max(stage, position) AS stage,
         arg_max(outcome, position) AS outcome, arg_max(reason, position) AS reason
  FROM outcomes JOIN stages USING (stage) WHERE unit = 'trajectory' GROUP BY record_id
), first AS (
  FROM last QUALIFY row_number() OVER (PARTITION BY question_id, outcome ORDER BY trajectory_id) = 1
)
SELECT t.trajectory_id, q.category, q.source, l.outcome, l.stage, l.reason, q.text, t.answer, t.verdict, t.n_turns,
       q.images[1].sha256 AS picture, q.images[1].width AS width, q.images[1].height AS height
FROM first l JOIN trajectories t USING (trajectory_id) JOIN questions q ON q.question_id = t.question_id
QUALIFY row_number() OVER (PARTITION BY q.category, l.outcome ORDER BY t.trajectory_id) <= {SAMPLES_EACH}
ORDER BY l.outcome, q.category, t.trajectory_id
"""  # noqa: S608 - our own number
"""By id, which is a hash: as good as drawn by lot, and the same every time. Of a question one of each outcome."""

_PAIRS = (
    "SELECT verdict, count(*) AS pairs, min(question_id) AS example FROM duplicate_pairs GROUP BY verdict ORDER BY ALL"
)

FIGURES = (
    Report(
        "way",
        "Questions that each stage kept, by source and answer type",
        "SELECT * FROM way",
    ),
    Report(
        "teacher_yield",
        "Yield by source, answer type and teacher: what loses most first",
        "SELECT * FROM teacher_yield",
    ),
    Report(
        "validators",
        "Validators: only = no other is against it, so that relaxing it alone would recover it, if it replays",
        "SELECT * FROM validators",
    ),
    Report("turns", "Rollouts by number of turns", _TURNS),
    Report("tokens", "Rollouts by completion tokens, in powers of two", _TOKENS),
    Report("token_sums", "Tokens of all rollouts, whoever paid for them", _SUMS_OF_TOKENS),
    Report("selection_mix", "What the questions that select kept are of, beside what was ingested", _MIX_OF_SELECTED),
    Report("samples", "Attempts of the teachers, drawn by id", _SAMPLES),
    Report("duplicate_verdicts", "Pairs of questions that are one, or nearly", _PAIRS),
)
