"""A conversation is as many rows as it has questions, in every spelling of turns."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.identity import parse_json
from pipeline.records import SourceRow
from pipeline.sources import open_source, read_source

LLAVA = [{"from": "human", "value": "<image>\nHow many?"}, {"from": "gpt", "value": "3"}]
CHAT = [{"role": "user", "content": "<image>\nHow many?"}, {"role": "assistant", "content": "3"}]
PARTS = [
    {"role": "system", "content": "You are helpful."},
    {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How many?"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "3"}]},
]
ASKED = {"type": "text", "text": "How many?"}
AGAIN = [{"from": "human", "value": "And cats?"}, {"from": "gpt", "value": "4"}]


def read(place: Path, items: list[Any], kind: str = "llava", more: str = "", lines: bool = False) -> list[SourceRow]:
    text = "\n".join(map(json.dumps, items)) if lines else json.dumps(items)
    (place / f"data.{'jsonl' if lines else 'json'}").write_text(text)
    path = f"data.{'jsonl' if lines else 'json'}"
    (place / "own.yaml").write_text(f"key: own\nkind: {kind}\nrevision: v1\npath: {path}\nlicence: CC0-1.0\n{more}")
    return [*read_source(open_source("own.yaml", place / "store", base=place))]


@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize(
    ("kind", "item"),
    [
        ("llava", {"id": "c", "image": "a.png", "conversations": LLAVA}),
        ("sharegpt", {"id": "c", "images": ["a.png"], "conversations": LLAVA}),
        ("messages", {"id": "c", "images": ["a.png"], "messages": CHAT}),
        ("messages", {"id": "c", "images": ["a.png"], "messages": PARTS}),
    ],
)
def test_every_spelling_of_turns_is_the_same_question(tmp_path: Path, kind: str, item: object, lines: bool) -> None:
    (row,) = read(tmp_path, [item], kind, lines=lines)
    made = parse_json(row.payload)
    assert (row.source_row, made["text"], made["answers"], made["images"]) == (
        "c",
        "<image>\nHow many?",
        "3",
        ["a.png"],
    )


def test_where_the_manifest_says_so_each_question_of_a_conversation_is_asked(tmp_path: Path) -> None:
    item = {"id": "c", "image": "a.png", "conversations": [*LLAVA, *AGAIN]}
    rows = read(tmp_path, [item], more="turns: each\n")
    assert [(row.source_row, row.reason) for row in rows] == [("c", ""), ("c#2", "")]
    assert [parse_json(row.payload)["answers"] for row in rows] == ["3", "4"]


@pytest.mark.parametrize("more", ["", "turns: first\n"])
@pytest.mark.parametrize("questions", [1, 2, 5])
@pytest.mark.parametrize("ending", [[], AGAIN[:1]], ids=["answered", "nobody answers the last"])
def test_a_later_question_is_not_asked_without_what_was_said_before_and_is_counted(
    tmp_path: Path, more: str, questions: int, ending: list[Any]
) -> None:
    items = [{"id": name, "conversations": [*LLAVA, *AGAIN * (questions - 1), *ending]} for name in "ab"]
    later = range(2, questions + 1 + bool(ending))
    rows = read(tmp_path, items, more=more)
    keys = [key for name in "ab" for key in ((name, ""), *((f"{name}#{number}", "later_turn") for number in later))]
    assert [(row.source_row, row.reason) for row in rows] == keys
    assert all("turns: each" in row.detail for row in rows if row.reason)
    assert len({row.id for row in rows}) == len(rows)


def test_without_a_key_each_question_is_known_by_what_it_holds(tmp_path: Path) -> None:
    columns = "columns: {text: question, answers: answer, images: image}\n"
    more = f"{columns}turns: each\n"
    rows = read(tmp_path, [{"image": "a.png", "conversations": [*LLAVA, *AGAIN]}], more=more)
    assert len({row.id for row in rows}) == 2
    assert not any(row.reason for row in rows)


@pytest.mark.parametrize(
    "turns",
    [
        None, [], "text", [3], [{"from": "human"}], [{"value": "x"}], LLAVA[1:], [LLAVA[0], LLAVA[0]],
        [*LLAVA, LLAVA[1]], [{"from": "weather", "value": "x"}], [*LLAVA, PARTS[0]],
        [{"role": "user", "content": [{"type": "audio"}]}],
    ],
)  # fmt: skip
def test_what_is_no_conversation_is_a_bad_row_alone(tmp_path: Path, turns: object) -> None:
    good = {"id": "good", "image": "a.png", "conversations": LLAVA}
    rows = read(tmp_path, [{"id": "bad", "conversations": turns}, good, 3])
    assert [(row.source_row, row.reason) for row in rows[1:]] == [("good", ""), ("row 3", "row_json")]
    assert rows[0].reason == "row_turns"
    assert "bad" in rows[0].payload


def test_a_picture_within_a_part_is_put_into_the_store(tmp_path: Path) -> None:
    urls = [f"data:image/png;base64,{base64.b64encode(b'bytes').decode()}", "data:image/png;base64,%%", "data:,x"]
    items = [
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}, ASKED]}, CHAT[1]]}
        for url in urls
    ]
    good, *bad = read(tmp_path, items, "messages", lines=True)
    (name,) = parse_json(good.payload)["images"]
    assert (tmp_path / "store" / "blobs" / name).read_bytes() == b"bytes"
    assert [(row.reason, "no picture in base64" in row.detail) for row in bad] == [("row_column", True)] * 2


@pytest.mark.parametrize(
    "part",
    [{"type": "image", "image": "a.png"}, {"type": "image_url", "image_url": {"url": "a.png"}}],
    ids=["image", "image_url"],
)
@pytest.mark.parametrize("beside", [{}, {"images": ["b.png"]}], ids=["alone", "beside"])
def test_pictures_that_parts_name_are_those_of_their_question(
    part: dict[str, object], beside: dict[str, object], tmp_path: Path
) -> None:
    content = [part, {"type": "text", "text": "How many?"}]
    row = {**beside, "messages": [{"role": "user", "content": content}, {"role": "assistant", "content": "3"}]}
    (read_row,) = read(tmp_path, [row], "messages", lines=True)
    assert parse_json(read_row.payload)["images"] == beside.get("images", ["a.png"])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "row 1: nobody answers"),
        (
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
            "turn 2: it calls a tool and says nothing",
        ),
        ({"role": "assistant", "content": None}, "turn 2: its text is null"),
        (
            {"role": "assistant", "content": [{"type": "input_audio", "input_audio": {}}]},
            "turn 2: a part of type 'input_audio'; only texts and images are read",
        ),
        ({"role": "assistant"}, "turn 2: a turn needs `from` and `value`"),
    ],
)
def test_a_conversation_without_an_answer_says_what_stands_in_its_place(
    answer: object, said: str, tmp_path: Path
) -> None:
    turns = [{"role": "user", "content": "How many?"}, *([] if answer is None else [answer])]
    [row] = read(tmp_path, [{"messages": turns}], "messages")
    assert row.reason == "row_turns"
    assert said in row.detail
