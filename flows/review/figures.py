"""What marks say: defect rates, agreement, and how well validators and judge find what people call defective."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple, get_args

from filters.review.agreement import Kappa, cohen_kappa
from filters.review.rates import Rate, Seen, rate
from flows.report.tables import Table
from flows.review.sample import Drawn, Fate, Sample
from pipeline.identity import Json
from pipeline.records import Defect, Mark

FIGURES = "figures.json"


class Caught(NamedTuple):
    """How well one of those that judge rows finds the defective ones."""

    by: str
    """A validator, `validate` for all of them together, or `judge`."""
    precision: Rate
    """Of what it does not keep: the share that people call defective."""
    recall: Rate
    """Of what people call defective, and it was asked about: the share that it does not keep."""


class Figures(NamedTuple):
    """All that is measured by the marks of a sample."""

    marks: Mapping[str, int]
    strata: Mapping[str, Rate]
    fates: Mapping[str, Rate]
    """Defect rate of what shipped, of the rest, and of `all`."""
    defects: Mapping[str, Rate]
    """Of what shipped: the share with each kind of defect."""
    agreement: Mapping[str, Kappa]
    """By pair of annotators, `1 and 2`; of their three marks, whatever the defect."""
    caught: tuple[Caught, ...]


def defect_shares(marks: Iterable[Mark], kind: Defect | None = None) -> dict[str, float]:
    """Return of each row that somebody judged the share of his judges who call it defective (by `kind`, if it is told).

    Who cannot tell has not judged.
    """
    said: defaultdict[str, list[float]] = defaultdict(list)
    for mark in marks:
        if mark.mark != "cannot_tell":
            said[mark.record_id].append(float(mark.mark == "defective" and kind in {None, mark.defect}))
    return {record_id: sum(values) / len(values) for record_id, values in said.items()}


def figures_of(sample: Sample, marks: Sequence[Mark]) -> Figures:
    """Return what marks say of the run that a sample was drawn from."""
    shares = defect_shares(marks)
    rows = [row for row in sample.rows if row.record_id in shares]
    seen = [Seen(row.stratum, shares[row.record_id]) for row in rows]
    strata = {one.name: _within(seen, {one.name: one.size}) for one in sample.strata}
    fates: dict[str, Rate] = {
        fate: _within(seen, sample.of_fate(fate)) for fate in get_args(Fate) if sample.of_fate(fate)
    }
    shipped = sample.of_fate("shipped")
    kinds: tuple[Defect, ...] = get_args(Defect)
    by_kind = {kind: defect_shares(marks, kind) for kind in kinds}
    defects: dict[str, Rate] = {
        kind: _within([Seen(row.stratum, by_kind[kind][row.record_id]) for row in rows], shipped) for kind in kinds
    }
    counts = {word: sum(mark.mark == word for mark in marks) for word in ("good", "defective", "cannot_tell")}
    return Figures(
        counts, strata, {**fates, "all": rate(seen, sample.sizes)}, defects, _agreement(marks), _caught(sample, shares)
    )


def _within(seen: Iterable[Seen], sizes: Mapping[str, int]) -> Rate:
    return rate([one for one in seen if one.stratum in sizes], sizes)


def _agreement(marks: Sequence[Mark]) -> dict[str, Kappa]:
    by: defaultdict[int, dict[str, str]] = defaultdict(dict)
    for mark in marks:
        by[mark.annotator][mark.record_id] = mark.mark
    return {
        f"{one} and {other}": cohen_kappa(
            [(by[one][name], by[other][name]) for name in sorted(by[one].keys() & by[other])]
        )
        for one, other in combinations(sorted(by), 2)
    }


def _caught(sample: Sample, shares: Mapping[str, float]) -> tuple[Caught, ...]:
    """Return precision and recall of all validators together, of each that stopped a row, and of the judge.

    A validator that was not asked about a row has not stopped it; a judge that was not asked is not held to it.
    """
    rows = [row for row in sample.rows if row.record_id in shares]
    named = sorted({name for row in sample.rows for name, said in row.filters.items() if said != "keep"})

    def caught(by: str, stops: Callable[[Drawn], bool], asked: Callable[[Drawn], bool]) -> Caught:
        told = [(row.stratum, shares[row.record_id], stops(row)) for row in rows if asked(row)]
        right = rate([Seen(name, bad * stopped, float(stopped)) for name, bad, stopped in told], sample.sizes)
        found = rate([Seen(name, bad * stopped, bad) for name, bad, stopped in told], sample.sizes)
        return Caught(by, right, found)

    def every(_: Drawn) -> bool:
        return True

    def by_filter(name: str) -> Callable[[Drawn], bool]:
        return lambda row: row.filters.get(name, "keep") != "keep"

    judged = [caught("validate", lambda row: bool(row.reason), every)]
    judged += [caught(name, by_filter(name), every) for name in named]
    if any(row.judge is not None for row in sample.rows):
        judged.append(caught("judge", lambda row: row.judge != "right", lambda row: row.judge is not None))
    return tuple(judged)


def plain_figures(figures: Figures) -> dict[str, Any]:
    """Return the figures as JSON holds them."""
    return {
        "marks": dict(figures.marks),
        "fates": _plain_rates(figures.fates),
        "strata": _plain_rates(figures.strata),
        "defects": _plain_rates(figures.defects),
        "agreement": {pair: kappa._asdict() for pair, kappa in figures.agreement.items()},
        "caught": {
            one.by: {"precision": one.precision._asdict(), "recall": one.recall._asdict()} for one in figures.caught
        },
    }


def _plain_rates(rates: Mapping[str, Rate]) -> dict[str, Any]:
    return {name: found._asdict() for name, found in rates.items()}


def tables(figures: Figures, sizes: Mapping[str, int]) -> tuple[Table, ...]:
    """Return the figures as tables for a terminal."""
    columns = ("rows", "share", "low", "high")

    def row(found: Rate) -> tuple[Json, ...]:
        return (found.rows, found.share, found.low, found.high)

    strata = tuple((name, sizes[name], *row(found)) for name, found in figures.strata.items())
    return (
        Table(
            "defects", "Defective", ("of", *columns), tuple((name, *row(one)) for name, one in figures.fates.items())
        ),
        Table("defects", "Defective, by stratum", ("stratum", "size", *columns), strata),
        Table(
            "defects",
            "Defects of what shipped",
            ("defect", *columns),
            tuple((name, *row(one)) for name, one in figures.defects.items() if one.share),
        ),
        Table(
            "caught",
            "Who finds the defective: precision and recall against the marks",
            ("by", "measure", *columns),
            tuple(
                (one.by, measure, *row(found))
                for one in figures.caught
                for measure, found in (("precision", one.precision), ("recall", one.recall))
            ),
        ),
        Table(
            "agreement",
            "Agreement of annotators (Cohen's kappa)",
            ("annotators", "rows", "agreed", "kappa", "low", "high"),
            tuple((pair, one.rows, one.agreed, *one[2:]) for pair, one in figures.agreement.items()),
        ),
    )
