"""ms-swift: `kit/train.sh`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.export.layout import Facts
from pipeline.export.summary import Summary

_TRAIN = """\
#!/bin/sh
# sh kit/train.sh: full fine-tuning with ms-swift (4.6), {rows} rows, the longest of about {longest} tokens.
# Each message says itself whether it is learnt (`loss`); observations never are.
set -eu
EXPORT="$(cd "$(dirname "$0")/.." && pwd)"
# Beside the exports, never among them: what stands there has to be what the manifest says.
SAVES="${{SAVES:-$(cd "$EXPORT/../../.." && pwd)/saves/sft-ms_swift}}"
# Paths of pictures in the rows are relative to the export. Without it ms-swift trains on other rows in their place.
export ROOT_IMAGE_DIR="$EXPORT"
# The student's budget per picture, under which the data was made. What is saved keeps the budget of the checkpoint:
# serve the copy that `python kit/budget.py SAVED COPY` makes of it.
export MAX_PIXELS={max_pixels}
export NPROC_PER_NODE="${{NPROC_PER_NODE:-8}}"
swift sft \\
  --model "${{MODEL:-{model}}}" --model_type {family} --template {family} \\
  --dataset {train} \\{validation}
  --tuner_type full \\
  --freeze_vit true --freeze_aligner true \\
  --max_length {cutoff} --truncation_strategy delete \\
  --loss_scale default --strict true \\
  --torch_dtype bfloat16 --deepspeed zero3 \\
  --num_train_epochs 3 --learning_rate 1e-5 --lr_scheduler_type cosine --warmup_ratio 0.1 \\
  --per_device_train_batch_size 1 --gradient_accumulation_steps 4 --gradient_checkpointing true \\
  --logging_steps 10 --save_strategy epoch --output_dir "$SAVES" "$@"
"""
_VALIDATION = """
  --val_dataset {validation} --eval_strategy epoch --per_device_eval_batch_size 1 \\"""


def files_of(facts: Facts, summary: Summary) -> Mapping[str, str]:
    """Return the script."""
    train, validation = (_paths(summary.files.get(split, ())) for split in ("train", "validation"))
    text = _TRAIN.format(
        rows=summary.splits.get("train", 0),
        longest=summary.row_tokens.most,
        max_pixels=facts.student.max_pixels,
        model=facts.student.revision,
        # Else it goes by the name of the checkpoint, which a folder of one's own does not have.
        family=facts.student.family,
        train=train,
        validation=_VALIDATION.format(validation=validation) if validation else "",
        cutoff=facts.student.cutoff_len,
    )
    return {"train.sh": text}


def _paths(files: Sequence[str]) -> str:
    return " ".join(f'"$EXPORT/{path}"' for path in files)
