from __future__ import annotations

import pytest

from pipeline.dialects import deepeyesv2 as dialect
from pipeline.dialects.bad_calls import BadCall
from pipeline.dialects.defuse import contains_control
from pipeline.records import Action

THINK = "<think>a thought</think>\n"


def code(text: str) -> str:
    return f"{THINK}<code>\n```python\n{text}\n```\n</code>"


def call(text: str) -> str:
    return f"{THINK}<tool_call>\n{text}\n</tool_call>"


@pytest.mark.parametrize(
    ("text", "action", "arguments"),
    [
        (code("# a comment\n# and no more"), "python", '{"code":"# a comment\\n# and no more"}'),
        (code("if x:\n\ty = 1  \n\n  "), "python", '{"code":"if x:\\n\\ty = 1  \\n\\n  "}'),
        (code("def f(:"), "python", '{"code":"def f(:"}'),
        (code('s = """\n ```\n"""'), "python", '{"code":"s = \\"\\"\\"\\n ```\\n\\"\\"\\""}'),
        (code("display([img])"), "python", '{"code":"display([img])"}'),
        (THINK + "<code>```python \t\nx\n```</code>", "python", '{"code":"x"}'),
        (call('{"name": "image_search"}'), "image_search", "{}"),
        (call('{"arguments": {"query": "a \\"b\\"\\u00e9"}, "name": "search"}'), "search", '{"query":"a \\"b\\"é"}'),
        (THINK + "<answer> 3 < 4 </answer>", "answer", '{"answer":" 3 < 4 "}'),
        (f"{THINK}<answer>{'x' * 301}</answer>", "answer", f'{{"answer":"{"x" * 301}"}}'),
    ],
)
def test_a_turn_is_read_byte_for_byte(text: str, action: str, arguments: str) -> None:
    assert dialect.parse(text, "tools") == ("a thought", action, arguments)


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("no_think", ""),
        ("no_think", "<answer>4</answer>"),
        ("no_think", f"Sure. {THINK}<answer>4</answer>"),
        ("no_think", "<think> \n</think><answer>4</answer>"),
        ("no_think", "<THINK>a</THINK><answer>4</answer>"),
        ("unclosed", "<think>a thought <answer>4</answer>"),
        ("unclosed", THINK + "<code>\n```python\nx\n```"),
        ("no_action", THINK),
        ("no_action", THINK + "The answer is 4."),
        ("prose", THINK + "So: <answer>4</answer>"),
        ("prose", THINK + "<answer>4</answer> Done."),
        ("prose", THINK + "<answer>4</answer></answer>"),
        ("two_actions", THINK + "<answer>4</answer>" + code("x").removeprefix(THINK)),
        ("two_actions", code("x") + "<answer>4</answer>"),
        ("two_actions", THINK + "<answer>4</answer><answer>5</answer>"),
        ("two_actions", code("print('<tool_call>')")),
        ("control_token", "<think>as in <think></think><answer>4</answer>"),
        ("control_token", "<think>see <image></think><answer>4</answer>"),
        ("control_token", THINK + "<answer>4<|im_end|></answer>"),
        ("control_token", THINK + "<answer>[INST]</answer>"),
        ("control_token", THINK + "<answer><Image></answer>"),
        ("control_token", code("print('<image>')")),
        ("control_token", call('{"name": "search", "arguments": {"query": "\\u003c/tool_call>"}}')),
        ("not_text", THINK + "<answer>\ud800</answer>"),
        ("not_text", call('{"name": "search", "arguments": {"query": "\\ud800"}}')),
        ("empty", THINK + "<answer> </answer>"),
        ("empty", call('{"name": "search", "arguments": {"query": " "}}')),
        ("empty", code("")),
        ("code_block", THINK + "<code>\nx = 1\n</code>"),
        ("code_block", THINK + "<code>\n```python\n```\n</code>"),
        ("code_block", THINK + "<code>\n```py\nx\n```\n</code>"),
        ("code_block", THINK + "<code>\n```Python\nx\n```\n</code>"),
        ("code_block", THINK + "<code>\n```python x\n```\n</code>"),
        ("code_block", THINK + "<code>\nFirst:\n```python\nx\n```\n</code>"),
        ("code_block", THINK + "<code>\n```python\nx\n  ```\n</code>"),
        ("code_fence", code("\nx = 1")),
        ("code_fence", code(" \t\nx = 1")),
        ("code_fence", code("x = 1\n```\n\n```python\ny = 2")),
        ("code_fence", code('s = """\n```\n"""')),
        ("call_json", call('{"name": "search", "arguments": {"query": "a}}')),
        ("call_json", call("")),
        ("call_json", call('["image_search"]')),
        ("call_json", call('{"name": "search", "name": "image_search"}')),
        ("call_json", call("[" * 100_000)),
        ("call_json", call('{"name": "image_search"}\n{"name": "image_search"}')),
        ("call_name", call('{"name": "python", "arguments": {"code": "x"}}')),
        ("call_name", call("{}")),
        ("call_arguments", call('{"name": "image_search", "arguments": {}}')),
        ("call_arguments", call('{"name": "image_search", "arguments": {"image": "image_1"}}')),
        ("call_arguments", call('{"name": "search"}')),
        ("call_arguments", call('{"name": "search", "arguments": {"query": ["a", "b"]}}')),
        ("call_arguments", call('{"name": "search", "arguments": {"query": "a", "n": 3}}')),
        ("call_arguments", call('{"name": "search", "arguments": "a"}')),
    ],
)
def test_what_is_not_exactly_one_turn_is_a_bad_call(reason: str, text: str) -> None:
    bad = dialect.parse(text, "tools")
    assert isinstance(bad, BadCall)
    assert bad.reason == reason
    assert not contains_control(bad.observation)


