"""What DeepEyesV2's own environment and reward would do otherwise, by its published rules."""

from __future__ import annotations

import ast
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.export.stock import (
    EnvReason,
    RewardReason,
    RuleReason,
    StockEnv,
    _stands,
    left_open,
    reindented,
    stock_env,
    stock_reward,
)
from pipeline.records import StockDifference, StockReplay, Trajectory
from tests.support.builders import image, question, trajectory, turn

ASKED = question(images=(image(), image("b" * 64)))
SHOWN = "Code execution result:\nstdout:\n```\n{}\n```\n\nstderr:\n```\n\n```"


def told(*turns: Any, **more: Any) -> Trajectory:
    return trajectory(*turns, turn("answer", "4"), asked=ASKED, **more)


def cell(code: str, printed: str = "", **more: Any) -> Trajectory:
    return told(turn("python", code, observation=SHOWN.format(printed), **more))


CELLS: list[tuple[str, Trajectory, tuple[EnvReason, ...]]] = [
    ("flat", cell("a = 1\nprint(a)", "1"), ()),
    ("block at the end", cell("for i in range(2):\n    print(i)", "0\n1"), ()),
    ("statement after a block", cell("for i in range(2):\n    print(i)\nprint(9)", "0\n1\n9"), ("code_rewritten",)),
    ("call after a function", cell("def f():\n    return 1\nprint(f())", "1"), ("code_rewritten",)),
    ("if and else", cell("if 1:\n    a = 1\nelse:\n    a = 2"), ()),
    ("lines in a text", cell('print("""a\n  b""")', "a\n  b"), ("code_rewritten",)),
    ("no Python", cell("for i in range(2):\n  print(i", "", status="exception"), ("code_rewritten",)),
    ("no Python on one line", cell("print(", "", status="exception"), ()),
    ("compared with None", cell("a = None\nprint(a == None)", "True"), ("code_restyled",)),
    ("compared types", cell("print(type(1) == type(2))", "True"), ("code_restyled",)),
    ("a lambda with a name", cell("f = lambda x: x\nprint(f(1))", "1"), ("code_restyled",)),
    ("a value", cell("1 + 1", "2"), ("value_shown",)),
    ("a picture as value", cell("image_1.crop((0, 0, 9, 9))"), ()),
    ("a call without value", cell("print(1)", "1"), ()),
    ("second picture", cell("print(image_2.size)", "(4, 3)"), ("other_image",)),
    ("a name of one's own", cell("image_2 = image_1\nprint(1)", "1"), ()),
    ("picture as a file", cell("Image.open('image_1.png').load()"), ("image_file",)),
    ("timeout", cell("while True: pass", "", status="timeout"), ("session_ended",)),
    ("long output", cell("print('x' * 9000)", "x\n... [1000 characters omitted] ...\nx"), ("output_cut",)),
    ("output beyond the sandbox's own", cell("print('x' * 9000)", "x\n... [9 bytes omitted] ...\nx"), ("output_cut",)),
    ("a tag printed", cell("print('<' + 'image>')", "<\u200bimage>"), ("defused",)),
    ("thin picture", cell("display(image_1)", "", images=(image(width=400, height=20),)), ("picture_resized",)),
    ("search", told(turn("search", "mill", observation="x")), ("text_search",)),
    ("image search", told(turn("image_search", observation="x")), ("image_search",)),
    ("no message", told(turn("none", observation="Error: x")), ("bad_call",)),
    ("another dialect", cell("print(1)", "1").model_copy(update={"dialect": "tool_call"}), ("dialect",)),
    ("no picture", cell("print(1)", "1").model_copy(update={"images": ()}), ("text_only",)),
    ("an answer alone", told(), ()),
]


@pytest.mark.parametrize(("made", "reasons"), [case[1:] for case in CELLS], ids=[case[0] for case in CELLS])
def test_a_transcript_differs_for_each_rule_that_acts_on_it(made: Trajectory, reasons: tuple[EnvReason, ...]) -> None:
    assert stock_env(made) == StockEnv("differs" if reasons else "same", reasons, "rule")


