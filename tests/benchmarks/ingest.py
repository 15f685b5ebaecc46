"""What ingest costs: beside a plain decode and hash of the same pictures, and per row as rows grow.

`python -m tests.benchmarks.ingest [ROWS …]`; by default 10,000 and 100,000 rows. A million take half an hour of CPU.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import imagehash
from PIL import Image, ImageFilter

from flows.stages import ingest, screen
from flows.stages.ingest import IngestSettings, SourceRead
from pipeline.engine.units import UnitInput
from pipeline.records import SourceRow
from pipeline.sources import Source, read_source
from pipeline.store import Store
from tests.support.jobs.rows_job import run, write_data
from tests.support.screening import SETTINGS

PICTURES = {1600: 60, 640: 200}
"""Long side in pixels → how many, as photographs are: smooth, with some noise."""


def photograph(number: int, side: int) -> bytes:
    """Return a JPEG that compresses as a photograph does, with about a seventh of its pixels in bytes."""
    random = Random(number)
    small = Image.frombytes("RGB", (24, 18), random.randbytes(24 * 18 * 3)).resize((side, side * 3 // 4))
    noise = Image.effect_noise(small.size, 40).convert("RGB").filter(ImageFilter.GaussianBlur(0.7))
    out = io.BytesIO()
    Image.blend(small, noise, 0.3).save(out, "JPEG", quality=88)
    return out.getvalue()


def cpu(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds that something took in this process, and what it gave."""
    before = time.process_time()
    made = work()
    return time.process_time() - before, made


def pictures(place: Path, side: int, count: int) -> None:
    """Print how many pictures a core takes in per second, as multiples of a plain decode and hash."""
    data = place / str(side)
    data.mkdir()
    rows = []
    for number in range(count):
        (data / f"{number}.jpg").write_bytes(photograph(number, side))
        asked = {
            "row": str(number),
            "category": "perception",
            "text": f"How many in {number}?",
            "answer_type": "number",
        }
        rows.append({**asked, "images": [f"{number}.jpg"], "answers": ["73"]})
    (data / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def plain() -> list[str]:
        return [str(imagehash.phash(Image.open(path).convert("RGB"))) for path in sorted(data.glob("*.jpg"))]

    source = Source("many", "1", data, "CC0-1.0")
    read = (SourceRead(key="many", revision="1", directory=data),)
    store = Store(place / f"store-{side}")
    settings = IngestSettings(sources=read, store=store.directory)
    named: tuple[SourceRow, ...] = tuple(read_source(source))
    sources = settings.by_key
    plain()  # libraries are loaded, files are in memory
    base, _ = cpu(plain)
    taken, made = cpu(lambda: ingest.run(UnitInput(named, ingest.images_of(named, sources, store)), settings, store))
    screened, done = cpu(lambda: screen.run(UnitInput([*made.tables["questions"]]), SETTINGS, store))
    kept = len(done.tables["questions"])
    sys.stdout.write(
        f"{count} pictures of {side} px, {count / base:.0f} per second and core decoded and hashed plainly; ingest "
        f"{base / taken:.2f}, ingest and screen {base / (taken + screened):.2f} of that; {kept} kept\n"
    )


def main(sizes: list[int]) -> None:
    """Measure both."""
    with tempfile.TemporaryDirectory() as scratch:
        for side, count in PICTURES.items():
            pictures(Path(scratch), side, count)
    for rows in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            write_data(Path(scratch), rows)
            sys.stdout.write(json.dumps(run(Path(scratch), rows, "dedup")) + "\n")


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [10_000, 100_000])
