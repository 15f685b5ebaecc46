"""Loads an export as verl's SFT trainer does; run by the interpreter of .venv-trainers-verl."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any


def main() -> None:
    """Write what the data set returns for each row."""
    given = json.loads(sys.argv[1])
    from omegaconf import OmegaConf
    from transformers import AutoProcessor
    from verl.utils.dataset.multiturn_sft_dataset import MultiTurnSFTDataset

    processors: Any = AutoProcessor
    # A copy of the student with the budget of the data, as the kit makes it.
    student = str(Path(given["scratch"]) / "student")
    subprocess.run([sys.executable, f"{given['export']}/kit/budget.py", given["student"], student], check=True)
    processor = processors.from_pretrained(student)
    config = OmegaConf.create({"max_length": given["cutoff_len"], "truncation": "error", "pad_mode": "no_padding"})
    rows = MultiTurnSFTDataset(given["files"], processor.tokenizer, config, processor)
    made = []
    for at in range(len(rows)):
        row = rows[at]
        learnt = zip(row["input_ids"].tolist(), row["loss_mask"].tolist(), strict=True)
        made.append(
            {"input_ids": row["input_ids"].tolist(), "labels": [token if loss else -100 for token, loss in learnt]}
        )
    told = {
        "version": version("verl"),
        "transformers": version("transformers"),
        "ids": rows.dataframe["id"].tolist(),
        "rows": made,
    }
    Path(given["out"]).write_text(json.dumps(told))


if __name__ == "__main__":
    main()
