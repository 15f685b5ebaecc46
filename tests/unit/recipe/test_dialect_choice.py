"""The recipe chooses the dialect, and everything that depends on it follows or is refused."""

from __future__ import annotations

import pytest

from flows.asking.ask import gate_ask, teacher_asks
from flows.asking.resources import Revisions
from flows.recipe.file import load_recipe
from flows.recipe.recipe import Recipe
from pipeline.dialects import DEEPEYESV2, TOOL_CALL, by_name
from pipeline.errors import UsageError
from pipeline.prompts.sets import Prompts, load_prompts
from tests.support.command import DEMO

SERVER = "backend: openai, model: m@1, served_name: m, base_url: 'http://127.0.0.1:1/v1'"


def test_the_dialect_brings_its_prompts_and_formats() -> None:
    ours, other = load_recipe(DEMO), load_recipe(DEMO, ["dialect=tool_call"])
    assert (ours.dialect, ours.prompt_set) == ("deepeyesv2", "deepeyesv2")
    assert ours.rl_formats == ("trl", "verl", "deepeyesv2", "huggingface")
    assert (other.dialect, other.prompt_set) == ("tool_call", "tool_call")
    assert other.rl_formats == ("trl", "verl", "huggingface")
    assert load_recipe(DEMO, ["prompts.name=mine"]).prompt_set == "mine"
    assert ours.identity() != other.identity()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["dialect=hermes"], "dialect"),
        (["dialect=tool_call", "export.rl=[deepeyesv2]"], r"export\.rl: the environment deepeyesv2 .* tool_call"),
        ([f"models.base={{{SERVER}, tools_api: native}}"], "tools_api: native needs calls that are JSON"),
    ],
)
def test_what_does_not_fit_the_dialect_is_refused(changes: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        load_recipe(DEMO, changes)


def test_an_unknown_dialect_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="'hermes' is unknown; known are deepeyesv2, tool_call"):
        by_name("hermes")
    assert (by_name("deepeyesv2"), by_name("tool_call")) == (DEEPEYESV2, TOOL_CALL)


def with_teacher(*more: str) -> Recipe:
    fields = ", ".join((SERVER, *more))
    return load_recipe(DEMO, ["dialect=tool_call", f"models.teachers=[{{{fields}}}]"])


def told(recipe: Recipe) -> tuple[Prompts, Revisions]:
    """Nothing is opened: to say how models are asked takes their names alone."""
    revisions = Revisions(dict.fromkeys(recipe.models.roles(), "m@1"), "sandbox/1", "none/1")
    return load_prompts(recipe.prompt_set, by_name(recipe.dialect)), revisions


def test_how_tools_are_called_is_identity_and_told_to_one_model_alone() -> None:
    text, native = with_teacher(), with_teacher("tools_api: native")
    assert text.models.teachers[0].identity() != native.models.teachers[0].identity()
    (by_text,) = teacher_asks(text, *told(text), "tools")
    (by_api,) = teacher_asks(native, *told(native), "tools")
    assert (by_text.tools, by_api.tools) == ("", TOOL_CALL.tools)
    assert "<tools>" in by_text.system
    assert "<tools>" not in by_api.system
    assert by_text.prompts != by_api.prompts
    # The base model of the same recipe is asked by text.
    gate = gate_ask(native, *told(native), "main", "tools")
    assert (gate.tools, gate.dialect) == ("", "tool_call")
    assert "<tools>" in gate.system


def test_without_tools_no_schema_is_sent() -> None:
    recipe = load_recipe(DEMO, ["dialect=tool_call", f"models.base={{{SERVER}, tools_api: native}}"])
    assert gate_ask(recipe, *told(recipe), "main", "plain").tools == ""
    assert gate_ask(recipe, *told(recipe), "main", "tools").tools == TOOL_CALL.tools
