"""The queries behind the tables of `coldforge stats`.

A table about an arm that was not asked has no rows.
"""

from __future__ import annotations

from typing import NamedTuple


class Report(NamedTuple):
    """One table about a run."""

    name: str
    title: str
    sql: str


_FUNNEL_SQL = """
WITH seen AS (
  SELECT s.position, o.question_id,
         bool_or(o.unit = 'question' AND o.outcome = 'kept' AND o.route <> 'next') AS elsewhere
  FROM outcomes o JOIN stages s USING (stage) GROUP BY ALL
), latest AS (
  SELECT s.position, e.question_id, max(e.position) AS before
  FROM stages s JOIN seen e ON e.position < s.position GROUP BY ALL
), past AS (
  SELECT l.position, count(*) AS n
  FROM latest l
  JOIN seen e ON e.question_id = l.question_id AND e.position = l.before AND e.elsewhere
  ANTI JOIN seen here ON here.question_id = l.question_id AND here.position = l.position
  GROUP BY ALL
), spent AS (
  SELECT stage, sum(cpu_seconds) AS cpu FROM cost GROUP BY stage
), counted AS (
  SELECT stage, o.unit, count(*) AS n_in,
         count(*) FILTER (outcome = 'kept') AS kept,
         count(*) FILTER (outcome = 'rejected') AS rejected,
         count(*) FILTER (outcome = 'quarantined') AS quarantined,
         row_number() OVER (PARTITION BY stage ORDER BY o.unit) AS line
  FROM outcomes o GROUP BY stage, o.unit
)
SELECT s.stage, c.unit, c.n_in, c.kept, c.rejected, c.quarantined,
       CASE WHEN c.line = 1 THEN coalesce(p.n, 0) END AS past,
       c.kept / c.n_in AS pass_rate,
       CASE WHEN c.line = 1 THEN x.cpu END AS cpu_seconds
FROM stages s JOIN counted c USING (stage) LEFT JOIN past p USING (position) LEFT JOIN spent x USING (stage)
ORDER BY s.position, c.unit
"""
"""What was routed past a stage: questions that were last kept under a route of their own (rl, sft) and that the
stage did not see. Past and CPU seconds belong to the stage, so they stand in its first line only."""

FUNNEL = Report("funnel", "Funnel: in = kept + rejected + quarantined; past = routed elsewhere", _FUNNEL_SQL)

_SHIFT = """
SELECT stage, nullif(route, '') AS route, any_value(questions) AS questions,
       max(distance) FILTER (field = 'source') AS source, max(distance) FILTER (field = 'category') AS category,
       max(distance) FILTER (field = 'answer_type') AS answer_type, max(by_chance) AS by_chance,
       arg_max(most, abs(change)) AS most, nullif(arg_max(change, abs(change)), 0) AS change
FROM selection_shift JOIN stages USING (stage) WHERE stage <> 'ingest'
GROUP BY stage, route, position ORDER BY position, route
"""

_NEAR_TEXTS = """
SELECT CASE answers WHEN 'contradict' THEN 'differ' ELSE answers END AS answers, dropped, count(*) AS pairs,
       avg(share) AS mean_share, min(question_id) AS example
FROM near_texts GROUP BY ALL ORDER BY ALL
"""
"""Of two questions that only read alike, other answers are no contradiction."""

_BENCHMARK_HITS = """
SELECT benchmark, "by", stopped, count(*) AS questions, min(bits) AS nearest_bits, min(question_id) AS example
FROM benchmark_hits GROUP BY ALL ORDER BY ALL
"""

_COST = """
SELECT c.stage, sum(c.wall_seconds) AS wall_seconds, sum(c.cpu_seconds) AS cpu_seconds,
       sum(c.model_calls)::BIGINT AS model_calls, sum(c.search_calls)::BIGINT AS search_calls,
       sum(c.cells)::BIGINT AS cells, sum(c.cached_calls)::BIGINT AS cached_calls
FROM cost c LEFT JOIN stages s USING (stage)
GROUP BY c.stage, s.position ORDER BY s.position NULLS LAST, c.stage
"""
"""A stage that stopped has spent, too, though the ledger has nothing else of it."""

