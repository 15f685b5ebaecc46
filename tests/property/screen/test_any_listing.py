"""Taking a text apart is total, fast, keeps every option, and is done once."""

from __future__ import annotations

from contextlib import suppress
from time import perf_counter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from filters.screen.listed_options import read_listing, with_choices
from filters.screen.well_formed import well_formed
from pipeline.errors import RowError
from pipeline.sources.values.image_marks import without_marks
from tests.support.builders import question

PIECES = st.sampled_from(
    (
        "A. ",
        "(B) ",
        "\nC) ",
        "1. ",
        "2) ",
        "①",
        "②",
        "ア．",
        "Options:",
        "选项：",
        "\n",
        "\n\n",
        ", ",
        " or ",
        "?",
        "red",
        "$",
    )
)
TEXTS = st.lists(PIECES | st.text(max_size=5), max_size=12).map("".join)
WORDS = st.lists(
    st.text("abcdefghijklmnopqrstuvwxyzäß", min_size=2, max_size=8).filter(
        lambda word: word not in {"or", "and", "ou"}
    ),
    min_size=1,
    max_size=3,
).map(" ".join)
OPTIONS = st.lists(WORDS, min_size=2, max_size=8, unique=True)


@given(text=TEXTS, answer=st.sampled_from(("A", "B", "1", "red")) | st.text(max_size=5))
def test_any_text_is_taken_apart_or_left_as_it_is(text: str, answer: str) -> None:
    before = question(text, answers=(answer,), answer_type="choice")
    made = with_choices(before)
    listing = read_listing(text)
    if made != before:
        assert listing is not None
        assert made.choices == listing.options
        assert all(option and option in text for option in made.choices)
        assert made.answers[0] in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(made.choices)]
    if listing is not None:
        assert listing.stem.strip() == listing.stem != ""
        assert set(listing.stem) <= set(text)


@given(
    stem=WORDS,
    options=OPTIONS,
    labels=st.sampled_from(("ABCDEFGH", "abcdefgh", "12345678", "①②③④⑤⑥⑦⑧")),
    mark=st.sampled_from(("{}. ", "{}) ", "({}) ", "[{}] ")),
    between=st.sampled_from(("\n", "  ", "; ", "\n\n")),
)
def test_what_is_written_as_a_list_is_read_as_it_was(
    stem: str, options: list[str], labels: str, mark: str, between: str
) -> None:
    assume(not any(word in {*labels} for text in (stem, *options) for word in text.split()))
    listed = between.join(mark.format(label) + option for label, option in zip(labels, options, strict=False))
    listing = read_listing(f"{stem}?\n{listed}")
    assert listing is not None
    assert (listing.stem, listing.options) == (f"{stem}?", tuple(options))


@pytest.mark.parametrize(
    "text",
    [
        ", " * 40_000 + "x",
        "A. x\nB. " + ", " * 40_000 + "y",
        "A. " * 30_000,
        "(A) " * 20_000 + "(B) x",
        "Options:" * 10_000,
        "Options: " + "/" * 80_000,
        "<image" + " " * 80_000,
        "<image>" + " " * 80_000 + "<",
        "<image" * 20_000,
        "[ image" * 10_000,
        "/" * 80_000,
        "['" * 40_000,
        "\n" * 80_000 + "A",
        " " * 80_000 + "A. x B. y",
        "\\textbf{" * 10_000,
    ],
)
def test_a_long_hostile_text_takes_no_longer_than_a_long_one(text: str) -> None:
    began = perf_counter()
    before = question(text or "x", answers=(text,), choices=(text, text))
    with_choices(before.model_copy(update={"choices": ()}))
    well_formed(before, 1, 2)
    with suppress(RowError):
        without_marks(text, 1)
    # Measured: below 0.2 s; what grows with the square takes minutes.
    assert perf_counter() - began < 5
