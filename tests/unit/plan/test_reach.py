"""How many questions a corpus can answer at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flows.plan.reach import Reach, reach
from pipeline.sources import open_source
from pipeline.store.blobs import BlobStore
from pipeline.tools.search.local import LocalSearch

PAGES = (
    {"url": "local://1", "title": "Paris", "text": "Paris is the capital of France."},
    {"url": "local://2", "title": "富士山", "text": "富士山は静岡県にある。"},
    {
        "url": "local://3",
        "title": "A B C",
        "text": "no yes 3 42 1889 12,345 three A. (b) is US 是 山 A380 Rhône true 1.5 —",
    },
)
NOTHING = ["A", "(b)", "B.", "3", "42", "1889", "1.5", "three", "no", "Yes.", "true", "是", "山", "US", "is", "—", ""]
TELLING = ["A380", "12,345", "Rhône", "富士", "静岡県", "capital of France"]


def asked(answers: list[str], kind: str = "text", category: str = "search") -> dict[str, Any]:
    return {"category": category, "text": f"What of {answers}, {kind}?", "answers": answers, "answer_type": kind}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], Reach(0, 0, 0)),
        ([asked(["Paris"]), asked(["Berlin"])], Reach(1, 2, 0)),
        ([asked(["Berlin", "capital of France"])], Reach(1, 1, 0)),
        ([asked(["静岡県"]), asked(["静岡市"])], Reach(1, 2, 0)),
        ([asked(["7"], "number"), asked(["yes"], "boolean")], Reach(0, 0, 2)),
        ([asked(["Paris"], category="perception")], Reach(0, 0, 0)),
        # What stands on the pages of any corpus tells nothing of this one, whatever its type says.
        ([asked([gold]) for gold in NOTHING], Reach(0, 0, len(NOTHING))),
        ([asked([gold, "Paris"]) for gold in NOTHING], Reach(len(NOTHING), len(NOTHING), 0)),
        ([asked([gold]) for gold in TELLING], Reach(len(TELLING), len(TELLING), 0)),
        ([asked(["a", "of"], "list"), asked(["1889"], "date")], Reach(0, 0, 2)),
        # By whole words: it does not stand within others.
        ([asked(["Fran"]), asked(["capita"])], Reach(0, 2, 0)),
    ],
)
def test_golds_are_looked_for_on_every_page(rows: list[dict[str, Any]], expected: Reach, tmp_path: Path) -> None:
    place = tmp_path / "own"
    place.mkdir()
    for name, lines in (("rows", [{"row": str(n), **row} for n, row in enumerate(rows)]), ("pages", PAGES)):
        (place / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (place / "gallery.jsonl").write_text("")
    (tmp_path / "own.yaml").write_text("{key: own, kind: jsonl, revision: '1', path: own, licence: CC0-1.0}\n")
    source = open_source("own.yaml", tmp_path / "store", base=tmp_path, generate=lambda path: path)
    corpus = LocalSearch(place, BlobStore(tmp_path / "blobs"), tmp_path / "indexes")
    found = reach([source], corpus)
    assert found == expected
    assert f"{found.held} of {found.asked}" in str(found) or not found.asked
