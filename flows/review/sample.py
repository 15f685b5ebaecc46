"""The sample that people look at: which trajectories could be drawn, which were, with which probability.

What can be drawn is every attempt of a teacher that `validate` decided on, whatever it decided; a question for RL has
no transcript, and rollouts of the gates teach nobody. Kept and rejected are strata of their own, so that a review
measures both what ships and what the validators say.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from filters.review.sampling import allocate, draw
from flows.report.tables import query_table
from pipeline.commands import command
from pipeline.errors import UsageError
from pipeline.identity import digest
from pipeline.records import FrameRow
from pipeline.store.blobs import write_atomic
from pipeline.store.shards import write_records

SAMPLE = "sample.json"
FRAME = "frame.parquet"
REVIEWS = "review"
"""Folder of a run; each sample has one in it."""

Fate = Literal["shipped", "not_selected", "rejected"]
"""Published for SFT; valid and not published; stopped by a validator."""
Axis = Literal["source", "teacher", "category", "lane"]
AXES: tuple[Axis, ...] = get_args(Axis)

_ATTEMPTS = """
SELECT v.record_id, v.question_id, v.source, t.model, v.category, t.arm,
       CASE WHEN p.outcome = 'kept' THEN 'shipped' WHEN v.outcome = 'kept' THEN 'not_selected' ELSE 'rejected' END,
       coalesce(v.reason, '')
FROM outcomes v JOIN trajectories t ON t.trajectory_id = v.record_id
LEFT JOIN outcomes p ON p.stage = 'publish' AND p.unit = 'trajectory' AND p.record_id = v.record_id
WHERE v.stage = 'validate' ORDER BY v.record_id
"""
_DECISIONS = "SELECT trajectory_id, filter, outcome FROM decisions WHERE trajectory_id IN ({ids}) ORDER BY ALL"
_VOTES = "SELECT record_id, verdict FROM votes WHERE asked = 'answer' AND record_id IN ({ids})"


class Attempt(NamedTuple):
    """A trajectory that can be drawn, with what a sample is stratified by."""

    record_id: str
    question_id: str
    source: str
    teacher: str
    category: str
    lane: str
    fate: Fate
    reason: str
    """Why `validate` stopped it; empty where it did not."""

    def stratum(self, per: Sequence[Axis]) -> str:
        """Return the name of its stratum."""
        return " · ".join((self.fate, *(str(getattr(self, axis)) for axis in per)))


class _Closed(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", serialize_by_alias=True)


class Stratum(_Closed):
    """Rows that are drawn with one probability."""

    name: str
    fate: Fate
    size: int
    drawn: int
    probability: float
    """Of each of its rows, to be drawn."""


class Drawn(_Closed):
    """A row of the sample. All but `item` is what no page of an annotator holds."""

    item: str
    """Its name on the pages."""
    record_id: str
    question_id: str
    stratum: str
    reason: str
    filters: Mapping[str, str]
    """What each validator that was asked said: keep, reject or unknown."""
    judge: str | None
    """What the judge's votes on the answer came to; None where it was not asked."""


