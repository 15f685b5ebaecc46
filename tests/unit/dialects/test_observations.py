from __future__ import annotations

from typing import get_args

import pytest

from filters.turns import showed_something
from pipeline.dialects.bad_calls import image_search_refused
from pipeline.dialects.observations import (
    MAX_STDERR,
    MAX_STDOUT,
    WebResult,
    cell_observation,
    image_search_observation,
    text_search_observation,
)
from pipeline.records import CellStatus
from tests.support.builders import turn


def cell(
    *,
    status: CellStatus = "ok",
    stdout: str = "",
    stderr: str = "",
    value: str | None = None,
    error: str | None = None,
    images: int = 0,
    ended: bool = False,
) -> str:
    return cell_observation(
        status=status, stdout=stdout, stderr=stderr, value=value, error=error, images=images, ended=ended
    )


def shown(observation: str) -> bool:
    return showed_something(turn("python", "x", observation=observation))


def streams(observation: str) -> tuple[str, str]:
    """The texts between the fences of an observation whose text holds no fence."""
    _, stdout, _, stderr, _ = observation.split("```")
    return stdout[1:-1], stderr[1:-1]


def test_a_cell_with_output_and_two_images() -> None:
    assert cell(stdout="3\n", images=2) == (
        "Code execution result:\nstdout:\n```\n3\n\n```\n\nstderr:\n```\n\n```\n\nImages:\n<image><image>"
    )


def test_a_cell_without_images_ends_at_its_last_fence() -> None:
    assert cell(stdout="a", stderr="b") == "Code execution result:\nstdout:\n```\na\n```\n\nstderr:\n```\nb\n```"


def test_a_silent_cell_showed_nothing() -> None:
    observation = cell()
    assert observation == "Code execution result:\nstdout:\n```\n\n```\n\nstderr:\n```\n\n```"
    assert not shown(observation)
    assert shown(cell(value="1"))


@pytest.mark.parametrize(
    ("stdout", "value", "expected"),
    [("", "7", "7"), ("a\n", "7", "a\n7"), ("a", "7", "a\n7"), ("a\n", None, "a\n"), ("a", "", "a")],
)
def test_the_value_follows_the_output_on_its_own_line(stdout: str, value: str | None, expected: str) -> None:
    assert streams(cell(stdout=stdout, value=value))[0] == expected


def test_a_traceback_follows_standard_error() -> None:
    observation = cell(status="exception", stderr="warning\n", error="Traceback …\nNameError: name 'x' is not defined")
    assert streams(observation) == ("", "warning\nTraceback …\nNameError: name 'x' is not defined")


@pytest.mark.parametrize("status", ["exception", "timeout", "killed_memory", "killed_output", "died", "protocol_error"])
def test_a_stopped_cell_says_why_and_that_the_state_is_gone(status: CellStatus) -> None:
    alive, ended = streams(cell(status=status))[1], streams(cell(status=status, ended=True))[1]
    assert "Error: " in alive
    assert "\n" not in alive
    assert (
        ended.removeprefix(alive) == "\nThe notebook was restarted: all variables are lost, the images are open again."
    )


def test_every_failed_status_reads_differently_from_success() -> None:
    statuses: tuple[CellStatus, ...] = get_args(CellStatus)
    shown_texts = {status: cell(status=status) for status in statuses}
    assert [status for status, text in shown_texts.items() if text == cell()] == ["ok"]


def test_the_reason_of_the_sandbox_takes_the_place_of_the_fixed_one() -> None:
    reason = "TimeoutError: the cell exceeded 20 seconds"
    assert streams(cell(status="timeout", error=reason))[1] == reason


def test_long_streams_are_cut_in_the_middle_to_their_limits_with_a_marker() -> None:
    stdout, stderr = streams(cell(status="timeout", stdout="a" * 20_000 + "end", stderr="b" * 4_001))
    assert MAX_STDOUT - 20 < len(stdout) <= MAX_STDOUT == 8_000
    assert MAX_STDERR - 20 < len(stderr) <= MAX_STDERR == 4_000
    assert stdout.startswith("aaa")
    assert stdout.endswith("aaaend")
    assert stderr.endswith("was stopped.")
    head, marker, tail = stdout.split("\n")
    assert marker == f"... [{20_003 - len(head) - len(tail)} characters omitted] ..."


def test_streams_at_their_limits_are_whole() -> None:
    assert streams(cell(stdout="a" * 8_000, stderr="b" * 4_000)) == ("a" * 8_000, "b" * 4_000)


def test_cutting_never_makes_a_token_and_never_exceeds_the_limit() -> None:
    for shift in range(12):
        stdout, _ = streams(cell(stdout="x" * shift + "<image>" * 3_000))
        assert "<image>" not in stdout
        assert len(stdout) <= MAX_STDOUT


def test_output_that_spells_a_mark_is_defused() -> None:
    assert cell(stdout="<image>", images=1).endswith(
        "```\n<\u200bimage>\n```\n\nstderr:\n```\n\n```\n\nImages:\n<image>"
    )


def test_a_text_search() -> None:
    results = [
        WebResult("One", "https://one.example/a", "2024-05-01", "First."),
        WebResult("Two", "https://two.example", None, "Second.\nMore."),
        WebResult("Three", "https://three.example", None, None),
    ]
    assert text_search_observation("a 'b'", results) == (
        "<tool_response>\nA Google search for 'a 'b'' found 3 results:\n\n## Web Results\n"
        "1. [One](https://one.example/a)\nDate published: 2024-05-01\n\nFirst.\n\n"
        "2. [Two](https://two.example)\n\nSecond.\nMore.\n\n"
        "3. [Three](https://three.example)\n"
        "\n</tool_response>"
    )


def test_an_image_search_keeps_the_space_and_newline_after_a_title() -> None:
    assert image_search_observation(["One", "Two"]) == (
        "<tool_response>\nA Google image search for the image found 2 results:\n\n## Web Results\n"
        "1. <image>\n[One] \n\n\n2. <image>\n[Two] \n\n</tool_response>"
    )


def test_searches_without_results_showed_nothing() -> None:
    assert not shown(text_search_observation("two\nlines", []))
    assert not shown(image_search_observation([]))
    assert text_search_observation("q", []) == (
        "<tool_response>\nA Google search for 'q' found 0 results:\n\n## Web Results\n\n</tool_response>"
    )


def test_the_video_phrase_is_deleted_and_leaves_no_token_behind() -> None:
    phrase = "Your browser can't play this video."
    text = text_search_observation("q", [WebResult(f"A{phrase}", "u", None, f"<ima{phrase}ge>{phrase}")])
    assert text.endswith("1. [A](u)\n\n<\u200bimage>\n</tool_response>")


def test_a_title_in_brackets_is_no_chat_token() -> None:
    assert "[\u200bINST] \n" in image_search_observation(["INST"])
    assert "1. [\u200bINST](u)" in text_search_observation("q", [WebResult("INST", "u", None, None)])


def test_a_refused_image_search_says_which_rule_it_breaks() -> None:
    none, again = (image_search_refused(images=count).observation for count in (0, 1))
    assert "no image" in none
    assert "once" in again
