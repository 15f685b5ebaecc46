"""No stored answer reaches a model: exchanging all of them changes no request and no response."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml

import flows.stages.gate
import flows.stages.synthesize
from filters.gates.rules import GateSettings, Routing
from flows.recipe.inputs import make_job
from flows.run.curate import curate
from flows.run.progress import SilentProgress
from pipeline.demo.corpus.build import generate_demo
from pipeline.records import Decision, GateCount
from tests.support.command import DEMO

ROWS = 6
"""One of each kind of sheet and both ways of searching; every attempt of every arm is made for each."""


def passed(count: GateCount) -> Decision:
    return Decision(record_id=count.question_id, filter="constant", version=1, outcome="keep", reason="", score=None)


@pytest.fixture
def every_attempt_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gates and acceptance as constants, so that no answer decides what is asked next."""

    def keep(count: GateCount, _: GateSettings) -> Decision:
        return passed(count)

    def to_synthesis(count: GateCount, *_: object) -> Routing:
        return Routing(passed(count), "sft")

    async def never(*_: object) -> bool:
        return False

    def undoubted(*_: object) -> None:
        return None

    monkeypatch.setattr(flows.stages.gate, "gate1", keep)
    monkeypatch.setattr(flows.stages.gate, "gate2", to_synthesis)
    monkeypatch.setattr(flows.stages.synthesize._Synthesis, "_accepted", never)
    monkeypatch.setattr(flows.stages.synthesize._Synthesis, "_doubt", undoubted)


def corpus(directory: Path, made: Path, *, exchanged: bool) -> Path:
    """Some rows of the demo as a source of its own, each with its answer or with that of the next row."""
    shutil.copytree(made, directory)
    (directory / "source.json").unlink()
    rows = [json.loads(line) for line in (directory / "rows.jsonl").read_text().splitlines()]
    regular = [row for row in rows if not row["derivation"].get("planted")]
    chosen = regular[:: len(regular) // ROWS][:ROWS]
    answers = [(row["answers"], row["answer_type"], row["tolerance"]) for row in chosen]
    if exchanged:
        answers = answers[1:] + answers[:1]
        assert all(answer[0] != row["answers"] for answer, row in zip(answers, chosen, strict=True))
    for row, (golds, kind, tolerance) in zip(chosen, answers, strict=True):
        row.update(answers=golds, answer_type=kind, tolerance=tolerance)
    (directory / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chosen))
    manifest = {"key": "own", "kind": "jsonl", "revision": "1", "path": ".", "licence": "CC-BY-4.0"}
    (directory / "own.yaml").write_text(yaml.safe_dump(manifest))
    content = yaml.safe_load(DEMO.read_text()) | {
        "sources": [{"source": "own.yaml"}],
        "search": {"corpus": "own"},
        "gate": {"k": 2, "max_plain_right": 1},
        "synthesize": {"attempts": 2},
    }
    (directory / "recipe.yaml").write_text(yaml.safe_dump(content))
    return directory / "recipe.yaml"


def asked(recipe: Path, out: Path, store: Path) -> dict[str, str]:
    """Run, and return every request's key with its response."""
    curate(make_job(recipe, out=out, store=store), SilentProgress())
    with sqlite3.connect(store / "calls.sqlite") as db:
        return dict(db.execute("SELECT key, value FROM calls WHERE kind = 'model'").fetchall())


@pytest.mark.usefixtures("every_attempt_is_made")
def test_exchanging_every_stored_answer_changes_no_request_and_no_response(
    tmp_path: Path, prepared: Callable[[Path], Path]
) -> None:
    from pipeline.sources import open_source

    made = open_source("demo", tmp_path / "demo", generate=partial(generate_demo, questions=24)).directory
    true = asked(corpus(tmp_path / "true", made, exchanged=False), tmp_path / "a", prepared(tmp_path / "store-a"))
    # The second run perceives again, too: nothing but the answers differs.
    false = asked(corpus(tmp_path / "false", made, exchanged=True), tmp_path / "b", tmp_path / "store-b")
    assert len(true) > ROWS * 2 * 2
    assert true == false
