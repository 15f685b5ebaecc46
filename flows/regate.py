"""What other thresholds of the gates would give, told from the rollouts that a run has kept: SQL, and no model.

What was never asked cannot be told. Where a threshold depends on it, `regate` refuses and says what asks it; a
question that would newly reach gate 2 is counted apart, as one that was not asked with tools.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pipeline.errors import UsageError
from pipeline.store.ledger import query

GateRule = Literal["count", "interval"]
EXAMPLES = 3
"""Ids of questions that change side: enough to look at with `coldforge show`."""
NOT_ASKED = "not asked with tools"


class Thresholds(NamedTuple):
    """What decides where the counts of a question lead; the names are those of `filters.gates.rules.GateSettings`."""

    max_plain_right: int
    min_tools_right: int
    """Right answers after a call that tools must have at least; more where guessing reaches as many."""
    min_valid: int
    max_right_without_call: int
    rule: GateRule


class Wanted(NamedTuple):
    """The same where only some are given."""

    max_plain_right: int | None = None
    min_tools_right: int | None = None
    min_valid: int | None = None
    max_right_without_call: int | None = None
    rule: GateRule | None = None


class RouteCount(NamedTuple):
    """Questions on one way out of a gate."""

    stage: str
    route: str
    """A route, or the reason of a rejection."""
    own: int
    """Under the thresholds of the run."""
    given: int
    """Under those asked about."""


class Move(NamedTuple):
    """Questions that change side."""

    was: str
    becomes: str
    n: int
    examples: Sequence[str]


class Regated(NamedTuple):
    """What other thresholds give."""

    own: Thresholds
    given: Thresholds
    routes: Sequence[RouteCount]
    moves: Sequence[Move]


# Whatever else rejected a question (a judge, a stronger model, a suspected answer) does so under any thresholds, but
# only where gate 1 lets it come so far. Gate 1 asks the blind arm first, and quarantines what it could not ask.
_ROUTED = """
WITH counted AS (
  SELECT one.question_id, one.outcome AS outcome1, one.route AS route1, one.reason AS reason1,
         two.outcome AS outcome2, two.route AS route2, two.reason AS reason2, g.* EXCLUDE (question_id, route),
         f.n_right AS fresh_right, f.n_valid AS fresh_valid
  FROM outcomes one
  LEFT JOIN outcomes two ON two.stage = 'gate2' AND two.question_id = one.question_id
  LEFT JOIN gates g ON g.question_id = one.question_id
  LEFT JOIN arms f ON f.question_id = one.question_id AND f.arm = 'fresh'
  WHERE one.stage = 'gate1'
), run AS (
  SELECT *, CASE WHEN outcome1 = 'kept' AND route1 = 'next' THEN 'gate2' ELSE 'gate1' END AS stage,
    CASE WHEN outcome1 = 'quarantined' THEN 'quarantined'
         WHEN outcome1 = 'rejected' THEN reason1
         WHEN route1 IN ('no_call', 'plain_cot') THEN 'too_easy'
         WHEN route1 <> 'next' THEN route1
         WHEN outcome2 IS NULL THEN '{not_asked}'
         WHEN outcome2 = 'quarantined' THEN 'quarantined'
         WHEN outcome2 = 'rejected' THEN reason2
         ELSE route2 END AS route
  FROM counted
), hard AS (
  SELECT *,
    CASE WHEN k IS NULL THEN route
         WHEN plain_right > {max_plain_right} THEN 'too_easy'
         WHEN plain_valid < {min_valid} OR plain_right + k - plain_valid > {max_plain_right} THEN 'too_few_valid'
         WHEN stage = 'gate1' AND route NOT IN ('too_easy', 'too_few_valid') THEN route END AS stopped
  FROM run
), helped AS (
  SELECT *,
    CASE WHEN outcome2 IS NULL THEN '{not_asked}'
         WHEN outcome2 = 'quarantined'
              OR route NOT IN ('rl', 'sft', 'solved_without_call', 'unresolved_format', 'too_few_valid') THEN route
         WHEN tools_right >= greatest({min_tools_right}, guess_floor) AND {raised} THEN 'rl'
         WHEN tools_right_without_call > {max_right_without_call} THEN 'solved_without_call'
         WHEN 2 * tools_bad_format > k THEN 'unresolved_format'
         WHEN tools_valid + tools_limit < {min_valid} THEN 'too_few_valid'
         ELSE 'sft' END AS left_by
  FROM hard
), routed AS (
  SELECT question_id, censored, plain_right, plain_valid, outcome2, fresh_valid, stage AS own_stage, route AS own_route,
         CASE WHEN stopped IS NULL THEN 'gate2' ELSE 'gate1' END AS given_stage,
         coalesce(stopped, left_by) AS given_route
  FROM helped
)
"""
_RAISED: Mapping[GateRule, str] = {
    "count": "tools_right * plain_valid > plain_right * tools_valid",
    "interval": "newcombe_low(tools_right, tools_valid, fresh_right, fresh_valid) > 0",
}
_COUNTS = """
SELECT stage, route, sum(own)::BIGINT AS own, sum(given)::BIGINT AS given
FROM (SELECT own_stage AS stage, own_route AS route, 1 AS own, 0 AS given FROM routed
      UNION ALL SELECT given_stage, given_route, 0, 1 FROM routed)
