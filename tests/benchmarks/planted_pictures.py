"""Benchmark pictures and repeats that somebody changed: how many are found, and how much else.

    python -m tests.benchmarks.planted_pictures

Half of the pictures are in the benchmark, half are not. Photographs are parts of those that scikit-image ships, and do
not overlap; sheets are the demo's charts and tables, which look alike; drawings are random shapes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

from filters.dedup.clusters import DedupSettings, ImageHashes, near_images
from filters.dedup.contamination import (
    Benchmark,
    ContaminationSettings,
    benchmark_entry,
    index_benchmarks,
)
from filters.dedup.key import KEY_RECIPE
from pipeline.demo.corpus.build import build_demo
from pipeline.images import HASH_RECIPE, decode, perceptual_hashes
from tests.support.benchmarked import contaminated

LEAST_CONTRAST = 24
"""Grey levels of standard deviation: a dark or empty part of a photograph is no picture."""


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """Return what a JPEG of it shows."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return decode(buffer.getvalue())


def scaled(image: Image.Image, part: float) -> Image.Image:
    """Return it at another size."""
    return image.resize((round(image.width * part), round(image.height * part)), Image.Resampling.BICUBIC)


def cropped(image: Image.Image, part: float) -> Image.Image:
    """Return it without so much of each side."""
    x, y = round(image.width * part), round(image.height * part)
    return image.crop((x, y, image.width - x, image.height - y))


def mirrored(image: Image.Image) -> Image.Image:
    """Exchange left and right."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


CHANGES: Mapping[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG 90": lambda image: jpeg(image, 90),
    "JPEG 50": lambda image: jpeg(image, 50),
    "JPEG 20": lambda image: jpeg(image, 20),
    "half size": lambda image: scaled(image, 0.5),
    "quarter size": lambda image: scaled(image, 0.25),
    "one and a half": lambda image: scaled(image, 1.5),
    "brighter by 15 %": lambda image: ImageEnhance.Brightness(image).enhance(1.15),
    "mirrored, JPEG 70": lambda image: jpeg(mirrored(image), 70),
    "cropped by 1 %": lambda image: cropped(image, 0.01),
    "cropped by 3 %": lambda image: cropped(image, 0.03),
    "cropped by 10 %": lambda image: cropped(image, 0.10),
}


class Counts(NamedTuple):
    """Of one change."""

    stopped: int
    """Found in the benchmark it is of."""
    others_stopped: int
    """Of pictures that are in no benchmark, changed alike."""
    repeats: int
    """Found to be the picture they were made of, by dedup."""
    others_repeats: int
    """Found to be another picture."""


def photographs() -> Iterator[Image.Image]:
    """Yield parts of the library's photographs that do not overlap."""
    import skimage

    names = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "ihc.png", "motorcycle_left.png")
    for name in (*names, "retina.jpg", "rocket.jpg", "moon.png", "camera.png"):
        whole = Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")
        for column in range(3):
            for row in range(3):
                left, top = column * whole.width // 3, row * whole.height // 3
                part = whole.crop((left, top, left + whole.width // 3, top + whole.height // 3))
                if np.asarray(part.convert("L")).std() >= LEAST_CONTRAST:
                    yield part


def sheets() -> Iterator[Image.Image]:
    """Yield the pictures of a small demo corpus."""
    with TemporaryDirectory() as scratch:
        place = Path(scratch) / "corpus"
        build_demo(place, 60, 0)
        rows = [json.loads(line) for line in (place / "rows.jsonl").read_text().splitlines()]
        names = sorted({name for row in rows if not row["row"].startswith("planted/") for name in row["images"]})
        for name in names:
            yield scaled(decode((place / name).read_bytes()), 0.5)


def drawings() -> Iterator[Image.Image]:
    """Yield random shapes."""
    rng = np.random.default_rng(3)
    for _ in range(60):
        image = Image.new("RGB", (400, 300), tuple(rng.integers(0, 256, 3).tolist()))
        draw = ImageDraw.Draw(image)
        for _ in range(9):
            left, top, width, height = rng.integers((0, 0, 30, 30), (350, 250, 250, 200)).tolist()
            draw.ellipse((left, top, left + width, top + height), fill=tuple(rng.integers(0, 256, 3).tolist()))
        yield image


def hashed(image: Image.Image) -> ImageHashes:
    """Return what the screen measures."""
    phash, dhash, *other = perceptual_hashes(image)
    return ImageHashes(phash, dhash, image.width, image.height, HASH_RECIPE, mirrored=(other[0], other[1]))


def measure(pictures: list[Image.Image], change: Callable[[Image.Image], Image.Image]) -> Counts:
    """Count what is found of every picture changed alike; those at even places are in the benchmark."""
    originals = [hashed(image) for image in pictures]
    changed = [hashed(change(image)) for image in pictures]
    entries = tuple(benchmark_entry(None, h.phash, h.dhash) for h in originals[::2])
    benchmark = Benchmark(key="b", hash_recipe=HASH_RECIPE, text_key=KEY_RECIPE, entries=entries)
    index, limits = index_benchmarks([benchmark]), ContaminationSettings()
    stopped = [contaminated("q", "What is it?", [one], index, limits).outcome == "reject" for one in changed]
    facts = {f"o{n:03}": one for n, one in enumerate(originals)} | {f"c{n:03}": one for n, one in enumerate(changed)}
    near = near_images(facts, facts, DedupSettings())
    same = [f"o{n:03}" in near[f"c{n:03}"] for n in range(len(pictures))]
    others = [bool({name[1:] for name in near[f"c{n:03}"]} - {f"{n:03}"}) for n in range(len(pictures))]
    return Counts(sum(stopped[::2]), sum(stopped[1::2]), sum(same), sum(others))


def main() -> None:
    """Print a table for each kind of picture."""
    for kind, made in (("photographs", photographs()), ("sheets", sheets()), ("drawings", drawings())):
        pictures = list(made)
        inside, outside = len(pictures[::2]), len(pictures[1::2])
        sys.stdout.write(f"{kind} ({len(pictures)})    in the benchmark  others  repeats found  other pictures\n")
        for name, change in CHANGES.items():
            found = measure(pictures, change)
            sys.stdout.write(
                f"  {name:<18} {found.stopped:>6}/{inside}  {found.others_stopped:>6}/{outside}  "
                f"{found.repeats:>6}/{len(pictures)}  {found.others_repeats:>6}/{len(pictures)}\n"
            )


if __name__ == "__main__":
    main()
