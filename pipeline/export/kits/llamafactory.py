"""LLaMA-Factory: `kit/train.yaml`, as the one that DeepEyesV2 released (`qwen2_5vl_full_sft_final_100k.yaml`)."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.export.formats.llamafactory import dataset_names
from pipeline.export.layout import Facts
from pipeline.export.summary import Summary

_TRAIN = """\
# llamafactory-cli train kit/train.yaml, from the folder of the export. Full fine-tuning on one node of 8 GPUs:
# a global batch of 32 rows. For fewer GPUs set finetuning_type: lora and remove the line deepspeed.

### model
model_name_or_path: {model}
# The student's budget per picture, under which the data was made; with another one rows are longer than counted.
# What is saved keeps the budget of the checkpoint: serve the copy that `python kit/budget.py SAVED COPY` makes of it.
# Begun with such a copy, pictures have exactly the sizes of the rollouts.
image_max_pixels: {max_pixels}
video_max_pixels: 16384

### method
stage: sft
do_train: true
finetuning_type: full
freeze_vision_tower: true
freeze_multi_modal_projector: true
freeze_language_model: false
deepspeed: kit/ds_z3.json

### dataset: {rows} rows, the longest of {longest} tokens ({counter})
dataset_dir: .
media_dir: .
dataset: {train}{validation}
template: {template}
cutoff_len: {cutoff}
preprocessing_num_workers: 16
dataloader_num_workers: 4

### output
# Beside the exports, never among them: what stands there has to be what the manifest says.
output_dir: ../../../saves/sft-llamafactory
logging_steps: 10
save_steps: 500
report_to: none

### train
per_device_train_batch_size: 1
per_device_eval_batch_size: 1
gradient_accumulation_steps: 4
learning_rate: 1.0e-5
num_train_epochs: 3.0
lr_scheduler_type: cosine
warmup_ratio: 0.1
bf16: true
ddp_timeout: 180000000
"""


def files_of(facts: Facts, summary: Summary) -> Mapping[str, str]:
    """Return the configuration; the data sets are those of `dataset_info.json`, by their names."""
    student = facts.student
    names = {split: ", ".join(dataset_names(facts.name, {split: paths})) for split, paths in summary.files.items()}
    counter = "exact" if len(facts.tokens) == _SHA256 else "estimated"
    text = _TRAIN.format(
        model=student.revision,
        max_pixels=student.max_pixels,
        rows=summary.splits.get("train", 0),
        longest=summary.row_tokens.most,
        counter=f"{counter}, pictures at the budget",
        train=names["train"],
        validation=f"\neval_dataset: {names['validation']}\neval_strategy: epoch" if "validation" in names else "",
        template=student.template,
        cutoff=student.cutoff_len,
    )
    return {"train.yaml": text}


_SHA256 = 64
"""Characters, of a tokenizer's file that counted; else an estimate did."""
