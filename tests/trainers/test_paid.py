"""A kit's reward says in each trainer's environment what curation said of the same messages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from flows.asking.grading import grade_of
from flows.report.lookup import finished_stages
from pipeline.dialects import DEEPEYESV2
from pipeline.dialects.decoded import decoded_response
from pipeline.identity import canonical_json
from pipeline.records import Action, Trajectory
from pipeline.store.blobs import BlobStore
from tests.trainers import rows
from tests.trainers.conftest import Export, Line, run_program
from tests.trainers.expected import expected_rows

ACCURACY, FORMAT = 0.8, 0.2
"""The weights of DeepEyesV2's reward."""


class Case(NamedTuple):
    """Messages of a model, what it was shown after each, and what curation said."""

    question_id: str
    messages: Sequence[str]
    shown: Sequence[str]
    answered: bool
    """The last message is an answer."""
    valid: bool
    """And each one before it a call."""
    right: bool
    undecided: bool

    def paid_by(self, trainer: str) -> dict[str, float]:
        """Return what the reward has to say of it; TRL is handed the last message alone."""
        if trainer == "trl":
            return {"score": ACCURACY * self.right + FORMAT * self.answered}
        return {"acc": float(self.right), "format": float(self.valid), "undecided": float(self.undecided)}


@pytest.mark.parametrize("trainer", [pytest.param(name, marks=pytest.mark.trainer(name)) for name in ("trl", "verl")])
def test_what_is_paid_is_what_curation_said(
    trainer: str, export: Export, installed: Callable[[str, Path], Path], tmp_path: Path, table: list[Line]
) -> None:
    manifest, directory = export.manifest("rl", trainer), export.directory / "rl" / trainer  # type: ignore[arg-type]
    cases = list(recorded(export) if export.name == "demo" else written(tmp_path))
    assert {case.right for case in cases} == {True, False}
    asked = [{**case._asdict(), "decoded": decoded_response(case.messages, case.shown, bare=True)} for case in cases]
    (tmp_path / "cases.json").write_text(json.dumps(asked))
    given = {
        "trainer": trainer,
        "export": str(directory),
        "site": str(installed(trainer, directory / "kit" / "requirements.txt")),
        "files": [str(directory / file.path) for file in manifest.data],
        "cases": str(tmp_path / "cases.json"),
        "out": str(tmp_path / "told.json"),
    }
    told = run_program(trainer, "paid", given, tmp_path)
    for case, paid in zip(cases, told["rows"], strict=True):
        expected = case.paid_by(trainer)
        assert {name: paid[name] for name in expected} == pytest.approx(expected), case
    versions = f"{trainer} {told['version']} (transformers {told['transformers']})"
    agree = f"{len(cases)} of {len(cases)} agree"
    table.append(Line(versions, f"{export.name} rl/{trainer}", rewards=agree))


def recorded(export: Export) -> Iterator[Case]:
    """Yield what the models of a run wrote about the questions of its export."""
    stages = finished_stages(export.directory.parent)
    asked = {row.record_id for row in expected_rows(export.directory / "rl" / "verl", "rl", "verl")}
    for stage in ("gate2", "synthesize"):
        for attempt in stages[stage].records("trajectories", Trajectory):
            if attempt.mode == "tools" and attempt.question_id in asked:
                answered = attempt.finish == "answer"
                yield Case(
                    attempt.question_id,
                    [turn.raw_text for turn in attempt.turns],
                    [turn.observation or "" for turn in attempt.turns[:-1]],
                    answered,
                    answered and all(turn.action != "none" for turn in attempt.turns),
                    attempt.verdict == "right",
                    answered and attempt.verdict in {"unknown", "unjudged"},
                )


def written(place: Path) -> Iterator[Case]:
    """Yield messages about each question that is made here: right, of another spelling, wrong, open, and none."""
    for row in rows.rl(BlobStore(place / "blobs")):
        asked = row.question
        for said in (*asked.answers, f"{asked.answers[0]}.0", "1000000", "it depends"):
            verdict = asyncio.run(grade_of(said, asked)).verdict
            for before in ([], [_message("python", {"code": "print(1)"})], ["I call no tool."]):
                yield Case(
                    asked.id,
                    [*before, _message("answer", {"answer": said})],
                    ["Code execution result:\n1"] * len(before),
                    answered=True,
                    valid=before != ["I call no tool."],
                    right=verdict == "right",
                    undecided=verdict == "undecided",
                )
        yield Case(asked.id, ["I do not say."], [], answered=False, valid=False, right=False, undecided=False)


def _message(action: Action, arguments: dict[str, str]) -> str:
    return DEEPEYESV2.render_turn("So.", action, canonical_json(arguments))
