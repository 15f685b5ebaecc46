"""Loads an export as LLaMA-Factory's SFT does; run by the interpreter of .venv-trainers-llamafactory."""

from __future__ import annotations

import json
import sys
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from pathlib import Path
from types import ModuleType


def main() -> None:
    """Write what the data set and its collator make of each row."""
    given = json.loads(sys.argv[1])
    # Imported at once, used for sounds alone, and not to be had for torch on CPU.
    sound = ModuleType("torchaudio")
    sound.__spec__ = ModuleSpec("torchaudio", None)
    sys.modules["torchaudio"] = sound
    from llamafactory.data import SFTDataCollatorWith4DAttentionMask, get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    info = json.loads((Path(given["export"]) / "dataset_info.json").read_text())
    arguments = {
        "model_name_or_path": given["student"],
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "full",
        "template": "qwen2_vl",
        "dataset_dir": given["export"],
        "dataset": ",".join(info),
        "cutoff_len": given["cutoff_len"],
        "image_max_pixels": given["max_pixels"],
        "preprocessing_num_workers": None,
        "output_dir": given["scratch"],
        "use_cpu": True,
        "report_to": "none",
    }
    model_arguments, data_arguments, training_arguments, _, _ = get_train_args(arguments)
    loaded = load_tokenizer(model_arguments)
    template = get_template_and_fix_tokenizer(loaded["tokenizer"], data_arguments)
    module = get_dataset(template, model_arguments, data_arguments, training_arguments, stage="sft", **loaded)
    rows = module["train_dataset"]
    collate = SFTDataCollatorWith4DAttentionMask(template=template, model=None, label_pad_token_id=-100, **loaded)
    made = []
    for row in rows:
        learnt = {"input_ids": list(row["input_ids"]), "labels": list(row["labels"])}
        pictures = len(row["images"] or [])
        # Where a row has no picture, the collator adds one that nothing attends to.
        grids = collate([row])["image_grid_thw"][:pictures]
        made.append({**learnt, "patches": [int(grid.prod()) // 4 for grid in grids]})
    told = {
        "version": version("llamafactory"),
        "transformers": version("transformers"),
        "rows": made,
    }
    Path(given["out"]).write_text(json.dumps(told))


if __name__ == "__main__":
    main()
