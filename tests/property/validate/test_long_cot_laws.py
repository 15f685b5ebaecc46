"""Laws of reading solutions: any text is read, and what a dialect writes is read back."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from filters.validate.long_cot import LongCotSettings, Retagged, Unreadable, long_cot, repetition, retag
from filters.validate.repetition import repeated_lines, repeated_words
from pipeline.dialects import DEEPEYESV2, TOOL_CALL
from pipeline.dialects.bad_calls import BadCall
from pipeline.identity import canonical_json

# Pieces that solutions are made of, so that forms meet in every order.
PIECES = st.sampled_from(
    [
        *("<think>", "</think>", "<answer>", "</answer>", "<|begin_of_thought|>", "<|end_of_thought|>"),
        *("<|begin_of_solution|>", "<|end_of_solution|>", "\\boxed{", "{", "}", "\\}", "\\", "#### ", "\n", "\n\n"),
        *("The answer is", ":", " 42", "**", "$", ".", " so", "<image>", "\ud800", "\u2028", "\x00"),
    ]
)
ANY_TEXT = st.one_of(st.text(max_size=200), st.lists(st.one_of(PIECES, st.text(max_size=8)), max_size=14).map("".join))
FIELD = st.one_of(
    st.text(min_size=1, max_size=80),
    st.sampled_from(["\\boxed{1}", "#### 1", "The answer is 1.", "a\n\nb", "x < y", "\\{1, 2\\}"]),
).map(str.strip)


@given(ANY_TEXT)
@example("\\boxed{" * 40)
@settings(max_examples=400)
def test_any_text_is_read_or_refused_by_name(text: str) -> None:
    found = retag(text)
    if isinstance(found, Unreadable):
        assert found.detail
        return
    think, answer = found
    assert think == think.strip() != ""
    assert answer == answer.strip() != ""
    # Never edited: both are parts of the text.
    assert think in text
    assert answer in text


@given(FIELD, FIELD)
def test_what_a_dialect_writes_is_read_back(think: str, answer: str) -> None:
    for dialect in (DEEPEYESV2, TOOL_CALL):
        message = dialect.render_turn(think, "answer", canonical_json({"answer": answer}))
        if not isinstance(dialect.parse(message, "plain"), BadCall):
            assert retag(message) == Retagged(think, answer)


@given(ANY_TEXT)
def test_repetition_is_a_share_of_any_text(text: str) -> None:
    assert 0 <= repeated_lines(text) <= 1
    assert 0 <= repeated_words(text) <= 1
    assert [decision.record_id for decision in long_cot("t", Retagged(text, "1"), 1, 1, LongCotSettings())] == [
        "t",
        "t",
    ]


@given(st.lists(st.sampled_from(["one", "two", "three"]), min_size=10, max_size=60))
def test_a_text_said_over_and_over_is_repetitive(words: list[str]) -> None:
    text = " ".join(words)
    assert repeated_words(" ".join([text] * 8)) > 0.5
    assert repetition("t", "\n".join([text] * 8), LongCotSettings()).reason == "repeated_lines"
