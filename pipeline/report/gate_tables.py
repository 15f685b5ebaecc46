"""The queries behind the tables about the gates: routes, counts, the arms beside them, and what tools are worth.

A table about an arm that was not asked has no rows.
"""

from __future__ import annotations

from pipeline.report.report import Report

_ROUTES = """
SELECT stage, outcome, CASE WHEN outcome = 'kept' THEN route ELSE reason END AS "route or reason", count(*) AS n,
       round(count(*) / sum(count(*)) OVER (PARTITION BY stage), 4) AS share
FROM outcomes JOIN stages USING (stage)
WHERE stage IN ('gate1', 'gate2')
GROUP BY stage, position, outcome, "route or reason" ORDER BY position, outcome, n DESC, "route or reason"
"""

_GATES = """
SELECT r AS "right",
       (SELECT count(*) FROM gates WHERE plain_right = r) AS gate1,
       (SELECT nullif(count(*), 0) FROM gates WHERE plain_right = r AND censored > 0) AS stopped_early,
       (SELECT count(*) FROM gates SEMI JOIN (FROM outcomes WHERE stage = 'gate2') USING (question_id)
        WHERE tools_right = r) AS gate2
FROM (SELECT unnest(range((SELECT max(greatest(plain_right, tools_right)) FROM gates) + 1)) AS r)
ORDER BY r
"""
"""Who was stopped early has at least so many right, and might have had more; null where early stopping is off."""

_ARMS = """
SELECT stage, arm, max_pixels, model, count(*) AS questions,
       round(sum(n_right) / nullif(sum(n_valid), 0), 4) AS right_share,
       round(count(*) FILTER (above) / count(*), 4) AS solved_share,
       round(wilson_low(count(*) FILTER (above), count(*)), 4) AS low,
       round(wilson_high(count(*) FILTER (above), count(*)), 4) AS high
FROM (
  SELECT a.*, CASE WHEN arm = 'blind' THEN coalesce(answerable_blind, false) ELSE n_right > max_plain_right END AS above
  FROM arms a CROSS JOIN gate_settings LEFT JOIN labels USING (question_id)
)
GROUP BY ALL ORDER BY stage, arm, max_pixels, model
"""
"""What is above the threshold is no longer hard; of the blind arm, it is what was rejected as answerable blind."""

_PLACEBO = """
WITH asked AS (
  SELECT g.*, f.n_right AS fresh_right, f.n_valid AS fresh_valid
  FROM gates g JOIN arms f ON f.question_id = g.question_id AND f.arm = 'fresh'
), compared AS (
  SELECT 1 AS line, 'placebo: again without tools, right' AS counted, fresh_right AS hits, fresh_valid AS valid,
         plain_right, plain_valid, guess_floor FROM asked
  UNION ALL
  SELECT 2, 'tools: right after a call', tools_right, tools_valid, plain_right, plain_valid, guess_floor FROM asked
  UNION ALL
  SELECT 3, 'tools: right, call or no call', tools_right + tools_right_without_call, tools_valid,
         plain_right, plain_valid, guess_floor FROM asked
), judged AS (
  SELECT line, counted, hits >= guess_floor AND hits * plain_valid > plain_right * valid AS passes FROM compared
)
SELECT counted, count(*) AS questions, count(*) FILTER (passes) AS passed,
       round(count(*) FILTER (passes) / count(*), 4) AS share,
       round(wilson_low(count(*) FILTER (passes), count(*)), 4) AS low,
       round(wilson_high(count(*) FILTER (passes), count(*)), 4) AS high
FROM judged GROUP BY line, counted ORDER BY line
"""
"""Gate 2's comparison of counts, on the same questions; the comparison itself is `filters.gates.rules.placebo`."""

_BENEFIT = """
SELECT count(*) AS questions, round(avg(benefit), 4) AS net_benefit,
       round(greatest(-1, avg(benefit) - student95(count(*) - 1) * stddev_samp(benefit) / sqrt(count(*))), 4) AS low,
       round(least(1, avg(benefit) + student95(count(*) - 1) * stddev_samp(benefit) / sqrt(count(*))), 4) AS high
FROM labels WHERE benefit IS NOT NULL HAVING count(*) > 0
"""
"""`filters.gates.benefit.net_benefit`; a single question has no interval."""

GATE_REPORTS = (
    Report("routes", "Routes of the gates", _ROUTES),
    Report("gates", "Questions by right rollouts: gate 1 without tools, gate 2 after a call", _GATES),
    Report("placebo", "What the comparison of counts sends to rl, on the same questions (95 %, Wilson)", _PLACEBO),
    Report("benefit", "Net benefit: right with tools minus right in the fresh arm (95 %, by question)", _BENEFIT),
    Report("arms", "Asked beside the gates, and the share of questions above the threshold (95 %, Wilson)", _ARMS),
)
