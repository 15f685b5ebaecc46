"""What other thresholds of the gates would give: the gates' own rules on the counts that a run has kept, and no model.

What was never asked cannot be told. Where a threshold depends on it, `regate` refuses and says what asks it; a
question that would newly reach gate 2 is counted apart, as one that was not asked with tools, and so is one that gate 1
would now ask further, because fewer than k have answered and those that are right are no longer too many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from filters.gates.rules import GateSettings, exhausted, gate1, gate2
from flows.ledger.query import query
from pipeline.errors import UsageError
from pipeline.records import ArmCount, GateCount

GateRule = Literal["count", "interval"]
EXAMPLES = 3
"""Ids of questions that change side: enough to look at with `coldforge show`."""
NOT_ASKED = "not asked with tools"
NOT_ASKED_FURTHER = "not asked further"


class Thresholds(NamedTuple):
    """What decides where the counts of a question lead; the names are those of `filters.gates.rules.GateSettings`."""

    max_plain_right: int
    min_tools_right: int
    min_valid: int
    max_right_without_call: int
    guess_floor: float
    rule: GateRule


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


@dataclass(frozen=True)
class Alike:
    """Questions with the same counts, which came the same way: a rule is asked about them once."""

    n: int
    examples: Sequence[str]
    """The first `EXAMPLES` of their ids."""
    stage: str
    route: str
    """Where they left the gates in the run."""
    tried: bool | None
    """Whether gate 2 decided on them; None where they did not reach it."""
    count: GateCount | None
    """None where gate 1 could not ask, or stopped before it."""
    fresh: ArmCount | None


_COUNTED = (
    *(
        "k",
        "plain_right",
        "plain_valid",
        "plain_malformed",
        "plain_limit",
        "plain_lost",
        "plain_unknown",
        "tools_right",
    ),
    *("tools_right_without_call", "tools_bad_format", "tools_limit", "tools_lost", "tools_unknown", "tools_valid"),
    *("saturated", "censored", "chance", "guess_floor"),
)
_ALIKE = f"""
SELECT one.outcome AS outcome1, one.route AS route1, one.reason AS reason1,
       two.outcome AS outcome2, two.route AS route2, two.reason AS reason2,
       {", ".join(f"g.{name}" for name in _COUNTED)}, f.n_right AS fresh_right, f.n_valid AS fresh_valid,
       count(*) AS n, list(one.question_id ORDER BY one.question_id)[:{EXAMPLES}] AS examples
FROM outcomes one
LEFT JOIN outcomes two ON two.stage = 'gate2' AND two.question_id = one.question_id
LEFT JOIN gates g ON g.question_id = one.question_id
LEFT JOIN arms f ON f.question_id = one.question_id AND f.arm = 'fresh'
WHERE one.stage = 'gate1' GROUP BY ALL
"""  # noqa: S608 - our own names
_BY_COUNTS = frozenset({"too_easy", "undecided"})
_BY_TOOLS = frozenset({"rl", "sft", "solved_without_call", "undecided"})
"""What the counts decide. Whatever else rejects a question (a judge, a stronger model) does so under any thresholds."""


def regate(run: Path, changes: Mapping[str, Any]) -> Regated:
    """Return the routes under other thresholds beside those of the run.

    Args:
        run: a run directory.
        changes: by the names of `Thresholds`; what is not given stays the run's own.

    Raises:
        UsageError: the run has no ledger or no gate yet, a threshold is out of range, or the rollouts that would
            tell were never asked.
    """
    found = query(run, "SELECT * FROM gate_settings").to_pylist()
    if not found:
        raise UsageError(f"{run} has not finished gate 1; `coldforge run` goes on with it")
    (about,) = found
    own = Thresholds(**{name: about[name] for name in Thresholds._fields})
    given = own._replace(**changes)
    _require_range(given, about["k"])
    settings = GateSettings(k=about["k"], **given._asdict())
    groups = alike(run)
    _require_asked(groups, settings)
    ways = [(group, (group.stage, group.route), way(group, settings)) for group in groups]
    before, after = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for group, was, becomes in ways:
        before[was] += group.n
        after[becomes] += group.n
    return Regated(
        own=own,
        given=given,
        routes=tuple(RouteCount(*place, before[place], after[place]) for place in sorted(before | after)),
        moves=_moves([(group, " ".join(was), " ".join(becomes)) for group, was, becomes in ways if was != becomes]),
    )


def alike(run: Path) -> Sequence[Alike]:
    """Return the questions that gate 1 was given, grouped by what was counted of them.

    Raises:
        UsageError: the run has no ledger.
    """
    return [_alike(row) for row in query(run, _ALIKE).to_pylist()]


def way(group: Alike, settings: GateSettings) -> tuple[str, str]:
    """Return the gate that such questions leave by under `settings`, and their route or the reason."""
    if group.count is None:
        return group.stage, group.route
    hard = gate1(group.count, settings)
    if hard.outcome == "unknown":
        return "gate1", hard.reason if exhausted(group.count) else NOT_ASKED_FURTHER
    if hard.outcome != "keep":
        return "gate1", hard.reason
    if group.stage == "gate1" and group.route not in _BY_COUNTS:
        return "gate1", group.route
    if group.tried is None:
        return "gate2", NOT_ASKED
    if not group.tried or group.route not in _BY_TOOLS:
        return "gate2", group.route
    routing = gate2(group.count, settings, group.fresh)
    return "gate2", routing.route or routing.decision.reason


def _alike(row: Mapping[str, Any]) -> Alike:
    stage, route = _own_way(row)
    question_id, counted = row["examples"][0], row["k"] is not None
    count = {name: row[name] for name in _COUNTED}
    return Alike(
        n=row["n"],
        examples=row["examples"],
        stage=stage,
        route=route,
        tried=None if row["outcome2"] is None else row["outcome2"] != "quarantined",
        count=GateCount(question_id=question_id, route=None, **count) if counted else None,
        fresh=None if row["fresh_valid"] is None else _fresh(question_id, row),
    )


def _fresh(question_id: str, row: Mapping[str, Any]) -> ArmCount:
    """Return a fresh arm of which only the counts are known: all that a rule reads."""
    right, valid = row["fresh_right"], row["fresh_valid"]
    blank = {"model": "", "max_pixels": 0, "asked": row["k"], "malformed": 0, "low": 0.0, "high": 1.0, "above": False}
    return ArmCount(question_id=question_id, arm="fresh", right=right, valid=valid, **blank)


def _own_way(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return where questions left the gates in the run; of those kept for other lanes, that they were easy."""
    outcome, route = row["outcome1"], row["route1"]
    if outcome != "kept":
        return "gate1", "quarantined" if outcome == "quarantined" else row["reason1"]
    if route != "next":
        return "gate1", "too_easy" if route in {"no_call", "plain_cot"} else route
    if row["outcome2"] is None:
        return "gate2", NOT_ASKED
    if row["outcome2"] == "kept":
        return "gate2", row["route2"]
    return "gate2", "quarantined" if row["outcome2"] == "quarantined" else row["reason2"]


