"""Publishing phone photographs of 12 megapixels, and what memory it takes.

`python -m tests.support.jobs.photos_job make BASE` draws them, and `… publish BASE ROWS` publishes so many rows, one
each, and prints the peak of the process (MB), the seconds and the bytes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.errors import InfrastructureError
from pipeline.records import ImageRef
from tests.support.export_rows import attempt, context, jpeg, numbered, publish_sft, sft_row, step
from tests.support.jobs.peak import peak_mb

PHOTOS = 3
WIDTH, HEIGHT = 4_000, 3_000


def photo(number: int) -> bytes:
    """A JPEG of soft shapes and noise, held sideways as phones do: 3 MB, and 20 MB as a PNG of its pixels."""
    dice = np.random.default_rng(number)
    shapes = Image.fromarray(dice.integers(0, 255, (38, 50, 3), dtype=np.uint8))
    soft = np.asarray(shapes.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)).astype(np.int16)
    noisy = soft + dice.integers(-6, 7, (HEIGHT, WIDTH, 1), dtype=np.int16)
    return jpeg(Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8)), orientation=6)


def make(base: Path) -> None:
    """Store photographs as they came. Ingest makes them upright; a store that is older than that holds such."""
    blobs = context(base).blobs
    contents = [photo(number) for number in range(PHOTOS)]
    refs = [
        ImageRef(sha256=blobs.put(content), mime="image/jpeg", width=HEIGHT, height=WIDTH, nbytes=len(content))
        for content in contents
    ]
    (base / "photos.txt").write_text("\n".join(ref.model_dump_json() for ref in refs))


def publish(base: Path, rows: int) -> None:
    """Publish rows as Parquet."""
    refs = [ImageRef.model_validate_json(line) for line in (base / "photos.txt").read_text().splitlines()]
    asked = [numbered(number, (refs[number % len(refs)],)) for number in range(rows)]
    answered = [sft_row(attempt(one, (step("I see it.", "answer", "1"),), lane="plain_cot"), one) for one in asked]
    began = time.monotonic()
    (made,) = publish_sft(base / "sft", answered, ["huggingface"], context(base))
    if made.n_rows != rows:
        raise InfrastructureError(f"{made.n_rows} of {rows} rows: {made.refused[:1]}")
    sys.stdout.write(f"{peak_mb()} {time.monotonic() - began:.1f} {made.nbytes}\n")


if __name__ == "__main__":
    what, where, *count = sys.argv[1:]
    make(Path(where)) if what == "make" else publish(Path(where), int(count[0]))