class Sample(_Closed):
    """A sample of a run, as `sample.json` holds it."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    id: str
    """Of what was drawn and how; marks name it."""
    seed: int
    n: int
    per: tuple[Axis, ...]
    annotators: int
    frame: str
    """Digest of all rows that could be drawn, with their strata."""
    strata: tuple[Stratum, ...]
    rows: tuple[Drawn, ...]

    @classmethod
    def draw(cls, run: Path, per: Sequence[Axis], n: int, annotators: int, seed: int) -> tuple[Self, list[FrameRow]]:
        """Draw a sample; return it and its frame. Equal runs, settings and seeds give equal samples.

        Raises:
            UsageError: the run has no attempt that could be drawn, or `n` is too small for so many strata.
        """
        attempts = _attempts(run)
        if not attempts:
            raise UsageError(f"{run} has no validated attempt of a teacher; `{command('stats', run)}` says why")
        groups: defaultdict[str, list[Attempt]] = defaultdict(list)
        for attempt in attempts:
            groups[attempt.stratum(per)].append(attempt)
        sizes = {name: len(groups[name]) for name in sorted(groups)}
        try:
            parts = allocate(sizes, n)
        except ValueError as error:
            raise UsageError(f"--n {n}: {error}; raise it, or name fewer in --per ({','.join(per)})") from error
        chosen = {one for name, rows in groups.items() for one in draw((r.record_id for r in rows), parts[name], seed)}
        frame = [FrameRow(record_id=one.record_id, stratum=one.stratum(per)) for one in attempts]
        told = digest([[row.record_id, row.stratum] for row in frame])
        name = digest({"frame": told, "per": list(per), "n": n, "annotators": annotators, "seed": seed})
        rows = _drawn(run, name, [one for one in attempts if one.record_id in chosen], per)
        strata = tuple(
            Stratum(name=s, fate=groups[s][0].fate, size=size, drawn=parts[s], probability=parts[s] / size)
            for s, size in sizes.items()
        )
        made = cls(id=name, seed=seed, n=n, per=tuple(per), annotators=annotators, frame=told, strata=strata, rows=rows)
        return made, frame

    @property
    def sizes(self) -> dict[str, int]:
        """Return how many rows each stratum has."""
        return {stratum.name: stratum.size for stratum in self.strata}

    def of_fate(self, *fates: Fate) -> dict[str, int]:
        """Return the sizes of the strata with one of some fates."""
        return {stratum.name: stratum.size for stratum in self.strata if stratum.fate in fates}


def axes(text: str) -> tuple[Axis, ...]:
    """Return what `--per` names.

    Raises:
        UsageError: it names something else, or one twice.
    """
    named = [part.strip() for part in text.split(",") if part.strip()]
    known = [axis for name in named for axis in AXES if axis == name]
    if len(known) < len(named) or len(set(known)) < len(known):
        raise UsageError(f"--per {text}: name some of {', '.join(AXES)}, each once, with commas between")
    return tuple(known)


def require_own(directory: Path, sample: Sample) -> None:
    """Refuse a directory that holds another sample.

    Raises:
        UsageError: as said.
    """
    if (directory / SAMPLE).exists() and read_sample(directory).id != sample.id:
        raise UsageError(f"{directory} holds another sample; give this one another name with --name")


def write_sample(directory: Path, sample: Sample, frame: Sequence[FrameRow]) -> None:
    """Write a sample and its frame into a directory of its own."""
    write_records(directory / FRAME, FrameRow, frame)
    write_atomic(directory / SAMPLE, (sample.model_dump_json(indent=1) + "\n").encode())


def read_sample(directory: Path) -> Sample:
    """Return the sample of a directory.

    Raises:
        UsageError: it cannot be read.
    """
    path = directory / SAMPLE
    try:
        return Sample.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UsageError(
            f"{path} cannot be read as a sample: {error}; draw one with `coldforge review sample`"
        ) from error


def samples(run: Path) -> dict[Path, Sample]:
    """Return every sample of a run by its directory."""
    return {path.parent: read_sample(path.parent) for path in sorted((run / REVIEWS).glob(f"*/{SAMPLE}"))}


def _attempts(run: Path) -> list[Attempt]:
    named: Mapping[str, Fate] = {fate: fate for fate in get_args(Fate)}
    rows = ([str(value) for value in row] for row in query_table(run, _ATTEMPTS).rows)
    return [
        Attempt(record_id, question_id, source, teacher, category, lane, named[fate], reason)
        for record_id, question_id, source, teacher, category, lane, fate, reason in rows
    ]


def _drawn(run: Path, sample: str, chosen: Sequence[Attempt], per: Sequence[Axis]) -> tuple[Drawn, ...]:
    """Return the rows of a sample in the order of their names on the pages, which tells nothing of them."""
    listed = ", ".join(f"'{one.record_id}'" for one in chosen)
    said: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for record_id, filter_, outcome in query_table(run, _DECISIONS.format(ids=listed)).rows:
        said[str(record_id)][str(filter_)] = str(outcome)
    judged = {str(record_id): str(verdict) for record_id, verdict in query_table(run, _VOTES.format(ids=listed)).rows}
    rows = (
        Drawn(
            item=digest(["item", sample, one.record_id])[:16],
            record_id=one.record_id,
            question_id=one.question_id,
            stratum=one.stratum(per),
            reason=one.reason,
            filters=said[one.record_id],
            judge=judged.get(one.record_id),
        )
        for one in chosen
    )
    return tuple(sorted(rows, key=lambda row: row.item))


def fates(sample: Sample) -> dict[Fate, int]:
    """Return how many rows of each fate were drawn."""
    counts: Counter[Fate] = Counter()
    for stratum in sample.strata:
        counts[stratum.fate] += stratum.drawn
    return dict(counts)
