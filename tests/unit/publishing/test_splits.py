from __future__ import annotations

import re

import pytest

from flows.publishing.exports import split_of
from flows.publishing.head import size_category

FILES = {
    "data/train-00000-of-00001.parquet": "train",
    "data/validation-1a2b3c4d5e6f7a8b-00000-of-00001.parquet": "validation",
    "data/cc-by-4.0/train-1a2b3c4d5e6f7a8b-00003-of-00012.parquet": "train",
}
SIZES = {0: "n<1K", 999: "n<1K", 1_000: "1K<n<10K", 99_999: "10K<n<100K", 10**6: "1M<n<10M", 10**12: "n>1T"}


@pytest.mark.parametrize(("path", "split"), FILES.items())
def test_a_split_is_what_the_name_of_a_file_begins_with(path: str, split: str) -> None:
    assert split_of(path) == split
    # Croissant tells it by this pattern.
    found = re.match("(?:.*/)?([^/-]+)-[^/]*", path)
    assert found is not None
    assert found[1] == split


@pytest.mark.parametrize(("rows", "name"), SIZES.items())
def test_sizes_are_in_the_classes_of_the_hub(rows: int, name: str) -> None:
    assert size_category(rows) == name
