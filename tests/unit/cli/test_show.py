from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.main import make_app
from flows.report.lookup import Found, find, read_life, read_trajectory
from pipeline.errors import UsageError
from tests.support.runs import attempt, marked, opened, row, small_run, unfinished


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("show") / "small")


def show(run: Path, identity: str) -> str:
    result = CliRunner().invoke(make_app(), ["show", str(run), identity])
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout
    return result.stdout


def test_a_question_has_one_life_under_each_of_its_ids(run: Path) -> None:
    shown = {show(run, identity) for identity in (row(2).id, marked(2).id, opened(2).id)}
    assert len(shown) == 1
    (text,) = shown
    for expected in (row(2).id, marked(2).id, opened(2).id, "Which place is it?", "Springfield"):
        assert expected in text
    stages = [line.split()[0] for line in text.splitlines() if " kept " in line or " rejected " in line]
    assert stages == ["ingest", "screen", "dedup", "gate1", "gate2", "synthesize", "validate", "validate"]


def test_a_question_that_was_stopped_says_where_and_why(run: Path) -> None:
    assert "unverifiable" in show(run, marked(1).id)
    assert "too_easy" in show(run, opened(3).id)
    stopped = show(run, row(0).id)
    assert "no question was made of it" in stopped
    assert "bad_image" in stopped


def test_gate_counts_and_attempts_are_told(run: Path) -> None:
    lines = [line.split() for line in show(run, opened(7).id).splitlines()]
    assert ["gate1,", "no", "tools", "1", "8"] in lines
    assert ["gate2,", "with", "tools", "1", "8", "0", "0", "sft"] in lines
    wrong = attempt(7, "synthesis", "tools", 0, "wrong")
    assert any(line[:2] == [wrong.id[:12], "teacher"] for line in lines)


def test_a_trajectory_is_read_back_in_full(run: Path) -> None:
    expected = attempt(8, "synthesis", "tools", 1, "right")
    found = find(run, expected.id[:12])
    assert found == Found(expected.id, "trajectory")
    assert read_trajectory(run, found.id) == expected


def test_an_unfinished_attempt_is_found_and_told_like_any_other(run: Path) -> None:
    expected = unfinished(7)
    assert read_trajectory(run, find(run, expected.id[:12]).id) == expected
    lines = [line.split() for line in show(run, opened(7).id).splitlines()]
    assert any(line[:2] == [expected.id[:12], "teacher"] and "max_turns" in line for line in lines)


def test_a_trajectory_is_shown_as_a_transcript(run: Path) -> None:
    text = show(run, attempt(8, "synthesis", "tools", 1, "right").id)
    assert "print(image_1.size)" in text
    assert "Springfield" in text


def test_ids_may_be_in_capitals(run: Path) -> None:
    assert find(run, opened(4).id.upper()).id == opened(4).id


def test_a_prefix_of_several_ids_lists_them(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.report.lookup.SHORTEST_PREFIX", 1)
    ids = sorted(one.id for n in range(12) for one in (row(n), marked(n)))
    shared = next(first[0] for first, second in pairwise(ids) if first[0] == second[0])
    with pytest.raises(UsageError, match="several ids") as caught:
        find(run, shared)
    assert str(caught.value).count("\n") >= 2


def test_a_wrong_id_names_the_nearest(run: Path) -> None:
    identity = opened(5).id
    wrong = identity[:9] + ("0" if identity[9] != "0" else "1")
    with pytest.raises(UsageError, match=identity):
        find(run, wrong)


@pytest.mark.parametrize("identity", ["abc", "wxyz", "' or 1=1 --", "a" * 65, ""])
def test_what_is_no_id_is_refused(run: Path, identity: str) -> None:
    with pytest.raises(UsageError, match="hexadecimal"):
        find(run, identity)


def test_a_question_without_a_finished_screen_is_shown_as_ingested(run: Path) -> None:
    life = read_life(run, find(run, marked(1).id))
    assert life.ingested == marked(1)
    assert life.screened is None
    assert life.ids == (row(1).id, marked(1).id)


def test_every_picture_is_shown_with_the_place_where_it_lies_or_is_missing(run: Path) -> None:
    images = attempt(8, "synthesis", "tools", 1, "right").images
    assert images
    for identity in (opened(8).id, attempt(8, "synthesis", "tools", 1, "right").id):
        text = show(run, identity)
        for image in images:
            assert f"{run.parent / '.store' / 'blobs' / image.sha256[:2] / image.sha256} (not there" in text
