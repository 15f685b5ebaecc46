"""LLaMA-Factory (v0 loader): JSON arrays, image files, and the `dataset_info.json` that names them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.export.rows import Sample, SftRow, Split

DATASET_INFO = "dataset_info.json"

_TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "observation",
    "function_tag": "function_call",
    "system_tag": "system",
}
"""All seven: once `tags` is given, one that is left out is unset and does not fall back to its default."""


def sft_row(sample: Sample[SftRow], paths: list[str]) -> dict[str, Any]:
    """Return one row; `images` is a list in every row, also where there is none."""
    return {
        "id": sample.record_id,
        "messages": [message.text() for message in sample.messages],
        "images": paths,
    }


def dataset_names(name: str, files: Mapping[Split, Sequence[str]]) -> dict[str, str]:
    """Return what a training configuration calls each file: `demo_sft_00000`, `demo_sft_validation_00000`.

    Names do not change with the content, as those of the files do.
    """
    kinds: dict[Split, str] = {"train": "sft", "validation": "sft_validation"}
    return {
        f"{name}_{kinds[split]}_{number:05d}": path
        for split, paths in files.items()
        for number, path in enumerate(paths)
    }


def dataset_info(name: str, files: Mapping[Split, Sequence[str]]) -> bytes:
    """Return `dataset_info.json` of a data set whose splits have these files, in order."""
    info = {
        entry: {
            "file_name": path,
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images"},
            "tags": _TAGS,
        }
        for entry, path in dataset_names(name, files).items()
    }
    return (json.dumps(info, indent=2) + "\n").encode()
