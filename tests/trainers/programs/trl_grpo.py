"""Prepares the prompts of an export as TRL's GRPO trainer does; run by the interpreter of .venv-trainers-trl."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any


def main() -> None:
    """Write the token ids of each prompt."""
    given = json.loads(sys.argv[1])
    import trl
    from datasets import load_dataset
    from transformers import AutoConfig, AutoProcessor, Qwen2_5_VLForConditionalGeneration
    from trl.data_utils import prepare_multimodal_messages

    rows = load_dataset(given["export"], split="train")
    processors: Any = AutoProcessor
    processor = processors.from_pretrained(given["student"], padding_side="left")
    kit = json.loads((Path(given["export"]) / "kit" / "kit.json").read_text())
    processor.image_processor.size = {"shortest_edge": kit["min_pixels"], "longest_edge": kit["max_pixels"]}
    model = Qwen2_5_VLForConditionalGeneration(AutoConfig.from_pretrained(given["student"]))
    arguments = trl.GRPOConfig(output_dir=given["scratch"], use_cpu=True, report_to=[], num_generations=2)
    trainer = trl.GRPOTrainer(
        model=model, reward_funcs=[_reward], args=arguments, train_dataset=rows, processing_class=processor
    )
    made = []
    for row in trainer.train_dataset:
        messages = prepare_multimodal_messages(row["prompt"], images=row["images"])
        ids, *_ = trainer._tokenize_prompts([messages])
        made.append({"input_ids": list(ids[0])})
    told = {
        "version": version("trl"),
        "transformers": version("transformers"),
        "ids": list(rows["id"]),
        "rows": made,
    }
    Path(given["out"]).write_text(json.dumps(told))


def _reward(completions: list[object], **_: object) -> list[float]:
    return [0.0] * len(completions)


if __name__ == "__main__":
    main()
