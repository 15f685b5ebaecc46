from __future__ import annotations

import json

import pytest

from pipeline.dialects import TOOL_CALL
from pipeline.dialects.bad_calls import BadCall
from pipeline.dialects.tool_call import TOOLS, TOOLS_TEXT
from pipeline.identity import canonical_json
from pipeline.records import Action

THINK = "<think>a thought</think>\n"


def call(text: str) -> str:
    return f"{THINK}<tool_call>\n{text}\n</tool_call>"


def python(code: str) -> str:
    return call(f'{{"name": "python", "arguments": {{"code": {json.dumps(code)}}}}}')


@pytest.mark.parametrize(
    "code",
    [
        "# a comment\n# and no more",
        "if x:\r\n\ty = 1  \r\n\r\n  ",
        "def f(:",
        's = """\n ```\n"""',
        "print('é', '日本', '🦊', '\u2028', '\x00')",
        "print('\\u003c/tool_call>', \"{}\", '\\\\')",
    ],
)
def test_code_is_read_and_written_byte_for_byte(code: str) -> None:
    arguments = canonical_json({"code": code})
    assert TOOL_CALL.parse(python(code), "tools") == ("a thought", "python", arguments)
    rendered = TOOL_CALL.render_turn("a thought", "python", arguments)
    assert TOOL_CALL.parse(rendered, "tools") == ("a thought", "python", arguments)


@pytest.mark.parametrize(
    ("text", "action", "arguments"),
    [
        (call('{"arguments": {}, "name": "image_search"}'), "image_search", "{}"),
        (call('{"name": "search", "arguments": {"query": "a \\"b\\"\\u00e9"}}'), "search", '{"query":"a \\"b\\"é"}'),
        (THINK + "<answer> 3 < 4 </answer>", "answer", '{"answer":" 3 < 4 "}'),
    ],
)
def test_a_turn_is_read_byte_for_byte(text: str, action: str, arguments: str) -> None:
    assert TOOL_CALL.parse(text, "tools") == ("a thought", action, arguments)


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        # However a tag in code is spelt, no reader must take it for one.
        ("prose", python("print('</tool_call>')")),
        ("two_actions", python("print('<tool_call>')")),
        ("control_token", python("print('<tool_response>')")),
        ("control_token", call('{"name": "python", "arguments": {"code": "print(\'\\u003c/tool_call>\')"}}')),
        ("control_token", python("print('<|vision_start|><|image_pad|>')")),
        ("not_text", call('{"name": "search", "arguments": {"query": "\\ud800"}}')),
        ("empty", python(" ")),
        ("prose", f"{THINK}Let me look. {python('x').removeprefix(THINK)}"),
        ("prose", python("x") + " Done."),
        ("two_actions", python("x") + "<answer>4</answer>"),
        ("two_actions", python("x") + python("y").removeprefix(THINK)),
        ("call_json", call("")),
        ("call_json", call("[" * 100_000)),
        ("call_json", call('{"name": "python", "arguments": {"code": "x", "code": "y"}}')),
        ("call_json", call('{"name": "python", "arguments": {"code": NaN}}')),
        ("call_json", call("```json\n{}\n```")),
        ("call_arguments", call("{}")),
        ("call_arguments", call('{"name": "python", "arguments": "x"}')),
        ("call_arguments", call('{"name": "python", "arguments": {"code": "x"}, "id": "1"}')),
        ("call_arguments", call('{"name": ["python"], "arguments": {}}')),
        ("call_arguments", call('{"name": "python", "arguments": {}}')),
        ("call_name", call('{"name": "Python", "arguments": {"code": "x"}}')),
    ],
)
def test_what_is_not_exactly_one_turn_is_a_bad_call(reason: str, text: str) -> None:
    bad = TOOL_CALL.parse(text, "tools")
    assert isinstance(bad, BadCall)
    assert bad.reason == reason


@pytest.mark.parametrize(
    ("action", "arguments"),
    [
        ("none", "{}"),
        ("python", "{}"),
        ("search", '{"query":1}'),
        ("image_search", '{"query":"a"}'),
        ("answer", "[]"),
        ("answer", '{"answer":"a","query":"b"}'),
    ],
)
def test_only_fields_of_a_turn_can_be_written(action: Action, arguments: str) -> None:
    with pytest.raises(ValueError, match="cannot be written"):
        TOOL_CALL.render_turn("a", action, arguments)


def test_a_call_is_written_as_qwens_template_writes_one() -> None:
    # `'{"name": "' + name + '", "arguments": ' + (arguments | tojson) + '}'`; its tojson keeps non-ASCII.
    arguments = {"code": 'print("é")\n'}
    expected = f'{{"name": "python", "arguments": {json.dumps(arguments, ensure_ascii=False)}}}'
    assert TOOL_CALL.render_turn("a", "python", canonical_json(arguments)) == (
        f"<think>a</think>\n<tool_call>\n{expected}\n</tool_call>"
    )


def test_the_schemas_are_those_of_the_openai_api_and_fit_what_is_parsed() -> None:
    schemas = json.loads(TOOLS)
    assert [json.loads(line) for line in TOOLS_TEXT.splitlines()] == schemas
    assert all(set(schema) == {"type", "function"} and schema["type"] == "function" for schema in schemas)
    for schema in schemas:
        function = schema["function"]
        parameters = function["parameters"]
        assert parameters["required"] == list(parameters["properties"])
        given = dict.fromkeys(parameters["properties"], "x")
        text = call(json.dumps({"name": function["name"], "arguments": given}))
        assert TOOL_CALL.parse(text, "tools") == ("a thought", function["name"], canonical_json(given))
