"""What the stages dedup and decontaminate take per row: CPU and memory, for few rows and for many.

    python -m tests.benchmarks.dedup_stages [ROWS …]

Rows ask a few templates over one of 10,000 pictures, as large sources do. Each size has a process of its own.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time

from filters.dedup.clusters import DedupSettings
from filters.dedup.contamination import Benchmark, ContaminationSettings, benchmark_entry
from filters.dedup.key import KEY_RECIPE
from flows.stages.decontaminate import DECONTAMINATE, DecontaminateSettings
from flows.stages.dedup import DEDUP, DedupStageSettings
from pipeline.engine.units import UnitInput
from pipeline.identity import digest
from pipeline.images import HASH_RECIPE
from pipeline.records import ImageFacts, QuestionKey
from pipeline.store import Store
from tests.support.command import ROOT
from tests.support.jobs.peak import peak_mb

SIZES = (10_000, 100_000)
PICTURES = 10_000
THINGS = ("dog", "car", "sign", "tree", "bus", "window", "chair", "bird", "boat", "lamp", "door", "clock", "hat")
ASKED = ("What is left of the {}?", "How many {}s are there?", "What colour is the {}?", "Is the {} open?")


def evidence(rows: int) -> UnitInput:
    """Return what the stage dedup reads: keys of questions, and facts of their pictures."""
    rnd = random.Random(rows)
    pictures = [(rnd.getrandbits(64), rnd.getrandbits(64)) for _ in range(PICTURES)]
    keys, facts = [], []
    for number in range(rows):
        place = rnd.randrange(PICTURES)
        name, sha256 = digest(["question", number]), digest(["picture", place])
        keys.append(
            QuestionKey(
                id=name,
                source="made",
                category="perception",
                text=rnd.choice(ASKED).format(rnd.choice(THINGS)),
                images=(sha256,),
                answers=(rnd.choice(THINGS),),
                answer_type="text",
                tolerance=None,
                choices=(),
                offered=(),
            )
        )
        phash, dhash = pictures[place]
        facts.append(
            ImageFacts(
                question_id=name,
                sha256=sha256,
                width=64,
                height=64,
                phash=phash,
                dhash=dhash,
                hash_recipe=HASH_RECIPE,
                contrast=99,
                frames=1,
                scaling="none",
                error=None,
                pixels=sha256,
                mirrored_phash=phash ^ 0x5555555555555555,
                mirrored_dhash=dhash,
            )
        )
    return UnitInput(tuple(keys), tuple(facts))


def measure(rows: int) -> dict[str, float]:
    """Run both stages; return CPU microseconds per row and the peak of the process."""
    unit = evidence(rows)
    made = peak_mb()
    store = Store(ROOT / "runs")
    began = time.process_time()
    out = DEDUP.run(unit, DedupStageSettings(dedup=DedupSettings()), store)
    dedup = time.process_time() - began
    rnd = random.Random(0)
    entries = tuple(
        benchmark_entry(f"What is near the {rnd.choice(THINGS)}?", rnd.getrandbits(64), rnd.getrandbits(64))
        for _ in range(5_000)
    )
    benchmark = Benchmark(key="b", hash_recipe=HASH_RECIPE, text_key=KEY_RECIPE, entries=entries)
    settings = DecontaminateSettings(decontaminate=ContaminationSettings(), benchmarks=(benchmark,))
    began = time.process_time()
    DECONTAMINATE.run(unit, settings, store)
    decontaminate = time.process_time() - began
    assert len(getattr(out, "outcomes", ())) == rows
    per_row = 1e6 / rows
    return {"dedup": dedup * per_row, "decontaminate": decontaminate * per_row, "read_mb": made, "peak_mb": peak_mb()}


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        sys.stdout.write(json.dumps(measure(int(sys.argv[2]))))
    else:
        for rows in map(int, sys.argv[1:] or SIZES):
            command = [sys.executable, "-m", "tests.benchmarks.dedup_stages", "--one", str(rows)]
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
            told = json.loads(done.stdout)
            sys.stdout.write(
                f"{rows:>9,} rows: dedup {told['dedup']:.0f} CPU µs a row, decontaminate {told['decontaminate']:.0f}; "
                f"peak {told['peak_mb']:,} MiB, of which {told['read_mb']:,} once the rows were read\n"
            )
