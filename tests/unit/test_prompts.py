from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import pipeline.prompts
from pipeline.dialects import deepeyesv2 as dialect
from pipeline.dialects.deepeyesv2_observations import MAX_STDERR, MAX_STDOUT
from pipeline.dialects.defuse import contains_control
from pipeline.errors import UsageError
from pipeline.prompts import Prompts, Role, load_prompts
from pipeline.sandbox.policy import Limits
from pipeline.tools import image_search, text_search

ROLES: tuple[Role, ...] = ("base", "teacher", "export")


@pytest.fixture(scope="module")
def prompts() -> Prompts:
    return load_prompts("deepeyesv2")


@pytest.mark.parametrize("role", ROLES)
def test_plain_and_tool_prompts_differ_in_the_tool_text_alone(prompts: Prompts, role: Role) -> None:
    guidance = f"\n\n{prompts.guidance}" if role == "teacher" else ""
    assert prompts.system(role, "tools") == f"{prompts.system(role, 'plain')}\n\n{prompts.tools_system}{guidance}"
    assert prompts.user(role, "tools") == f"{prompts.user(role, 'plain')}\n\n{prompts.tools_user}"


@pytest.mark.parametrize("role", ROLES)
def test_the_plain_prompt_knows_no_tool(prompts: Prompts, role: Role) -> None:
    plain = prompts.system(role, "plain") + prompts.user(role, "plain")
    assert not re.search(r"tool|python|search|image_\d|<code>", plain, re.IGNORECASE)
    assert "<tool_call>" in prompts.system(role, "tools")


def test_the_student_is_trained_on_the_base_prompt_without_guidance(prompts: Prompts) -> None:
    assert prompts.system("export", "tools") == prompts.system("base", "tools")
    assert prompts.guidance not in prompts.system("export", "tools")
    assert prompts.guidance in prompts.system("teacher", "tools")


def test_hashes_tell_texts_apart_and_nothing_else(prompts: Prompts) -> None:
    hashes = prompts.hashes()
    assert set(hashes) == {f"{role}/{mode}" for role in ROLES for mode in ("plain", "tools")}
    assert hashes["base/plain"] == hashes["teacher/plain"] == hashes["export/plain"]
    assert hashes["base/tools"] == hashes["export/tools"] != hashes["teacher/tools"]


def test_another_guidance_changes_the_teacher_alone(prompts: Prompts, tmp_path: Path) -> None:
    (tmp_path / "guidance.md").write_text("Measure twice.\n")
    other = load_prompts("deepeyesv2", tmp_path / "guidance.md").hashes()
    assert {key for key, value in prompts.hashes().items() if other[key] != value} == {"teacher/tools"}


def test_limits_in_the_prompt_are_the_limits_of_the_tools(prompts: Prompts) -> None:
    text = prompts.tools_system
    assert f"stopped after {Limits().cell_seconds:g} seconds" in text
    assert f"up to {Limits().images} pictures that you show" in text
    assert f"{MAX_STDOUT:,} characters" in text
    assert f"{MAX_STDERR:,} of error messages" in text
    assert f"up to {image_search.RESULTS} pictures that resemble" in text
    assert f"up to {text_search.RESULTS} results" in text


def test_every_example_message_is_a_valid_turn(prompts: Prompts) -> None:
    text = prompts.system("teacher", "tools")
    message = r"^<think>(?:(?!<think>).)*?</(?:code|tool_call|answer)>$"
    turns = [dialect.parse(found, "tools") for found in re.findall(message, text, re.DOTALL | re.MULTILINE)]
    assert [turn.action for turn in turns if isinstance(turn, dialect.Parsed)] == [
        *("answer", "python", "image_search", "search"),
        *("python", "python", "answer"),  # of the guidance
    ]
    assert len(turns) == 7


def test_the_schemas_of_the_calls_are_json(prompts: Prompts) -> None:
    schemas = [json.loads(line) for line in prompts.tools_system.splitlines() if line.startswith('{"type"')]
    assert [schema["properties"]["name"]["const"] for schema in schemas] == ["image_search", "search"]
    assert "arguments" not in schemas[0]["properties"]
    assert schemas[1]["properties"]["arguments"]["properties"] == {"query": {"type": "string"}}


def test_a_user_turn_states_the_question_on_its_own_line_and_original_sizes(prompts: Prompts) -> None:
    text = dialect.user_text(prompts.user("base", "plain"), "Where?\nOr {images} <image>?", [(2880, 2080), (7, 9)])
    assert text.startswith(
        "<image>\nimage_1: 2880x2080\n<image>\nimage_2: 7x9\nWhere?\nOr {images} <\u200bimage>?\n\nReason"
    )


def test_a_question_without_images_starts_the_user_turn(prompts: Prompts) -> None:
    assert dialect.user_text(prompts.user("base", "tools"), "Why?", []).startswith("Why?\n\nReason")


def test_no_prompt_holds_a_chat_token_or_image_mark(prompts: Prompts) -> None:
    grammar = re.compile(r"</?(?:think|code|tool_call|answer)>")
    for role in ROLES:
        assert not contains_control(grammar.sub("", prompts.system(role, "tools") + prompts.user(role, "tools")))


def test_an_unknown_set_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"prompts\.name: .*nosuch; known sets: .*deepeyesv2"):
        load_prompts("nosuch")


def test_missing_guidance_names_the_file_and_the_field(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.md cannot be read .*`prompts`"):
        load_prompts("deepeyesv2", tmp_path / "gone.md")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("user.md", "{images} no question", r"user\.md has 0 slots \{question\}"),
        ("user.md", "{images}{images}{question}", r"user\.md has 2 slots \{images\}"),
        ("system.md", "Look at <image>.", r"system\.md holds <image>"),
    ],
)
def test_a_broken_set_is_refused(
    file: str, text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "prompts" / "mine"
    folder.mkdir(parents=True)
    for name in ("system.md", "system_tools.md", "user_tools.md", "teacher_guidance.md"):
        (folder / name).write_text("text")
    (folder / "user.md").write_text("{images}{question}")
    monkeypatch.setattr(pipeline.prompts, "manifests_dir", lambda: tmp_path)
    assert load_prompts("mine").system("base", "plain") == "text"
    (folder / file).write_text(text)
    with pytest.raises(UsageError, match=message):
        load_prompts("mine")
