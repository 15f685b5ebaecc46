"""A manifest that is wrong is refused before any row, and says what helps."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.recipe.benchmarks import load_benchmark
from flows.recipe.file import load_recipe
from pipeline.errors import UsageError
from pipeline.export.tombstones import load_tombstones
from pipeline.sources.manifest import load_manifest

KEPT = "key: own\nkind: jsonl\nrevision: v1\npath: data\nlicence: MIT\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "is empty; it is fields, such as `key: mine`"),
        ("- a", "holds a list; it is fields"),
        (KEPT + "licence: GPL-3.0\n", "'licence' stands twice; remove one of both"),
        (KEPT + "columns: {text: a, text: b}\n", "'text' stands twice"),
        (KEPT + "columns: {txt: a}\n", "known fields of columns: row, text, images"),
        (KEPT + "columns: {text: {form: a}}\n", "known fields of columns.text: from, value, as, separator"),
        (KEPT + "colums: {text: a}\n", "known fields: key, kind"),
        (KEPT + "turns: each\n", "`turns` is of kind llava or messages or sharegpt, and this is jsonl; remove it"),
        (KEPT + "split: train\n", "`split` is of kind hf, and this is jsonl"),
        (KEPT + "columns: {text: COLUMN}\n", "columns.text: COLUMN stands for a column that nobody has told yet"),
        (KEPT + "columns: {text: a}\npictures: each\n", "`pictures: each` needs `columns.images`"),
    ],
)
def test_a_manifest_that_is_wrong_says_what_helps(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(text)
    with pytest.raises(UsageError, match=re.escape(told)):
        load_manifest("own.yaml", tmp_path)


def test_what_is_taken_from_elsewhere_in_a_manifest_may_be_said_anew(tmp_path: Path) -> None:
    text = "columns:\n  text: &one {from: a, format: '{}?'}\n  answers: {<<: *one, from: b}\n"
    (tmp_path / "own.yaml").write_text(KEPT + text)
    columns = load_manifest("own.yaml", tmp_path)[0].columns
    assert columns is not None
    assert columns.answers is not None
    assert (columns.answers.from_, columns.answers.format) == (("b",), "{}?")


@pytest.mark.parametrize(
    "read", [load_recipe, lambda file: load_benchmark(str(file), file), load_tombstones], ids=["recipe", "set", "list"]
)
def test_a_name_that_stands_twice_is_refused_in_recipes_benchmarks_and_lists_too(
    read: Callable[[Path], object], tmp_path: Path
) -> None:
    (file := tmp_path / "own.yaml").write_text("key: a\nkey: b\n")
    with pytest.raises(UsageError, match="'key' stands twice"):
        read(file)
