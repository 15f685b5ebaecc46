"""The figures of a stage in words: below a bar, in a line of a log, and in what `status` tells."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from pipeline.amounts import counted

if TYPE_CHECKING:
    from flows.run.figures import Figures


def far(figures: Figures) -> str:
    """Return how far a stage is."""
    return f"{figures.done:,} of {counted(figures.rows, 'row')}"


def left(figures: Figures) -> str:
    """Return when it will be over, empty where nothing tells."""
    return "" if figures.seconds_left is None else f"{clock(figures.seconds_left)} left"


def parts(figures: Figures) -> list[str]:
    """Return what there is to tell beside how far it is: what came of it, how fast, with what load, failures, cost."""
    told = (
        ", ".join(filter(None, (calls(figures), outcomes(figures.outcomes) if figures.outcomes else ""))),
        ", ".join(filter(None, (_many(figures.rollouts, "rollout"), *_rates(figures)))),
        _load(figures),
        _failures(figures),
        _spent(figures),
    )
    return [part for part in told if part]


def calls(figures: Figures) -> str:
    """Return how many model calls it made."""
    stored = f"{figures.stored:,} from the store" if figures.stored else ""
    paid = counted(figures.paid, "call") if figures.paid or stored else ""
    return ", ".join(filter(None, (paid, stored)))


def outcomes(counts: Mapping[str, int]) -> str:
    """Return the counts of outcomes, the two that are rarely zero always."""
    kept, rejected, quarantined = (counts.get(name, 0) for name in ("kept", "rejected", "quarantined"))
    told = f"{kept:,} kept, {rejected:,} rejected"
    return f"{told}, {quarantined:,} quarantined" if quarantined else told


def clock(seconds: float) -> str:
    """Return a time as hours, minutes and seconds, and days if need be."""
    return str(timedelta(seconds=round(seconds)))


def _many(count: int, what: str) -> str:
    return counted(count, what) if count else ""


def _rates(figures: Figures) -> tuple[str, str]:
    rows, called = figures.rows_per_second, figures.calls_per_second
    return "" if rows is None else f"{_rate(rows)} rows/s", "" if called is None else f"{_rate(called)} calls/s"


def _rate(per_second: float) -> str:
    return f"{per_second:,.0f}" if per_second >= 10 else f"{per_second:.2g}"  # noqa: PLR2004 - two digits or more


def _load(figures: Figures) -> str:
    in_flight = ", ".join(
        f"{role} {now:,}" + ("" if limit is None else f" of {limit:,}") for role, now, limit in figures.in_flight
    )
    sandbox = f"sandbox {figures.sessions:,} of {figures.capacity:,} sessions" if figures.sessions else ""
    return "; ".join(filter(None, (in_flight and f"in flight: {in_flight}", sandbox)))


def _failures(figures: Figures) -> str:
    by_role = "; ".join(
        f"{role} " + ", ".join(f"{cause} ({count:,})" for cause, count in sorted(causes.items(), key=_most))
        for role, causes in figures.failed.items()
    )
    again = f"{counted(figures.again, 'call')} tried again" if figures.again else ""
    begun = f"{counted(figures.begun_again, 'rollout')} begun again" if figures.begun_again else ""
    return "; ".join(filter(None, (by_role and f"failed tries: {by_role}", again, begun)))


def _most(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]


def _spent(figures: Figures) -> str:
    if figures.cost:
        return f"cost so far {figures.cost:,.2f}"
    return f"{figures.tokens:,} tokens so far" if figures.tokens else ""
