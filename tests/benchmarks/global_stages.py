"""What stages over a whole run take: `python -m tests.benchmarks.global_stages [ROWS …]`.

Their input is made as columns; each stage and size is a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa

from filters.dedup.clusters import DedupSettings
from filters.selection.choose import SelectionSettings
from flows.stages.dedup import DEDUP, DedupStageSettings
from flows.stages.selection import SELECT, SelectSettings
from pipeline.engine.running import run_unit
from pipeline.engine.stage import Declared, Stage, StageSettings
from pipeline.engine.units import WHOLE, Reader, UnitInput
from pipeline.identity import digest
from pipeline.images import HASH_RECIPE
from pipeline.records import Cluster, PictureKey, QuestionKey, Record, TrajectoryKey
from pipeline.store import Store
from pipeline.store.shards import RecordColumns, Together
from tests.support.command import ROOT
from tests.support.jobs.peak import peak_mb

PICTURES = 10_000
USUAL: Mapping[str, object] = {
    "category": "reasoning", "source": "own", "lane": "tools", "answer_type": "number", "tolerance": None,
    "answers": ["7"], "hash_recipe": HASH_RECIPE, "error": None, "frames": 1, "scaling": "none",
}  # fmt: skip


def columns(kind: type[Record], values: Mapping[str, list[Any]]) -> RecordColumns[Any]:
    """Return records of which only some columns differ from row to row."""
    rows = len(next(iter(values.values())))
    arrays = []
    for field in kind.ARROW:
        empty: Any = [] if pa.types.is_list(field.type) else 0 if pa.types.is_integer(field.type) else ""
        usual = kind.SCHEMA if field.name == "schema" else USUAL.get(field.name, empty)
        arrays.append(pa.array(values.get(field.name) or [usual] * rows, field.type))
    return RecordColumns(kind, pa.table(arrays, schema=kind.ARROW))


def to_select(rows: int) -> UnitInput:
    """Return trajectories and, as many, questions for RL."""
    half, kinds = rows // 2, ("question", "trajectory", "rl")
    questions, trajectories, rl = ([digest([kind, number]) for number in range(half)] for kind in kinds)
    texts, images = (["How many squares stand left of the place in the picture?"] * half, [[name] for name in rl])
    both = [*questions, *rl]
    records = Together(
        columns(TrajectoryKey, {"id": trajectories, "question_id": questions, "skeleton": questions}),
        columns(QuestionKey, {"id": rl, "text": texts, "images": images}),
    )
    context = Together(
        columns(QuestionKey, {"id": questions, "text": texts, "images": images}),
        columns(Cluster, {"question_id": both, "cluster_id": both, "representative": both, "pictures": both}),
    )
    return UnitInput(records, context)


def to_dedup(rows: int) -> UnitInput:
    """Return questions of `PICTURES` pictures that do not look alike, with the facts of these."""
    ids, random = [digest(["question", number]) for number in range(rows)], Random(0)
    shown = [random.randrange(PICTURES) for _ in range(rows)]
    pictures = [digest(["picture", number]) for number in range(PICTURES)]
    hashes = [random.getrandbits(64) for _ in range(PICTURES)]
    texts = [f"How many squares of shade {n % 997} stand left of place {n} in the picture?" for n in range(rows)]
    names = [pictures[number] for number in shown]
    facts: dict[str, list[Any]] = {"sha256": pictures, "pixels": pictures, "phash": hashes, "dhash": hashes}
    asked: dict[str, list[Any]] = {"id": ids, "text": texts, "images": [[name] for name in names]}
    return UnitInput(columns(QuestionKey, asked), columns(PictureKey, facts))


def measure(name: str, rows: int) -> None:
    """Run a stage over so many records and print what it took."""
    stage: Stage[Any, Any] = SELECT if name == "select" else DEDUP
    settings: StageSettings = (
        SelectSettings(select=SelectionSettings(), deploy_pixels=None)
        if name == "select"
        else DedupStageSettings(dedup=DedupSettings())
    )
    unit = {"select": to_select, "dedup": to_dedup}[name](rows)
    # What Python needed to make the columns is free again, and counts as held.
    before, began = peak_mb(), time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        store = Store(Path(scratch) / "store")
        declared = Declared(stage, settings, (), Path(scratch))
        made = run_unit(declared, Reader(rows, lambda _: unit), WHOLE, lambda one: stage.run(one, settings, store))  # type: ignore[arg-type,return-value]
    spent = time.process_time() - began
    sys.stdout.write(
        f"{name}, {rows:,} records: {dict(made.counts)} in {spent:.1f} CPU s ({spent / rows * 1e6:.0f} us each), peak "
        f"{peak_mb()} MiB, {before} of them before it began\n"
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--here"]:
        measure(sys.argv[2], int(sys.argv[3]))
    else:
        for size in sys.argv[1:] or ["100000", "1000000"]:
            for one in ("dedup", "select"):
                command = [sys.executable, "-m", "tests.benchmarks.global_stages", "--here", one, size]
                subprocess.run(command, cwd=ROOT, check=True)
