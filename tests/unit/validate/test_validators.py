"""One valid trajectory, and for each validator the smallest change that it must refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from filters.validate.rules import ValidatorSettings, accept, replayed
from pipeline.dialects.observations import (
    WebResult,
    cell_observation,
    image_search_observation,
    text_search_observation,
)
from pipeline.records import (
    CellStatus,
    Decision,
    ImageRef,
    ObservationFacts,
    ReplayResult,
    Trajectory,
    Turn,
)
from tests.support.builders import image, question, trajectory, turn

SHEET = image(width=2000, height=1500)
CROP = image("b" * 64, width=300, height=200)
QUESTION = question("Which name is printed?", images=(SHEET,), answers=("Lyon",))


def cell(code: str, *, stdout: str = "", images: tuple[ImageRef, ...] = (), status: CellStatus = "ok") -> Turn:
    text = cell_observation(
        status=status, stdout=stdout, stderr="", value=None, error=None, images=len(images), ended=False
    )
    return turn("python", code, observation=text, images=images, status=status)


LOOK = cell("display(image_1.crop((0, 0, 300, 200)))", images=(CROP,))
HIT = WebResult("Lyon", "https://example.org", None, "A city on the Rhône.")
SEARCH = turn("search", "Lyon", observation=text_search_observation("Lyon", [HIT]))
FOUND_NOTHING = turn("search", "Lyon", observation=text_search_observation("Lyon", []))
NO_PICTURES = turn("image_search", observation=image_search_observation([]))
IMAGE_SEARCH = turn("image_search", observation=image_search_observation(["Lyon"]), images=(CROP,))
ANSWER = turn("answer", "Lyon")
COPY = "Which name is printed? Lyon"


def attempt(*turns: Turn, **changes: Any) -> Trajectory:
    right = {"system": "Answer. Code goes in <code> tags.", "answer": "Lyon", "verdict": "right"}
    return trajectory(*turns, asked=QUESTION, **{**right, **changes})


def facts(of: Trajectory, *, blank: bool = False, same: bool = False) -> tuple[ObservationFacts, ...]:
    return tuple(
        ObservationFacts(
            trajectory_id=of.id, turn=number, image=index, sha256=image.sha256, blank=blank, same_as_input=same
        )
        for number, turn in enumerate(of.turns)
        if turn.action == "python"
        for index, image in enumerate(turn.images)
    )


def refusals(decisions: object) -> dict[str, str]:
    assert isinstance(decisions, tuple)
    assert all(isinstance(decision, Decision) for decision in decisions)
    return {decision.filter: decision.reason for decision in decisions if decision.outcome != "keep"}


def judge(
    *turns: Turn,
    measured: Callable[[Trajectory], tuple[ObservationFacts, ...]] = facts,
    settings: ValidatorSettings | None = None,
    **fields: Any,
) -> dict[str, str]:
    made = attempt(*turns, **fields)
    return refusals(accept(made, QUESTION, measured(made), settings or ValidatorSettings()))


@pytest.mark.parametrize(
    "turns",
    [
        (LOOK, ANSWER),
        (cell("w = 3"), cell("print(w * 2)", stdout="6\n"), ANSWER),
        (IMAGE_SEARCH, SEARCH, LOOK, ANSWER),
    ],
)
def test_a_valid_trajectory_is_accepted_by_every_validator(turns: tuple[Turn, ...]) -> None:
    assert judge(*turns) == {}


def test_every_validator_signs_one_decision() -> None:
    made = attempt(LOOK, ANSWER)
    decisions = accept(made, QUESTION, facts(made), ValidatorSettings())
    assert [decision.filter for decision in decisions] == [
        "answer",
        "grammar",
        "answer_length",
        "copied",
        "executed",
        "placeholders",
        "one_image_search",
        "empty_search",
        "tool_used",
        "no_op",
        "image_change",
        "path_leak",
        "session_internals",
        "repetitive",
    ]


def with_fields(original: Turn, **fields: Any) -> Turn:
    return original.model_copy(update=fields)


@pytest.mark.parametrize(
    ("refused", "turns", "fields"),
    [
        ({"answer": "answer_wrong"}, (LOOK, ANSWER), {"verdict": "wrong"}),
        ({"answer": "answer_undecided"}, (LOOK, ANSWER), {"verdict": "unknown"}),
        ({"grammar": "bad_call"}, (turn("none", observation="Error", status="bad_call"), LOOK, ANSWER), {}),
        ({"grammar": "early_answer"}, (LOOK, ANSWER, ANSWER), {}),
        ({"grammar": "no_think"}, (with_fields(LOOK, think=" \n"), ANSWER), {}),
        ({"grammar": "bad_arguments"}, (LOOK, with_fields(ANSWER, arguments='{"text":"Lyon"}')), {}),
        ({"grammar": "bad_arguments"}, (LOOK, turn("answer", "  ")), {}),
        ({"grammar": "control_token"}, (with_fields(LOOK, think="so <answer>"), ANSWER), {}),
        ({"grammar": "control_token"}, (LOOK, turn("answer", "Lyon<|im_end|>")), {"answer": "Lyon<|im_end|>"}),
        (
            {"grammar": "control_token"},
            (cell("print('<image>', image_1.getpixel((0, 0)))", stdout="(1, 2)"), ANSWER),
            {},
        ),
        ({"grammar": "control_token"}, (with_fields(LOOK, think="<|vision_start|>"), ANSWER), {}),
        ({"grammar": "bad_code"}, (cell("\nprint(image_1.getpixel((0, 0)))", stdout="(1, 2)"), ANSWER), {}),
        (
            {"grammar": "bad_code"},
            (cell("x = '''\n```\n'''\nprint(x, image_1.getpixel((0, 0)))", stdout="(1, 2)"), ANSWER),
            {},
        ),
        ({"answer_length": "answer_too_long"}, (LOOK, turn("answer", "x" * 300)), {"answer": "x" * 300}),
        ({"grammar": "other_answer"}, (LOOK, turn("answer", "Lyons")), {}),
        ({"copied": "copied_from_question"}, (LOOK, turn("answer", COPY)), {"answer": COPY}),
        ({"executed": "execution_error"}, (LOOK, cell("image_1.zoom()", status="exception"), ANSWER), {}),
        ({"executed": "execution_error"}, (LOOK, cell("while True: f()", status="timeout"), ANSWER), {}),
        ({"placeholders": "user_placeholders"}, (LOOK, ANSWER), {"user": "Which name is printed?"}),
        ({"placeholders": "user_placeholders"}, (LOOK, ANSWER), {"user": "<image><image>"}),
        ({"placeholders": "observation_placeholders"}, (with_fields(LOOK, observation="shown"), ANSWER), {}),
        (
            {"placeholders": "observation_placeholders"},
            (LOOK, with_fields(SEARCH, observation="x <image>"), ANSWER),
            {},
        ),
        ({"one_image_search": "repeated_image_search"}, (IMAGE_SEARCH, IMAGE_SEARCH, ANSWER), {}),
        ({"empty_search": "empty_search"}, (LOOK, FOUND_NOTHING, ANSWER), {}),
        ({"empty_search": "empty_search"}, (SEARCH, NO_PICTURES, ANSWER), {}),
        ({"tool_used": "no_informed_call"}, (ANSWER,), {}),
        ({"tool_used": "no_informed_call", "no_op": "no_op_code"}, (cell("# nothing to do"), ANSWER), {}),
        ({"no_op": "no_op_code"}, (LOOK, cell("print('I look closer')", stdout="I look closer"), ANSWER), {}),
        ({"no_op": "no_op_code"}, (LOOK, cell("never_read = 3"), ANSWER), {}),
        ({"no_op": "unparsable_code"}, (LOOK, cell("%matplotlib inline", stdout="x"), ANSWER), {}),
    ],
)
def test_the_smallest_fault_is_refused_by_its_validator(
    refused: dict[str, str], turns: tuple[Turn, ...], fields: dict[str, Any]
) -> None:
    assert judge(*turns, **fields) == refused


def test_a_trajectory_without_an_answer_is_refused() -> None:
    refused = judge(LOOK, finish="max_turns", answer=None, verdict="unknown")
    assert (refused["answer"], refused["grammar"]) == ("no_answer", "no_final_answer")
    assert judge(finish="refused", answer=None, verdict="unknown")["grammar"] == "no_turns"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/home/alice/map.png", "host_path"),
        ("saved to '/home/alice/map.png'.", "host_path"),
        ("/root/.cache", "host_path"),
        ("/Users/alice/x.png", "host_path"),
        ("/tmp/x.png", "host_path"),  # noqa: S108 - a path to be found, not opened
        ("/var/folders/a/b", "host_path"),
        ("C:\\Users\\alice\\x.png", "host_path"),
        ("file:///etc/passwd", "host_path"),
        ("/box/image_1.png", "guest_path"),
        ("https://example.org/home/alice/map", None),
        ("image_1.png", None),
        ("left/home/right", None),
        ("the ratio 3/4, and/or", None),
        ("no paths: tmp and home", None),
    ],
)
def test_paths_of_a_host_are_refused_wherever_they_stand(text: str, reason: str | None) -> None:
    # A warning may quote the sandbox's own directory: it is the same on every host.
    printed = reason if reason == "host_path" else None
    expected = {} if reason is None else {"path_leak": reason}
    assert judge(with_fields(LOOK, think=f"I read {text} now"), ANSWER) == expected
    assert judge(cell(f"print(open({text!r}).read())", stdout="x"), ANSWER).get("path_leak") == reason
    assert judge(LOOK, cell("print(name)", stdout=text), ANSWER).get("path_leak") == printed
    assert judge(LOOK, with_fields(SEARCH, observation=text), ANSWER) == {}


def test_images_that_show_nothing_new_are_refused() -> None:
    assert judge(LOOK, ANSWER, measured=lambda made: facts(made, blank=True)) == {"image_change": "blank_image"}
    assert judge(LOOK, ANSWER, measured=lambda made: facts(made, same=True)) == {"image_change": "unchanged_image"}
    assert judge(LOOK, ANSWER, measured=lambda _: ()) == {"image_change": "unmeasured_image"}
    # Thumbnails of a search are not the model's doing, and are not measured.
    assert judge(IMAGE_SEARCH, ANSWER, measured=lambda _: ()) == {}


def test_a_lane_without_tools_accepts_a_bare_answer() -> None:
    assert judge(ANSWER, settings=ValidatorSettings(require_tool=False)) == {}


def test_what_does_not_belong_together_is_an_error() -> None:
    made = attempt(LOOK, ANSWER)
    with pytest.raises(ValueError, match="not other"):
        accept(made, QUESTION.model_copy(update={"id": "other"}), facts(made), ValidatorSettings())
    other = facts(made)[0].model_copy(update={"trajectory_id": "t2"})
    with pytest.raises(ValueError, match="another trajectory"):
        accept(made, QUESTION, (other,), ValidatorSettings())
    with pytest.raises(ValueError, match="not of t2"):
        replayed("t2", ReplayResult(trajectory_id="t1", verdict="identical", cells=1, detail=""), ValidatorSettings())


@pytest.mark.parametrize(
    ("verdict", "soft", "outcome", "reason"),
    [
        ("identical", True, "keep", ""),
        ("soft", True, "keep", ""),
        ("soft", False, "reject", "nondeterministic"),
        ("nondeterministic", True, "reject", "nondeterministic"),
        ("failed", True, "reject", "replay_failed"),
        (None, True, "unknown", "not_replayed"),
    ],
)
def test_only_what_replays_is_kept(verdict: Any, soft: bool, outcome: str, reason: str) -> None:
    replay = None if verdict is None else ReplayResult(trajectory_id="t1", verdict=verdict, cells=1, detail="")
    decision = replayed("t1", replay, ValidatorSettings(soft_replay=soft))
    assert (decision.outcome, decision.reason) == (outcome, reason)
