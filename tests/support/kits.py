"""Programs of kits as a trainer loads them, from a folder with their facts; and what rows and recordings give them."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.dialects.messages import question_text
from pipeline.export import kits
from pipeline.export.kit_facts import KitFacts
from pipeline.identity import canonical_json, parse_json
from pipeline.records import Question, Trajectory
from pipeline.store.blobs import BlobStore
from pipeline.tools.search.record import IMAGES, PICTURES, TEXTS, SearchRecord, wanted

FILES = Path(kits.__file__).parent / "files"
FACTS = KitFacts(
    dialect="deepeyesv2",
    search=True,
    family="qwen2_5_vl",
    max_pixels=262_144,
    view="student",
    seed=0,
    sandbox="",
    max_turns=9,
    model="Qwen/Qwen2.5-VL-7B-Instruct",
    min_pixels=3_136,
    cutoff_len=20_480,
    files={"train": ("data/train-0-00000-of-00001.parquet",)},
)
SOURCES = {"perception": "perception", "reasoning": "reason", "search": "search"}
_HIT = re.compile(r"^\d+\. <image>\n\[(.*)\] $", re.MULTILINE)


def program(name: str, folder: Path, facts: KitFacts = FACTS) -> ModuleType:
    """Load a program of a kit from a folder where it lies beside its facts."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kit.json").write_text(json.dumps(facts.model_dump()))
    (folder / name).write_bytes((FILES / name).read_bytes())
    spec = importlib.util.spec_from_file_location(f"kit_{folder.name}_{name.removesuffix('.py')}", folder / name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def truth(question: Question) -> dict[str, Any]:
    """What a row of an RL export says of its question, as `extra_info` does."""
    meta = parse_json(question.meta)
    return {
        "index": question.id,
        "question": question_text(question),
        "choices": canonical_json(question.choices),
        "answers": canonical_json(question.answers),
        "answer_type": question.answer_type,
        "tolerance": "" if question.tolerance is None else repr(question.tolerance),
        "metric": meta.get("metric") or "",
    }


def record_of(trajectories: Iterable[Trajectory], blobs: BlobStore, directory: Path) -> SearchRecord:
    """Write what the searches of transcripts showed, as `search-cache` does for RL questions, and read it."""
    (directory / PICTURES).mkdir(parents=True)
    images: dict[str, Any] = {}
    texts: dict[tuple[str, str], str] = {}
    for trajectory in trajectories:
        for turn in trajectory.turns:
            if turn.status != "ok" or turn.observation is None:
                continue
            if turn.action == "search":
                texts[trajectory.question_id, wanted(parse_json(turn.arguments)["query"])] = turn.observation
            if turn.action == "image_search":
                for image in turn.images:
                    (directory / PICTURES / image.sha256).write_bytes(blobs.get(image.sha256))
                images[trajectory.question_id] = {
                    "tool_returned_web_title": _HIT.findall(turn.observation),
                    "cached_images_path": [f"{PICTURES}/{image.sha256}" for image in turn.images],
                }
    (directory / IMAGES).write_text(json.dumps(images))
    lines = [{"question_id": q, "query": asked, "observation": shown} for (q, asked), shown in texts.items()]
    (directory / TEXTS).write_text("".join(canonical_json(line) + "\n" for line in lines))
    return SearchRecord.of(directory)
