from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

import pipeline.prompts.sets
from pipeline.dialects import DEEPEYESV2, TOOL_CALL, Dialect, by_name
from pipeline.dialects.defuse import contains_control
from pipeline.dialects.messages import Parsed, user_text
from pipeline.dialects.observations import MAX_STDERR, MAX_STDOUT
from pipeline.errors import UsageError
from pipeline.identity import canonical_json
from pipeline.prompts.sets import Prompts, Role, load_prompts, load_variants
from pipeline.sandbox.inside.policy import Limits
from pipeline.tools.search.asked import RESULTS

ROLES: tuple[Role, ...] = ("base", "teacher", "no_call", "export")


@pytest.fixture(scope="module", params=[DEEPEYESV2, TOOL_CALL], ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    assert isinstance(request.param, Dialect)
    return request.param


@pytest.fixture(scope="module")
def prompts(dialect: Dialect) -> Prompts:
    return load_prompts(dialect.name, dialect)


@pytest.mark.parametrize("role", ROLES)
def test_plain_and_tool_prompts_differ_in_the_tool_text_alone(prompts: Prompts, role: Role) -> None:
    # Guidance stands last, and what is learnt from never has any: it is for teachers alone.
    guided = {"teacher": prompts.guidance, "no_call": prompts.no_call_guidance}
    guidance = f"\n\n{guided[role]}" if role in guided else ""
    calls = f"\n\n{prompts.calls_system}" if prompts.calls_system else ""
    plain = prompts.system(role, "plain").removesuffix(f"\n\n{prompts.plain_guidance}")
    tools = f"{plain}\n\n{prompts.tools_system}"
    assert plain == prompts.plain_system
    assert prompts.system(role, "tools") == f"{tools}{calls}{guidance}"
    assert prompts.system(role, "tools", native=True) == f"{tools}{guidance}"
    assert prompts.user(role, "tools") == f"{prompts.user(role, 'plain')}\n\n{prompts.tools_user}"


@pytest.mark.parametrize("role", ROLES)
def test_the_plain_prompt_knows_no_tool(prompts: Prompts, role: Role) -> None:
    plain = prompts.system(role, "plain") + prompts.user(role, "plain")
    assert not re.search(r"tool|python|search|image_\d|<code>", plain, re.IGNORECASE)
    assert "<tool_call>" in prompts.system(role, "tools")


def test_without_tools_both_dialects_are_told_the_same() -> None:
    ours, theirs = (load_prompts(dialect.name, dialect) for dialect in (DEEPEYESV2, TOOL_CALL))
    assert ours.hash("base", "plain") == theirs.hash("base", "plain")
    assert ours.hash("base", "tools") != theirs.hash("base", "tools")


def test_a_provider_that_takes_calls_as_structure_is_told_no_way_to_write_them() -> None:
    prompts = load_prompts("tool_call", TOOL_CALL)
    told = prompts.system("teacher", "tools", native=True) + prompts.user("teacher", "tools")
    assert "tool_call>" not in told
    assert '"arguments"' not in told
    assert prompts.hash("teacher", "tools", native=True) != prompts.hash("teacher", "tools")


def test_the_student_is_trained_on_the_base_prompt_without_guidance(prompts: Prompts) -> None:
    assert prompts.system("export", "tools") == prompts.system("base", "tools")
    assert prompts.guidance not in prompts.system("export", "tools")
    assert prompts.guidance in prompts.system("teacher", "tools")


def test_hashes_tell_texts_apart_and_nothing_else(prompts: Prompts) -> None:
    hashes = prompts.hashes()
    # Without tools there is no call to do without.
    assert set(hashes) == {f"{role}/{mode}" for role in ROLES for mode in ("plain", "tools")} - {"no_call/plain"}
    assert hashes["base/plain"] == hashes["export/plain"] != hashes["teacher/plain"]
    assert hashes["base/tools"] == hashes["export/tools"]
    assert len({hashes["base/tools"], hashes["teacher/tools"], hashes["no_call/tools"]}) == 3


def test_another_guidance_changes_the_teacher_alone(prompts: Prompts, dialect: Dialect, tmp_path: Path) -> None:
    (tmp_path / "guidance.md").write_text("Measure twice.\n")
    other = load_prompts(dialect.name, dialect, tmp_path / "guidance.md").hashes()
    assert {key for key, value in prompts.hashes().items() if other[key] != value} == {"teacher/tools"}


def test_limits_in_the_prompt_are_the_limits_of_the_tools(prompts: Prompts) -> None:
    text = prompts.tools_system
    assert f"stopped after {Limits().cell_seconds:g} seconds" in text
    assert f"up to {Limits().images} pictures that you show" in text
    assert f"{MAX_STDOUT:,} characters" in text
    assert f"{MAX_STDERR:,} of error messages" in text
    assert f"up to {RESULTS} pictures that resemble" in text
    assert f"up to {RESULTS} results" in text


def test_every_example_message_is_a_valid_turn(prompts: Prompts, dialect: Dialect) -> None:
    text = prompts.system("teacher", "tools")
    message = r"^<think>(?:(?!<think>).)*?</(?:code|tool_call|answer)>$"
    turns = [dialect.parse(found, "tools") for found in re.findall(message, text, re.DOTALL | re.MULTILINE)]
    guidance = ["python", "python", "answer"] if dialect is DEEPEYESV2 else []  # the other tells them in words
    actions = ["answer", "python", "image_search", "search", *guidance]
    assert [turn.action for turn in turns if isinstance(turn, Parsed)] == actions
    assert len(turns) == len(actions)


def test_the_schemas_of_the_calls_are_json() -> None:
    text = load_prompts("deepeyesv2", DEEPEYESV2).tools_system
    schemas = [json.loads(line) for line in text.splitlines() if line.startswith('{"type"')]
    assert [schema["properties"]["name"]["const"] for schema in schemas] == ["image_search", "search"]
    assert "arguments" not in schemas[0]["properties"]
    assert schemas[1]["properties"]["arguments"]["properties"] == {"query": {"type": "string"}}


def test_the_system_text_carries_the_schemas_as_qwens_template_does() -> None:
    text = load_prompts("tool_call", TOOL_CALL).system("base", "tools")
    (listed,) = re.findall(r"<tools>\n(.*?)\n</tools>", text, re.DOTALL)
    assert [json.loads(line) for line in listed.splitlines()] == json.loads(TOOL_CALL.tools)


def test_a_user_turn_states_the_question_on_its_own_line_and_original_sizes(prompts: Prompts) -> None:
    text = user_text(prompts.user("base", "plain"), "Where?\nOr {images} <image>?", [(2880, 2080), (7, 9)])
    assert text.startswith(
        "<image>\nimage_1: 2880x2080\n<image>\nimage_2: 7x9\nWhere?\nOr {images} <\u200bimage>?\n\nReason"
    )


def test_a_question_without_images_starts_the_user_turn(prompts: Prompts) -> None:
    assert user_text(prompts.user("base", "tools"), "Why?", []).startswith("Why?\n\nReason")


def test_no_prompt_holds_a_chat_token_or_image_mark(prompts: Prompts) -> None:
    grammar = re.compile(r"</?(?:think|code|tool_call|tool_response|tools|answer)>")
    for role in ROLES:
        assert not contains_control(grammar.sub("", prompts.system(role, "tools") + prompts.user(role, "tools")))


def test_an_unknown_set_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"prompts\.name: .*nosuch; known sets: .*deepeyesv2"):
        load_prompts("nosuch", DEEPEYESV2)


