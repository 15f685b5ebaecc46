"""What an export costs: beside `datasets.to_parquet` of the same rows and undecoded bytes, and in memory as rows grow.

`python -m tests.benchmarks.exports [ROWS …]`; by default 2,000 and 20,000 rows with a picture of 170 kB each, of which
400 are different. A hundred thousand need 20 GB of disk. The baseline is measured on the first number of rows.
"""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from PIL import Image

from pipeline.export.layout import MANIFEST, Manifest
from pipeline.export.rows import SftRow
from pipeline.export.write import publish
from pipeline.images import put_image
from pipeline.store.blobs import BlobStore
from tests.support.export_rows import attempt, context, numbered, sft_row, step

PICTURES = 400
SIDE = 512
"""Of noise: a JPEG of quality 72 then has about 170 kB."""


def picture(number: int) -> bytes:
    """Return a JPEG of about 170 kB."""
    out = io.BytesIO()
    Image.frombytes("RGB", (SIDE, SIDE), Random(number).randbytes(SIDE * SIDE * 3)).save(out, "JPEG", quality=72)
    return out.getvalue()


def rows(blobs: BlobStore, count: int) -> Iterator[SftRow]:
    """Yield rows that look at their picture and answer."""
    shown = [put_image(blobs, picture(number)) for number in range(PICTURES)]
    look = "w, h = image_1.size\nplt.imshow(image_1.crop((0, 0, w // 2, h // 2)))\nplt.show()\n" * 8
    for number in range(count):
        asked = numbered(number, (shown[number % PICTURES],))
        turns = (
            step("Enlarge it, for it is small. " * 20, "python", look, "Code execution result:\nstdout:\n```\n\n```"),
            step("It reads so. " * 20, "answer", str(number)),
        )
        yield sft_row(attempt(asked, turns), asked)


def used(work: Callable[[], Any]) -> dict[str, float]:
    """Return wall and CPU seconds of something done in this process, and its peak of memory in MB."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "peak": peak}


def export(place: Path, count: int) -> dict[str, float]:
    """Publish rows for `datasets`."""
    own = context(place)
    made = rows(own.blobs, count)
    first = next(made)  # the pictures are made with it, and are none of the export's work

    def every() -> Iterator[SftRow]:
        yield first
        yield from made

    return used(lambda: publish(place / "export", every(), ("huggingface",), (), own))


def baseline(place: Path) -> dict[str, float]:
    """Write the rows of an export again with `datasets`, which holds them as a memory-mapped table."""
    from datasets import Features, List, load_dataset
    from datasets import Image as Picture

    folder = place / "export" / "sft" / "huggingface"
    manifest = Manifest.model_validate_json((folder / MANIFEST).read_text())
    files = [str(folder / file.path) for file in manifest.data]
    data = load_dataset("parquet", data_files=files, split="train", cache_dir=str(place / "cache"))
    data = data.cast(Features({**data.features, "images": List(Picture(decode=False))}))
    return used(lambda: data.to_parquet(str(place / "again.parquet")))


def apart(what: str, place: Path, count: int) -> dict[str, float]:
    """Measure in a process of its own, whose peak is its own."""
    command = [sys.executable, "-m", "tests.benchmarks.exports", what, str(place), str(count)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def main(counts: list[int]) -> None:
    """Print a line per number of rows, and the baseline."""
    for number, count in enumerate(counts):
        with tempfile.TemporaryDirectory() as directory:
            place = Path(directory)
            told = apart("export", place, count)
            size = sum(path.stat().st_size for path in (place / "export").rglob("*.parquet"))
            sys.stdout.write(_line(f"export of {count:,} rows, {size / 1e9:.1f} GB", told, count) + "\n")
            sys.stdout.flush()
            if number == 0:
                plain = apart("baseline", place, count)
                sys.stdout.write(_line("datasets.to_parquet of the same", plain, count) + "\n")
                cpu, wall = (told[name] / plain[name] for name in ("cpu", "wall"))
                sys.stdout.write(f"the export takes {cpu:.2f} of its CPU and {wall:.2f} of its time\n")


def _line(what: str, told: dict[str, float], count: int) -> str:
    each = 1e6 * told["cpu"] / count
    return f"{what}: {told['wall']:.1f} s, {told['cpu']:.1f} CPU s ({each:.0f} us a row), peak {told['peak']:.0f} MB"


if __name__ == "__main__":
    if sys.argv[1:2] == ["export"]:
        sys.stdout.write(json.dumps(export(Path(sys.argv[2]), int(sys.argv[3]))) + "\n")
    elif sys.argv[1:2] == ["baseline"]:
        sys.stdout.write(json.dumps(baseline(Path(sys.argv[2]))) + "\n")
    else:
        main([int(text) for text in sys.argv[1:]] or [2_000, 20_000])
