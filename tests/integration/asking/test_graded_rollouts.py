"""A rollout is graded as its source asks: by type, by a benchmark's metric, and by algebra."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import yaml

from filters.answers.metrics import metric_of
from flows.asking.grading import graded
from pipeline.errors import UsageError
from pipeline.records import AnswerType, Metric, Question, Trajectory
from pipeline.sources import open_source, read_source
from pipeline.sources.questions import to_question
from pipeline.store.blobs import BlobStore
from tests.support.builders import question
from tests.support.export_rows import attempt


def asked(answer: str, answer_type: AnswerType, metric: Metric | None = None) -> Question:
    return question(
        "What is it?",
        category="reasoning",
        answers=(answer,),
        answer_type=answer_type,
        meta={"metric": metric} if metric else {},
    )


def verdict(said: str, question: Question, finish: str = "answer") -> str:
    made: Trajectory = attempt(question, ()).model_copy(update={"answer": said, "verdict": "unknown", "finish": finish})
    return asyncio.run(graded(made, question)).verdict


def test_an_expression_is_settled_by_algebra() -> None:
    question = asked("2x+6", "expression")
    assert verdict("2(x+3)", question) == "right"
    assert verdict("2x+3", question) == "wrong"
    assert verdict("((((", question) == "unknown"


def test_the_metric_of_a_source_is_used_where_it_names_one() -> None:
    assert verdict("104", asked("100", "number")) == "wrong"
    assert verdict("104", asked("100", "number", "relaxed")) == "right"


def test_only_a_finished_answer_is_graded() -> None:
    assert verdict("100", asked("100", "number"), finish="turn_limit") == "unknown"


def source(place: Path, **changes: object) -> Question:
    (place / "data").mkdir(exist_ok=True)
    row = {
        "row": "1",
        "category": "reasoning",
        "text": "How much?",
        "answers": ["100"],
        "answer_type": "number",
    }
    (place / "data" / "rows.jsonl").write_text(json.dumps(row) + "\n")
    manifest = {"key": "own", "kind": "jsonl", "revision": "v1", "path": "data", "licence": "CC0-1.0", **changes}
    (place / "own.yaml").write_text(yaml.safe_dump(manifest))
    opened = open_source("own.yaml", place / "store", base=place)
    (read,) = read_source(opened)
    return to_question(read, opened.directory, BlobStore(place / "blobs"))


def test_a_source_manifest_names_the_metric_of_its_questions(tmp_path: Path) -> None:
    assert metric_of(source(tmp_path, metric="relaxed")) == "relaxed"
    assert metric_of(source(tmp_path)) is None
    assert json.loads(source(tmp_path).meta) == {}
    with pytest.raises(UsageError, match="metric"):
        source(tmp_path, metric="bleu")
