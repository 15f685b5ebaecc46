"""ms-swift: `kit/train.sh`."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.export.layout import Facts
from pipeline.export.summary import Summary

_TRAIN = """\
#!/bin/sh
# sh kit/train.sh: full fine-tuning with ms-swift (4.6), {rows} rows, the longest of about {longest} tokens.
# Each message says itself whether it is learnt (`loss`); observations never are.
set -eu
cd "$(dirname "$0")/.."
# Paths of pictures in the rows are relative to this folder. Without it ms-swift trains on other rows in their place.
export ROOT_IMAGE_DIR="$PWD"
# The student's budget per picture, under which the data was made.
export MAX_PIXELS={max_pixels}
export NPROC_PER_NODE="${{NPROC_PER_NODE:-8}}"
swift sft \\
  --model "${{MODEL:-{model}}}" \\
  --dataset {train} \\{validation}
  --tuner_type full \\
  --freeze_vit true --freeze_aligner true \\
  --max_length {cutoff} --truncation_strategy delete \\
  --loss_scale default --strict true \\
  --torch_dtype bfloat16 --deepspeed zero3 \\
  --num_train_epochs 3 --learning_rate 1e-5 --lr_scheduler_type cosine --warmup_ratio 0.1 \\
  --per_device_train_batch_size 1 --gradient_accumulation_steps 4 --gradient_checkpointing true \\
  --logging_steps 10 --save_steps 500 --output_dir saves/{name} "$@"
"""


def files_of(facts: Facts, summary: Summary) -> Mapping[str, str]:
    """Return the script."""
    validation = " ".join(summary.files.get("validation", ()))
    text = _TRAIN.format(
        rows=summary.rows,
        longest=summary.row_tokens.most,
        max_pixels=facts.student.max_pixels,
        model=facts.student.revision,
        train=" ".join(summary.files["train"]),
        validation=f"\n  --val_dataset {validation} \\" if validation else "",
        cutoff=facts.student.cutoff_len,
        name=facts.name,
    )
    return {"train.sh": text}
