"""LLaMA-Factory (v0 loader): JSON parts, image files, and the `dataset_info.json` that names them.

Every part holds one row per line, so that a damaged row can be named although the whole is one document.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.export.layout import write_file
from pipeline.export.rows import Sample, SftRow
from pipeline.export.shipped import ExportImage
from pipeline.identity import canonical_json

PART_ROWS = 20_000
"""Rows per part. The loader reads a part as one JSON document; at about 20 KB a row this is 400 MB."""
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


def write_parts(
    directory: Path,
    samples: Sequence[Sample[SftRow]],
    load: Callable[[Sample[SftRow]], list[ExportImage]],
    name: str,
) -> Iterator[tuple[str, Sample[SftRow], dict[str, Any]]]:
    """Write parts, images and `dataset_info.json`; yield (file, sample, canonical row) in order.

    The canonical row holds the bytes of its images beside their paths, so its hash covers both.
    """
    (directory / "images").mkdir()
    parts = [samples[start : start + PART_ROWS] for start in range(0, len(samples), PART_ROWS)] or [()]
    names = [f"sft-{number:05d}.json" for number in range(len(parts))]
    for file, part in zip(names, parts, strict=True):
        with (directory / file).open("w", encoding="utf-8", newline="\n") as out:
            out.write("[")
            for number, sample in enumerate(part):
                images = load(sample)
                _write_images(directory, images)
                row = sft_row(sample, [f"images/{image.name}" for image in images])
                out.write(("\n" if number == 0 else ",\n") + canonical_json(row))
                yield file, sample, canonical_row(row, [image.content for image in images])
            out.write("\n]\n")
    write_file(directory / DATASET_INFO, dataset_info(name, names))


def sft_row(sample: Sample[SftRow], paths: list[str]) -> dict[str, Any]:
    """Return one row; `images` is a list in every row, also where there is none."""
    return {
        "id": sample.record_id,
        "messages": [message._asdict() for message in sample.messages],
        "images": paths,
    }


def canonical_row(row: dict[str, Any], contents: Sequence[bytes]) -> dict[str, Any]:
    """Return the row with the bytes that its paths lead to."""
    images = [{"path": path, "bytes": content} for path, content in zip(row["images"], contents, strict=True)]
    return {**row, "images": images}


def dataset_names(name: str, parts: Sequence[str]) -> list[str]:
    """Return what a training configuration calls each part, such as `demo_sft_00000`."""
    return [f"{name}_{part.removesuffix('.json').replace('-', '_')}" for part in parts]


def dataset_info(name: str, parts: Sequence[str]) -> bytes:
    """Return `dataset_info.json` of a data set whose parts have these file names, in order."""
    info = {
        entry: {
            "file_name": part,
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images"},
            "tags": _TAGS,
        }
        for entry, part in zip(dataset_names(name, parts), parts, strict=True)
    }
    return (json.dumps(info, indent=2) + "\n").encode()


def _write_images(directory: Path, images: Sequence[ExportImage]) -> None:
    for image in images:
        path = directory / "images" / image.name
        if not path.exists():
            path.write_bytes(image.content)
