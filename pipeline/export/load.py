"""Reading a shard back as `datasets` loads it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import UsageError
from pipeline.export.layout import CARD

if TYPE_CHECKING:
    from datasets import Dataset


def load_shard(exports: Path, shard: str, split: str) -> Dataset:
    """Return one split of a shard, pictures decoded when they are looked at.

    Args:
        exports: the directory `export` of a run.
        shard: such as `sft` or `rl`.
        split: `train`, or `validation` where the recipe asks for one.

    Raises:
        UsageError: there is no such shard, or no such split of it; the message names those there are.
    """
    from datasets import load_dataset

    directory = exports / shard
    if not (directory / CARD).is_file():
        known = sorted(card.parent.name for card in exports.glob(f"*/{CARD}"))
        raise UsageError(f"{exports} has no shard {shard}; shards there: {', '.join(known) or 'none'}")
    found = load_dataset(str(directory))
    if split not in found:
        raise UsageError(f"{directory} has no split {split}; splits: {', '.join(map(str, found))}")
    loaded: Dataset = found[split]
    return loaded
