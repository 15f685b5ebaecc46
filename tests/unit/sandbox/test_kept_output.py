"""What is kept of a stream."""

from __future__ import annotations

import pytest

from pipeline.sandbox.roundtrip import Collector


@pytest.mark.parametrize(
    ("most", "kept"), [(0, ""), (1, ""), (2, "az"), (5, "abyz"), (26, "abcdefghijklmnopqrstuvwxyz")]
)
def test_head_and_tail_are_kept_and_the_rest_is_counted(most: int, kept: str) -> None:
    collector = Collector(most)
    for letter in b"abcdefghijklmnopqrstuvwxyz":
        collector.add(bytes([letter]))
    half = len(kept) // 2
    omitted = 26 - len(kept)
    assert collector.omitted == omitted
    note = f"\n... [{omitted} bytes omitted] ...\n" if omitted else ""
    assert collector.text() == kept[:half] + note + kept[half:]
