"""Loads an export as ms-swift's SFT does; run by the interpreter of .venv-trainers-swift."""

from __future__ import annotations

import json
import os
import sys
from importlib.metadata import version
from pathlib import Path


def main() -> None:
    """Write what the template makes of each row."""
    given = json.loads(sys.argv[1])
    os.environ["ROOT_IMAGE_DIR"] = given["export"]
    os.environ["MAX_PIXELS"] = str(given["max_pixels"])
    from swift.dataset import load_dataset
    from swift.model import get_processor
    from swift.template import get_template
    from swift.template.templates.qwen import Qwen2VLTemplate

    processor = get_processor(given["student"], model_type="qwen2_5_vl")
    # It knows the mark of a picture by its id in Qwen's vocabulary; a tiny one has another.
    Qwen2VLTemplate.image_token_id = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    template = get_template(processor, template_type="qwen2_5_vl", max_length=given["cutoff_len"])
    template.set_mode("train")
    rows, _ = load_dataset(given["files"], shuffle=False, split_dataset_ratio=0.0, strict=True)
    made = []
    for row in rows:
        encoded = template.encode(row)
        made.append({"input_ids": list(encoded["input_ids"]), "labels": list(encoded["labels"])})
    told = {
        "version": version("ms-swift"),
        "transformers": version("transformers"),
        "rows": made,
    }
    Path(given["out"]).write_text(json.dumps(told))


if __name__ == "__main__":
    main()