_MIX = """
SELECT CASE WHEN k.lane = 'tools' THEN k.category ELSE k.lane END AS teaches, count(*) AS n_rows,
       count(*) / sum(count(*)) OVER () AS share, sum(k.loss_tokens)::BIGINT AS loss_tokens,
       sum(k.loss_tokens) / nullif(sum(sum(k.loss_tokens)) OVER (), 0) AS token_share
FROM keys k JOIN outcomes o ON o.stage = 'select' AND o.record_id = k.trajectory_id AND o.outcome = 'kept'
GROUP BY ALL ORDER BY n_rows DESC, teaches
"""

_REPLAYS = """
SELECT made_by, verdict, count(*) AS trajectories, count(*) FILTER (cells > 0) AS executed,
       count(*) FILTER (cells > 0) / count(*) AS executed_share
FROM replays GROUP BY ALL ORDER BY ALL
"""

_DROPPED = """
SELECT d.tool, d.reason, count(*) AS hits, count(DISTINCT d.url) AS pages, count(DISTINCT d.trajectory_id) AS rollouts,
       count(DISTINCT d.question_id) AS questions, min(d.url) AS example
FROM dropped_hits d GROUP BY ALL ORDER BY hits DESC, tool, reason
"""

_COST_TITLE = (
    "Cost over all invocations: calls paid for, and calls answered from the store. "
    "An invocation that was killed is not counted, though calls it paid for are in the store"
)

_COST_PER_ROW_TITLE = (
    "Cost per accepted row: tokens and list price of all rollouts of a group, whoever paid for them. "
    "The gates of a question count for each teacher that was asked it"
)

COST_PER_ROW = Report("cost_per_row", _COST_PER_ROW_TITLE, "SELECT * FROM cost_per_row")

_ROUTES = """
SELECT stage, outcome, CASE WHEN outcome = 'kept' THEN route ELSE reason END AS "route or reason", count(*) AS n,
       count(*) / sum(count(*)) OVER (PARTITION BY stage) AS share
FROM outcomes JOIN stages USING (stage)
WHERE stage IN ('gate1', 'gate2')
GROUP BY stage, position, outcome, "route or reason" ORDER BY position, outcome, n DESC, "route or reason"
"""

_GATES = """
SELECT r AS "right",
       (SELECT count(*) FROM gates WHERE plain_right = r) AS gate1,
       (SELECT nullif(count(*), 0) FROM gates WHERE plain_right = r AND censored > 0) AS stopped_early,
       (SELECT CASE WHEN count(*) > 0 THEN count(*) FILTER (n_right = r) END FROM arms WHERE arm = 'fresh') AS placebo,
       (SELECT count(*) FROM gates SEMI JOIN (FROM outcomes WHERE stage = 'gate2') USING (question_id)
        WHERE tools_right = r) + (SELECT max(0) FROM stages WHERE stage = 'gate2') AS gate2
FROM (SELECT unnest(range((SELECT max(k) FROM gates) + 1)) AS r)
ORDER BY r
"""
"""Who was stopped early has at least so many right, and might have had more; null where early stopping is off. The
placebo is the arm `fresh`, null where it was not asked: what survived gate 1, asked once more without tools. Of a
gate 2 that has not run there is no number: the greatest of no zero is null."""

_ARMS = """
SELECT stage, arm, max_pixels, model, count(*) AS questions,
       sum(n_right) / nullif(sum(n_valid), 0) AS right_share,
       count(*) FILTER (above) / count(*) AS solved_share,
       wilson_low(count(*) FILTER (above), count(*)) AS low,
       wilson_high(count(*) FILTER (above), count(*)) AS high
FROM arms
GROUP BY ALL ORDER BY stage, arm, max_pixels, model
"""
"""What is above the threshold is no longer hard; of the blind arm, it is what was rejected as answerable blind."""

