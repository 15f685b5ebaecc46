"""Where the files of `manifests/` are: beside the packages in a checkout, inside the wheel when installed."""

from __future__ import annotations

from pathlib import Path


def manifests_dir() -> Path:
    """Return the directory with `sources/`, `benchmarks/`, `recipes/` and `prompts/`."""
    packaged = Path(__file__).parent / "_manifests"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "manifests"
