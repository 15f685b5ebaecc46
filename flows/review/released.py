"""What a review says of the rows that a run ships now, which need not be those that it was drawn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from filters.review.rates import Rate, Seen, rate
from flows.report.tables import query_table
from flows.review.figures import defect_shares
from flows.review.marks import read_marks
from flows.review.sample import FRAME, Sample, samples
from pipeline.commands import command
from pipeline.records import FrameRow, Mark
from pipeline.store.shards import read_records

_SHIPPED = "SELECT record_id FROM outcomes WHERE stage = 'publish' AND unit = 'trajectory' AND outcome = 'kept'"
_EXCLUDED = "SELECT record_id FROM outcomes WHERE stage = 'select' AND reason = 'excluded'"


class Reviewed(NamedTuple):
    """The defect rate of what a run ships, by its reviews."""

    rate: Rate | None
    """Of several reviews that of the highest upper end, so that nobody can choose; None: no review says it."""
    why: str
    """Why there is none, and what helps."""


def reviewed(run: Path) -> Reviewed:
    """Return the defect rate of a run's SFT rows by the marks that were imported.

    Raises:
        UsageError: the ledger or a sample cannot be read.
    """
    draw = f"draw a sample with `{command('review', 'sample', run)}`, have it marked, and import the marks"
    marked = {directory: sample for directory, sample in samples(run).items() if read_marks(directory)}
    if not marked:
        return Reviewed(None, f"no review of it holds any marks; {draw}")
    shipped, excluded = (frozenset(str(one) for (one,) in query_table(run, sql).rows) for sql in (_SHIPPED, _EXCLUDED))
    found: list[Rate] = []
    new = 0
    for directory, sample in marked.items():
        frame = {row.record_id: row.stratum for row in read_records(directory / FRAME, FrameRow)}
        if shipped <= frame.keys():
            found.append(shipped_rate(sample, frame, read_marks(directory), shipped, excluded))
        new = max(new, len(shipped - frame.keys()))
    known = [one for one in found if one.share is not None]
    if known:
        return Reviewed(max(known, key=lambda one: one.high), "")
    stale = f"{new} of its {len(shipped)} rows were made after its samples were drawn" if new else "no row was judged"
    return Reviewed(None, f"{stale}; {draw}")


def shipped_rate(
    sample: Sample,
    frame: Mapping[str, str],
    marks: Sequence[Mark],
    shipped: frozenset[str],
    excluded: frozenset[str],
) -> Rate:
    """Return the defect rate of the rows that are shipped now.

    Defective rows that were found and taken out are the ones that people happened to see: those that stand for them are
    still there. So the rate is estimated with them, and they are taken off the estimated number of defective rows and
    off the number of rows. A rate of the sampled rows that are left would be 0 as soon as all that was found is out.

    Args:
        sample: which was marked.
        frame: the stratum of every row that could be drawn; all of `shipped` are in it.
        marks: of the sample.
        shipped: ids of the rows that ship now.
        excluded: ids that selection left out by name.
    """
    fate = {stratum.name: stratum.fate for stratum in sample.strata}
    out = {row.record_id for row in sample.rows if row.record_id in excluded and fate[row.stratum] == "shipped"}
    rows = shipped | out
    shares = defect_shares(marks)
    sizes = Counter(frame[record_id] for record_id in rows)
    drawn = [row for row in sample.rows if row.record_id in rows and row.record_id in shares]
    whole = rate([Seen(row.stratum, shares[row.record_id]) for row in drawn], sizes)
    if whole.share is None or not shipped:
        return Rate(None, 0.0, 1.0, 0)
    gone = sum(shares.get(record_id, 0.0) for record_id in out)

    def left(share: float) -> float:
        return min(1.0, max(0.0, (share * len(rows) - gone) / len(shipped)))

    return Rate(left(whole.share), left(whole.low), left(whole.high), len(drawn) - len(out & shares.keys()))
