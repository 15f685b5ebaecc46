"""A checkpoint's copy has the image budget of the data, whichever library wrote it and whichever reads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from pipeline.students.family import FAMILIES, Size
from tests.support.kits import FACTS, program

SETTINGS: dict[str, Any] = {
    "image_processor_type": "Qwen2VLImageProcessor",
    "patch_size": 14,
    "merge_size": 2,
    "temporal_patch_size": 2,
}
WRITTEN: dict[str, dict[str, Any]] = {
    "old": {"preprocessor_config.json": {**SETTINGS, "min_pixels": 3_136, "max_pixels": 12_845_056}},
    "new": {
        "processor_config.json": {
            "processor_class": "Qwen2_5_VLProcessor",
            "image_processor": {**SETTINGS, "size": {"shortest_edge": 3_136, "longest_edge": 12_845_056}},
        }
    },
}
WRITTEN["both"] = WRITTEN["old"] | WRITTEN["new"]


@pytest.mark.parametrize("kind", WRITTEN)
def test_the_copy_keeps_the_budget_and_the_checkpoint_is_left_as_it_is(kind: str, tmp_path: Path) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.mkdir()
    (source / "model.safetensors").write_bytes(b"weights")
    for name, content in WRITTEN[kind].items():
        (source / name).write_text(json.dumps(content))
    budget = program("budget.py", tmp_path / "kit")
    for _ in range(2):
        budget.main(str(source), str(copy))
    assert (copy / "model.safetensors").resolve() == source / "model.safetensors"
    assert {name: json.loads((source / name).read_text()) for name in WRITTEN[kind]} == WRITTEN[kind]
    processor = Qwen2VLImageProcessorPil.from_pretrained(copy)
    grid = processor(images=[Image.new("RGB", (4_000, 3_000))], return_tensors="np")["image_grid_thw"][0]
    seen = FAMILIES[FACTS.family].resize(Size(4_000, 3_000), FACTS.max_pixels)
    assert (grid[2] * 14, grid[1] * 14) == seen
    old = json.loads((copy / "preprocessor_config.json").read_text())
    assert (old["max_pixels"], old["patch_size"]) == (FACTS.max_pixels, 14)
