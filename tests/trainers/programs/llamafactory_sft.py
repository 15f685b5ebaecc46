"""Loads an export as LLaMA-Factory's SFT does under its kit; run by the interpreter of .venv-trainers-llamafactory."""

from __future__ import annotations

import json
import os
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
    import yaml
    from llamafactory.data import SFTDataCollatorWith4DAttentionMask, get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    # As `llamafactory-cli train kit/train.yaml` in the export's folder, but for what needs a GPU or a hub.
    os.chdir(given["export"])
    arguments = yaml.safe_load(Path("kit/train.yaml").read_text())
    del arguments["deepspeed"], arguments["bf16"]
    here = {"model_name_or_path": given["student"], "output_dir": given["scratch"], "use_cpu": True}
    arguments |= {**here, "preprocessing_num_workers": None, "dataloader_num_workers": 0, "plot_loss": False}
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