_PLACEBO = """
WITH asked AS (
  SELECT g.*, f.n_right AS fresh_right, f.n_valid AS fresh_valid, greatest(guess_floor, min_tools_right) AS least,
         min_valid
  FROM gates g JOIN arms f ON f.question_id = g.question_id AND f.arm = 'fresh'
  CROSS JOIN (SELECT min_tools_right, min_valid FROM gate_settings)
), compared AS (
  SELECT 1 AS line, 'placebo: again without tools, right' AS counted, fresh_right AS hits, fresh_valid AS told,
         fresh_valid AS valid, * FROM asked
  UNION ALL
  SELECT 2, 'tools: right after a call', tools_right, tools_decided, tools_valid, * FROM asked
  UNION ALL
  SELECT 3, 'tools: right, call or no call', tools_right + tools_right_without_call, tools_decided, tools_valid, *
  FROM asked
), judged AS (
  SELECT line, counted, valid >= min_valid AND more_often(hits, told, plain_right, plain_valid, least) AS passes
  FROM compared
)
SELECT counted, count(*) AS questions, count(*) FILTER (passes) AS passed,
       count(*) FILTER (passes) / count(*) AS share,
       wilson_low(count(*) FILTER (passes), count(*)) AS low,
       wilson_high(count(*) FILTER (passes), count(*)) AS high
FROM judged GROUP BY line, counted ORDER BY line
"""
"""Gate 2's comparison of counts, on the same questions."""

_BENEFIT = """
WITH counted AS (
  SELECT count(*) AS questions, avg(benefit) AS mean,
         student95(nullif(count(*) - 1, 0)) * stddev_samp(benefit) / sqrt(count(*)) AS half
  FROM labels WHERE benefit IS NOT NULL HAVING count(*) > 0
)
SELECT questions, mean AS net_benefit,
       CASE WHEN half IS NOT NULL THEN greatest(-1, mean - half) END AS low,
       CASE WHEN half IS NOT NULL THEN least(1, mean + half) END AS high
FROM counted
"""
"""`filters.gates.benefit.net_benefit`; a single question has no interval."""

_WITHOUT_ANSWER = """
SELECT stage, kind, count(*) AS questions, sum(n)::BIGINT AS rollouts,
       count(*) FILTER (outcome = 'rejected' AND reason = 'undecided') AS undecided, min(question_id) AS example
FROM outcomes JOIN stages USING (stage) JOIN (
  UNPIVOT (
    SELECT question_id, 'gate1' AS stage, plain_malformed AS malformed, plain_limit AS "limit", plain_lost AS lost,
           plain_unknown AS unknown FROM gates
    UNION ALL
    SELECT question_id, 'gate2', tools_bad_format, tools_limit, tools_lost, tools_unknown FROM gates
  ) ON malformed, "limit", lost, unknown INTO NAME kind VALUE n
) USING (question_id, stage)
WHERE n > 0
GROUP BY stage, position, kind ORDER BY position, rollouts DESC, kind
"""
"""Of the main arms: those beside them decide nothing by what has no answer."""

_FLOOR = """
SELECT chance, guess_floor AS floor, k, count(*) AS questions,
       count(*) FILTER (by_floor) AS sent_to_teachers, min(question_id) FILTER (by_floor) AS example
FROM gates SEMI JOIN (FROM outcomes WHERE stage = 'gate2') USING (question_id)
WHERE chance > 0 GROUP BY ALL ORDER BY chance
"""

_HELP = """
WITH counted AS (
  SELECT sum(tools_right)::BIGINT AS helped, sum(tools_right_uninformed)::BIGINT AS useless,
         sum(tools_right_without_call)::BIGINT AS unhelped FROM gates
), listed AS (
  SELECT 1 AS line, 'a call that could have carried the answer' AS "right after", helped AS n FROM counted
  UNION ALL SELECT 2, 'calls that showed nothing of use', useless FROM counted
  UNION ALL SELECT 3, 'no call', unhelped - useless FROM counted
)
SELECT "right after", n AS rollouts, n / nullif(sum(n) OVER (), 0) AS share FROM listed
WHERE (SELECT helped + unhelped FROM counted) > 0 ORDER BY line
"""
"""`filters.informed`: of a call that failed, or that printed own words, sizes or versions, an answer cannot come."""

