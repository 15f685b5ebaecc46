"""A map of columns makes a row under our names, whatever the data set calls them."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from PIL import Image
from pydantic import ValidationError

from pipeline.errors import RowError
from pipeline.images import encode_png
from pipeline.sources.values.columns import Columns, mapped, typed

PNG = encode_png(Image.new("RGB", (4, 3)))
PLAIN = {"id": 7, "question": "How many?", "answer": "3", "image": "a.png", "source": "web"}


CHAT = [
    {"role": "system", "content": "You may zoom."},
    {"role": "user", "content": "How many?"},
    {"role": "assistant", "content": "I look again."},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "the crop"}]},
    {"from": "gpt", "value": "<answer>three</answer> I hope"},
]


def row(columns: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    return mapped(record, Columns.model_validate(columns))


def test_columns_become_fields_and_the_others_are_carried() -> None:
    made = row({"row": "id", "text": "question", "answers": "answer", "images": "image"}, PLAIN)
    assert made == {
        "row": 7,
        "text": "How many?",
        "answers": "3",
        "images": "a.png",
        "source": "web",
        "category": "perception",
        "answer_type": "number",
    }


def test_meta_says_what_is_carried() -> None:
    record = {**PLAIN, "split": "train", "sound": b"x"}
    assert row({"text": "question", "meta": ["split"]}, record).keys() == {"text", "split", "category"}
    assert row({"text": "question", "meta": []}, record).keys() == {"text", "category"}
    # Bytes are no text of a row.
    assert "sound" not in row({"text": "question"}, record)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("img_bytes", PNG), ("binary", {"bytes": PNG, "path": None}), ("data", [{"bytes": PNG}]), ("0.png", PNG),
        ("picture", b"damaged"), ("images", ["a.png"]),
    ],
)  # fmt: skip
def test_pictures_that_no_field_comes_from_are_no_question_without_them(column: str, value: object) -> None:
    record = {"question": "How many?", "other": None, column: value}
    with pytest.raises(RowError, match=re.escape(f"images: missing, and there are pictures in a column {column!r}")):
        row({"text": "question"}, record)
    with pytest.raises(RowError, match="images: missing"):
        row({"text": "question", "images": "other"}, record)
    assert row({"text": "question", "meta": []}, record).keys() == {"text", "category"}
    assert row({"text": "question", "images": "shown"}, {**record, "shown": "b.png"})["images"] == "b.png"


def test_a_column_with_the_name_of_another_field_is_not_carried() -> None:
    assert row({"text": "question"}, {"question": "Which?", "text": "a caption"})["text"] == "Which?"


@pytest.mark.parametrize(
    ("column", "record", "value"),
    [
        ("a", {"a": "x"}, "x"),
        ("a.b", {"a": {"b": "x"}}, "x"),
        ("a.b", {"a.b": "x"}, "x"),
        ("a.b", {"a": None}, None),
        (["a", "b"], {"a": "x", "b": ["y", "z"]}, ["x", "y", "z"]),
        (["a", "b"], {"a": None, "b": None}, None),
        ({"value": "x"}, {}, "x"),
        ({"from": "a", "default": "d"}, {"a": None}, "d"),
        ({"from": "a", "map": {"1": "yes"}, "default": "no"}, {"a": 1}, "yes"),
        ({"from": "a", "map": {"1": "yes"}, "default": "no"}, {"a": 2}, "no"),
        ({"from": "a", "as": "json"}, {"a": '["x", "y"]'}, ["x", "y"]),
        ({"from": "a", "as": "json"}, {"a": ["x"]}, ["x"]),
        ({"from": "a", "as": "split"}, {"a": "x; y ;"}, ["x", "y"]),
        ({"from": "a", "as": "split", "separator": "|"}, {"a": "x|y"}, ["x", "y"]),
        ({"from": "a", "as": "unwrap_list"}, {"a": ["x"]}, "x"),
        ({"from": "a", "as": "unwrap_list"}, {"a": []}, None),
        ({"from": "a", "as": ["json", "unwrap_list"]}, {"a": '["x"]'}, "x"),
        ({"from": "a", "as": "strip_marks"}, {"a": "<image>\nHow many?"}, "How many?"),
        ({"from": "a", "as": "first"}, {"a": ["x", "y"]}, "x"),
        ({"from": "a", "as": "first"}, {"a": []}, None),
        ({"from": "a", "as": "user_text"}, {"a": CHAT}, "How many?"),
        ({"from": "a", "as": "assistant_text"}, {"a": CHAT}, "<answer>three</answer> I hope"),
        (
            {"from": "a", "as": ["assistant_text", "cut"], "after": "<answer>", "before": "</answer>"},
            {"a": CHAT},
            "three",
        ),
        ({"from": "a", "as": "cut", "before": "### Path"}, {"a": "How many? ### Path: /home/me"}, "How many?"),
        ({"from": "a", "as": "cut", "before": "### Path"}, {"a": " How many? "}, "How many?"),
        (
            {"from": "a", "as": "cut", "after": "file:///"},
            {"a": ["file:///a.png", "file:///b.png"]},
            ["a.png", "b.png"],
        ),
        ({"from": "a", "as": "drop_lines", "lines": ["Note:"]}, {"a": "x\n  Note: y\nz"}, "x\nz"),
        ({"from": "a", "format": "oven/{}.jpg"}, {"a": 7}, "oven/7.jpg"),
        ({"from": "a", "format": "oven/{}.jpg"}, {"a": None}, None),
        ({"from": "a", "void": ["none"]}, {"a": ["x", " None ", "x"]}, ["x", "x"]),
        ({"from": "a", "otherwise": "b"}, {"a": None, "b": "y"}, "y"),
        ({"from": "a", "otherwise": {"from": "b", "as": "first"}}, {"b": ["y"]}, "y"),
        ({"from": "a", "otherwise": "b", "default": "d"}, {}, "d"),
        (["a", {"from": "b", "as": "json"}], {"a": "x", "b": '["y", "z"]'}, ["x", "y", "z"]),
        ({"from": "a", "as": "spelt_out"}, {"a": ["ES", "🇪🇸", "Spain", "USA"]}, ["Spain", "USA"]),
        ({"from": "a", "as": "spelt_out"}, {"a": ["ES", "🇪🇸"]}, ["ES", "🇪🇸"]),
        ({"from": "a", "as": "spelt_out"}, {"a": "ES"}, "ES"),
        ({"from": "a", "as": "base64"}, {"a": base64.b64encode(b"PNG").decode()}, b"PNG"),
        ({"from": "a", "as": "base64"}, {"a": ["data:image/png;base64," + base64.b64encode(b"P").decode()]}, [b"P"]),
    ],
)
def test_values(column: Any, record: dict[str, Any], value: object) -> None:
    assert row({"derivation": column}, record).get("derivation") == value


@pytest.mark.parametrize(
    ("answer", "option"),
    [
        ("B", "blue"),
        ("b", "blue"),
        ("(B)", "blue"),
        ("B. blue", "blue"),
        ("[B] x", "blue"),
        (["A", "B"], ["red", "blue"]),
    ],
)
@pytest.mark.parametrize("choices", [["red", "blue"], {"A": "red", "B": "blue"}])
def test_a_letter_is_the_option_it_stands_for(answer: object, option: object, choices: object) -> None:
    columns = {"answers": {"from": "label", "as": "letter_to_option"}, "choices": "options"}
    assert row(columns, {"label": answer, "options": choices})["answers"] == option


@pytest.mark.parametrize(
    ("options", "clean"),
    [
        (["A. red", "B) blue", "(C) green"], ["red", "blue", "green"]),
        (["A) red", "-", "### Figure 2", "", "B) blue"], ["red", "blue"]),
        (["red", "B. blue"], ["red", "blue"]),
        (["E. coli", "A. thaliana"], ["E. coli", "A. thaliana"]),  # words that begin as letters do
        (["+", "-1", "-", "#1"], ["+", "-1", "#1"]),  # signs and numbers are options
        ({"A": "red", "B": "blue"}, ["red", "blue"]),
        ([1, 2], [1, 2]),
    ],
)
def test_options_are_freed_of_rules_headings_and_their_own_letters(options: object, clean: object) -> None:
    assert row({"choices": {"from": "o", "as": "clean_options"}}, {"o": options})["choices"] == clean


def test_a_label_is_the_option_that_it_counts_after_cleaning() -> None:
    columns = {"choices": {"from": "o", "as": "clean_options"}, "answers": {"from": "l", "as": "letter_to_option"}}
    assert row(columns, {"o": ["### Panel a", "A) red", "-", "B) blue"], "l": "[B] blue"})["answers"] == "blue"


@pytest.mark.parametrize(
    ("value", "void"),
    [
        ("unanswerable", ["unanswerable"]),
        (["x", "Unanswerable"], ["unanswerable"]),
        (["no text"] * 3 + ["unanswerable"] * 2 + ["x"] * 5, ["unanswerable", "no text"]),
    ],
)
def test_a_row_of_which_half_say_that_there_is_no_answer_is_none(value: object, void: list[str]) -> None:
    with pytest.raises(RowError, match=r"columns\.answers, .* say there is none") as error:
        row({"answers": {"from": "label", "void": void}}, {"label": value})
    assert error.value.reason == "row_void"


@pytest.mark.parametrize(
    ("transform", "value"),
    [
        ("user_text", "How many?"), ("user_text", [{"content": "x"}]), ("assistant_text", []), ("clean_options", "x"),
        ("clean_options", ["B) blue", "A) red"]),
        ("json", "[x"), ("json", "[" * 100_000), ("split", 3), ("unwrap_list", ["x", "y"]), ("strip_marks", 3),
        ("letter_to_option", "Z"), ("letter_to_option", "a cat"), ("letter_to_option", 3),
        ("letter_to_option", "blue"), ("base64", "§"), ("base64", "x"), ("base64", 3),
    ],
)  # fmt: skip
def test_what_a_transform_does_not_fit_is_a_bad_row(transform: str, value: object) -> None:
    columns = {"answers": {"from": "label", "as": transform}, "choices": {"value": ["red", "blue"]}}
    with pytest.raises(RowError, match=rf"columns\.answers, {transform}") as error:
        row(columns, {"label": value})
    assert error.value.reason == "row_column"


@pytest.mark.parametrize(
    ("answers", "choices", "kind"),
    [
        ("3", None, "number"), (3, None, "number"), (["3", "3.0"], None, "number"), ("1,234", None, "number"),
        ("-0.5", None, "number"), ("50%", None, "number"), ("007", None, "text"), ("3 cats", None, "text"),
        (["3", "three"], None, "text"), ("yes", None, "boolean"), ("No.", None, "boolean"), (True, None, "boolean"),
        ("B", ["x", "y"], "choice"), ("", None, "text"), (None, None, "text"), ("1234,5", None, "text"),
    ],
)  # fmt: skip
def test_answers_that_nobody_typed_get_the_type_that_all_of_them_have(
    answers: object, choices: object, kind: str
) -> None:
    assert typed(answers, choices) == kind


@pytest.mark.parametrize(
    "columns",
    [
        {"txt": "a"},
        {"text": {}},
        {"text": {"from": "a", "value": "b"}},
        {"text": {"from": "a", "as": "eval"}},
        {"text": {"from": "a", "as": "cut"}},
        {"text": {"from": "a", "after": "x"}},
        {"text": {"from": "a", "as": "drop_lines"}},
        {"text": {"from": "a", "format": "no place"}},
        {"text": "a", "meta": ["category"]},
        {"text": 3},
    ],
)
def test_a_map_with_a_mistake_is_refused(columns: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Columns.model_validate(columns)


def test_a_value_that_a_map_lacks_is_a_mistake_unless_something_is_stated() -> None:
    kinds = {"from": "a", "map": {"1": "search"}}
    fields = {"text": "question", "images": "image"}
    with pytest.raises(RowError, match=r"row_column: columns\.category, map: 2 is none of '1'; add it, or state"):
        row({**fields, "category": kinds}, {**PLAIN, "a": 2})
    assert row({**fields, "category": {**kinds, "default": None}}, {**PLAIN, "a": 2})["category"] == "perception"
    assert row({**fields, "category": kinds}, {**PLAIN, "a": None})["category"] == "perception"
