from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.export.formats.trl import parts_of, text_of
from pipeline.records import IMAGE_MARK

PIECES = st.lists(st.one_of(st.just(IMAGE_MARK), st.text(max_size=5), st.sampled_from(["\n", "<", "image>", " "])))


@given(PIECES)
def test_parts_say_what_the_text_says_with_an_image_in_the_place_of_each_mark(pieces: list[str]) -> None:
    text = "".join(pieces)
    parts = parts_of(text)
    assert text_of(parts) == text
    assert [part["type"] for part in parts].count("image") == text.count(IMAGE_MARK)
    assert all(IMAGE_MARK not in str(part["text"]) for part in parts)
    assert all(part["text"] for part in parts if part["type"] == "text") or parts == [{"type": "text", "text": ""}]
