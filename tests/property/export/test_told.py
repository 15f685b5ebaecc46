from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from pipeline.dialects import DEEPEYESV2, TOOL_CALL
from pipeline.dialects.defuse import defuse
from pipeline.dialects.messages import user_text
from pipeline.export.told import ExportPrompt, question_of, told_by
from pipeline.prompts.sets import load_prompts

SETS = [told_by(load_prompts(dialect.name, dialect)) for dialect in (DEEPEYESV2, TOOL_CALL)]
PROMPTS = [prompt for told in SETS for prompt in told]
ENDS = [prompt.user.partition("{question}")[2] for prompt in PROMPTS]
questions = st.lists(
    st.one_of(
        st.sampled_from(["{images}", "{question}", "<image>", "<image>\nimage_1: 2x2\n", "image_1: 2x2", *ENDS]),
        st.text(max_size=20),
    ),
    max_size=5,
).map("".join)
sizes = st.lists(st.tuples(st.integers(1, 9_999), st.integers(1, 9_999)), max_size=4)


@given(st.sampled_from(PROMPTS), questions, sizes)
def test_a_question_comes_back_whole_when_its_prompt_is_taken_off(
    prompt: ExportPrompt, question: str, images: list[tuple[int, int]]
) -> None:
    user = user_text(prompt.user, question, images)
    assert question_of(prompt, prompt.system, user) == defuse(question)


@given(st.sampled_from(SETS), st.text(max_size=40), sizes)
def test_a_row_with_tools_is_never_taken_for_one_without(
    told: tuple[ExportPrompt, ExportPrompt], question: str, images: list[tuple[int, int]]
) -> None:
    for own, other in (told, told[::-1]):
        assert question_of(other, own.system, user_text(own.user, question, images)) is None


def test_the_hash_of_a_prompt_is_the_one_that_its_set_gives() -> None:
    prompts = load_prompts("deepeyesv2", DEEPEYESV2)
    assert {prompt.name: prompt.sha256 for prompt in told_by(prompts)}.items() <= prompts.hashes().items()
    assert [prompt.name for prompt in told_by(prompts, "terse")] == ["export/tools/terse", "export/plain/terse"]


def test_the_plain_prompt_differs_from_the_one_with_tools_in_the_tool_text_alone() -> None:
    for told in SETS:
        assert told.tools.system.startswith(told.plain.system + "\n\n")
        assert told.tools.user.startswith(told.plain.user + "\n")


def test_hostile_texts_take_no_time() -> None:
    prompt = PROMPTS[0]
    started = time.perf_counter()
    for text in ("<image>\nimage_1: 1x1\n" * 50_000, ENDS[0][:-1] * 5_000, "\n" * 1_000_000):
        assert question_of(prompt, prompt.system, text) is None
    assert time.perf_counter() - started < 5
