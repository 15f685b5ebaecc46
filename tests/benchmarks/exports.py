"""What an export costs: beside `datasets` on the same rows and undecoded bytes, and in memory as rows grow.

`python -m tests.benchmarks.exports [ROWS …]`; by default 2,000 and 20,000 rows. Each has a picture of its own of 199 kB
and 24 lines of code. All begin with their libraries imported: the export when a row was published elsewhere. Making
rows is no work of an export, and earlier stages have done it: for its time they are held ready, for its memory they are
made one by one in another process. There are two baselines:

- `datasets.to_parquet` of what is a data set already: its rows lie in an Arrow table on the disk, so it neither reads
  nor verifies a picture of a store, renders nothing, and hashes and syncs no file. Beside it stands our writer of
  Parquet with the same rows, rendered before; it hashes and syncs its file.
- The whole way with `datasets`, from where an export begins: rows are rendered, their pictures read from the store,
  `Dataset.from_generator` makes a data set of them, and that is written. It verifies, hashes and syncs nothing.

Both are measured up to 20,000 rows, which takes 20 GB of disk; beyond, the memory of the export alone, 0.4 MB a row.
"""

from __future__ import annotations

import gc
import io
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet as pq
from PIL import Image

from pipeline.export.formats.huggingface import SFT_SCHEMA
from pipeline.export.formats.huggingface import sft_row as sft_row_of
from pipeline.export.layout import MANIFEST, ExportFile, Manifest
from pipeline.export.parquet import ParquetFiles
from pipeline.export.rows import SftRow, render_sft
from pipeline.export.write import publish
from pipeline.images import put_image
from pipeline.records import ImageRef
from tests.support.export_rows import attempt, context, numbered, sft_row, step

SIDE, QUALITY = 512, 85
"""Of noise: 199 kB."""
MOST_TIMED = 20_000
"""Rows."""
HASHES = "hashes"
"""File with the sha256 of the stored pictures, a line each."""


