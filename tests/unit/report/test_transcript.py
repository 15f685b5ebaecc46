from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from flows.report.transcript import render_transcript
from pipeline.identity import canonical_json
from pipeline.records import Trajectory
from tests.support.export_rows import context, sft_rows


@pytest.fixture
def trajectories(tmp_path: Path) -> list[Trajectory]:
    return [row.trajectory for row in sft_rows(context(tmp_path).blobs, 3)]


def test_every_turn_its_code_its_observation_and_its_images_are_shown(trajectories: list[Trajectory]) -> None:
    first = trajectories[0]
    crop = first.turns[0].images[0]
    text = render_transcript(first).plain
    for expected in (
        "verdict     right",
        "tokens      prompt 10, completion 5",
        "── 1 · python · ok ──",
        "Enlarge it.\n\nplt.imshow(image_1)\nplt.show()\n\nImages:\n",
        f"[image {crop.width}x{crop.height} {crop.sha256[:12]}]",
        "── 2 · answer · ok ──",
        "answer 0",
    ):
        assert expected in text
    searched = render_transcript(trajectories[1]).plain
    assert 'search mark "1" ü' in searched
    assert searched.count("[image 32x32") == 2


def test_sizes_that_the_model_saw_stand_at_their_images(trajectories: list[Trajectory]) -> None:
    view = canonical_json(
        {"family": "qwen2_5_vl", "max_pixels": 784, "policy": "student", "seen": [[84, 56], [28, 28]]}
    )
    asked = trajectories[0].model_copy(update={"view": view, "user": "<image>\nWhat?"})
    text = render_transcript(asked).plain
    assert "[image_1 64x48 " in text
    assert text.index(", seen at 84x56]") < text.index(", seen at 28x28]")


def test_the_question_adds_its_golds(tmp_path: Path) -> None:
    row = sft_rows(context(tmp_path).blobs, 2)[1]
    text = render_transcript(row.trajectory, row.question).plain
    assert 'golds       ["1","no. 1"] (number, within 0.02 relative)' in text
    assert "perception, drawn 1, CC0-1.0" in text


def test_a_message_that_was_no_turn_is_shown_as_it_was_and_nothing_in_it_is_obeyed(
    trajectories: list[Trajectory],
) -> None:
    bad = (
        trajectories[0]
        .turns[0]
        .model_copy(
            update={
                "action": "none",
                "arguments": "{}",
                "raw_text": "\x1b[2J[bold]mess",
                "status": "bad_call",
                "loss": False,
            }
        )
    )
    shown = render_transcript(trajectories[0].model_copy(update={"turns": (bad,)}))
    buffer = io.StringIO()
    Console(file=buffer, width=40).print(shown, soft_wrap=True)
    assert "\\x1b[2J[bold]mess" in buffer.getvalue()
    assert "\x1b" not in buffer.getvalue()
    assert "── 1 · none · bad_call · not learnt ──" in buffer.getvalue()


def test_code_is_printed_line_for_line_on_a_narrow_terminal(trajectories: list[Trajectory]) -> None:
    code = "x = 1  # " + "long " * 40 + "\n\nif x:\n    print(x)"
    turn = trajectories[0].turns[0].model_copy(update={"arguments": canonical_json({"code": code})})
    buffer = io.StringIO()
    shown = render_transcript(trajectories[0].model_copy(update={"turns": (turn,)}))
    Console(file=buffer, width=40).print(shown, soft_wrap=True)
    assert code in buffer.getvalue()
