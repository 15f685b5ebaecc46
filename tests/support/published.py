"""Data in the layouts that data sets publish, a few rows each, defects included: what shipped manifests must read.

Columns and types are those of the cards and code that each manifest names under `seen_at`; every row is ours.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

Rows = Sequence[Mapping[str, Any]]
PAGE = b"<!DOCTYPE html><title>403</title>"
"""What a server sends in place of a picture."""
NOBODY_KNOWS = ["unanswerable"] * 4 + ["answering does not require reading text in the image"] * 2 + ["SALE"] * 4


def triangle(side: int = 400) -> bytes:
    """A figure with two legs that bear their lengths."""
    picture = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(picture)
    draw.polygon([(side // 10, side * 9 // 10), (side * 9 // 10, side * 9 // 10), (side // 10, side // 10)], outline=0)
    draw.text((side // 2, side * 9 // 10), "28", fill=0)
    draw.text((2, side // 2), "10", fill=0)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def write_chartqa(place: Path, sheet: bytes, asked: Rows) -> None:
    """`image, query, label: list, human_or_machine: class`; with a test split beside the training split."""
    from datasets import ClassLabel, Features, Image, List, Value

    features = Features(
        {
            "image": Image(),
            "query": Value("string"),
            "label": List(Value("string")),
            "human_or_machine": ClassLabel(names=["human", "machine"]),
        }
    )

    def row(query: str, label: list[str], image: bytes = sheet, kind: int = 0) -> dict[str, Any]:
        return {"image": {"bytes": image, "path": None}, "query": query, "label": label, "human_or_machine": kind}

    rows = [row(question["text"], question["answers"], kind=1) for question in asked]
    rows += [row("What is the title?", []), row("Which bar is highest?", ["brown"], PAGE), rows[0]]
    _write(rows, features, place / "data" / "train-00000-of-00001-1f.parquet")
    _write([row("Is this kept out?", ["yes"])], features, place / "data" / "test-00000-of-00001-2a.parquet")


def write_textvqa(place: Path, sheet: bytes, asked: Rows) -> None:
    """`question_id, question, image, answers: ten texts` and what machines found; some people saw nothing to read."""
    from datasets import Features, Image, List, Value

    text = Value("string")
    features = Features(
        {
            "image_id": text,
            "question_id": Value("int32"),
            "question": text,
            "question_tokens": List(text),
            "image": Image(),
            "image_width": Value("int32"),
            "image_height": Value("int32"),
            "flickr_original_url": text,
            "flickr_300k_url": text,
            "answers": List(text),
            "image_classes": List(text),
            "set_name": text,
            "ocr_tokens": List(text),
        }
    )

    def row(number: int, question: str, answers: list[str]) -> dict[str, Any]:
        found = {
            "image_id": f"{number:016x}",
            "set_name": "train",
            "ocr_tokens": answers[:1],
            "image_classes": ["Poster"],
        }
        empty = dict.fromkeys(
            ("question_tokens", "image_width", "image_height", "flickr_original_url", "flickr_300k_url")
        )
        picture = {"bytes": sheet, "path": f"{number}.jpg"}
        return {**empty, **found, "question_id": number, "question": question, "answers": answers, "image": picture}

    rows = [row(n, one["text"], [*one["answers"][:1] * 9, "unanswerable"]) for n, one in enumerate(asked)]
    rows += [row(90, "what does the sign say?", NOBODY_KNOWS), row(91, "what is sold here?", ["unanswerable"] * 10)]
    _write(rows, features, place / "data" / "train-00000-of-00020.parquet")


def write_fvqa(place: Path, sheet: bytes, asked: Rows) -> None:
    """Rows of verl: the question in a chat, other spellings as JSON in a text; with the test file beside it."""
    from datasets import Features, Value

    text = Value("string")
    features = Features(
        {
            "prompt": [{"content": text, "role": text}],
            "images": [{"bytes": Value("binary"), "path": text}],
            "reward_model": {"candidate_answers": text, "ground_truth": text, "style": text},
            "data_source": text,
            "image_urls": text,
            "data_id": text,
            "category": text,
        }
    )

    def row(name: str, question: str, answer: str, others: str) -> dict[str, Any]:
        return {
            "prompt": [{"content": question, "role": "user"}],
            "images": [{"bytes": sheet, "path": None}],
            "reward_model": {"candidate_answers": others, "ground_truth": answer, "style": "rule"},
            "data_source": "mmsearch_r1/fvqa_train",
            "image_urls": None,
            "data_id": name,
            "category": "search_required",
        }

    spellings = json.dumps(["ES", "🇪🇸", "Kingdom of Spain"], ensure_ascii=False)
    rows = [row(f"fvqa_train_{n}", one["text"], one["answers"][0], "[]") for n, one in enumerate(asked)]
    rows += [
        row("fvqa_train_90", "Which country does this airport belong to?", "Spain", spellings),
        row("fvqa_train_91", "Which city is nearest?", "Girona", "['Girona']"),
    ]
    _write(rows, features, place / "fvqa_train.parquet")
    _write([row("fvqa_test_0", "Is this kept out?", "yes", "[]")], features, place / "fvqa_test.parquet")


def write_geometry3k(place: Path, sheet: bytes, asked: Rows) -> None:
    """`images: list, problem with <image>, answer in LaTeX, choices, ground_truth: letter`."""
    from datasets import Features, Image, List, Value

    del sheet, asked
    text = Value("string")
    features = Features(
        {
            "images": List(Image()),
            "problem": text,
            "answer": text,
            "id": Value("int64"),
            "choices": List(text),
            "ground_truth": text,
        }
    )

    def row(number: int, problem: str, answer: str | None) -> dict[str, Any]:
        picture = {"bytes": triangle(), "path": "img_diagram.png"}
        row = {"images": [picture], "problem": problem, "answer": answer, "id": number}
        return {**row, "choices": [answer or "1", "18", "38", "39"], "ground_truth": "A"}

    rows = [
        row(1, "<image>Find the hypotenuse.", r"2\sqrt{221}"),
        row(2, "<image>Find the area.", "140"),
        row(3, "<image><image>Find x.", "28"),
        row(4, "<image>Find y.", None),
    ]
    _write(rows, features, place / "data" / "train-00000-of-00001.parquet")


def write_thinklite(place: Path, sheet: bytes, asked: Rows) -> None:
    """`id, problem, answer, image: bytes`, as pandas wrote it; some pictures are smaller than a patch."""
    from datasets import Features, Value

    del sheet, asked
    text = Value("string")
    features = Features({"id": text, "problem": text, "answer": text, "image": Value("binary")})
    choice = "<image>Which leg is longer?\nChoices:\n(A) the lower\n(B) the left"
    rows = [
        {"id": "a", "problem": choice, "answer": "A", "image": triangle()},
        {"id": "b", "problem": "<image>How long is the lower leg?", "answer": "28", "image": triangle()},
        {"id": "c", "problem": "<image>How many corners are there?", "answer": "3", "image": triangle(24)},
        {"id": "d", "problem": "<image>", "answer": "3", "image": triangle()},
    ]
    _write(rows, features, place / "ThinkLite-VL-Hard-11k.parquet")


WRITERS: Mapping[str, Callable[[Path, bytes, Rows], None]] = {
    "chartqa": write_chartqa,
    "textvqa": write_textvqa,
    "fvqa": write_fvqa,
    "geometry3k": write_geometry3k,
    "thinklite_hard": write_thinklite,
}
"""Manifest → what writes its data: into a folder, about a sheet and questions that the embedded reader knows."""


def _write(rows: Rows, features: Any, path: Path) -> None:
    from datasets import Dataset

    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_list([*rows], features=features).to_parquet(path)
