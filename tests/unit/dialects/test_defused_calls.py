"""Tags of the call grammars of other models are made harmless, in every spelling that a server reads."""

from __future__ import annotations

import time

import pytest

from pipeline.dialects.defuse import ZERO_WIDTH_SPACE, contains_control, defuse

TAGS = (
    *("<function=python>", "</function>", "<parameter=code>", "</parameter>", "< / parameter >", "<FUNCTION = search>"),
    *(
        "<arg_key>",
        "</arg_key>",
        "<arg_value>",
        "</arg_value>",
        "<box>",
        "</box>",
        "<ref>",
        "</ref>",
        "[gMASK]",
        "<sop>",
    ),
    *("</ tool_call>", "< tool_call >", "<|begin_of_box|>", "<|observation|>"),
)
FINE = (
    "a < function",
    "x</y",
    "if a<parameter: pass",
    "<b>bold</b>",
    "List<box, ref>",
    "f(x) = <x, y>",
    "[mask]",
    "a <= b > c",
)


@pytest.mark.parametrize("tag", TAGS)
def test_a_tag_of_another_grammar_is_defused_once(tag: str) -> None:
    text = f"see {tag} here"
    assert contains_control(text)
    assert defuse(text) == f"see {tag[0]}{ZERO_WIDTH_SPACE}{tag[1:]} here"
    assert defuse(defuse(text)) == defuse(text)


@pytest.mark.parametrize("text", FINE)
def test_what_is_no_tag_stays(text: str) -> None:
    assert defuse(text) == text


@pytest.mark.parametrize("text", ["<" * 100_000, "< " * 50_000, "<function=" * 10_000, "<function=" + "a" * 100_000])
def test_hostile_text_takes_linear_time(text: str) -> None:
    began = time.process_time()
    defuse(text)
    assert time.process_time() - began < 2
