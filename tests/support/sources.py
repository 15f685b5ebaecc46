"""Small sources on disk, as users write them."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

ROW = {"category": "reasoning", "text": "1 + 1?", "images": [], "answers": ["2"], "answer_type": "number"}


def write_source(place: Path, key: str, file: str | None = None, **manifest: object) -> Path:
    directory = place / key
    directory.mkdir(exist_ok=True)
    (directory / "rows.jsonl").write_text(json.dumps({"row": "1", **ROW}) + "\n")
    for name in ("pages.jsonl", "gallery.jsonl"):
        (directory / name).write_text("")
    content = {"key": key, "kind": "jsonl", "revision": "1", "path": key, "licence": "CC0-1.0", **manifest}
    (place / (file or f"{key}.yaml")).write_text(yaml.safe_dump(content))
    return directory
