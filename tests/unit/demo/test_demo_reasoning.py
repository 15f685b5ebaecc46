"""The chains of thought of the demo: true, written by our own code, and two that must be stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from filters.validate.long_cot import LongCotSettings, Retagged, long_cot, retag, solution_of
from flows.asking.grading import graded
from flows.stages.long_cot import solution_trajectory
from pipeline.demo.corpus.reasoning import rows
from pipeline.identity import canonical_json
from pipeline.manifests import manifests_dir
from pipeline.records import Question, Trajectory
from pipeline.sources import open_source, read_source
from pipeline.sources.questions import to_question
from pipeline.store.blobs import BlobStore
from pipeline.students.tokens import ESTIMATE
from tests.support.synthesis import PROMPT


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Question]:
    place = tmp_path_factory.mktemp("demo_cot")
    source = open_source("demo_cot", place)
    return {row.source_row: to_question(row, source.directory, BlobStore(place)) for row in read_source(source)}


def solved(question: Question) -> Trajectory:
    made = solution_trajectory(question, PROMPT, ESTIMATE.count)
    assert isinstance(made, Trajectory)
    return asyncio.run(graded(made, question))


def test_the_rows_are_what_the_script_writes() -> None:
    written = "".join(f"{canonical_json(row)}\n" for row in rows())
    assert Path(manifests_dir() / "sources/demo_cot/rows.jsonl").read_text("utf-8") == written


def test_every_solution_is_right_and_worth_learning_but_the_two_that_say_so(questions: Mapping[str, Question]) -> None:
    assert len(questions) == 14
    stopped = {}
    for row, question in questions.items():
        made = solved(question)
        (turn,) = made.turns
        found = Retagged(turn.think, made.answer or "")
        assert retag(solution_of(question.meta) or "") == found
        decisions = long_cot(made.id, found, made.tokens.completion, 20_480, LongCotSettings())
        against = [decision.reason for decision in decisions if decision.outcome != "keep"]
        if made.verdict != "right" or against:
            stopped[row] = (made.verdict, against)
    assert stopped == {"planted/CH4": ("wrong", []), "planted/C2H6O": ("right", ["repeated_lines"])}