def test_missing_guidance_names_the_file_and_the_field(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.md cannot be read .*`prompts`"):
        load_prompts("deepeyesv2", DEEPEYESV2, tmp_path / "gone.md")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("user.md", "{images} no question", r"user\.md has 0 slots \{question\}"),
        ("user.md", "{images}{images}{question}", r"user\.md has 2 slots \{images\}"),
        ("system.md", "Look at <image>.", r"system\.md holds <image>"),
        ("user_tools.md", "End with <|im_end|>.", r"user_tools\.md holds <\|im_end\|>"),
        ("system_calls.md", "{tools}", r"system_calls\.md .* the dialect is deepeyesv2; correct `prompts\.name`"),
    ],
)
def test_a_broken_set_is_refused(
    file: str, text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "prompts" / "mine"
    folder.mkdir(parents=True)
    guidance = (f"teacher_guidance{of}.md" for of in ("", "_no_call", "_plain"))
    for name in ("system.md", "system_tools.md", "user_tools.md", *guidance):
        (folder / name).write_text("text")
    (folder / "user.md").write_text("{images}{question}")
    monkeypatch.setattr(pipeline.prompts.sets, "manifests_dir", lambda: tmp_path)
    assert load_prompts("mine", DEEPEYESV2).system("base", "plain") == "text"
    (folder / file).write_text(text)
    with pytest.raises(UsageError, match=message):
        load_prompts("mine", DEEPEYESV2)


def test_a_set_for_another_dialect_is_refused() -> None:
    with pytest.raises(UsageError, match=r"system_calls\.md is missing.*tool_call.*`prompts\.name` or `dialect`"):
        load_prompts("deepeyesv2", TOOL_CALL)
    with pytest.raises(UsageError, match=r"system_calls\.md .*the dialect is deepeyesv2"):
        load_prompts("tool_call", DEEPEYESV2)


def test_a_variant_is_a_system_text_or_a_folder_and_the_rest_is_the_sets_own(
    prompts: Prompts, dialect: Dialect, tmp_path: Path
) -> None:
    (tmp_path / "short.md").write_text("Be brief.\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "user.md").write_text("{question}\n{images}")
    (tmp_path / "other" / "teacher_guidance.md").write_text("never read by a student")
    (tmp_path / ".hidden").write_text("")
    variants = load_variants(tmp_path, prompts, dialect)
    assert list(variants) == ["other", "short"]
    assert variants["short"].plain_system == "Be brief."
    assert variants["short"].user("export", "tools") == prompts.user("export", "tools")
    assert variants["other"].system("export", "tools") == prompts.system("export", "tools")
    assert variants["other"].plain_user == "{question}\n{images}"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "there is no folder and no file"),
        ({"a.txt": "text"}, r"a\.txt is neither a \*\.md file nor a folder"),
        ({"a/teacher_guidance.md": "text"}, "a is neither"),
        ({"a/sytem.md": "text"}, r"sytem\.md is not named like a file of a prompt set"),
        ({"a/user.md": "no slot"}, r"user\.md has 0 slots"),
        ({"a/system_calls.md": "{tools}"}, "the dialect is deepeyesv2"),
        ({"a.md": "<|im_start|>"}, "reads as control"),
        ({"a.md": "text", "a/system.md": "text"}, "one name"),
    ],
)
def test_a_broken_variant_is_refused(files: dict[str, str], message: str, tmp_path: Path) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_variants(tmp_path, load_prompts("deepeyesv2", DEEPEYESV2), DEEPEYESV2)


