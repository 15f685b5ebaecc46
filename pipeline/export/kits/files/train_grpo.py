"""GRPO with TRL (1.16) and the reward of this kit: `accelerate launch kit/train_grpo.py`.

TRL calls tools through a model's own template alone. So an episode is one message here, and its prompt tells of no
tools: this is the baseline without tools. With tools, train with the export for verl or for DeepEyesV2's environment.
Options of `GRPOConfig` behind it take the place of ours: without a GPU it is tried with `--use_cpu true --bf16 false
--deepspeed "" --max_steps 1 --num_generations 2 --gradient_accumulation_steps 1 --max_completion_length 16`.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from datasets import load_dataset
from reward import compute_score
from transformers import AutoProcessor
from trl import GRPOConfig, GRPOTrainer, TrlParser

KIT = json.loads(Path(__file__).with_name("kit.json").read_text(encoding="utf-8"))
EXPORT = Path(__file__).resolve().parents[1]
MODEL = os.environ.get("MODEL", KIT["model"])
DEEPSPEED = str(Path(__file__).with_name("ds_z3.json")) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else None
TRUTH = ("question", "choices", "answers", "answer_type", "tolerance", "metric")


def reward(completions: list[Any], category: list[str], answer: list[str], **columns: Any) -> list[float]:
    """Return the score of each completion; the other columns of the rows say what is right."""
    rows = zip(completions, category, answer, strict=True)
    truths = [{name: columns[name][row] for name in TRUTH if name in columns} for row in range(len(completions))]
    scores = [
        # It is one message: what it makes up of a tool's answer is its own.
        compute_score(kind, text(said), gold, {**truth, "assistant_messages": [text(said)]})
        for (said, kind, gold), truth in zip(rows, truths, strict=True)
    ]
    if "log_metric" in columns:
        columns["log_metric"]("undecided", sum(score["undecided"] for score in scores) / len(scores))
    return [score["score"] for score in scores]


def text(completion: Any) -> str:
    """Return what a completion says; TRL hands on messages, their content a text or parts."""
    content = completion if isinstance(completion, str) else completion[0]["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content or ())


def options() -> GRPOConfig:
    """Return the options behind the script, ours where there is none; an unknown one is refused."""
    parser = TrlParser(GRPOConfig)
    parser.set_defaults_with_config(
        output_dir=os.environ.get("SAVES", str(EXPORT.parents[2] / "saves" / "rl-trl")),
        max_completion_length=2_048,
        num_generations=16,
        # Answers of one step: 16 per process, so that any number of them makes whole groups; 8 questions on 8 GPUs.
        per_device_train_batch_size=2,
        gradient_accumulation_steps=8,
        num_train_epochs=3,
        learning_rate=1e-6,
        beta=0.0,
        gradient_checkpointing=True,
        # By transformers, which is slow but needs nothing: `--use_vllm true` where vLLM is installed.
        use_vllm=False,
        bf16=True,
        model_init_kwargs={"dtype": "bfloat16"},
        deepspeed=DEEPSPEED,
        logging_steps=1,
    )
    (arguments,) = parser.parse_args_and_config()
    return arguments


def main() -> None:
    """Train."""
    arguments = options()
    files = {split: [str(EXPORT / path) for path in paths] for split, paths in KIT["files"].items()}
    processor = AutoProcessor.from_pretrained(MODEL)
    size = {"shortest_edge": KIT["min_pixels"], "longest_edge": KIT["max_pixels"]}
    if arguments.use_vllm and dict(processor.image_processor.size) != size:
        sys.exit(f"vLLM knows the checkpoint's budget alone: python kit/budget.py {MODEL} COPY, then MODEL=COPY")
    processor.image_processor.size = size
    trainer = GRPOTrainer(
        model=MODEL,
        args=arguments,
        reward_funcs=reward,
        train_dataset=load_dataset("parquet", data_files=files)["train"],
        processing_class=processor,
    )
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()
