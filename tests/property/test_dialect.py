from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pipeline.dialects import deepeyesv2 as dialect
from pipeline.dialects.defuse import ZERO_WIDTH_SPACE, contains_control, defuse
from pipeline.identity import canonical_json, parse_json
from pipeline.records import Action, CellStatus

# Spelt out here, apart from the pattern under test.
NAMES = ["think", "code", "tool_call", "tool_response", "answer", "image", "video", "audio", "s", "start_of_turn"]
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
    *(ZERO_WIDTH_SPACE, "{images}", "{question}", "x = image_1.size", "# only a comment", "é", "日本", "🦊"),
]
nice = st.lists(st.sampled_from(PIECES) | st.text(max_size=6), max_size=12).map("".join)
hostile = st.lists(st.sampled_from(PIECES + TOKENS) | st.text(max_size=6), max_size=14).map("".join)

# What decides whether code keeps its place in the fence.
codes = st.lists(st.sampled_from(["x = 1", "\n", "```", " ", "\r", "```python", "</code>"]), max_size=6).map("".join)


def holds_token(text: str) -> bool:
    shaped = re.search(r"<\|[^|<>\n]{1,64}\|>|<\uff5c[^\uff5c<>\n]{1,64}\uff5c>", text)
    return shaped is not None or any(token.lower() in text.lower() for token in TOKENS)


def is_field(text: str) -> bool:
    return bool(text.strip()) and not holds_token(text)


def is_code(code: str) -> bool:
    return is_field(code) and bool(code.partition("\n")[0].strip()) and not f"\n{code}".count("\n```")


def turns_of(action: Action, name: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[dialect.Parsed]:
    return st.builds(
        lambda think, value: dialect.Parsed(think, action, canonical_json({name: value})), nice.filter(is_field), values
    )


turns = (
    turns_of("python", "code", (codes | nice.map(lambda text: "x" + text)).filter(is_code))
    | turns_of("search", "query", nice.filter(is_field))
    | turns_of("answer", "answer", nice.filter(is_field))
    | st.builds(lambda think: dialect.Parsed(think, "image_search", "{}"), nice.filter(is_field))
)


def environment(text: str) -> tuple[str, str | None]:
    """What the reference environment acts on: deepeyesv2.md §7, rows priority, code parse and tool JSON."""
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


def meaning(turn: dialect.Parsed) -> tuple[str, str | None]:
    return turn.action, next(iter(parse_json(turn.arguments).values()), None)


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A rendered turn with pieces put in or cut out."""
    text = dialect.render_turn(*draw(turns))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + draw(st.sampled_from(["", "\ud800", *PIECES, *TOKENS])) + text[end:]
    return text


@given(turns)
def test_a_valid_turn_survives_rendering_and_parsing(turn: dialect.Parsed) -> None:
    assert dialect.parse(dialect.render_turn(*turn), "tools") == turn


@given(turns, st.sampled_from(["", " ", "\n", "\n\n\t"]))
def test_white_space_around_blocks_is_no_part_of_a_turn(turn: dialect.Parsed, space: str) -> None:
    text = dialect.render_turn(*turn)
    for tag in ("</think>\n", "<tool_call>\n", "\n</tool_call>", "<code>\n", "\n</code>"):
        text = text.replace(tag, tag.replace("\n", space or "\n"))
    assert dialect.parse(space + text + space, "tools") == turn


@given(turns)
def test_the_reference_environment_reads_the_same_action_and_argument(turn: dialect.Parsed) -> None:
    assert environment(dialect.render_turn(*turn)) == meaning(turn)


@given(turns)
def test_a_rendered_turn_earns_the_format_reward(turn: dialect.Parsed) -> None:
    text = dialect.render_turn(*turn)  # deepeyesv2.md §8
    for tag in ("think", "code", "tool_call", "answer"):
        assert text.count(f"<{tag}>") == text.count(f"</{tag}>") <= 1
    assert text.startswith("<think>")
    assert text.endswith(dialect.STOP)


@given(turns)
def test_without_tools_only_answers_are_accepted(turn: dialect.Parsed) -> None:
    parsed = dialect.parse(dialect.render_turn(*turn), "plain")
    assert parsed == turn if turn.action == "answer" else isinstance(parsed, dialect.BadCall)


@given(mutated() | hostile | st.text(st.characters(exclude_categories=())))
def test_whatever_is_accepted_is_stable_and_whatever_is_not_gets_a_harmless_reply(text: str) -> None:
    parsed = dialect.parse(text, "tools")
    if isinstance(parsed, dialect.BadCall):
        observation = dialect.bad_call_observation(parsed)
        assert observation.startswith("Error: ")
        assert not contains_control(observation)
        observation.encode()
        return
    rendered = dialect.render_turn(*parsed)
    assert dialect.parse(rendered, "tools") == parsed
    assert environment(rendered) == meaning(parsed)
    assert not any(holds_token(field) for field in (parsed.think, *parse_json(parsed.arguments).values()))


@given(st.just("a thought") | nice | hostile, codes | nice | hostile)
def test_fields_make_a_turn_exactly_if_they_keep_the_laws(think: str, code: str) -> None:
    text = dialect.render_turn(think, "python", canonical_json({"code": code}))
    accepted = isinstance(dialect.parse(text, "tools"), dialect.Parsed)
    assert accepted == (is_field(think) and is_code(code))


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
    text = dialect.user_text("{images}{question}\n\nAnswer.", question, sizes)
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
    text = dialect.cell_observation(**cell, images=images)
    assert text.count("<image>") == images
    assert text.endswith("<image>" * images)
    assert not contains_control(text.removesuffix("<image>" * images))
    assert text == text.strip()


@given(hostile, st.lists(st.builds(dialect.WebResult, hostile, hostile, st.none() | hostile, st.none() | hostile)))
def test_a_text_search_shows_no_token_but_its_frame(query: str, results: list[dialect.WebResult]) -> None:
    text = dialect.text_search_observation(query, results)
    assert text.startswith("<tool_response>\n")
    assert text.endswith("\n</tool_response>")
    assert not contains_control(text.removeprefix("<tool_response>").removesuffix("</tool_response>"))


@given(st.lists(hostile | st.sampled_from(["INST", "/INST", "<ima\nge>"]), max_size=5))
def test_an_image_search_shows_one_mark_per_title_and_no_token_but_its_frame(titles: list[str]) -> None:
    text = dialect.image_search_observation(titles)
    assert text.count("<image>") == len(titles)
    inner = text.removeprefix("<tool_response>").removesuffix("</tool_response>").replace(". <image>\n", ". \n")
    assert not contains_control(inner)
