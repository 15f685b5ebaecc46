"""Replay: execute a trajectory's cells again, in a fresh session on another zygote, and compare.

The sandbox's cache is not read: what is checked is that the recorded observation comes out of the
recorded code. Text is compared after normalisation of memory addresses, images by their pixels.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import Literal, NamedTuple

from pipeline.dialects import Dialect, by_name
from pipeline.identity import parse_json
from pipeline.images import decode
from pipeline.records import ImageRef, ReplayResult, Trajectory, Turn
from pipeline.rollout.loop import cell_text
from pipeline.sandbox import CellResult, Sandbox
from pipeline.store.blobs import BlobStore
from pipeline.students.family import ViewRule
from pipeline.tools.python import Cell, normalise, to_cell

SOFT_DIFFERENCE = 2
"""Largest difference of a channel (of 255) that still counts as the same picture: rounding of a resize
or of anti-aliasing on another processor."""

Verdict = Literal["identical", "soft", "nondeterministic", "failed"]


class _Difference(NamedTuple):
    verdict: Verdict
    detail: str


def replay_trajectory(
    trajectory: Trajectory, pool: Sandbox, blobs: BlobStore, rule: ViewRule, seed: int
) -> ReplayResult:
    """Execute every recorded cell again and return how the observations compare.

    Raises:
        InfrastructureError: the sandbox failed.
    """
    turns, dialect = executed_cells(trajectory), by_name(trajectory.dialect)
    contents = [blobs.get(image.sha256) for image in trajectory.images]
    soft = ""
    # Closed here, so that a session does not stay open for as long as somebody holds an exception's frames.
    with closing(_run_again(turns, contents, pool, seed)) as results:
        for turn, result in zip(turns, results, strict=True):
            difference = _compare(turn, to_cell(result, blobs, rule), blobs, dialect)
            if difference is None:
                continue
            if difference.verdict != "soft":
                return _result(trajectory, difference.verdict, len(turns), difference.detail)
            soft = difference.detail
    return _result(trajectory, "soft" if soft else "identical", len(turns), soft)


def executed_cells(trajectory: Trajectory) -> list[Turn]:
    """Return the turns whose code ran and whose observation was shown."""
    return [turn for turn in trajectory.turns if turn.action == "python" and turn.observation is not None]


def _run_again(turns: list[Turn], images: list[bytes], pool: Sandbox, seed: int) -> Generator[CellResult]:
    """Yield each cell's new result; a cell that ended its session is followed by a fresh one, as in the rollout."""
    pending = iter(turns)
    turn = next(pending, None)
    while turn is not None:
        with pool.session(images=images, seed=seed) as session:
            ended = False
            while turn is not None and not ended:
                result = session.run(parse_json(turn.arguments)["code"])
                yield result
                ended, turn = result.ended, next(pending, None)


def _compare(turn: Turn, cell: Cell, blobs: BlobStore, dialect: Dialect) -> _Difference | None:
    if cell.status != turn.status:
        # A recorded success that now fails is broken; anything else only differs.
        verdict: Verdict = "failed" if turn.status == "ok" else "nondeterministic"
        return _Difference(verdict, f"status {cell.status}, recorded {turn.status}")
    if normalise(dialect.frame(cell_text(cell))) != normalise(turn.observation or ""):
        return _Difference("nondeterministic", "another text came back")
    if len(cell.images) != len(turn.images):
        return _Difference("nondeterministic", f"{len(cell.images)} images, recorded {len(turn.images)}")
    differences = [image_difference(*pair, blobs) for pair in zip(cell.images, turn.images, strict=True)]
    worst = max(differences, default=0)
    if worst > SOFT_DIFFERENCE:
        return _Difference("nondeterministic", f"an image differs by up to {worst} of 255")
    return _Difference("soft", f"an image differs by up to {worst} of 255") if worst else None


def image_difference(new: ImageRef, recorded: ImageRef, blobs: BlobStore) -> int:
    """Return the largest difference of a channel; 255 when the sizes differ."""
    from PIL import ImageChops

    if new.sha256 == recorded.sha256:
        return 0
    if (new.width, new.height) != (recorded.width, recorded.height):
        return 255
    extrema = ImageChops.difference(decode(blobs.get(new.sha256)), decode(blobs.get(recorded.sha256))).getextrema()
    return max(int(band[1]) for band in extrema if isinstance(band, tuple))


def _result(trajectory: Trajectory, verdict: Verdict, cells: int, detail: str) -> ReplayResult:
    return ReplayResult(trajectory_id=trajectory.id, verdict=verdict, cells=cells, detail=detail)