def _moves(moved: Sequence[tuple[Alike, str, str]]) -> tuple[Move, ...]:
    sizes, examples = Counter[tuple[str, str]](), dict[tuple[str, str], list[str]]()
    for group, was, becomes in moved:
        sizes[was, becomes] += group.n
        examples.setdefault((was, becomes), []).extend(group.examples)
    order = sorted(sizes, key=lambda move: (-sizes[move], move))
    return tuple(Move(*move, sizes[move], sorted(examples[move])[:EXAMPLES]) for move in order)


def _require_range(given: Thresholds, k: int) -> None:
    if not 0 <= given.max_plain_right < k:
        raise UsageError(
            f"--max-plain-right {given.max_plain_right}: give 0 to {k - 1}; with k = {k} more would keep all"
        )
    if not 1 <= given.min_valid <= k:
        raise UsageError(f"--min-valid {given.min_valid}: give 1 to k = {k}, the rollouts that were asked")
    if not 1 <= given.min_tools_right <= k:
        raise UsageError(
            f"--min-tools-right {given.min_tools_right}: give 1 or more, up to k = {k}; no right answer is no help"
        )
    if not 0 <= given.max_right_without_call < k:
        raise UsageError(
            f"--max-right-without-call {given.max_right_without_call}: give 0 to {k - 1}; k = {k} were asked"
        )
    if not 0 < given.guess_floor <= 1:
        raise UsageError(f"--guess-floor {given.guess_floor:g}: give a share above 0, and 1 for no floor")


def _require_asked(groups: Sequence[Alike], given: GateSettings) -> None:
    """Refuse what depends on rollouts that were not asked."""
    counted = [(group, group.count) for group in groups if group.count is not None]
    stopped = [group for group, count in counted if count.censored and count.plain_right <= given.max_plain_right]
    if stopped:
        raise UsageError(
            f"--max-plain-right {given.max_plain_right}: early stop left rollouts of {_total(stopped)} questions "
            f"unasked that would tell ({_named(stopped)}); run again with `gate.early_stop: false`, which asks for "
            "them alone"
        )
    if given.rule == "count":
        return
    # Of what gate 2 did not ask, or could not, nothing is compared.
    survivors = [group for group, count in counted if _survives(group, count, given)]
    bare = [group for group in survivors if group.fresh is None]
    if bare:
        of = _total(survivors)
        raise UsageError(
            f"--rule interval compares with a fresh arm, which {of - _total(bare)} of {of} survivors have "
            f"(without: {_named(bare)}); run again with `gate.rule: interval` or `gate.fresh_share: 1`, which asks "
            "for the others"
        )


def _survives(group: Alike, count: GateCount, given: GateSettings) -> bool:
    stopped_otherwise = group.stage == "gate1" and group.route not in _BY_COUNTS
    return gate1(count, given).outcome == "keep" and not stopped_otherwise and bool(group.tried)


def _total(groups: Sequence[Alike]) -> int:
    return sum(group.n for group in groups)


def _named(groups: Sequence[Alike]) -> str:
    ids = sorted(identity for group in groups for identity in group.examples)[:EXAMPLES]
    return ", ".join(identity[:12] for identity in ids) + (", …" if _total(groups) > EXAMPLES else "")