_UNJUDGED = """
SELECT q.source, count(*) AS answers, count(*) FILTER (t.verdict = 'unjudged') AS unjudged,
       count(*) FILTER (t.verdict = 'unjudged') / count(*) AS share
FROM trajectories t JOIN questions q USING (question_id) WHERE t.finish = 'answer'
GROUP BY q.source HAVING count(*) FILTER (t.verdict = 'unjudged') > 0 ORDER BY share DESC, q.source
"""
_RIGHTS = """
SELECT stage, reason, category, count(*) AS records, min(record_id) AS example
FROM outcomes JOIN stages USING (stage)
WHERE reason IN ('person_identity', 'personal_data', 'tombstone', 'image_withheld')
GROUP BY stage, position, reason, category ORDER BY position, reason, category
"""
RIGHTS = Report("rights", "Left out for the rights of others (docs/rights.md)", _RIGHTS)

_PERSONAL_DATA = """
SELECT kind, field, count(*) AS records, sum(n)::BIGINT AS times, min(record_id) AS example
FROM personal_data GROUP BY kind, field ORDER BY kind, field
"""

UNJUDGED = Report(
    "unjudged",
    "Answers that no rule decides, and nobody is named to judge: counted as not right (models.judge)",
    _UNJUDGED,
)

ENDINGS = Report(
    "endings",
    "How rollouts ended, and one of each (coldforge show RUN ID)",
    "SELECT stage, arm, model, finish, nullif(cause, '') AS cause, n, share, example, detail FROM endings",
)

_SHIFT_TITLE = (
    "Selection shift: total variation from what was ingested to what a stage kept, in %; what a blind draw of as many "
    "would give of whichever field it gives most; and the value whose share changed most"
)

GATE_REPORTS = (
    Report("routes", "Routes of the gates", _ROUTES),
    Report("gates", "Questions by right rollouts: gate 1 and placebo without tools, gate 2 after a call", _GATES),
    Report(
        "without_answer", "Rollouts of the gates without a graded answer, and what they left undecided", _WITHOUT_ANSWER
    ),
    Report("guess_floor", "Easily guessed questions: right as often as RL asks, but below the guess floor", _FLOOR),
    Report("help", "Right rollouts with tools at gate 2, by what calls had shown before", _HELP),
    Report("placebo", "What the comparison of counts sends to rl, on the same questions (95 %, Wilson)", _PLACEBO),
    Report("benefit", "Net benefit: right with tools minus right in the fresh arm (95 %, by question)", _BENEFIT),
    UNJUDGED,
    Report("arms", "Asked beside the gates, and the share of questions above the threshold (95 %, Wilson)", _ARMS),
)

REPORTS = (
    FUNNEL,
    Report("reasons", "Why records stopped", "SELECT stage, unit, outcome, reason, n, example FROM reasons"),
    Report("selection_shift", _SHIFT_TITLE, _SHIFT),
    RIGHTS,
    Report("personal_data", "Personal data in questions and trajectories, by pattern and checksum", _PERSONAL_DATA),
    Report("near_texts", "Questions over one picture, or without any, that read nearly alike", _NEAR_TEXTS),
    Report("benchmark_hits", "What of which benchmark was found", _BENCHMARK_HITS),
    *GATE_REPORTS,
    ENDINGS,
    Report("yield_by_teacher", "Yield by teacher and lane", "SELECT * FROM yield_by_teacher"),
    Report("mix", "What select kept for SFT: tool rows by category, other lanes by name", _MIX),
    Report("tool_mix", "Tool calls", "SELECT * FROM tool_mix"),
    Report("dropped_hits", "Hits of searches that no rollout was shown", _DROPPED),
    Report("execution", "Rollouts with tools: those that executed at least one cell", "SELECT * FROM execution"),
    Report("replays", "Trajectories executed again, and those of them with at least one cell", _REPLAYS),
    Report("cost", _COST_TITLE, _COST),
    COST_PER_ROW,
    Report("shards", "Exports", "SELECT * FROM shards ORDER BY ALL"),
)
