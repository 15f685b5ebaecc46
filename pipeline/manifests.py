"""Where the files of `manifests/` are: beside the packages in a checkout, inside the wheel when installed."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError


def manifests_dir() -> Path:
    """Return the directory with `sources/`, `benchmarks/`, `recipes/` and `prompts/`."""
    packaged = Path(__file__).parent / "_manifests"
    return packaged if packaged.is_dir() else Path(__file__).parents[1] / "manifests"


def explain(error: ValidationError) -> str:
    """Return one indented line per wrong field of a manifest."""
    return "\n".join(
        f"  {'.'.join(map(str, problem['loc'])) or 'manifest'}: {problem['msg']}" for problem in error.errors()
    )
