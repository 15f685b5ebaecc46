"""What DeepEyesV2's own environment would do otherwise, by its published rules."""

from __future__ import annotations

import ast
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.records import StockEnv, StockRule, Trajectory
from pipeline.rollout.stock_rules import by_rule, left_open, reindented
from tests.support.builders import image, question, trajectory, turn

ASKED = question(images=(image(), image("b" * 64)))
SHOWN = "Code execution result:\nstdout:\n```\n{}\n```\n\nstderr:\n```\n\n```"


def told(*turns: Any, **more: Any) -> Trajectory:
    return trajectory(*turns, turn("answer", "4"), asked=ASKED, **more)


def cell(code: str, printed: str = "", **more: Any) -> Trajectory:
    return told(turn("python", code, observation=SHOWN.format(printed), **more))


CELLS: list[tuple[str, Trajectory, tuple[StockRule, ...]]] = [
    ("empty lines and spaces at the end", cell("a = 1 \n\n\nprint(a)\n", "1"), ()),
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
def test_a_transcript_differs_for_each_rule_that_acts_on_it(made: Trajectory, reasons: tuple[StockRule, ...]) -> None:
    label = "differs" if reasons else "same"
    assert by_rule(made) == StockEnv(trajectory_id=made.id, label=label, by="rule", reasons=reasons, cell=None)


EXECUTED = {"code_rewritten", "code_restyled", "value_shown", "other_image", "image_file", "defused", "picture_resized"}
"""Rules about what cells give: only their execution tells whether it does."""


@pytest.mark.parametrize(("made", "reasons"), [case[1:] for case in CELLS], ids=[case[0] for case in CELLS])
def test_cells_are_executed_where_no_rule_is_certain(made: Trajectory, reasons: tuple[StockRule, ...]) -> None:
    has_cells = any(turn.action == "python" for turn in made.turns)
    assert left_open(made, by_rule(made)) == (has_cells and EXECUTED.issuperset(reasons))


def test_every_reason_has_a_case() -> None:
    assert {reason for *_, reasons in CELLS for reason in reasons} == set(get_args(StockRule))


@given(st.lists(st.sampled_from(["a = 1", "print(a)", "b = [a,\n     a]", "", "# so", "f(a)"])).map("\n".join))
def test_code_without_blocks_stays_the_same_program(code: str) -> None:
    assert ast.dump(ast.parse(reindented(code))) == ast.dump(ast.parse(code))
