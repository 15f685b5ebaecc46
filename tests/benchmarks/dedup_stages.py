"""What the stages dedup and decontaminate take per row: CPU and memory, for few rows and for many.

    python -m tests.benchmarks.dedup_stages [ROWS …]

Rows ask a few templates over one of 10,000 pictures, as large sources do. Each size has a process of its own.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filters.dedup.clusters import DedupSettings
from filters.dedup.contamination import Benchmark, ContaminationSettings, benchmark_entry
from filters.dedup.key import KEY_RECIPE
from flows.stages.decontaminate import DECONTAMINATE, DecontaminateSettings
from flows.stages.dedup import DEDUP, DedupStageSettings
from pipeline.engine.running import run_unit
from pipeline.engine.stage import Declared, Stage, StageSettings
from pipeline.engine.units import WHOLE, Reader, UnitInput
from pipeline.identity import digest
from pipeline.images import HASH_RECIPE
from pipeline.records import PictureKey, QuestionKey
from pipeline.store import Store
from pipeline.store.shards import RecordColumns
from tests.support.command import ROOT
from tests.support.jobs.peak import peak_mb

SIZES = (10_000, 100_000, 1_000_000)
PICTURES = 10_000
THINGS = ("dog", "car", "sign", "tree", "bus", "window", "chair", "bird", "boat", "lamp", "door", "clock", "hat")
ASKED = ("What is left of the {}?", "How many {}s are there?", "What colour is the {}?", "Is the {} open?")


def evidence(rows: int) -> UnitInput:
    """Return what the stage dedup reads: keys of questions and of their pictures."""
    return UnitInput(RecordColumns.of(QuestionKey, _keys(rows)), RecordColumns.of(PictureKey, _pictures()))


def _shown(rows: int) -> Iterator[tuple[str, int]]:
    """Yield the id of each question and which picture it is about."""
    rnd = random.Random(rows)
    return ((digest(["question", number]), rnd.randrange(PICTURES)) for number in range(rows))


def _keys(rows: int) -> Iterator[QuestionKey]:
    rnd = random.Random(-rows)
    for name, place in _shown(rows):
        yield QuestionKey(
            id=name,
            source="made",
            category="perception",
            text=rnd.choice(ASKED).format(rnd.choice(THINGS)),
            images=(digest(["picture", place]),),
            answers=(rnd.choice(THINGS),),
            answer_type="text",
        )


def _pictures() -> Iterator[PictureKey]:
    rnd = random.Random(0)
    for place in range(PICTURES):
        sha256, phash, dhash = digest(["picture", place]), rnd.getrandbits(64), rnd.getrandbits(64)
        yield PictureKey(
            sha256=sha256,
            width=64,
            height=64,
            phash=phash,
            dhash=dhash,
            hash_recipe=HASH_RECIPE,
            pixels=sha256,
            mirrored_phash=phash ^ 0x5555555555555555,
            mirrored_dhash=dhash,
        )


def measure(name: str, rows: int) -> dict[str, float]:
    """Run and commit a stage; return CPU microseconds per row and the peak of the process."""
    unit = evidence(rows)
    rnd = random.Random(0)
    entries = tuple(
        benchmark_entry(f"What is near the {rnd.choice(THINGS)}?", rnd.getrandbits(64), rnd.getrandbits(64))
        for _ in range(5_000)
    )
    benchmark = Benchmark(key="b", hash_recipe=HASH_RECIPE, text_key=KEY_RECIPE, entries=entries)
    stages: dict[str, tuple[Stage[Any, Any], StageSettings]] = {
        "dedup": (DEDUP, DedupStageSettings(dedup=DedupSettings())),
        "decontaminate": (
            DECONTAMINATE,
            DecontaminateSettings(decontaminate=ContaminationSettings(), benchmarks=(benchmark,)),
        ),
    }
    stage, settings = stages[name]
    made, began = peak_mb(), time.process_time()
    with tempfile.TemporaryDirectory() as scratch:
        declared, store = Declared(stage, settings, (), Path(scratch)), Store(Path(scratch) / "store")
        run_unit(declared, Reader(rows, lambda _: unit), WHOLE, lambda one: stage.run(one, settings, store))  # type: ignore[arg-type,return-value]
    return {"us": (time.process_time() - began) * 1e6 / rows, "read_mb": made, "peak_mb": peak_mb()}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        sys.stdout.write(json.dumps(measure(sys.argv[2], int(sys.argv[3]))))
    else:
        for rows in map(int, sys.argv[1:] or SIZES):
            for name in ("dedup", "decontaminate"):
                command = [sys.executable, "-m", "tests.benchmarks.dedup_stages", "--one", name, str(rows)]
                done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
                told = json.loads(done.stdout)
                sys.stdout.write(
                    f"{rows:>9,} rows: {name} {told['us']:.0f} CPU µs a row; peak {told['peak_mb']:,} MiB, of which "
                    f"{told['read_mb']:,} once the rows were read\n"
                )
                sys.stdout.flush()
