"""JSON tool calls as Hermes models and Qwen's chat templates write them.

A message is `<think>…</think>` and then exactly one call, `<tool_call>` around
`{"name": …, "arguments": {…}}`, or the final text in `<answer>`. What comes back is a user message in
`<tool_response>`, which is what those templates make of the role `tool`. A call is written byte for byte as
the templates write one that is given as structure: name first, non-ASCII kept. Fields keep the same laws as
in `deepeyesv2`: code that spells a tag is refused however JSON escapes it, so the regular expression and the
JSON reader of an inference server extract what was meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pipeline.dialects.bad_calls import BadCall, bad_call
from pipeline.dialects.messages import Fields, Parsed, checked, split_message
from pipeline.identity import canonical_json, parse_json
from pipeline.records import Action, Mode

OPENING, CLOSING = "<tool_call>", "</tool_call>"
STOP = (CLOSING, "</answer>")
"""Strings that end a message and stay in it."""
RESULT_OPENING, RESULT_CLOSING = "<tool_response>\n", "\n</tool_response>"

_ACTION = re.compile(r"<(tool_call|answer)>")


def _schema(name: str, description: str, arguments: Mapping[str, str]) -> dict[str, Any]:
    """Return the OpenAI schema of a tool; `arguments` are required strings with their descriptions."""
    properties = {argument: {"type": "string", "description": text} for argument, text in arguments.items()}
    parameters = {
        "type": "object",
        "properties": properties,
        "required": list(arguments),
        "additionalProperties": False,
    }
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


_SCHEMAS = (
    _schema(
        "python",
        "Run Python in the notebook of this conversation. Returns what is printed, the value of the last "
        "expression, error messages, and the pictures that are displayed.",
        {"code": "The Python source to run."},
    ),
    _schema(
        "image_search",
        "Find pictures that resemble the first picture of the question, taken whole. Returns each with its title. "
        "Can be used once.",
        {},
    ),
    _schema(
        "search",
        "Search the web by words. Returns results with title, address and an excerpt.",
        {"query": "What to look for."},
    ),
)


def schemas(*, search: bool) -> tuple[str, str]:
    """Return the schemas of the tools, without those that search where there is nothing to search.

    First for `ChatRequest.tools`, in the form of the OpenAI API; then one a line, as Qwen's templates write them
    between `<tools>` and `</tools>`.
    """
    given = _SCHEMAS if search else _SCHEMAS[:1]
    return canonical_json(given), "\n".join(json.dumps(schema, ensure_ascii=False) for schema in given)


TOOLS, TOOLS_TEXT = schemas(search=True)


def parse(text: str, mode: Mode) -> Parsed | BadCall:
    """Read one assistant message; in `plain` mode only an answer is a valid action."""
    parts = split_message(text, _ACTION, "no_call_or_answer")
    if isinstance(parts, BadCall):
        return parts
    if parts.tag == "answer":
        return checked(parts.think, Fields("answer", {"answer": parts.body}))
    if mode == "plain":
        return bad_call("no_tools")
    fields = _read_call(parts.body.strip())
    return fields if isinstance(fields, BadCall) else checked(parts.think, fields)


def render_turn(think: str, action: Action, arguments: str) -> str:
    """Write a turn from its fields; `parse` gives back those of a valid turn.

    Raises:
        ValueError: `action` cannot be written, or `arguments` is not what it takes.
    """
    match action, parse_json(arguments):
        case "answer", {"answer": str(answer), **others} if not others:
            act = f"<answer>{answer}</answer>"
        case "python" | "image_search" | "search", {**given} if not isinstance(_read_tool(action, given), BadCall):
            act = write_call(action, arguments)
        case _:
            raise ValueError(f"a turn with action {action} and arguments {arguments[:200]} cannot be written")
    return f"<think>{think}</think>\n{act}"


def write_call(name: str, arguments: str) -> str:
    """Return a call of the tool `name`; `arguments` is a JSON object, or text that the reader shall refuse."""
    try:
        written = json.dumps(parse_json(arguments), ensure_ascii=False)
    except (ValueError, RecursionError):
        written = arguments
    return f'{OPENING}\n{{"name": {json.dumps(name, ensure_ascii=False)}, "arguments": {written}}}\n{CLOSING}'


def frame(result: str) -> str:
    """Return what a tool returned, or the refusal of a message, as the text of a user message."""
    # Search results come in this frame in every dialect. Nothing else can spell it: foreign text is defused.
    return result if result.startswith(RESULT_OPENING) else f"{RESULT_OPENING}{result}{RESULT_CLOSING}"


def _read_call(raw: str) -> Fields | BadCall:
    try:
        call = parse_json(raw)
    except (ValueError, RecursionError):
        return bad_call("call_not_json", raw)
    match call:
        case {"name": str(name), "arguments": {**arguments}, **others} if not others:
            return _read_tool(name, arguments) or bad_call("unknown_tool", raw)
        case {}:
            return bad_call("call_keys")
        case _:
            return bad_call("call_not_object", raw)


def _read_tool(name: str, arguments: Mapping[Any, object]) -> Fields | BadCall | None:
    """Return the action of a call, None if there is no such tool."""
    match name, arguments:
        case "python", {"code": str(code), **others} if not others:
            return Fields("python", {"code": code})
        case "search", {"query": str(query), **others} if not others:
            return Fields("search", {"query": query})
        case "image_search", {**others} if not others:
            return Fields("image_search", {})
        case "python", _:
            return bad_call("python_arguments")
        case "search", _:
            return bad_call("search_arguments")
        case "image_search", _:
            return bad_call("image_search_arguments")
        case _:
            return None
