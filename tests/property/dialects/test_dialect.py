from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.dialects import DEEPEYESV2, TOOL_CALL, Dialect
from pipeline.dialects.bad_calls import BadCall
from pipeline.dialects.defuse import ZERO_WIDTH_SPACE, contains_control, defuse
from pipeline.dialects.messages import Parsed, user_text
from pipeline.dialects.observations import (
    WebResult,
    cell_observation,
    image_search_observation,
    text_search_observation,
)
from pipeline.identity import canonical_json, parse_json
from pipeline.records import Action, CellStatus

DIALECTS = [DEEPEYESV2, TOOL_CALL]
in_both = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)

# Spelt out here, apart from the pattern under test.
NAMES = [
    *("think", "code", "tool_call", "tool_response", "tools", "answer"),
    *("image", "video", "audio", "s", "start_of_turn"),
]
TOKENS = [
    *(f"<{slash}{name}>" for name in NAMES for slash in ("", "/")),
    *(
        "<|im_start|>",
        "<|im_end|>",
        "<|vision_start|>",
        "<|image_pad|>",
        "<|vision_end|>",
        "<|endoftext|>",
        "<|eot_id|>",
        "<|start_header_id|>",
        "<|begin_of_text|>",
        "<|python_tag|>",
    ),
    *("[INST]", "[/INST]", "<<SYS>>", "<\uff5cend\u2581of\u2581sentence\uff5c>"),
]
# Halves of tokens and everything the grammar is made of, so that dangerous text is likely and not one in a million.
PIECES = [
    *(
        "\n",
        "\n\n",
        " ",
        "\t",
        "\r\n",
        "\x0b",
        "\u2028",
        "\x00",
        "```",
        "```python",
        "\n```\n",
        "`",
        "<",
        ">",
        "</",
        "|",
    ),
    *("[", "]", "think>", "code", "image>", "|im_start|>", "INST", "{", "}", '"', "\\", "\\n", "'", "(", ")", "3 < 4"),
    *('{"name": "python", "arguments": {"code": "x"}}', "\\u003c/tool_call>", "\\ud83e", "\u2029", "\x7f"),
    *(ZERO_WIDTH_SPACE, "{images}", "{question}", "x = image_1.size", "# only a comment", "é", "日本", "🦊"),
]
nice = st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=12).map("".join)
hostile = st.lists(st.sampled_from(PIECES + TOKENS) | st.text(max_size=6), max_size=14).map("".join)

# What decides whether code keeps its place in the fence.
codes = st.lists(st.sampled_from(["x = 1", "\n", "```", " ", "\r", "```python", "</code>"]), max_size=6).map("".join)


def holds_token(text: str) -> bool:
    shaped = re.search(r"<\|[^|<>\n]{1,64}\|>|<\uff5c[^\uff5c<>\n]{1,64}\uff5c>", text)
    # White space within angle brackets, as some servers read it.
    spaced = re.search(rf"<\s{{0,8}}/?\s{{0,8}}(?:{'|'.join(NAMES)})\s{{0,8}}>", text, re.IGNORECASE)
    return shaped is not None or spaced is not None or any(token.lower() in text.lower() for token in TOKENS)


def is_field(text: str) -> bool:
    return bool(text.strip()) and not holds_token(text)


def is_code(code: str) -> bool:
    return is_field(code) and bool(code.partition("\n")[0].strip()) and not f"\n{code}".count("\n```")


