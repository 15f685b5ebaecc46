from __future__ import annotations

import re

import pytest

from flows.publishing.head import size_category
from pipeline.export.layout import named_as

FILES = {
    "data/train-1a2b3c4d5e6f-00000-of-00001.parquet": "train",
    "data/validation-1a2b3c4d5e6f-00000-of-00001.parquet": "validation",
    "data/cc-by-4.0/train-1a2b3c4d5e6f-00003-of-00012.parquet": "train",
}
SIZES = {0: "n<1K", 999: "n<1K", 1_000: "1K<n<10K", 99_999: "10K<n<100K", 10**6: "1M<n<10M", 10**12: "n>1T"}


@pytest.mark.parametrize(("path", "split"), FILES.items())
def test_croissant_tells_splits_as_the_names_of_files_do(path: str, split: str) -> None:
    named, found = named_as(path), re.match("(?:.*/)?([^/-]+)-[^/]*", path)
    assert named is not None
    assert found is not None
    assert named[0] == found[1] == split


@pytest.mark.parametrize(("rows", "name"), SIZES.items())
def test_sizes_are_in_the_classes_of_the_hub(rows: int, name: str) -> None:
    assert size_category(rows) == name