GROUP BY ALL ORDER BY stage, route
"""
_MOVES = """
SELECT own_stage || ' ' || own_route AS was, given_stage || ' ' || given_route AS becomes, count(*) AS n,
       list(question_id ORDER BY question_id)[:{examples}] AS examples
FROM routed WHERE (own_stage, own_route) <> (given_stage, given_route)
GROUP BY ALL ORDER BY n DESC, was, becomes
"""


def routed_sql(thresholds: Thresholds) -> str:
    """Return the common table `routed`: where each question of gate 1 went, and where these thresholds lead it."""
    fields = {**thresholds._asdict(), "raised": _RAISED[thresholds.rule], "not_asked": NOT_ASKED}
    return _ROUTED.format(**fields)


def regate(run: Path, wanted: Wanted) -> Regated:
    """Return the routes under other thresholds beside those of the run; what is not given stays the run's own.

    Raises:
        UsageError: the run has no ledger or no gate yet, a threshold is out of range, or the rollouts that would
            tell were never asked.
    """
    settings = query(run, "SELECT * FROM gate_settings").to_pylist()
    if not settings:
        raise UsageError(f"{run} has not finished gate 1; `coldforge run` goes on with it")
    (about,) = settings
    own = Thresholds(
        max_plain_right=about["max_plain_right"],
        min_tools_right=1,
        min_valid=about["min_valid"],
        max_right_without_call=about["max_right_without_call"],
        rule=about["rule"],
    )
    given = own._replace(**{name: value for name, value in wanted._asdict().items() if value is not None})
    _require_range(given, about["k"])
    _require_asked(run, given)
    routed = routed_sql(given)
    return Regated(
        own=own,
        given=given,
        routes=tuple(RouteCount(**row) for row in query(run, routed + _COUNTS).to_pylist()),
        moves=tuple(Move(**row) for row in query(run, routed + _MOVES.format(examples=EXAMPLES)).to_pylist()),
    )


def _require_range(given: Thresholds, k: int) -> None:
    if not 0 <= given.max_plain_right < k:
        raise UsageError(f"--max-plain {given.max_plain_right}: give 0 to {k - 1}; with k = {k} more would keep all")
    if not 1 <= given.min_valid <= k:
        raise UsageError(f"--min-valid {given.min_valid}: give 1 to k = {k}, the rollouts that were asked")
    if given.min_tools_right < 1:
        raise UsageError(f"--min-tools {given.min_tools_right}: give 1 or more; no right answer is no help")
    if given.max_right_without_call < 0:
        raise UsageError(f"--max-without-call {given.max_right_without_call}: give 0 or more")


class _Hidden(NamedTuple):
    n: int
    of: int
    examples: str


def _require_asked(run: Path, given: Thresholds) -> None:
    """Refuse what depends on rollouts that were not asked."""
    stopped = _hidden(run, given, f"censored > 0 AND plain_right <= {given.max_plain_right}", "true")
    if stopped.n:
        raise UsageError(
            f"--max-plain {given.max_plain_right}: early stop left rollouts of {stopped.n} questions unasked that "
            f"would tell ({stopped.examples}); run again with `gate.early_stop: false`, which asks for them alone"
        )
    if given.rule == "count":
        return
    # Of what gate 2 could not ask, nothing is compared.
    survives = "given_stage = 'gate2' AND outcome2 <> 'quarantined'"
    bare = _hidden(run, given, f"{survives} AND fresh_valid IS NULL", survives)
    if bare.n:
        raise UsageError(
            f"--rule interval compares with a fresh arm, which {bare.of - bare.n} of {bare.of} survivors have "
            f"(without: {bare.examples}); run again with `gate.rule: interval` or `gate.fresh_share: 1`, which asks "
            "for the others"
        )


def _hidden(run: Path, given: Thresholds, hidden: str, among: str) -> _Hidden:
    sql = f"""
SELECT count(*) FILTER ({hidden}) AS n, count(*) FILTER ({among}) AS of,
       (list(left(question_id, 12) ORDER BY question_id) FILTER ({hidden}))[:{EXAMPLES}] AS examples FROM routed
"""  # noqa: S608 - our own conditions
    (row,) = query(run, routed_sql(given) + sql).to_pylist()
    more = ", …" if row["n"] > EXAMPLES else ""
    return _Hidden(row["n"], row["of"], ", ".join(row["examples"] or ()) + more)
