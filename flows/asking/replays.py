"""Executing a trajectory's cells again, and when that proves nothing."""

from __future__ import annotations

from filters.validate.rules import session_internals
from pipeline.records import ReplayResult, Trajectory
from pipeline.rollout.replay import executed_cells, replay_trajectory
from pipeline.sandbox import Sandbox
from pipeline.store.blobs import BlobStore
from pipeline.students.family import ViewRule

_PROVES_NOTHING = "its code reaches for the inside of its session, and may answer for itself here as it did there"


def replay(trajectory: Trajectory, pool: Sandbox, blobs: BlobStore, rule: ViewRule, seed: int) -> ReplayResult:
    """Return how the recorded observations compare with those of a second execution (`replay_trajectory`).

    Code that can forge them forges them again: it is not executed, and the verdict is `failed`.

    Raises:
        InfrastructureError: the sandbox failed.
    """
    if session_internals(trajectory).outcome == "keep":
        return replay_trajectory(trajectory, pool, blobs, rule, seed)
    cells = len(executed_cells(trajectory))
    return ReplayResult(trajectory_id=trajectory.id, verdict="failed", cells=cells, detail=_PROVES_NOTHING)
