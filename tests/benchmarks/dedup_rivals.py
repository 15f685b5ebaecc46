"""Hash a directory with imagededup and search it with imagededup and faiss; run by `dedup.py` in their environment."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import faiss
import numpy as np


def phash() -> Any:
    """Return imagededup's hash and search. Its package also imports torch, for the networks beside them: not here."""
    parts = (
        *("torch", "torch.nn", "torch.utils", "torch.utils.data"),
        *("torchvision", "torchvision.models", "torchvision.models.vision_transformer", "torchvision.transforms"),
    )
    import_module("sklearn.metrics")  # it looks for torch as well, and must not find what stands in for it

    sys.modules.update({name: MagicMock(name=name) for name in parts})
    from imagededup.methods import PHash

    for name in parts:
        del sys.modules[name]
    return PHash(verbose=False)


def timed(search: Callable[[], list[tuple[str, str]]]) -> dict[str, Any]:
    """Return the pairs that a search finds, and its wall seconds."""
    started = time.perf_counter()
    pairs = search()
    return {"seconds": time.perf_counter() - started, "pairs": pairs}


def compare(directory: Path, radius: int) -> dict[str, Any]:
    """Return the hashes of all files, and what each search finds among them."""
    method = phash()
    started = time.perf_counter()
    hashes = method.encode_images(str(directory), num_enc_workers=0)
    hashing = time.perf_counter() - started
    names = sorted(hashes)
    bits = np.array([list(bytes.fromhex(hashes[name])) for name in names], dtype=np.uint8)

    def imagededup() -> list[tuple[str, str]]:
        # Its default; its BK-tree, in Python, took 9 times as long for 400 files and did not end for 20,000.
        found = method.find_duplicates(
            encoding_map=hashes,
            max_distance_threshold=radius,
            search_method="brute_force_cython",
            num_dist_workers=0,
        )
        return [(name, other) for name, others in found.items() for other in others]

    def ranged() -> list[tuple[str, str]]:
        index = faiss.IndexBinaryFlat(64)
        index.add(bits)
        # What it returns is nearer than its radius.
        limits, _, others = index.range_search(bits, radius + 1)
        ours = np.repeat(np.arange(len(names)), np.diff(limits.astype(np.int64)))
        return [(names[i], names[j]) for i, j in zip(ours.tolist(), others.tolist(), strict=True) if i != j]

    faiss.omp_set_num_threads(1)
    searches = {"imagededup, brute_force_cython": timed(imagededup), "faiss, range of BinaryFlat": timed(ranged)}
    return {"hashing": hashing, "hashes": hashes, "searches": searches}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(compare(Path(sys.argv[1]), int(sys.argv[2]))))
