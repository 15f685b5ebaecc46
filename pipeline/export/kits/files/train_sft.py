"""Full fine-tuning with TRL (1.16, transformers 5.18 or newer): `accelerate launch kit/train_sft.py`.

The loss is on assistant messages alone, pictures stand in their turns and are reduced to the budget of the data. What
is longer than the cutoff is in no export, so that nothing is cut. Options of `SFTConfig` behind it take the place of
ours: without a GPU it is tried with `--use_cpu true --bf16 false --deepspeed "" --max_steps 1`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from datasets import load_dataset
from transformers import AutoProcessor
from trl import SFTConfig, SFTTrainer, TrlParser

KIT = json.loads(Path(__file__).with_name("kit.json").read_text(encoding="utf-8"))
EXPORT = Path(__file__).resolve().parents[1]
MODEL = os.environ.get("MODEL", KIT["model"])
# A model of 7 B does not fit one GPU with its gradients and optimiser; one process trains a small one as it is.
DEEPSPEED = str(Path(__file__).with_name("ds_z3.json")) if int(os.environ.get("WORLD_SIZE", "1")) > 1 else None


def options() -> SFTConfig:
    """Return the options behind the script, ours where there is none; an unknown one is refused."""
    parser = TrlParser(SFTConfig)
    parser.set_defaults_with_config(
        output_dir=os.environ.get("SAVES", str(EXPORT.parents[2] / "saves" / "sft-trl")),
        # TRL puts a template with generation marks in the place of the model's own where it knows one.
        assistant_only_loss=True,
        max_length=KIT["cutoff_len"],
        packing=False,
        num_train_epochs=3,
        learning_rate=1e-5,
        lr_scheduler_type="cosine",
        warmup_steps=0.1,
        per_device_train_batch_size=1,
        per_device_eval_batch_size=1,
        gradient_accumulation_steps=4,
        gradient_checkpointing=True,
        bf16=True,
        model_init_kwargs={"dtype": "bfloat16"},
        deepspeed=DEEPSPEED,
        eval_strategy="epoch" if "validation" in KIT["files"] else "no",
        logging_steps=10,
    )
    (arguments,) = parser.parse_args_and_config()
    return arguments


def main() -> None:
    """Train."""
    arguments = options()
    files = {split: [str(EXPORT / path) for path in paths] for split, paths in KIT["files"].items()}
    data = load_dataset("parquet", data_files=files)
    processor = AutoProcessor.from_pretrained(MODEL)
    processor.image_processor.size = {"shortest_edge": KIT["min_pixels"], "longest_edge": KIT["max_pixels"]}
    columns = ["messages", "images"]
    trainer = SFTTrainer(
        model=MODEL,
        args=arguments,
        train_dataset=data["train"].select_columns(columns),
        eval_dataset=data["validation"].select_columns(columns) if "validation" in data else None,
        processing_class=processor,
    )
    # The tower that sees is not trained, nor what projects what it saw: as in DeepEyesV2's released configuration.
    for name in ("visual", "vision_tower", "multi_modal_projector"):
        if hasattr(trainer.model.model, name):
            getattr(trainer.model.model, name).requires_grad_(False)
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()
