"""What `sources init` writes for a shape of data reads every row of it, rights included."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from pipeline.errors import UsageError
from pipeline.identity import parse_json
from pipeline.images import encode_png
from pipeline.records import SourceRow
from pipeline.sources import open_source, read_source
from pipeline.sources.guessing.guess import manifest_for
from pipeline.sources.index import index_of, rows_at
from pipeline.sources.values.columns import typed

USER, BOT = {"role": "user", "content": "<image>How many?"}, {"role": "assistant", "content": "3"}
ASKS, TELLS = {"from": "human", "value": "<image>How many?"}, {"from": "gpt", "value": "3"}


def guessed(directory: Path, name: str, rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[SourceRow]]:
    """Write rows, one a line, and return the manifest that is guessed and the rows that are read by it."""
    data = directory / "data"
    data.mkdir()
    (data / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    file = directory / "made.yaml"
    file.write_text(manifest_for(data, file, "made"))
    return yaml.safe_load(file.read_text()), list(read_source(open_source(str(file), directory / "store")))


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [USER, BOT], "images": ["a.png"]},
        {"conversations": [ASKS, TELLS], "images": ["a.png"]},
        {"conversations": [ASKS, TELLS], "image": "a.png"},
        {"messages": [USER, BOT, USER, BOT], "images": ["a.png"]},
    ],
    ids=["messages", "sharegpt", "llava", "two questions"],
)
def test_a_conversation_needs_no_id(row: dict[str, Any], tmp_path: Path) -> None:
    other = {**row, "extra": 1}
    _, rows = guessed(tmp_path, "chat.jsonl", [row, other])
    keys = [one.source_row for one in rows if not one.reason]
    assert len(set(keys)) == len(keys) >= 2
    assert {one.reason for one in rows} <= {"", "later_turn"}


def test_conversations_with_an_id_keep_it(tmp_path: Path) -> None:
    _, rows = guessed(tmp_path, "chat.jsonl", [{"id": "x7", "messages": [USER, BOT, {**USER, "content": "Why?"}, BOT]}])
    assert [(row.source_row, row.reason) for row in rows] == [("x7", ""), ("x7#2", "later_turn")]


@pytest.mark.parametrize(("several", "of"), [(0, 2), (1, 2), (2, 2)])
def test_a_look_says_how_many_conversations_ask_more_than_once(several: int, of: int, tmp_path: Path) -> None:
    rows = [{"messages": [USER, BOT] * (1 + (number < several))} for number in range(of)]
    manifest, _ = guessed(tmp_path, "chat.jsonl", rows)
    assert manifest["turns"] == "first"
    assert f"{several} of {of} conversations" in (tmp_path / "made.yaml").read_text()


@pytest.mark.parametrize("name", ["rows.jsonl", "data.jsonl"])
def test_a_file_is_taken_for_what_it_holds_and_not_for_its_name(name: str, tmp_path: Path) -> None:
    manifest, rows = guessed(tmp_path, name, [{"image": "a.png", "question": "How many?", "answer": "3"}])
    assert manifest["columns"] == {"text": "question", "images": "image", "answers": "answer"}
    assert [row.reason for row in rows] == [""]


def test_rows_under_our_own_names_need_no_map(tmp_path: Path) -> None:
    row = {"row": "1", "category": "reasoning", "text": "How many?", "answers": ["3"], "answer_type": "number"}
    manifest, rows = guessed(tmp_path, "rows.jsonl", [row])
    assert "columns" not in manifest
    assert [one.reason for one in rows] == [""]


TERMS: list[dict[str, Any]] = [
    {"licence": "CC-BY-4.0", "redistributable": True},
    {"licence": "CC-BY-NC-4.0", "redistributable": False},
]


@pytest.mark.parametrize("map_", ["guessed", "by hand"])
def test_the_terms_of_a_row_hold_whoever_wrote_the_map(map_: str, tmp_path: Path) -> None:
    rows = [{"question": f"How many {n}?", "answer": "3", **terms} for n, terms in enumerate(TERMS)]
    _, read = guessed(tmp_path, "data.jsonl", rows)
    if map_ == "by hand":
        file = tmp_path / "made.yaml"
        by_hand = {**yaml.safe_load(file.read_text()), "columns": {"text": "question", "answers": "answer"}}
        file.write_text(yaml.safe_dump(by_hand))
        read = list(read_source(open_source(str(file), tmp_path / "store")))
    told = [parse_json(row.payload) for row in read]
    assert [{name: row[name] for name in ("licence", "redistributable")} for row in told] == TERMS


@pytest.mark.parametrize(
    ("column", "value", "field"),
    [
        ("options", "['a', 'b']", "choices"),
        ("options", ["a", "b"], "choices"),
        ("candidates", {"A": "a", "B": "b"}, "choices"),
        ("image_url", "https://pictures.example/a.png", "images"),
        ("image_urls", ["https://pictures.example/a.png"], "images"),
        ("image_sha256", "0" * 64, "image_sha256"),
        ("license", "MIT", "licence"),
        ("tolerance", 0.02, "tolerance"),
        ("category", "search", "category"),
        ("answer_type", "number", "answer_type"),
    ],
)
def test_a_column_of_a_usual_name_is_mapped(column: str, value: object, field: str, tmp_path: Path) -> None:
    plain: dict[str, object] = {"question": "How many?", "answer": "3"}
    rows = [plain, {**plain, "question": "How many more?", column: value}]
    manifest, _ = guessed(tmp_path, "data.jsonl", rows)
    assert manifest["columns"][field] == column


@pytest.mark.parametrize(
    ("row", "columns"),
    [
        # Whatever case, spaces and hyphens a writer uses.
        (
            {"ID": "1", "Question": "Q?", "ANSWER": "3", "Image-Path": "a.png"},
            {"row": "ID", "text": "Question", "images": "Image-Path", "answers": "ANSWER"},
        ),
        # An option in each column, however they are called.
        *(
            ({"q": 1, "question": "Q?", **dict.fromkeys(names, "x"), "answer": "B"}, {"choices": names})
            for names in (
                ["A", "B", "C", "D"], ["option A", "option B"], ["option_a", "option_b", "option_c"],
                ["option1", "option2"], ["choice_0", "choice_1"],
            )
        ),
        (
            {"编号": "1", "题目": "Q?", "图片": "图.png", "答案": "3"},
            {"row": "编号", "text": "题目", "images": "图片", "answers": "答案"},
        ),
        # Letters that are no options.
        ({"question": "Q?", "answer": "3", "a": "x", "b": "y"}, {"choices": None}),
        ({"question": "Q?", "answer": "3", "A": "x"}, {"choices": None}),
        # Paths of pictures, whatever their column is called.
        ({"question": "Q?", "answer": "3", "file_name": "IMG 1.JPG"}, {"images": "file_name"}),
        ({"question": "Q?", "answer": "3", "foto": "图\\1.png"}, {"images": "foto"}),
        ({"question": "Q?", "answer": "3", "file_name": "page.html"}, {"images": None}),
        # An answer with other spellings.
        (
            {"question": "Q?", "answer": {"value": "3", "aliases": ["three"], "type": "x"}},
            {"answers": ["answer.value", "answer.aliases"]},
        ),
        ({"question": "Q?", "answer": {"text": "3"}}, {"answers": "answer.text"}),
        ({"question": "Q?", "answer": {"odd": "3"}}, {"answers": "COLUMN"}),
    ],
)  # fmt: skip
def test_a_look_finds_the_fields_by_name_and_by_what_stands_there(
    row: dict[str, Any], columns: dict[str, object], tmp_path: Path
) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text(json.dumps(row) + "\n")
    found = yaml.safe_load(manifest_for(data, tmp_path / "made.yaml", "made"))["columns"]
    assert {field: found.get(field) for field in columns} == columns


def test_pictures_in_base64_become_bytes(tmp_path: Path) -> None:
    told = base64.b64encode(encode_png(Image.linear_gradient("L"))).decode()
    rows = [
        {"question": f"How many {start}?", "image": start + told, "answer": "3"}
        for start in ("", "data:image/png;base64,")
    ]
    manifest, read = guessed(tmp_path, "data.jsonl", rows)
    assert manifest["columns"]["images"] == {"from": "image", "as": "base64"}
    names = {tuple(parse_json(row.payload)["images"]) for row in read}
    assert len(names) == 1
    assert (tmp_path / "store" / "blobs" / names.pop()[0]).is_file()


def test_one_object_around_the_rows_is_no_row(tmp_path: Path) -> None:
    data = tmp_path / "set.json"
    data.write_text(json.dumps({"info": {"v": 1}, "data": [{"question": "How many?", "answer": "3"}]}))
    with pytest.raises(UsageError, match=r"a list in its field `data`; .*jq \.data FILE"):
        manifest_for(data, tmp_path / "made.yaml", "made")


@pytest.mark.parametrize(("questions", "kind"), [(1, "sharegpt"), (2, "sharegpt")])
@pytest.mark.parametrize("form", ["turns", "parts"])
def test_conversations_in_a_table_are_conversations(questions: int, kind: str, form: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    held = {"bytes": encode_png(Image.linear_gradient("L")), "path": None}
    # As Arrow has parts of a turn: each with the fields of all, mostly null.
    parts = [{"type": "image", "text": None}, {"type": "text", "text": "How many?"}]
    asks, tells = (
        {"role": "user", "content": parts},
        {"role": "assistant", "content": [{"type": "text", "text": "3"}]},
    )
    turns = [ASKS, TELLS] * questions if form == "turns" else [asks, tells] * questions
    for number in range(2):
        rows = [{"id": f"{number}-{n}", "images": [held], "conversations": turns} for n in range(70)]
        pq.write_table(pa.Table.from_pylist(rows), data / f"{number}.parquet")
    file = tmp_path / "made.yaml"
    file.write_text(manifest_for(data, file, "made"))
    assert yaml.safe_load(file.read_text())["kind"] == kind
    source = open_source(str(file), tmp_path / "store")
    read = [*read_source(source)]
    assert Counter(row.reason for row in read) == Counter({"": 140, "later_turn": 140 * (questions - 1)})
    first = parse_json(read[0].payload)
    assert (first["text"].replace("\n", ""), first["answers"], len(first["images"])) == ("<image>How many?", "3", 1)
    # From their places, as a run reads them.
    index = index_of(source, tmp_path / "store")
    assert [row.record_hash() for row in rows_at(source, index)] == [row.record_hash() for row in read]


@pytest.mark.parametrize("questions", [1, 2])
def test_of_a_chat_in_a_column_of_a_data_set_question_and_answer_are_taken_where_it_asks_once(
    questions: int, tmp_path: Path
) -> None:
    rows = {"messages": [[USER, BOT] * questions] * 3, "image": ["a.png"] * 3}
    datasets.Dataset.from_dict(rows).save_to_disk(tmp_path / "saved")
    found = yaml.safe_load(manifest_for(tmp_path / "saved", tmp_path / "made.yaml", "made"))["columns"]
    # Of several questions the last answer is not that of the first.
    asked = {"text": {"from": "messages", "as": "user_text"}, "answers": {"from": "messages", "as": "assistant_text"}}
    assert {field: found[field] for field in asked} == (asked if questions == 1 else dict.fromkeys(asked, "COLUMN"))


@pytest.mark.parametrize(
    ("column", "value"),
    [("category", "ocr"), ("answer_type", "other"), ("license", 3), ("tolerance", "low"), ("redistributable", "ask")],
)
def test_a_column_that_means_something_else_is_none(column: str, value: object, tmp_path: Path) -> None:
    manifest, _ = guessed(tmp_path, "data.jsonl", [{"question": "How many?", "answer": "3", column: value}])
    assert column not in manifest["columns"].values()


def test_addresses_of_pictures_say_what_they_need(tmp_path: Path) -> None:
    guessed(tmp_path, "data.jsonl", [{"question": "How many?", "answer": "3", "image_url": "https://p.example/a.png"}])
    assert "fetch" in (tmp_path / "made.yaml").read_text()


def test_numbers_of_options_become_options(tmp_path: Path) -> None:
    rows = [{"question": f"Which {n}?", "choices": ["cat", "dog"], "answer": n} for n in (0, 1)]
    manifest, read = guessed(tmp_path, "data.jsonl", rows)
    assert manifest["columns"]["answers"] == {"from": "answer", "as": "index_to_option"}
    assert [parse_json(row.payload)["answers"] for row in read] == ["cat", "dog"]


@pytest.mark.parametrize("answers", [[3, 4], [1, 2], [0, "1"], [0, 2]], ids=["values", "from 1", "mixed", "too many"])
def test_numbers_that_may_be_answers_stay_what_they_are(answers: list[object], tmp_path: Path) -> None:
    rows = [{"question": f"How many {n}?", "choices": ["3", "4"], "answer": answer} for n, answer in enumerate(answers)]
    assert guessed(tmp_path, "data.jsonl", rows)[0]["columns"]["answers"] == "answer"


def test_what_annotators_gave_is_read_from_their_objects(tmp_path: Path) -> None:
    given = [{"answer": "red", "answer_id": 1}, {"answer": "dark red", "answer_id": 2}]
    _, (row,) = guessed(tmp_path, "data.jsonl", [{"question": "Which colour?", "answers": given}])
    assert parse_json(row.payload)["answers"] == ["red", "dark red"]


@pytest.mark.parametrize(
    ("names", "read"),
    [
        (["train-00000.jsonl", "train-00001.jsonl", "test-00000.jsonl"], ["train-*.jsonl"]),
        (["questions.jsonl", "questions_val.jsonl"], ["questions.jsonl"]),
        (["contest.jsonl", "latest.jsonl"], None),
        (["test.jsonl"], None),
        (["default/train/0000.jsonl", "default/test/0000.jsonl"], ["default/train/*.jsonl"]),
        (["a/part-0.jsonl", "a/part-1-val.jsonl"], ["a/part-0.jsonl"]),
        (["set[1]-train.jsonl", "set[1]-dev.jsonl"], ["set[[]*]-train.jsonl"]),
        (["TrainData.jsonl", "TestData.jsonl"], ["TrainData.jsonl"]),
    ],
)
def test_a_split_that_is_evaluated_on_is_left_out_in_words(
    names: list[str], read: list[str] | None, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for name in names:
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(json.dumps({"question": f"How many {name}?", "answer": "3"}) + "\n")
    file = tmp_path / "made.yaml"
    file.write_text(manifest_for(data, file, "made"))
    assert yaml.safe_load(file.read_text()).get("files") == read
    rows = [parse_json(row.payload)["text"] for row in read_source(open_source(str(file), tmp_path / "store"))]
    left = [name for name in names if f"How many {name}?" not in rows]
    assert len(rows) + len(left) == len(names)
    assert all(name in file.read_text() for name in left)


def test_files_of_another_kind_are_left_out_in_words(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.csv").write_text("question,answer\nHow many?,3\n")
    (data / "b.jsonl").write_text(json.dumps({"question": "How many?", "answer": "3"}))
    assert "# Not read: b.jsonl" in manifest_for(data, tmp_path / "made.yaml", "made")


@pytest.mark.parametrize(
    ("answers", "kind"),
    [
        ("2024-03-05", "date"),
        (["2024-03-05", "2024-03-06"], "date"),
        ("2024-13-05", "text"),
        ("$\\frac{1}{2}x^{2}+3$", "expression"),
        ("2\\sqrt{221}", "expression"),
        ("\\text{red}", "text"),
        ("\\piano", "text"),
        ("an area of $\\pi r^2$", "text"),
        ("x = \\frac{1}{2}", "expression"),
        (["\\pi", "about three"], "text"),
    ],
)
def test_answers_that_nobody_typed_are_what_all_of_them_are(answers: object, kind: str) -> None:
    assert typed(answers, None) == kind


def test_a_revision_that_is_a_hash_of_the_files_is_theirs(tmp_path: Path) -> None:
    guessed(tmp_path, "data.jsonl", [{"question": "How many?", "answer": "3"}])
    with (tmp_path / "data" / "data.jsonl").open("a") as file:
        file.write(json.dumps({"question": "How many more?", "answer": "4"}) + "\n")
    with pytest.raises(UsageError, match=r"states revision sha256-\w+, and its files are sha256-\w+ now"):
        open_source(str(tmp_path / "made.yaml"), tmp_path / "store")


def test_pictures_of_a_split_that_is_evaluated_on_are_told_of(tmp_path: Path) -> None:
    for split in ("train", "test"):
        (tmp_path / "data" / split).mkdir(parents=True)
        (tmp_path / "data" / split / "1.png").write_bytes(encode_png(Image.new("RGB", (8, 8))))
        (tmp_path / "data" / split / "1.json").write_text(json.dumps({"question": "How many?", "answer": "3"}))
    assert "named test, val, dev or eval" in manifest_for(tmp_path / "data", tmp_path / "made.yaml", "made")
    assert "named test" not in manifest_for(tmp_path / "data" / "train", tmp_path / "made.yaml", "made")


PNG = encode_png(Image.new("RGB", (4, 3), (9, 8, 7)))
OF_HUB = {"bytes": PNG, "path": None}
ASKED: dict[str, Any] = {"question": "How many?", "answer": "3"}


def table(directory: Path, rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Any], list[SourceRow]]:
    """Write rows as Parquet, and return the manifest that is guessed and the rows that are read by it."""
    data = directory / "data"
    data.mkdir()
    pq.write_table(pa.Table.from_pylist([*rows]), data / "train.parquet")
    return made_of(directory, data)


def made_of(directory: Path, data: Path) -> tuple[dict[str, Any], list[SourceRow]]:
    file = directory / "made.yaml"
    file.write_text(manifest_for(data, file, "made"))
    return yaml.safe_load(file.read_text()), list(read_source(open_source(str(file), directory / "store")))


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"img_bytes": PNG}, "img_bytes"),
        ({"image_bytes": PNG}, "image_bytes"),
        ({"binary": OF_HUB}, "binary"),
        ({"screenshot": [OF_HUB]}, "screenshot"),
        ({"content": base64.b64encode(PNG * 3).decode()}, {"from": "content", "as": "base64"}),
        # In the order of their numbers, whatever that of the columns is.
        ({"image_10": PNG, "image_2": PNG, "image_1": PNG}, ["image_1", "image_2", "image_10"]),
        ({"image2": OF_HUB, "image": OF_HUB}, ["image", "image2"]),
        # Pictures themselves come before paths; others that are not called alike are left.
        ({"image": "images/1.jpg", "decoded_image": OF_HUB}, "decoded_image"),
        ({"mask": PNG, "image": PNG}, "image"),
        ({"data": b"RIFF....WAVE"}, None),
    ],
)
def test_columns_of_pictures_are_told_by_what_stands_in_them(
    columns: Mapping[str, Any], expected: object, tmp_path: Path
) -> None:
    manifest, rows = table(tmp_path, [{**ASKED, **columns}, {**ASKED, "question": "How many more?", **columns}])
    assert manifest["columns"].get("images") == expected
    assert manifest.get("pictures") == (None if expected is None else "each")
    shown = [parse_json(row.payload).get("images", []) for row in rows]
    number = 0 if expected is None else len(expected) if isinstance(expected, list) else 1
    assert [len(images) for images in shown] == [number, number]


def test_pictures_that_few_rows_have_are_not_asked_of_each(tmp_path: Path) -> None:
    asked = [{**ASKED, "question": f"{n}?", "picture_1": PNG if n < 9 else None} for n in range(10)]
    manifest, rows = table(tmp_path, asked)
    assert (manifest["columns"]["images"], manifest.get("pictures")) == ("picture_1", None)
    assert {row.reason for row in rows} == {""}


def test_a_picture_that_one_row_of_many_lacks_is_a_loss_with_its_place(tmp_path: Path) -> None:
    asked = [{**ASKED, "question": f"{n}?", "photo": PNG if n != 3 else None} for n in range(20)]
    manifest, rows = table(tmp_path, asked)
    assert manifest["pictures"] == "each"
    [lost] = [row for row in rows if row.reason]
    assert (lost.reason, lost.detail.partition(":")[0]) == ("image_absent", "train.parquet, row 4")
    file = tmp_path / "made.yaml"
    file.write_text(file.read_text().replace("pictures: each", "pictures: some"))
    assert {row.reason for row in read_source(open_source(str(file), tmp_path / "store"))} == {""}


@pytest.mark.parametrize(
    ("folders", "classes"), [(("cat", "dog"), True), (("train/cat", "train/dog"), True), ((".",), False)]
)
def test_a_folder_of_pictures_is_a_source(folders: Sequence[str], classes: bool, tmp_path: Path) -> None:
    for number in range(6):
        place = tmp_path / "data" / folders[number % len(folders)]
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number}.png").write_bytes(PNG)
    file = tmp_path / "made.yaml"
    file.write_text(manifest_for(tmp_path / "data", file, "made"))
    manifest = yaml.safe_load(file.read_text())
    assert (manifest["kind"], manifest["columns"]["images"]) == ("folder", "image")
    if not classes:
        assert (manifest["columns"]["text"], manifest["columns"]["answers"]) == ("COLUMN", "COLUMN")
        with pytest.raises(UsageError, match=r"columns\.text, columns\.answers: COLUMN stands for"):
            open_source(str(file), tmp_path / "store")
        return
    told = [parse_json(row.payload) for row in read_source(open_source(str(file), tmp_path / "store"))]
    assert {(tuple(row["choices"]), row["answer_type"]) for row in told} == {(("cat", "dog"), "choice")}
    assert [row["answers"] for row in told] == ["cat"] * 3 + ["dog"] * 3


@pytest.mark.parametrize("other", [None, "rows.jsonl", "b.jsonl", "val/b.jsonl"])
def test_rows_in_a_folder_below_are_those_that_the_manifest_reads(other: str | None, tmp_path: Path) -> None:
    data = tmp_path / "data"
    names = ["deep/a.jsonl", *([] if other is None else [other])]
    for number, name in enumerate(names):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text(json.dumps({**ASKED, "question": f"{number}?"}) + "\n")
    _, rows = made_of(tmp_path, data)
    assert len(rows) == (1 if other in {None, "val/b.jsonl"} else 2)
    assert {row.reason for row in rows} == {""}


def test_the_card_of_a_data_set_tells_which_configuration_is_read_and_its_licence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for config in ("easy", "hard"):
        for split in ("train", "test"):
            (data / config).mkdir(parents=True, exist_ok=True)
            row = {**ASKED, "question": f"{config}, {split}?"}
            pq.write_table(pa.Table.from_pylist([row]), data / config / f"{split}-0.parquet")
    configs: list[dict[str, Any]] = [
        {"config_name": name, "data_files": [{"split": s, "path": f"{name}/{s}-*"} for s in ("train", "test")]}
        for name in ("easy", "hard")
    ]
    configs[1]["default"] = True
    head = yaml.safe_dump({"license": "cc-by-4.0", "configs": configs})
    (data / "README.md").write_text(f"---\n{head}---\nA set.\n")
    manifest, rows = made_of(tmp_path, data)
    assert [parse_json(row.payload)["text"] for row in rows] == ["hard, train?"]
    assert (manifest["licence"], manifest["files"]) == ("cc-by-4.0", ["hard/train-*.parquet"])
    assert "configurations easy, hard; hard is read" in (tmp_path / "made.yaml").read_text()


def test_splits_that_are_not_read_are_named(tmp_path: Path) -> None:
    split = datasets.Dataset.from_list([ASKED])
    datasets.DatasetDict({"test": split, "mine": split}).save_to_disk(tmp_path / "data")
    manifest, rows = made_of(tmp_path, tmp_path / "data")
    assert (manifest["split"], len(rows)) == ("mine", 1)
    assert "not read: test" in (tmp_path / "made.yaml").read_text()


@pytest.mark.parametrize("kind", ["csv", "chats"])
@pytest.mark.parametrize(
    ("folders", "root"), [(["images"], "images"), (["a/b"], "a/b"), (["a", "b"], None), ([""], None)]
)
def test_where_paths_of_rows_begin_is_found_if_one_folder_tells(
    kind: str, folders: Sequence[str], root: str | None, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for folder in folders:
        (data / folder / "s").mkdir(parents=True)
        (data / folder / "s" / "1.png").write_bytes(PNG)
    if kind == "csv":
        (data / "train.csv").write_text("question,answer,file\nHow many?,3,s/1.png\n")
    else:
        (data / "train.json").write_text(json.dumps([{"image": "s/1.png", "conversations": [ASKS, TELLS]}]))
    manifest, rows = made_of(tmp_path, data)
    assert manifest.get("image_root") == (None if root is None else f"data/{root}")
    assert {row.reason for row in rows} == {""}


def test_one_odd_value_among_twenty_hides_no_column(tmp_path: Path) -> None:
    asked = [{**ASKED, "question": f"{n}?", "answer": {"odd": 1} if n == 7 else "3"} for n in range(20)]
    manifest, rows = guessed(tmp_path, "data.jsonl", asked)
    assert manifest["columns"]["answers"] == "answer"
    assert len(rows) == 20


def test_other_spellings_beside_an_answer_are_answers(tmp_path: Path) -> None:
    asked = [{**ASKED, "question": "a?", "aliases": ["three"]}, {**ASKED, "question": "b?", "aliases": []}]
    manifest, rows = guessed(tmp_path, "data.jsonl", asked)
    assert manifest["columns"]["answers"] == ["answer", "aliases"]
    assert parse_json(rows[0].payload)["answers"] == ["3", "three"]
