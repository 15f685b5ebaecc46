"""How long an image search takes in a large gallery, and whether it finds what comparing every picture finds.

python -m tests.benchmarks.image_search [PICTURES]      1,000,000 by default
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Sequence

import numpy as np

from pipeline.tools.search.features import Features, distances
from pipeline.tools.search.nearest import ROWS, Gallery
from tests.support.galleries import one, pictures

PICTURES = 1_000_000
QUERIES = 50
RESULTS = 10
EXACT = 5
"""Queries whose results are compared with those of an exact search, which takes seconds each."""


def main() -> None:
    """Print a table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else PICTURES
    gallery, rng = pictures(count, 0), np.random.default_rng(1)
    began = time.process_time()
    search = Gallery(gallery)
    built = time.process_time() - began
    sys.stdout.write(f"{count:,} pictures, ready in {built:.1f} CPU s; peak {_peak_mib():,.0f} MiB with making them\n")
    others = pictures(QUERIES, 2)
    strangers = [one(others, row) for row in range(QUERIES)]
    copies = [_like(one(gallery, int(row)), rng) for row in rng.integers(0, count, QUERIES)]
    for name, queries in (("strangers", strangers), ("near copies", copies)):
        wall, cpu = _times(search, queries)
        spent = (f"{kind} p50 {p50:5.1f} p90 {p90:5.1f} ms" for kind, (p50, p90) in (("wall", wall), ("CPU", cpu)))
        sys.stdout.write(f"{name:12} {', '.join(spent)}\n")
    for query in (*strangers[:EXACT], *copies[:EXACT]):
        unlike = np.concatenate(
            [distances(query, gallery.of(np.arange(at, min(at + ROWS, count)))) for at in range(0, count, ROWS)]
        )
        exact = tuple(int(row) for row in unlike.argsort(kind="stable")[:RESULTS])
        if search.nearest(query, RESULTS) != exact:
            raise SystemExit(f"not the {RESULTS} nearest: {search.nearest(query, RESULTS)}, exactly {exact}")
    sys.stdout.write(f"equal to an exact search for {2 * EXACT} of {2 * EXACT} queries\n")


def _times(search: Gallery, queries: Sequence[Features]) -> tuple[list[float], list[float]]:
    """Return wall and CPU time in milliseconds, p50 and p90 of each."""
    wall, cpu = [], []
    for query in queries:
        began = time.perf_counter(), time.process_time()
        search.nearest(query, RESULTS)
        wall.append(1e3 * (time.perf_counter() - began[0]))
        cpu.append(1e3 * (time.process_time() - began[1]))
    return [float(q) for q in np.quantile(wall, (0.5, 0.9))], [float(q) for q in np.quantile(cpu, (0.5, 0.9))]


def _like(picture: Features, rng: np.random.Generator) -> Features:
    """Return the features of a picture saved again: some tones and one bit differ."""
    layout = np.frombuffer(picture.layout, dtype=np.uint8).astype(int) + rng.integers(-4, 5, len(picture.layout))
    flipped = picture.dhash ^ (1 << int(rng.integers(64)))
    return Features(flipped, picture.aspect + 0.01, np.clip(layout, 0, 255).astype(np.uint8).tobytes())


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
