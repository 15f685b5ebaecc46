"""Near pairs of 64-bit hashes: time, memory and threads, beside numpy's brute force and beside other libraries.

    python -m tests.benchmarks.dedup

Each size is measured in a process of its own, so that its peak memory is its own. CPU seconds, unless it says wall.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from filters.dedup import hamming, near_pairs
from pipeline.images import decode, perceptual_hashes
from tests.support.command import ROOT
from tests.support.jobs.peak import peak_mb

RADIUS = 8
SIZES = (100_000, 1_000_000, 10_000_000)
FILES = 20_000
RIVALS = ROOT / ".venv-bench-dedup/bin/python"
"""Has imagededup and faiss; made by `make bench-dedup`."""
_SECONDS = 2.0
"""Of brute force, from which its rate is taken."""


def hashes_of(size: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return random hashes; a tenth are copies of others with 0 to 12 bits flipped."""
    rng = np.random.default_rng(size)
    hashes = rng.integers(0, 2**64, size, dtype=np.uint64)
    copies = size // 10
    flips = rng.integers(0, 13, copies)
    hashes[-copies:] = hashes[:copies]
    for step in range(12):
        bit = np.uint64(1) << rng.integers(0, 64, copies, dtype=np.uint64)
        hashes[-copies:] ^= np.where(flips > step, bit, np.uint64(0))
    return hashes


def by_row(hashes: np.ndarray[Any, np.dtype[np.uint64]]) -> int:
    """Compare the first hash with all others; return the pairs."""
    np.flatnonzero(np.bitwise_count(hashes[0] ^ hashes[1:]) <= RADIUS)
    return len(hashes) - 1


def by_matrix(hashes: np.ndarray[Any, np.dtype[np.uint64]]) -> int:
    """Compare 5,000 hashes with each other; return the pairs, of which the matrix holds each twice."""
    some = hashes[:5000]
    np.argwhere(np.bitwise_count(some[:, None] ^ some[None, :]) <= RADIUS)
    return len(some) * (len(some) - 1) // 2


def rate_of(brute: Callable[[Any], int], hashes: np.ndarray[Any, np.dtype[np.uint64]]) -> float:
    """Return the pairs per CPU second of a way to compare all with all in numpy."""
    began, pairs = time.process_time(), 0
    while time.process_time() - began < _SECONDS:
        pairs += brute(hashes)
    return pairs / (time.process_time() - began)


def measure(size: int) -> dict[str, float]:
    """Measure one size; the process is the function's own."""
    hashes = hashes_of(size)
    began = time.process_time()
    hamming._kernel()
    compiling = time.process_time() - began
    cpu, one, two = [], [], []
    for _ in range(3 if size < max(SIZES) else 1):
        started, began = time.perf_counter(), time.process_time()
        found = near_pairs(hashes, RADIUS)
        cpu.append(time.process_time() - began)
        one.append(time.perf_counter() - started)
        peak = peak_mb()
        with ThreadPoolExecutor(2) as threads:
            started = time.perf_counter()
            again = near_pairs(hashes, RADIUS, spread=threads.map)
            two.append(time.perf_counter() - started)
        assert [column.tobytes() for column in found] == [column.tobytes() for column in again]
    all_pairs = size * (size - 1) / 2 / min(cpu)
    return {
        "size": size,
        "compiling": compiling,
        "cpu": min(cpu),
        "pairs": len(found[0]),
        "times_rows": all_pairs / rate_of(by_row, hashes),
        "times_matrix": all_pairs / rate_of(by_matrix, hashes),
        "peak_mib": peak,
        "threads_ratio": min(one) / min(two),
    }


def beside_others() -> None:
    """Hash and search the same files as imagededup does, and compare what is found."""
    with TemporaryDirectory() as scratch:
        make_files(Path(scratch))
        started = time.perf_counter()
        paths = sorted(Path(scratch).iterdir())
        ours = np.array([perceptual_hashes(decode(path.read_bytes())).phash for path in paths], dtype=np.uint64)
        hashing = time.perf_counter() - started
        command = [str(RIVALS), "-I", str(Path(__file__).with_name("dedup_rivals.py")), scratch, str(RADIUS)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    said = json.loads(done.stdout)
    theirs = np.array([int(said["hashes"][path.name], 16) for path in paths], dtype=np.uint64)
    started = time.perf_counter()
    first, second, _ = near_pairs(theirs, RADIUS)
    searching = time.perf_counter() - started
    near_pairs(ours, RADIUS)
    found = {(paths[i].name, paths[j].name) for i, j in zip(first.tolist(), second.tolist(), strict=True)}
    sys.stdout.write(f"{FILES:,} files, radius {RADIUS}, wall seconds:\n")
    sys.stdout.write(f"  coldforge: decode and hash {hashing:.1f}, search {searching:.3f}, {len(found):,} pairs\n")
    for name, search in said["searches"].items():
        pairs = {(min(a, b), max(a, b)) for a, b in search["pairs"]}
        sys.stdout.write(
            f"  {name}: search {search['seconds']:.3f} ({search['seconds'] / searching:.1f} times ours), "
            f"{len(pairs):,} pairs, {len(pairs - found)} of them not found by near_pairs, "
            f"{len(found - pairs)} found by near_pairs alone\n"
        )
    sys.stdout.write(f"  imagededup: decode and hash {said['hashing']:.1f}\n")


def make_files(directory: Path) -> None:
    """Write pictures of a few random shapes; a fifth are others again as JPEG of another quality, or smaller."""
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(5)
    for number in range(FILES):
        if number % 5 or not number:
            image = Image.new("RGB", (160, 120), tuple(rng.integers(0, 256, 3).tolist()))
            draw = ImageDraw.Draw(image)
            for _ in range(12):
                left, top, width, height = rng.integers((0, 0, 10, 10), (140, 100, 100, 80)).tolist()
                draw.ellipse((left, top, left + width, top + height), fill=tuple(rng.integers(0, 256, 3).tolist()))
        else:
            image = image.resize((120, 90)) if number % 2 else image
        image.save(directory / f"{number:05}.jpg", quality=90 if number % 5 else 60)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.stdout.write(json.dumps(measure(int(sys.argv[1]))))
    else:
        for size in SIZES:
            command = [sys.executable, "-m", "tests.benchmarks.dedup", str(size)]
            done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
            told = json.loads(done.stdout)
            sys.stdout.write(
                f"{size:>10,} hashes: {told['cpu']:.2f} CPU s (and {told['compiling']:.1f} once to compile), "
                f"{told['pairs']:,.0f} pairs, {told['times_matrix']:,.0f} times numpy's brute force on a matrix, "
                f"{told['times_rows']:,.0f} times row by row, peak {told['peak_mib']:.0f} MiB, "
                f"two threads {told['threads_ratio']:.2f} times as fast (wall)\n"
            )
        beside_others()
