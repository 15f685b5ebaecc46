"""What held rollouts back that no reason names: limits that ended them, and searches that came back empty.

A reason is of a record; these are of its rollouts. Each sentence says what was measured beside what the run was set to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flows.ledger.query import query
from pipeline.amounts import counted
from pipeline.manifests import parse_yaml

_ENDED_BY: Mapping[str, str] = {
    "max_turns": "rollout.max_turns",
    "max_tokens": "rollout.max_completion_tokens",
    "max_time": "rollout.max_seconds",
    "length": "max_tokens or context_length of the model",
}
"""How a rollout ended → the limit that ended it."""

_LIMITS = """
WITH asked AS (SELECT stage, model, count(*) AS asked FROM trajectories GROUP BY ALL)
SELECT stage, model, finish, count(*) AS n, any_value(asked) AS asked, min(completion_tokens) AS least,
       max(completion_tokens) AS most, max(n_turns) AS turns
FROM trajectories JOIN asked USING (stage, model)
WHERE finish IN ('max_turns', 'max_tokens', 'max_time', 'length') GROUP BY ALL ORDER BY n DESC, stage, model, finish
"""
_EMPTY = """
WITH searched AS (
  SELECT DISTINCT trajectory_id FROM tool_calls WHERE purpose = 'synthesis' AND action IN ('search', 'image_search')
), empty AS (SELECT trajectory_id FROM decisions WHERE reason = 'empty_search')
SELECT (SELECT count(*) FROM searched) AS searched, count(*) AS empty, count(o.record_id) AS lost
FROM empty LEFT JOIN outcomes o ON o.record_id = trajectory_id AND o.stage = 'validate' AND o.outcome <> 'kept'
"""
_WITHHELD = """
SELECT reason, count(*) AS n, count(DISTINCT url) AS pages, count(DISTINCT question_id) AS questions,
       min(nullif(published, '')) AS first, max(nullif(published, '')) AS last
FROM dropped_hits GROUP BY reason ORDER BY n DESC, reason
"""


def strains(run: Path) -> list[str]:
    """Return what held rollouts of a run back, a sentence each, with settings in backticks; none where nothing did.

    Raises:
        UsageError: the run has no ledger.
    """
    # As the run wrote it, whole; another version of coldforge may know other fields.
    recipe = parse_yaml((run / "recipe.yaml").read_text("utf-8"))
    return [*_limits(run, recipe), *_searches(run, recipe)]


def _limits(run: Path, recipe: Any) -> Iterator[str]:
    for row in query(run, _LIMITS).to_pylist():
        yield (
            f"{row['n']:,} of {counted(row['asked'], 'rollout')} of {row['model']} in {row['stage']} ended by "
            f"{_setting(recipe, _ENDED_BY[row['finish']])}, with {row['least']:,} to {row['most']:,} tokens, in "
            f"{counted(row['turns'], 'message')} at most."
        )


def _searches(run: Path, recipe: Any) -> Iterator[str]:
    (found,) = query(run, _EMPTY).to_pylist()
    if found["empty"]:
        yield (
            f"{found['empty']:,} of {counted(found['searched'], 'attempt')} of teachers that searched met a search "
            f"that found nothing; of these {found['lost']:,} did not pass."
        )
    for row in query(run, _WITHHELD).to_pylist():
        yield (
            f"Withheld as {row['reason']}: {counted(row['n'], 'hit')} of searches, {counted(row['pages'], 'page')}, "
            f"met by {counted(row['questions'], 'question')}{_dates(recipe, row)}."
        )


def _dates(recipe: Any, row: Mapping[str, Any]) -> str:
    if row["reason"] != "after_as_of" or not row["first"]:
        return ""
    return f", published {row['first']} to {row['last']} ({_setting(recipe, 'search.as_of')})"


def _setting(recipe: Any, name: str) -> str:
    """Return a field of the recipe with its value; what is no field is said in words."""
    value = recipe
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return name
        value = value[part]
    return f"`{name}: {value}`"