def turns_of(action: Action, name: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[Parsed]:
    return st.builds(
        lambda think, value: Parsed(think, action, canonical_json({name: value})), nice.filter(is_field), values
    )


turns = (
    turns_of("python", "code", (codes | nice.map(lambda text: "x" + text)).filter(is_code))
    | turns_of("search", "query", nice.filter(is_field))
    | turns_of("answer", "answer", nice.filter(is_field))
    | st.builds(lambda think: Parsed(think, "image_search", "{}"), nice.filter(is_field))
)


def deepeyesv2_environment(text: str) -> tuple[str, str | None]:
    """What the reference environment acts on, by its priority of actions, its search for code and its JSON of tools."""
    answers = re.findall(r"<answer>(.*?)</answer>", text, re.DOTALL)
    if answers and answers[-1]:
        return "answer", answers[-1]
    if "<code>" in text:
        block = re.findall(r"<code>(.*?)</code>", text, re.DOTALL)[-1]
        return "python", re.findall(r"```python\s*\n(.*?)\n```", block, re.DOTALL)[-1]
    call = json.loads(re.findall(r"<tool_call>(.*?)</tool_call>", text, re.DOTALL)[-1])
    if call["name"] == "image_search":
        assert "arguments" not in call
        return "image_search", None
    assert call["name"] == "search"
    return "search", call["arguments"]["query"]


def hermes_server(text: str) -> tuple[str, str | None]:
    """What an inference server makes of Hermes calls: every block, closed or not, is JSON with name and arguments."""
    blocks = re.findall(r"<tool_call>(.*?)</tool_call>|<tool_call>(.*)", text, re.DOTALL)
    if not blocks:
        (answer,) = re.findall(r"<answer>(.*)</answer>", text, re.DOTALL)
        return "answer", answer
    (call,) = (json.loads(closed or unclosed) for closed, unclosed in blocks)
    assert list(call) == ["name", "arguments"]
    assert text[: text.find("<tool_call>")].endswith("</think>\n")  # what the server takes for content
    return call["name"], next(iter(call["arguments"].values()), None)


def environment(dialect: Dialect, text: str) -> tuple[str, str | None]:
    return deepeyesv2_environment(text) if dialect is DEEPEYESV2 else hermes_server(text)


def meaning(turn: Parsed) -> tuple[str, str | None]:
    return turn.action, next(iter(parse_json(turn.arguments).values()), None)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A rendered turn of either dialect with pieces put in or cut out."""
    dialect = draw(st.sampled_from(DIALECTS))
    text = dialect.render_turn(*draw(turns))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + draw(st.sampled_from(["", "\ud800", *PIECES, *TOKENS])) + text[end:]
    return text


@in_both
@given(turn=turns)
def test_a_valid_turn_survives_rendering_and_parsing(dialect: Dialect, turn: Parsed) -> None:
    assert dialect.parse(dialect.render_turn(*turn), "tools") == turn


@in_both
@pytest.mark.parametrize("tag", ["<\nthink>", "< /answer >", "</ code\t>", "<\x0btool_call>"])
def test_a_tag_with_white_space_in_it_is_one_and_no_field_holds_it(dialect: Dialect, tag: str) -> None:
    text = dialect.render_turn(f"I see {tag}.", "answer", canonical_json({"answer": "4"}))
    assert isinstance(dialect.parse(text, "tools"), BadCall)
    assert not is_field(tag)


@in_both
@given(turn=turns, space=st.sampled_from(["", " ", "\n", "\n\n\t"]))
def test_white_space_around_blocks_is_no_part_of_a_turn(dialect: Dialect, turn: Parsed, space: str) -> None:
    text = dialect.render_turn(*turn)
    for tag in ("</think>\n", "<tool_call>\n", "\n</tool_call>", "<code>\n", "\n</code>"):
        text = text.replace(tag, tag.replace("\n", space or "\n"))
    assert dialect.parse(space + text + space, "tools") == turn


@in_both
@given(turn=turns)
def test_the_reference_reads_the_same_action_and_argument(dialect: Dialect, turn: Parsed) -> None:
    assert environment(dialect, dialect.render_turn(*turn)) == meaning(turn)


@in_both
@given(turn=turns)
def test_a_rendered_turn_earns_the_format_reward_and_ends_where_a_model_is_stopped(
    dialect: Dialect, turn: Parsed
) -> None:
    text = dialect.render_turn(*turn)
    for tag in ("think", "code", "tool_call", "answer"):
        assert text.count(f"<{tag}>") == text.count(f"</{tag}>") <= 1
    assert text.startswith("<think>")
    assert [text.find(stop) + len(stop) for stop in dialect.stop if stop in text] == [len(text)]


@in_both
@given(turn=turns)
def test_without_tools_only_answers_are_accepted(dialect: Dialect, turn: Parsed) -> None:
    parsed = dialect.parse(dialect.render_turn(*turn), "plain")
    assert parsed == turn if turn.action == "answer" else isinstance(parsed, BadCall)


@in_both
@given(text=mutated() | hostile | st.text(st.characters(exclude_categories=())))
def test_whatever_is_accepted_is_stable_and_whatever_is_not_gets_a_harmless_reply(dialect: Dialect, text: str) -> None:
    parsed = dialect.parse(text, "tools")
    if isinstance(parsed, BadCall):
        assert parsed.observation.startswith("Error: ")
        assert not contains_control(parsed.observation)
        dialect.frame(parsed.observation).encode()
        return
    rendered = dialect.render_turn(*parsed)
    assert dialect.parse(rendered, "tools") == parsed
    assert environment(dialect, rendered) == meaning(parsed)
    assert not any(holds_token(field) for field in (parsed.think, *parse_json(parsed.arguments).values()))


@in_both
@given(think=st.just("a thought") | nice | hostile, code=codes | nice | hostile)
def test_fields_make_a_turn_exactly_if_they_keep_the_laws(dialect: Dialect, think: str, code: str) -> None:
    text = dialect.render_turn(think, "python", canonical_json({"code": code}))
    accepted = isinstance(dialect.parse(text, "tools"), Parsed)
    assert accepted == (is_field(think) and is_code(code))


@given(turns)
def test_a_turn_of_one_dialect_can_be_written_in_the_other(turn: Parsed) -> None:
    read = [dialect.parse(dialect.render_turn(*turn), "tools") for dialect in DIALECTS]
    assert read == [turn, turn]


@given(hostile, st.lists(st.builds(WebResult, hostile, hostile, st.none() | hostile, st.none() | hostile), max_size=2))
def test_every_result_stands_once_in_the_frame_of_tool_call(output: str, results: list[WebResult]) -> None:
    cell = cell_observation(status="ok", stdout=output, stderr="", value=None, error=None, images=1, ended=False)
    for text in (cell, text_search_observation(output, results), image_search_observation([output])):
        framed = TOOL_CALL.frame(text)
        assert DEEPEYESV2.frame(text) == text
        assert framed.startswith("<tool_response>\n")
        assert framed.endswith("\n</tool_response>")
        assert framed.count("<tool_response>") == framed.count("</tool_response>") == 1
        assert TOOL_CALL.frame(framed) == framed


@given(hostile)
def test_defusing_is_idempotent_leaves_no_token_and_only_adds_zero_width_spaces(text: str) -> None:
    safe = defuse(text)
    assert defuse(safe) == safe
    assert not holds_token(safe)
    assert not contains_control(safe)
    assert not holds_token(defuse(text.upper()).lower())
    assert contains_control(text) == (safe != text) == holds_token(text)
    assert safe.replace(ZERO_WIDTH_SPACE, "") == text.replace(ZERO_WIDTH_SPACE, "")


@given(hostile, st.lists(st.tuples(st.integers(1, 9999), st.integers(1, 9999)), max_size=4))
def test_a_user_turn_marks_each_image_once_and_its_question_nothing(
    question: str, sizes: list[tuple[int, int]]
) -> None:
    text = user_text("{images}{question}\n\nAnswer.", question, sizes)
    assert text.count("<image>") == len(sizes)
    assert text.endswith(defuse(question) + "\n\nAnswer.")


statuses: st.SearchStrategy[CellStatus] = st.sampled_from(
    ["ok", "exception", "timeout", "killed_memory", "killed_output", "died", "protocol_error"]
)


cells = st.fixed_dictionaries(
    {
        "status": statuses,
        "stdout": hostile,
        "stderr": hostile,
        "value": st.none() | hostile,
        "error": st.none() | hostile,
        "ended": st.booleans(),
    }
)


@given(cells, st.integers(0, 10))
def test_a_cell_shows_as_many_marks_as_images_and_no_other_token(cell: dict[str, Any], images: int) -> None:
    text = cell_observation(**cell, images=images)
    assert text.count("<image>") == images
    assert text.endswith("<image>" * images)
    assert not contains_control(text.removesuffix("<image>" * images))
    assert text == text.strip()


@given(hostile, st.lists(st.builds(WebResult, hostile, hostile, st.none() | hostile, st.none() | hostile)))
def test_a_text_search_shows_no_token_but_its_frame(query: str, results: list[WebResult]) -> None:
    text = text_search_observation(query, results)
    assert text.startswith("<tool_response>\n")
    assert text.endswith("\n</tool_response>")
    assert not contains_control(text.removeprefix("<tool_response>").removesuffix("</tool_response>"))


@given(st.lists(hostile | st.sampled_from(["INST", "/INST", "<ima\nge>"]), max_size=5))
def test_an_image_search_shows_one_mark_per_title_and_no_token_but_its_frame(titles: list[str]) -> None:
    text = image_search_observation(titles)
    assert text.count("<image>") == len(titles)
    inner = text.removeprefix("<tool_response>").removesuffix("</tool_response>").replace(". <image>\n", ". \n")
    assert not contains_control(inner)
