"""The figures of the stage at work: how far it is, how fast, what is in flight, what failed and what it has cost.

Whoever does something counts it where it is done; here the counts are read, from any thread and without a lock.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, ConfigDict

from flows.run.rates import BASIS, Rate, seconds_left

if TYPE_CHECKING:  # the engine loads Arrow; whoever shows figures does not need it
    from flows.asking.resources import Resources
    from pipeline.engine.units import UnitResult


class InFlight(NamedTuple):
    """Calls of one role that are made now."""

    role: str
    calls: int
    limit: int | None
    """None: of a model without one, such as the embedded reader or a batch API."""


class Figures(BaseModel):
    """Of one stage at one moment, since it began in this invocation where nothing else is said."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    stage: str
    rows: int
    """That go in."""
    done: int = 0
    """Of them: whose outcome is known, in units that are not committed yet, too."""
    reused: int = 0
    """Of those: rows that an earlier invocation was done with."""
    outcomes: Mapping[str, int] = {}
    """Outcome → rows, of the units that are committed."""
    seconds: float = 0.0
    rollouts: int = 0
    """Graded."""
    paid: int = 0
    """Model calls."""
    stored: int = 0
    """Model calls that were answered from the store."""
    rows_per_second: float | None = None
    """Lately, see `flows.run.rates`; None: there is no basis."""
    calls_per_second: float | None = None
    """Model calls paid for, in the last minute."""
    seconds_left: float | None = None
    """At the rate of rows."""
    in_flight: tuple[InFlight, ...] = ()
    """By role that the stage asks."""
    sessions: int = 0
    """Of the sandbox, open now."""
    capacity: int = 0
    """Sessions that can be open at once."""
    failed: Mapping[str, Mapping[str, int]] = {}
    """Role, or `search` → why → tries that failed, see `pipeline.models.traffic`."""
    again: int = 0
    """Calls that were tried again."""
    begun_again: int = 0
    """Rollouts and replays that lost their sandbox or the like, and were begun again."""
    tokens: int = 0
    """Of prompts and completions, over all invocations of the run."""
    cost: float = 0.0
    """Over all invocations of the run, in the currency of the prices; 0 where none is known."""


@dataclass
class Working:
    """A stage at work. Its figures are read from any thread; one thread calls `add`, one `look`."""

    stage: str
    rows: int
    asks: Collection[str]
    """Roles of which it asks, as `Stage.asks`."""
    resources: Resources
    _reused: int = field(default=0, init=False)
    _outcomes: Counter[str] = field(default_factory=Counter, init=False)
    _rates: tuple[float | None, float | None] = field(default=(None, None), init=False)

    def __post_init__(self) -> None:
        self._began, self._before = time.monotonic(), _Counted.now(self.resources)
        self._row_rate, self._call_rate = Rate(BASIS), Rate(0)

    def add(self, unit: UnitResult) -> None:
        """Count a committed unit."""
        self._reused += sum(unit.counts.values()) if unit.reused else 0
        self._outcomes.update(unit.counts)

    def look(self) -> None:
        """Let the rates see what is done by now."""
        now, seconds = self.figures(), time.monotonic()
        # What an earlier invocation did comes at once, and says nothing of how fast this one is.
        self._rates = (
            self._row_rate.look(seconds, now.done - now.reused),
            self._call_rate.look(seconds, now.paid) if self.asks else None,
        )

    def figures(self) -> Figures:
        """Return the figures of this moment."""
        now, before, resources = _Counted.now(self.resources), self._before, self.resources
        reused, outcomes = self._reused, dict(self._outcomes)
        done = min(self.rows, max(sum(outcomes.values()), reused + now.records - before.records))
        by_row, by_call = self._rates
        roles = [role for role in resources.models if role.partition(".")[0] in self.asks]
        sandbox = max((resources.tools.python.pool, resources.replay), key=lambda pool: pool.open)
        spent = resources.meter.spent
        failed = {role: counts - before.failed.get(role, Counter()) for role, counts in now.failed.items()}
        return Figures(
            stage=self.stage,
            rows=self.rows,
            done=done,
            reused=reused,
            outcomes=outcomes,
            seconds=time.monotonic() - self._began,
            rollouts=now.rollouts - before.rollouts,
            paid=now.paid - before.paid,
            stored=now.stored - before.stored,
            rows_per_second=by_row,
            calls_per_second=by_call,
            seconds_left=seconds_left(self.rows - done, by_row),
            in_flight=tuple(
                InFlight(role, resources.models[role].traffic.in_flight, resources.limits.get(role)) for role in roles
            ),
            sessions=sandbox.open,
            capacity=sandbox.capacity,
            failed={role: counts for role, counts in failed.items() if counts},
            again=now.again - before.again,
            begun_again=now.begun_again - before.begun_again,
            tokens=spent.prompt_tokens + spent.completion_tokens,
            cost=spent.cost,
        )


class _Counted(NamedTuple):
    """What this process has counted since it began."""

    records: int
    rollouts: int
    begun_again: int
    paid: int
    stored: int
    failed: Mapping[str, Counter[str]]
    again: int

    @classmethod
    def now(cls, resources: Resources) -> _Counted:
        work, calls, traffic = resources.work, resources.store.calls.counts, resources.traffic
        return cls(
            records=work.records + work.in_workers(),
            rollouts=work.rollouts,
            begun_again=work.begun_again,
            paid=calls.paid["model"],
            stored=calls.cached["model"],
            failed={role: Counter(one.failed) for role, one in traffic.items()},
            again=sum(one.again for one in traffic.values()),
        )
