"""Trajectories whose cells were really executed, to be executed again."""

from __future__ import annotations

from pipeline.identity import canonical_json
from pipeline.records import Trajectory
from pipeline.rollout.loop import cell_text
from pipeline.sandbox import Pool
from pipeline.store.blobs import BlobStore
from pipeline.students.family import ViewRule
from pipeline.tools.python import to_cell
from tests.support.runs import PIXELS, attempt

RULE = ViewRule("qwen2_5_vl", 262_144)
SEED = 7


def record(pool: Pool, blobs: BlobStore, *codes: str) -> Trajectory:
    """A trajectory that really executed these cells, and answered."""
    example = attempt(7, "synthesis", "tools", 1, "right")
    turns, pending = [], list(codes)
    while pending:
        with pool.session([PIXELS.getvalue()], SEED) as session:
            ended = False
            while pending and not ended:
                code = pending.pop(0)
                result = session.run(code)
                ended, cell = result.ended, to_cell(result, blobs, RULE)
                update = {
                    "arguments": canonical_json({"code": code}),
                    "observation": cell_text(cell),
                    "images": cell.images,
                    "status": cell.status,
                }
                turns.append(example.turns[0].model_copy(update=update))
    return example.model_copy(update={"turns": (*turns, example.turns[-1])})
