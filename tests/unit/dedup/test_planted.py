"""Planted benchmark questions are found in every language, and no other question is taken for one."""

from __future__ import annotations

import pytest

from tests.benchmarks.planted_questions import LANGUAGES, measure


@pytest.mark.parametrize("language", LANGUAGES)
def test_planted_questions_are_found_and_their_neighbours_are_not(language: str) -> None:
    counts = measure(LANGUAGES[language])
    assert counts.wrongly[0] == 0
    # Every spelling; within and cut out of other texts all but those of fewer than eight tokens, one a language.
    assert counts.spelled[0] == counts.spelled[1]
    assert counts.within[0] >= counts.within[1] - 3
    assert counts.excerpt[0] >= counts.excerpt[1] - 1
    assert counts.keys_same[0] == counts.keys_same[1]
    assert counts.keys_other[0] == counts.keys_other[1]
