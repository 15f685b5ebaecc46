"""LLaMA-Factory (v0 loader): JSON parts, image files, and the `dataset_info.json` that names them.

Every part holds one row per line, so that a damaged row can be named although the whole is one document.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.export.layout import write_file
from pipeline.export.rows import Sample, SftRow
from pipeline.export.shipped import ExportImage
from pipeline.identity import canonical_json

PART_BYTES = 400 * 10**6
"""Per part: the loader reads one as a single JSON document."""
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
    samples: Iterable[Sample[SftRow]],
    load: Callable[[Sample[SftRow]], list[ExportImage]],
    name: str,
) -> Iterator[tuple[int, Sample[SftRow], dict[str, Any]]]:
    """Write parts, images and `dataset_info.json`; yield (number of the part, sample, canonical row) in order.

    The canonical row holds the bytes of its images beside their paths, so its hash covers both. No row still makes one
    part.
    """
    (directory / "images").mkdir()
    number, filled, part = 0, 0, (directory / part_name(0)).open("wb")
    part.write(b"[")
    try:
        for sample in samples:
            images = load(sample)
            _write_images(directory, images)
            row = sft_row(sample, [f"images/{image.name}" for image in images])
            line = canonical_json(row).encode()
            if filled and filled + len(line) > PART_BYTES:
                part.write(b"\n]\n")
                part.close()
                number, filled, part = number + 1, 0, (directory / part_name(number + 1)).open("wb")
                part.write(b"[")
            part.write((b",\n" if filled else b"\n") + line)
            filled += len(line)
            yield number, sample, canonical_row(row, [image.content for image in images])
        part.write(b"\n]\n")
    finally:
        part.close()
    write_file(directory / DATASET_INFO, dataset_info(name, [part_name(made) for made in range(number + 1)]))


def part_name(number: int) -> str:
    """Return the file name of a part."""
    return f"sft-{number:05d}.json"


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
