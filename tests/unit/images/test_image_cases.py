"""The picture files of `tests/support/cases/images`, each with what must come of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from filters.screen.images import ImageSettings, image_intact
from flows.stages.screen import image_facts
from pipeline.errors import RowError
from pipeline.identity import canonical_json
from pipeline.images import decode, put_image
from pipeline.models.views import make_view
from pipeline.records import SourceRow, root_id
from pipeline.sources.questions import to_question
from pipeline.store.blobs import BlobStore
from pipeline.students.family import ViewRule

CASES = Path(__file__).parents[2] / "support" / "cases" / "images"
EXPECTED: dict[str, dict[str, Any]] = json.loads((CASES / "expected.json").read_text())
RULE = ViewRule("qwen2_5_vl", 262_144)


def test_every_file_has_its_case() -> None:
    assert {path.name for path in CASES.iterdir()} == {*EXPECTED, "expected.json"}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_file_becomes_what_it_must(name: str, tmp_path: Path) -> None:
    """Through ingest and screen to the view that a model is sent."""
    case = EXPECTED[name]
    shown: Image.Image | None = None
    refused = ""
    try:
        shown = seen(name, BlobStore(tmp_path))
    except RowError as error:
        refused = str(error)
    assert any(_is(one, shown, refused) for one in _ends(case))


def _ends(case: dict[str, Any]) -> list[dict[str, Any]]:
    return [case["decodes"], case["refused"]] if case["right"] == "either" else [case]


def _is(case: dict[str, Any], shown: Image.Image | None, refused: str) -> bool:
    if case["right"] == "refused":
        named = any(word.lower() in refused.lower() for word in case["message_names_one_of"])
        return shown is None and named and not {refused.partition(": ")[0], "*"}.isdisjoint(case["reason"])
    if shown is None or list(shown.size) != case["size"]:
        return False
    near = all(
        abs(found - right) <= case["tolerance"]
        for point in case.get("pixels", [])
        for found, right in zip(_rgb(shown, point["at"]), point["rgb"], strict=True)
    )
    order = [sum(_rgb(shown, at)) for at in case.get("order", [])]
    levels = sum(count > 0 for count in shown.convert("L").histogram())
    return near and order == sorted(set(order)) and levels >= case.get("min_levels", 0)


def _rgb(image: Image.Image, at: list[int]) -> tuple[int, ...]:
    pixel = image.getpixel((at[0], at[1]))
    assert isinstance(pixel, tuple)
    return tuple(map(int, pixel))


def seen(name: str, blobs: BlobStore) -> Image.Image:
    row = {"row": "1", "category": "perception", "text": "What is shown?", "images": [name], "licence": "CC0-1.0"}
    payload = canonical_json({**row, "answers": ["a square"], "answer_type": "text"})
    source = SourceRow(
        id=root_id("own", "1", "1"), source="own", source_revision="1", source_row="1", category="", payload=payload
    )
    question = to_question(source, CASES, blobs)
    (image,) = question.images
    facts = image_facts(question, image, blobs, (RULE,))
    decision = image_intact(facts, ImageSettings().bounds(28, 200))
    if decision.outcome != "keep":
        raise RowError(decision.reason, "")
    view = make_view(blobs.get(image.sha256), RULE, blobs)
    assert put_image(blobs, blobs.get(view.blob)).sha256 == view.blob
    return decode(blobs.get(view.blob))