@pytest.mark.parametrize("name", ["deepeyesv2", "tool_call"])
def test_a_tool_that_is_not_there_is_in_no_text_and_what_is_left_reads_on(name: str) -> None:
    dialect = by_name(name, search=False)
    prompts = load_prompts(name, dialect)
    for text in dataclasses.astuple(prompts):
        assert "search" not in text.lower()
        assert not re.search(r" {2}|\n{3}| [.,]", text)
    named = [json.loads(schema) for schema in dialect.tools_text.splitlines()]
    assert [schema["function"]["name"] for schema in named] == (["python"] if name == "tool_call" else [])
    assert dialect.tools == (canonical_json(named) if named else "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Look. [search]Search first.", r"holds \[search\] without its other end"),
        ("Look.[/no search]", r"holds \[/no search\] without its other end"),
        ("Then call image_search.", r"names the tool image_search.*between \[search\] and \[/search\]"),
        ('Then {"name": "search"}.', r'names the tool "search"'),
    ],
)
def test_a_text_that_speaks_of_a_search_that_is_not_there_is_refused(text: str, message: str, tmp_path: Path) -> None:
    guidance = tmp_path / "guidance.md"
    guidance.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_prompts("deepeyesv2", by_name("deepeyesv2", search=False), guidance)
    guidance.write_text("Look.[search] Then call image_search.[/search][no search] Search the picture.[/no search]")
    assert load_prompts("deepeyesv2", by_name("deepeyesv2", search=False), guidance).guidance == (
        "Look. Search the picture."
    )
    assert load_prompts("deepeyesv2", DEEPEYESV2, guidance).guidance == "Look. Then call image_search."