def put_pictures(place: Path, count: int) -> None:
    """Store pictures that differ in five bytes of their scan: nobody decodes them, and many are made soon."""
    out, blobs = io.BytesIO(), context(place).blobs
    Image.frombytes("RGB", (SIDE, SIDE), Random(1).randbytes(SIDE * SIDE * 3)).save(out, "JPEG", quality=QUALITY)
    whole = out.getvalue()
    (place / "first").write_text(put_image(blobs, whole).model_dump_json())
    at = next(at for at in range(len(whole) // 2, len(whole)) if b"\xff" not in whole[at - 1 : at + 6])
    with (place / HASHES).open("w") as hashes:
        for number in range(count):
            hashes.write(blobs.put(whole[:at] + f"{number:05d}".encode() + whole[at + 5 :]) + "\n")


def rows(place: Path) -> Iterator[SftRow]:
    """Yield rows that look at their picture and answer."""
    first = ImageRef.model_validate_json((place / "first").read_text())
    look = "w, h = image_1.size\nplt.imshow(image_1.crop((0, 0, w // 2, h // 2)))\nplt.show()\n" * 8
    with (place / HASHES).open() as hashes:
        for number, sha256 in enumerate(hashes):
            asked = numbered(number, (first.model_copy(update={"sha256": sha256.strip()}),))
            turns = (
                step(
                    "Enlarge it, for it is small. " * 20, "python", look, "Code execution result:\nstdout:\n```\n\n```"
                ),
                step("It reads so. " * 20, "answer", str(number)),
            )
            yield sft_row(attempt(asked, turns), asked)


def used(work: Callable[[], Any]) -> dict[str, float]:
    """Return wall and CPU seconds of something done in this process, and its peak of memory in MB."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu, "peak": peak}


def export(place: Path, made: Iterable[SftRow]) -> dict[str, float]:
    """Publish rows for `datasets`."""
    own = context(place)
    publish(place / "warm", [next(rows(place))], ("huggingface",), (), own)
    return used(lambda: publish(place / "export", made, ("huggingface",), (), own))


def timed(place: Path) -> dict[str, float]:
    """Publish rows that are held ready."""
    made = list(rows(place))
    gc.freeze()  # a run holds one range of them, which costs the collector nothing to speak of
    return export(place, made)


def data(folder: Path) -> list[ExportFile]:
    """Return the data files of an export."""
    return Manifest.model_validate_json((folder / MANIFEST).read_text()).data


def writer(place: Path) -> dict[str, float]:
    """Write the rows of an export again with the writer of exports."""
    folder, directory = place / "export" / "sft" / "huggingface", place / "rewritten"
    directory.mkdir()
    made = [row for file in data(folder) for row in pq.read_table(folder / file.path).to_pylist()]
    gc.freeze()
    files = ParquetFiles(directory, SFT_SCHEMA)

    def write() -> None:
        for row in made:
            files.add(row)
        assert [file.sha256 for file in files.close()] == [file.sha256 for file in data(folder)]

    return used(write)


def undecoded() -> Any:
    """Return the features of an export for `datasets`, pictures left as the bytes they are."""
    from datasets import Features, List
    from datasets import Image as Picture

    return Features({**Features.from_arrow_schema(SFT_SCHEMA), "images": List(Picture(decode=False))})


def baseline(place: Path) -> dict[str, float]:
    """Write the rows of an export again with `datasets`, which holds them as a memory-mapped table."""
    from datasets import load_dataset

    folder = place / "export" / "sft" / "huggingface"
    files = [str(folder / file.path) for file in data(folder)]
    rows = load_dataset(
        "parquet", data_files=files, split="train", features=undecoded(), cache_dir=str(place / "cache")
    )
    return used(lambda: rows.to_parquet(str(place / "again.parquet")))


def whole(place: Path) -> dict[str, float]:
    """Write rows that are held ready with `datasets`, as one does who has it alone."""
    from datasets import Dataset

    own, made = context(place), list(rows(place))
    gc.freeze()

    def rendered() -> Iterator[dict[str, Any]]:
        for row in made:
            yield sft_row_of(render_sft(row, own), [own.blobs.path(image.sha256).read_bytes() for image in row.images])

    def write() -> None:
        kept = Dataset.from_generator(rendered, undecoded(), str(place / "made"), fingerprint="rows")
        kept.to_parquet(str(place / "whole.parquet"))

    return used(write)


def apart(what: str, place: Path) -> dict[str, float]:
    """Measure in a process of its own, whose peak is its own."""
    command = [sys.executable, "-m", "tests.benchmarks.exports", what, str(place)]
    quiet = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_DISABLE_PROGRESS_BARS": "1"}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={**os.environ, **quiet})
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


NAMES = {
    "timed": "the export",
    "writer": "our writer of Parquet",
    "baseline": "datasets.to_parquet",
    "whole": "the whole way with datasets",
}
"""What is measured, in this order: all write again what the export holds."""


def lines(place: Path, count: int) -> Iterator[str]:
    """Yield what each took, and what ours took beside its baseline."""
    told = {what: apart(what, place) for what in NAMES}
    for what, name in NAMES.items():
        wall, cpu = (1e6 * told[what][clock] / count for clock in ("wall", "cpu"))
        yield f"{name}: {wall:,.0f} us a row, {cpu:,.0f} of CPU, peak {told[what]['peak']:.0f} MB"
    for ours, theirs in (("writer", "baseline"), ("timed", "baseline"), ("timed", "whole")):
        wall, cpu = (told[ours][clock] / told[theirs][clock] for clock in ("wall", "cpu"))
        yield f"{NAMES[ours]} beside {NAMES[theirs]}: {wall:.2f} of its time, {cpu:.2f} of its CPU"


def main(counts: list[int]) -> None:
    """Print for each number of rows what the export takes, and the baselines."""
    for count in counts:
        with tempfile.TemporaryDirectory() as directory:
            place = Path(directory)
            put_pictures(place, count)
            sys.stdout.write(f"{count:,} rows: peak {apart('export', place)['peak']:.0f} MB\n")
            sys.stdout.flush()
            if count <= MOST_TIMED:
                sys.stdout.writelines(f"  {line}\n" for line in lines(place, count))
                sys.stdout.flush()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["export", place]:
            sys.stdout.write(json.dumps(export(Path(place), rows(Path(place)))) + "\n")
        case ["timed", place]:
            sys.stdout.write(json.dumps(timed(Path(place))) + "\n")
        case ["writer", place]:
            sys.stdout.write(json.dumps(writer(Path(place))) + "\n")
        case ["baseline", place]:
            sys.stdout.write(json.dumps(baseline(Path(place))) + "\n")
        case ["whole", place]:
            sys.stdout.write(json.dumps(whole(Path(place))) + "\n")
        case counts:
            main([int(text) for text in counts] or [2_000, 20_000])