@pytest.mark.parametrize("differs", get_args(StockDifference))
def test_what_was_measured_outweighs_the_rules(differs: StockDifference) -> None:
    shown, plain = cell("1 + 1", "2"), cell("print(1)", "1")
    same = StockReplay(trajectory_id=shown.id, differs=None, cell=None)
    other = StockReplay(trajectory_id=plain.id, differs=differs, cell=0)
    assert stock_env(shown, same) == StockEnv("same", (), "execution")
    assert stock_env(plain, other) == StockEnv("differs", (differs,), "execution")
    assert stock_env(shown, other) == StockEnv("differs", (differs, "value_shown"), "execution")


EXECUTED = {"code_rewritten", "code_restyled", "value_shown", "other_image", "image_file", "defused", "picture_resized"}
"""Rules about what cells give: only their execution tells whether it does."""


@pytest.mark.parametrize(("made", "reasons"), [case[1:] for case in CELLS], ids=[case[0] for case in CELLS])
def test_cells_are_executed_where_no_rule_is_certain(made: Trajectory, reasons: tuple[EnvReason, ...]) -> None:
    has_cells = any(turn.action == "python" for turn in made.turns)
    assert left_open(made) == (has_cells and EXECUTED.issuperset(reasons))


def test_every_reason_has_a_case() -> None:
    assert {reason for *_, reasons in CELLS for reason in reasons} == set(get_args(RuleReason))
    assert {reason for *_, reasons in REWARDS for reason in reasons} == set(get_args(RewardReason))


@given(st.lists(st.sampled_from(["a = 1", "print(a)", "b = [a,\n     a]", "", "# so", "f(a)"])).map("\n".join))
def test_code_without_blocks_stays_the_same_program(code: str) -> None:
    assert ast.dump(ast.parse(reindented(code))) == ast.dump(ast.parse(code))


REWARDS: list[tuple[dict[str, Any], str, tuple[RewardReason, ...]]] = [
    ({"answer_type": "number", "answers": ("4",)}, "same", ()),
    ({"answer_type": "date", "answers": ("1 May 2020", "1 may  2020.")}, "same", ()),
    ({"answer_type": "boolean", "answers": ("yes",)}, "same", ()),
    ({"answer_type": "number", "answers": ("4",), "tolerance": 0.02}, "differs", ("tolerance",)),
    ({"answer_type": "number", "answers": ("4", "four")}, "differs", ("several_golds",)),
    ({"answer_type": "choice", "answers": ("A",), "choices": ("red", "blue")}, "unknown", ("option_letter",)),
    ({"answer_type": "text", "answers": ("mill",)}, "unknown", ("words",)),
    ({"answer_type": "expression", "answers": ("x+1",)}, "unknown", ("formula",)),
    ({"answer_type": "list", "answers": ("red, blue",)}, "unknown", ("items",)),
    ({"answer_type": "text", "answers": ("mill", "a windmill")}, "differs", ("several_golds", "words")),
    ({"answer_type": "number", "answers": ("4",), "meta": {"metric": "relaxed"}}, "differs", ("metric",)),
    ({"answer_type": "number", "answers": ("4",), "images": ()}, "differs", ("text_only",)),
]


@pytest.mark.parametrize(("fields", "label", "reasons"), REWARDS)
def test_a_question_differs_where_one_gold_does_not_say_what_is_right(
    fields: dict[str, Any], label: str, reasons: tuple[RewardReason, ...]
) -> None:
    assert stock_reward(question(**{"images": (image(),), **fields})) == (label, reasons)


LINES = [
    *("x = 1", "", "  ", "    y = 2", "if x:", "for i in [1]:", "    print(i)", "else:", 'x = "a', 'b"', "# note"),
    *("z = (1,", "  2)", "x = 1  "),
]


@given(st.lists(st.sampled_from(LINES), max_size=8))
def test_code_that_stands_line_by_line_is_the_same_program(lines: list[str]) -> None:
    code = "\n".join(lines)
    if not _stands(code):
        return
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return
    assert ast.dump(ast.parse(reindented(code))) == ast.dump(tree)
