"""`coldforge review sample`: a sample of a run and its pages, from the ledger, the stages and the store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from flows.ledger.query import kept_open
from flows.report.lookup import finished_stages
from flows.review.page import Shown, write_pages
from flows.review.sample import REVIEWS, Axis, Sample, require_own, write_sample
from pipeline.engine.done import Done
from pipeline.errors import UsageError
from pipeline.records import Question, Trajectory
from pipeline.store.blobs import BlobStore

PAGES = "pages"


class Written(NamedTuple):
    """A sample that was drawn, where it is, and what is handed to its annotators."""

    directory: Path
    sample: Sample
    pages: tuple[Path, ...]


class Design(NamedTuple):
    """How a sample is drawn."""

    per: tuple[Axis, ...]
    n: int
    annotators: int
    seed: int


def draw_sample(run: Path, design: Design, store: Path, *, name: str | None, out: Path | None) -> Written:
    """Draw a sample, and write it to `RUN/review/<name>` and its pages to `out`, by default `pages` in there.

    The sample itself holds what annotators must not see, so only the folder of pages is theirs.

    Raises:
        UsageError: as `Sample.draw`, `require_own` and `write_pages`; or the run's stages are gone.
    """
    with kept_open(run):
        sample, frame = Sample.draw(run, design.per, design.n, design.annotators, design.seed)
    directory = run / REVIEWS / (name or sample.id[:12])
    require_own(directory, sample)
    blobs = BlobStore(store / "blobs")
    pages = write_pages(out or directory / PAGES, sample.id, design.annotators, _shown(run, sample), blobs)
    write_sample(directory, sample, frame)
    return Written(directory, sample, tuple(pages))


def _shown(run: Path, sample: Sample) -> Sequence[Shown]:
    done = Done(run, finished_stages(run))
    wanted = {row.record_id: row.item for row in sample.rows}
    asked = {row.question_id for row in sample.rows}
    try:
        made = [t for t in done.records("synthesize", "trajectories", Trajectory) if t.id in wanted]
        questions = {q.id: q for q in done.records("screen", "questions", Question) if q.id in asked}
    except KeyError as error:
        raise UsageError(f"{run}/stages holds no {error} any more; run `coldforge run` again") from error
    if len(made) < len(wanted) or len(questions) < len(asked):
        raise UsageError(f"{run}/stages and its ledger do not agree; run `coldforge run` again")
    return [Shown(wanted[t.id], questions[t.question_id], t) for t in made]
