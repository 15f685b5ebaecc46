"""Make a copy of a checkpoint whose processor keeps the image budget of the data: `budget.py CHECKPOINT TARGET`.

verl, DeepEyesV2's fork and vLLM read the budget from the checkpoint alone; LLaMA-Factory and ms-swift save the one
of the checkpoint that they began with. Weights are linked, not copied. CHECKPOINT is a directory or a name on the
Hugging Face Hub.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

KIT = json.loads(Path(__file__).with_name("kit.json").read_text(encoding="utf-8"))
OLD, NEW = "preprocessor_config.json", "processor_config.json"
"""Where settings for pictures stand; in the newer file, which transformers 5 writes, under this key:"""
PICTURES = "image_processor"


def main(checkpoint: str, target: str) -> None:
    """Link the files of a checkpoint and write its processor's settings anew."""
    source = Path(checkpoint)
    if not source.is_dir():
        from huggingface_hub import snapshot_download

        source = Path(snapshot_download(checkpoint))
    directory = Path(target)
    directory.mkdir(parents=True, exist_ok=True)
    if directory.resolve() == source.resolve():
        sys.exit(f"{target} is the checkpoint itself; name another directory")
    for path in [path for path in directory.iterdir() if path.is_symlink() or path.name in {OLD, NEW}]:
        path.unlink()  # of another checkpoint, perhaps
    for path in source.iterdir():
        (directory / path.name).symlink_to(path.resolve())
    new = read(source / NEW)
    settings = budgeted(new.get(PICTURES) or read(source / OLD))
    # Libraries differ in which they read, and in the names of the budget.
    write(directory / OLD, settings)
    if PICTURES in new:
        write(directory / NEW, {**new, PICTURES: settings})


def budgeted(settings: dict[str, Any]) -> dict[str, Any]:
    """Return a processor's settings with the budget of the data."""
    size = {"shortest_edge": KIT["min_pixels"], "longest_edge": KIT["max_pixels"]}
    return {**settings, "min_pixels": KIT["min_pixels"], "max_pixels": KIT["max_pixels"], "size": size}


def read(path: Path) -> dict[str, Any]:
    """Return the settings in a file, none if it is not there."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write(path: Path, settings: dict[str, Any]) -> None:
    """Write settings in the place of a link: never through it, into the checkpoint."""
    path.unlink(missing_ok=True)
    path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
