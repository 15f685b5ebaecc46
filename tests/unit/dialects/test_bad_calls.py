"""Every text that a model is shown for an invalid message, as it is shown: a changed word is paid for again."""

from __future__ import annotations

from typing import get_args

import pytest

from pipeline.dialects import DEEPEYESV2, TOOL_CALL, Dialect
from pipeline.dialects.bad_calls import TABLE, BadCall, BadReason, Fault, bad_call, image_search_refused
from pipeline.records import Mode

THINK = "<think>a</think>"
CODE = THINK + "<code>\n```python\n{}\n```\n</code>"
CALL = THINK + "<tool_call>{}</tool_call>"
BOTH = (DEEPEYESV2, TOOL_CALL)

SHOWN: list[tuple[tuple[Dialect, ...], str, BadReason, str]] = [
    (BOTH, THINK + "\ud800", "not_text", "Invalid message: it holds a character that is not valid Unicode."),
    (BOTH, "<answer>4</answer>", "no_think", "Invalid message: it does not start with a think block."),
    (BOTH, "<think> </think><answer>4</answer>", "no_think", "Invalid message: the think block is empty."),
    (BOTH, "<think>a", "unclosed", "Invalid message: the think block is not closed."),
    (BOTH, THINK + "<answer>4", "unclosed", "Invalid message: the answer block is not closed."),
    (BOTH, THINK + "<tool_call>{}", "unclosed", "Invalid message: the tool_call block is not closed."),
    ((DEEPEYESV2,), THINK + "<code>x", "unclosed", "Invalid message: the code block is not closed."),
    (
        (DEEPEYESV2,),
        THINK,
        "no_action",
        "Invalid message: no code, tool call or answer follows the thought.",
    ),
    ((TOOL_CALL,), THINK, "no_action", "Invalid message: no tool call or answer follows the thought."),
    ((TOOL_CALL,), CODE.format("x"), "no_action", "Invalid message: no tool call or answer follows the thought."),
    (
        BOTH,
        THINK + "So: <answer>4</answer>",
        "prose",
        "Invalid message: text stands outside the think block and the one action that follows it.",
    ),
    (
        BOTH,
        CALL.format("{}") + CALL.format("{}"),
        "two_actions",
        "Invalid message: it holds more than one action; take one at a time.",
    ),
    (
        BOTH,
        THINK + "<answer><|im_start|></answer>",
        "control_token",
        "Invalid message: a tag or control token stands inside a block.",
    ),
    (BOTH, THINK + "<answer> </answer>", "empty", "Invalid message: the block after the thought is empty."),
    (
        (DEEPEYESV2,),
        THINK + "<code>x</code>",
        "code_block",
        "Invalid message: the code block must hold one fenced block labelled python and nothing else.",
    ),
    ((DEEPEYESV2,), CODE.format("\nx"), "code_fence", "Invalid message: the code starts with a blank line."),
    (
        (TOOL_CALL,),
        CALL.format('{"name": "python", "arguments": {"code": "\\nx"}}'),
        "code_fence",
        "Invalid message: the code starts with a blank line.",
    ),
    (
        (DEEPEYESV2,),
        CODE.format("x\n```y"),
        "code_fence",
        "Invalid message: a line of the code starts with three backticks.",
    ),
    (
        (TOOL_CALL,),
        CALL.format('{"name": "python", "arguments": {"code": "x\\n```y"}}'),
        "code_fence",
        "Invalid message: a line of the code starts with three backticks.",
    ),
    (BOTH, CALL.format('{"name": 1'), "call_json", 'Invalid tool call format: {"name": 1. Error: not valid JSON'),
    (BOTH, CALL.format("[1]"), "call_json", "Invalid tool call format: [1]. Error: not a JSON object"),
    ((DEEPEYESV2,), CALL.format('{"name": "zoom"}'), "call_name", 'Invalid tool call name: {"name": "zoom"}.'),
    (
        (TOOL_CALL,),
        CALL.format('{"name": "zoom", "arguments": {}}'),
        "call_name",
        'Invalid tool call name: {"name": "zoom", "arguments": {}}.',
    ),
    (
        (DEEPEYESV2,),
        CALL.format('{"name": "image_search", "arguments": {}}'),
        "call_arguments",
        'Invalid tool call parameters for image search: {"name": "image_search", "arguments": {}}.',
    ),
    (
        (TOOL_CALL,),
        CALL.format('{"name": "image_search"}'),
        "call_arguments",
        "Invalid message: a call has exactly two keys, the string name and the object arguments.",
    ),
    (
        (TOOL_CALL,),
        CALL.format('{"name": "image_search", "arguments": {"image": "image_1"}}'),
        "call_arguments",
        "Invalid message: image_search takes no argument; its arguments are an empty object.",
    ),
    (
        BOTH,
        CALL.format('{"name": "search", "arguments": {"query": ["a"]}}'),
        "call_arguments",
        "Invalid message: search takes exactly one argument, the string query.",
    ),
    (
        (TOOL_CALL,),
        CALL.format('{"name": "python", "arguments": {"code": "x", "timeout": "9"}}'),
        "call_arguments",
        "Invalid message: python takes exactly one argument, the string code.",
    ),
]
CASES = [(dialect, *case) for dialects, *case in SHOWN for dialect in dialects]


