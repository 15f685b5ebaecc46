"""Make a copy of a checkpoint whose processor keeps the image budget of the data: `budget.py CHECKPOINT TARGET`.

verl and DeepEyesV2's fork read the budget from the checkpoint alone. Weights are linked, not copied. CHECKPOINT is a
directory or a name on the Hugging Face Hub.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

KIT = json.loads(Path(__file__).with_name("kit.json").read_text(encoding="utf-8"))
PROCESSOR = "preprocessor_config.json"


def main(checkpoint: str, target: str) -> None:
    """Link the files of a checkpoint and write its processor's settings anew."""
    source = Path(checkpoint)
    if not source.is_dir():
        from huggingface_hub import snapshot_download

        source = Path(snapshot_download(checkpoint))
    directory = Path(target)
    directory.mkdir(parents=True, exist_ok=True)
    for path in source.iterdir():
        link = directory / path.name
        link.unlink(missing_ok=True)
        link.symlink_to(path.resolve())
    settings = json.loads((source / PROCESSOR).read_text(encoding="utf-8"))
    # Older processors read the one, newer the other.
    settings["max_pixels"] = KIT["max_pixels"]
    settings["size"] = {"shortest_edge": settings.get("min_pixels", 3_136), "longest_edge": KIT["max_pixels"]}
    (directory / PROCESSOR).unlink()
    (directory / PROCESSOR).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
