"""Loads an export as verl's RL trainer does, lengths filtered; run by the interpreter of .venv-trainers-verl."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any


def main() -> None:
    """Write the token ids of each prompt as an agent loop makes them of `raw_prompt`."""
    given = json.loads(sys.argv[1])
    from omegaconf import OmegaConf
    from transformers import AutoProcessor
    from verl.utils.dataset.rl_dataset import RLHFDataset
    from verl.utils.tokenizer import build_multimodal_processor_inputs

    processors: Any = AutoProcessor
    # A copy of the student with the budget of the data, as the kit makes it.
    student = str(Path(given["scratch"]) / "student")
    subprocess.run([sys.executable, f"{given['export']}/kit/budget.py", given["student"], student], check=True)
    processor = processors.from_pretrained(student)
    settings = {
        "cache_dir": given["scratch"],
        "max_prompt_length": given["cutoff_len"],
        "filter_overlong_prompts": True,
        "return_raw_chat": True,
    }
    rows = RLHFDataset(given["files"], processor.tokenizer, OmegaConf.create(settings), processor)
    made, ids, agents = [], [], []
    for at in range(len(rows)):
        row = rows[at]
        messages = row["raw_prompt"]
        text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        images, videos, audios = rows._process_multi_modal_info(messages, rows.image_patch_size, rows.config)
        if images is None:
            made.append({"input_ids": processor.tokenizer(text, add_special_tokens=False)["input_ids"]})
        else:
            batch = build_multimodal_processor_inputs(
                processor, text=[text], images=images, videos=videos, audio=audios, mm_processor_kwargs={}
            )
            made.append({"input_ids": [int(token) for token in batch["input_ids"][0]]})
        ids.append(row["index"])
        agents.append(row["agent_name"])
    told = {
        "version": version("verl"),
        "transformers": version("transformers"),
        "ids": ids,
        "agents": sorted(set(agents)),
        "rows": made,
    }
    Path(given["out"]).write_text(json.dumps(told))


if __name__ == "__main__":
    main()