@pytest.mark.parametrize(("dialect", "text", "reason", "shown"), CASES)
def test_an_invalid_message_is_answered_word_for_word(
    dialect: Dialect, text: str, reason: BadReason, shown: str
) -> None:
    assert dialect.parse(text, "tools") == BadCall(reason, f"Error: {shown}")


@pytest.mark.parametrize("dialect", BOTH)
def test_a_call_where_there_are_no_tools_is_answered_word_for_word(dialect: Dialect) -> None:
    plain: Mode = "plain"
    text = "Error: Invalid message: no tool can be called here; give the answer."
    assert dialect.parse(CALL.format("{}"), plain) == BadCall("no_tools", text)


def test_a_refused_image_search_is_answered_word_for_word() -> None:
    assert image_search_refused(images=0) == BadCall(
        "image_search", "Error: Invalid message: the question has no image to search for."
    )
    assert image_search_refused(images=2) == BadCall(
        "image_search",
        "Error: Invalid message: image search can be used once only, and it was used already.",
    )


def test_a_picture_that_may_not_be_searched_for_is_the_fault_of_no_message() -> None:
    assert bad_call("image_not_public") == BadCall(
        "image_search", "Error: Image search is not available for this image."
    )


def test_in_training_a_query_that_no_rollout_asked_is_the_fault_of_no_message() -> None:
    assert bad_call("query_not_recorded") == BadCall(
        "not_recorded", "Error: Search is not available for this query; try another, or do without."
    )


def test_every_text_of_the_table_is_tested_here() -> None:
    told = {shown for _, _, _, shown in SHOWN}
    untold = {
        fault
        for fault, (_, text) in TABLE.items()
        if not any(shown.startswith(text.partition("{quoted}")[0]) for shown in told)
    }
    assert set(TABLE) == set(get_args(Fault))
    assert untold == {"no_tools", "no_image", "second_image_search", "image_not_public", "query_not_recorded"}  # above
    assert {reason for reason, _ in TABLE.values()} == set(get_args(BadReason))


def test_the_quoted_call_of_a_refusal_is_defused_and_shortened() -> None:
    bad = TOOL_CALL.parse(CALL.format("<image>{quoted}" + "x" * 50_000), "tools")
    assert isinstance(bad, BadCall)
    assert "<\u200bimage>{quoted}x" in bad.observation
    assert len(bad.observation) < 1_200


def test_in_tool_call_a_refusal_comes_back_as_a_result() -> None:
    bad = TOOL_CALL.parse(THINK, "tools")
    assert isinstance(bad, BadCall)
    assert TOOL_CALL.frame(bad.observation) == (
        "<tool_response>\nError: Invalid message: no tool call or answer follows the thought.\n</tool_response>"
    )