@pytest.mark.parametrize("text", [code("x"), call('{"name": "image_search"}')])
def test_without_tools_a_call_is_a_bad_call(text: str) -> None:
    bad = dialect.parse(text, "plain")
    assert isinstance(bad, BadCall)
    assert bad.reason == "no_tools"


@pytest.mark.parametrize(
    ("raw", "observation"),
    [
        ('{"name": 1', 'Error: Invalid tool call format: {"name": 1. Error: not valid JSON'),
        ('{"name": "zoom"}', 'Error: Invalid tool call name: {"name": "zoom"}.'),
        (
            '{"name": "image_search", "arguments": {}}',
            'Error: Invalid tool call parameters for image search: {"name": "image_search", "arguments": {}}.',
        ),
    ],
)
def test_errors_of_a_call_are_worded_as_in_the_environment(raw: str, observation: str) -> None:
    bad = dialect.parse(call(raw), "tools")
    assert isinstance(bad, BadCall)
    assert bad.observation == observation


def test_a_long_bad_call_is_not_repeated_whole() -> None:
    bad = dialect.parse(call("x" * 50_000), "tools")
    assert isinstance(bad, BadCall)
    assert len(bad.observation) < 1_200
    assert "characters omitted" in bad.observation


@pytest.mark.parametrize(
    ("action", "arguments"),
    [("none", "{}"), ("python", "{}"), ("search", '{"query":1}'), ("image_search", '{"query":"a"}'), ("answer", "[]")],
)
def test_only_fields_of_a_turn_can_be_written(action: Action, arguments: str) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        dialect.render_turn("a", action, arguments)


def test_calls_are_written_as_the_environment_wants_them() -> None:
    assert dialect.render_turn("a", "image_search", "{}") == (
        '<think>a</think>\n<tool_call>\n{"name": "image_search"}\n</tool_call>'
    )
    assert dialect.render_turn("a", "search", '{"query":"é \\"x\\""}') == (
        '<think>a</think>\n<tool_call>\n{"name": "search", "arguments": {"query": "é \\"x\\""}}\n</tool_call>'
    )
