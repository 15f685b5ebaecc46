"""Loads an export as TRL's SFT trainer does; run by the interpreter of .venv-trainers-trl.

The chat template is the one that TRL knows Qwen2.5-VL by, so that TRL itself has to find the training variant.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

BATCH = 4


def main() -> None:
    """Write what the trainer's collator makes of each row."""
    given = json.loads(sys.argv[1])
    import torch
    import trl
    from datasets import load_dataset
    from transformers import AutoConfig, AutoProcessor, Qwen2_5_VLForConditionalGeneration

    rows = load_dataset(given["export"], split="train")
    processors: Any = AutoProcessor
    processor = processors.from_pretrained(given["student"])
    kit = json.loads((Path(given["export"]) / "kit" / "kit.json").read_text())
    processor.image_processor.size = {"shortest_edge": kit["min_pixels"], "longest_edge": kit["max_pixels"]}
    ours = processor.chat_template
    processor.chat_template = (Path(trl.__file__).parent / "chat_templates" / "qwen2_5_vl.jinja").read_text()
    model = Qwen2_5_VLForConditionalGeneration(AutoConfig.from_pretrained(given["student"]))
    arguments = trl.SFTConfig(
        output_dir=given["scratch"],
        assistant_only_loss=True,
        max_length=given["cutoff_len"],
        use_cpu=True,
        report_to=[],
    )
    trainer = trl.SFTTrainer(model=model, args=arguments, train_dataset=rows, processing_class=processor)
    prepared = trainer.train_dataset
    made = [_row(trainer.data_collator([prepared[at]]), 0) for at in range(len(prepared))]
    # Together with others, text beside pictures, a row is the same.
    for first in range(0, len(prepared), BATCH):
        batch = trainer.data_collator([prepared[at] for at in range(first, min(first + BATCH, len(prepared)))])
        for at in range(len(batch["input_ids"])):
            alone = made[first + at]
            together = _row(batch, at)
            if together["input_ids"] != alone["input_ids"] or together["labels"] != alone["labels"]:
                raise AssertionError(f"row {first + at} differs in a batch")
    texts = [processor.apply_chat_template(row["messages"], tokenize=False) for row in rows]
    same = [processor.apply_chat_template(row["messages"], chat_template=ours, tokenize=False) for row in rows]
    told = {
        "version": version("trl"),
        "transformers": version("transformers"),
        "torch": torch.__version__,
        "ids": list(rows["id"]),
        "template_as_ours": texts == same,
        "rows": made,
    }
    Path(given["out"]).write_text(json.dumps(told))


def _row(batch: Any, at: int) -> dict[str, Any]:
    kept = batch["attention_mask"][at].bool()
    return {"input_ids": batch["input_ids"][at][kept].tolist(), "labels": batch["labels"][at][kept].tolist()}


if __name__ == "__main__":
    main()
