"""What a row says in other types, under other names and with marks: read where one reading exists, else refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from PIL import Image

from filters.screen.open_ended import CONVERTED, KEPT, SHUFFLED
from flows.stages.ingest import SourceRead, images_of
from pipeline.errors import RowError
from pipeline.identity import parse_json
from pipeline.images import encode_png
from pipeline.records import Question
from pipeline.sources import Source, read_source
from pipeline.sources.questions import RESERVED, check_row, to_question
from pipeline.store import Store
from pipeline.store.blobs import BlobStore

ROW: dict[str, Any] = {
    "row": "a",
    "category": "perception",
    "text": "How many sheep are there?",
    "images": ["a.png"],
    "answers": ["7"],
    "answer_type": "number",
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A manifest's folder: `data` with pictures, and others beside it."""
    for name in ("data/a.png", "data/deep/b.png", "elsewhere/c.png", "secret/d.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(encode_png(Image.new("RGB", (40, 30 + len(name)), "green")))
    (tmp_path / "data" / "linked").symlink_to("../elsewhere")
    (tmp_path / "data" / "circle").symlink_to("circle")
    return tmp_path


def imported(place: Path, image_root: Path | None = None, **changes: object) -> Question:
    row = {name: value for name, value in {**ROW, **changes}.items() if value is not ...}
    (place / "data" / "rows.jsonl").write_text(json.dumps(row) + "\n")
    source = Source("own", "1", place / "data", "CC0-1.0", metric="vqa", image_root=image_root)
    (read,) = read_source(source)
    if error := check_row(read, source.directory, source.others):
        with pytest.raises(RowError) as raised:
            to_question(read, source.directory, BlobStore(place / "blobs"), source.others)
        assert str(raised.value) == str(error)
        raise error
    return to_question(read, source.directory, BlobStore(place / "blobs"), source.others)


def refused(place: Path, image_root: Path | None = None, **changes: object) -> RowError:
    with pytest.raises(RowError) as error:
        imported(place, image_root, **changes)
    return error.value


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (12, "12"),
        (-3, "-3"),
        (885.0, "885"),
        (0.5, "0.5"),
        (-0.0, "0"),
        (1e-07, "0.0000001"),
        (1e22, "1" + "0" * 22),
        (True, "true"),
        ("007", "007"),
        (10**40, "1" + "0" * 40),
    ],
)
def test_a_scalar_is_read_as_the_text_that_spells_it(place: Path, written: object, read: str) -> None:
    assert imported(place, answers=written).answers == (read,)
    assert imported(place, answers=[written, None]).answers == (read,)
    assert imported(place, choices=[written, "x"]).choices == (read, "x")


@pytest.mark.parametrize("images", ["a.png", ["a.png"], ["a.png", None, ""]])
def test_one_name_is_the_one_image(place: Path, images: object) -> None:
    assert len(imported(place, images=images).images) == 1


@pytest.mark.parametrize("nothing", [None, "", ...])
def test_null_is_absent(place: Path, nothing: Any) -> None:
    made = imported(
        place,
        images=nothing,
        choices=nothing,
        tolerance=nothing,
        derivation=nothing,
        solution=nothing,
        licence=nothing,
        metric=nothing,
        difficulty=None,
    )
    assert (made.images, made.choices, made.tolerance, made.licence) == ((), (), None, "CC0-1.0")
    assert json.loads(made.meta) == {"metric": "vqa"}
    for field in ("category", "text", "answers", "answer_type"):
        error = refused(place, **{field: nothing})
        assert error.reason == "row_field"
        assert field in error.detail


@pytest.mark.parametrize(("written", "read"), [(0, 0.0), (0.02, 0.02), ("0.02", 0.02), (1, 1.0)])
def test_a_tolerance_is_a_number(place: Path, written: object, read: float) -> None:
    assert imported(place, tolerance=written).tolerance == read


@pytest.mark.parametrize(
    ("written", "read"),
    [(False, False), (True, True), ("false", False), ("True", True), (None, None), ("", None), (..., None)],
)
def test_a_row_may_say_whether_its_pictures_may_be_passed_on(place: Path, written: object, read: bool | None) -> None:
    assert parse_json(imported(place, redistributable=written).meta).get("redistributable") is read
    assert refused(place, redistributable="perhaps").reason == "row_field"
    assert refused(place, redistributable=0).reason == "row_field"


def test_other_columns_are_carried_along(place: Path) -> None:
    others: dict[str, Any] = {
        "difficulty": 2,
        "model_config": "x",
        "columns": [1, {"a": None}],
        "größe": "",
        "solution ": 0,
    }
    assert json.loads(imported(place, derivation={"package": "p"}, **others).meta) == {
        "derivation": {"package": "p"},
        "metric": "vqa",
        **others,
    }


def test_the_names_that_the_screen_writes_are_no_columns(place: Path) -> None:
    assert {SHUFFLED, KEPT, CONVERTED} <= RESERVED
    for name in RESERVED:
        column: dict[str, Any] = {name: 1}
        assert name in refused(place, **column).detail


@pytest.mark.parametrize(
    ("column", "meant"),
    [("image", "images"), ("Images", "images"), ("question", "text"), ("options", "choices"), ("answer", "answers")],
)
def test_a_column_under_another_name_is_not_carried_along_in_silence(place: Path, column: str, meant: str) -> None:
    changes: dict[str, Any] = {meant: ..., column: "a.png"}
    error = refused(place, **changes)
    assert error.reason == "row_field"
    assert f"rename it to `{meant}`" in error.detail
    changes = {"choices": ["7", "8"], column: "a.png"}
    assert json.loads(imported(place, **changes).meta)[column] == "a.png"


@pytest.mark.parametrize(
    ("text", "images", "read"),
    [
        ("<image>\nHow many?", 1, "How many?"),
        ("How many?\n<image>", 1, "How many?"),
        ("<image><image> How many?", 2, "How many?"),
        ("<image>\nHow many?\n<image>", 2, "How many?"),
        ("<IMAGE>How many?", 1, "How many?"),
        ("<image 1><image 2>\nHow many?", 2, "How many?"),
        ("<image_1> How many?", 1, "How many?"),
        ("<|image_1|>\nHow many?", 1, "How many?"),
        ("<|vision_start|><|image_pad|><|vision_end|>How many?", 1, "How many?"),
        ("(<image>./</image>)\nHow many?", 1, "(image_1)\nHow many?"),
        ("Compare <image> with <image>.", 2, "Compare image_1 with image_2."),
        ("<image>Compare it with <image>. Why?", 2, "Compare it with image_2. Why?"),
        ("Is <image 2> above <image 1>, or <image 2> below?", 2, "Is image_2 above image_1, or image_2 below?"),
        ("How many?", 2, "How many?"),
        ("Is a<image a tag?", 1, "Is a<image a tag?"),
    ],
)
def test_image_marks_map_to_the_images_in_order_and_leave_the_text(
    place: Path, text: str, images: int, read: str
) -> None:
    made = imported(place, text=text, images=["a.png", "deep/b.png"][:images])
    assert made.text == read
    assert len(made.images) == images


@pytest.mark.parametrize(
    ("text", "images"),
    [
        ("<image>\n<image>\nHow many?", 1),
        ("<image>\nHow many?", 2),
        ("<image>\nHow many?", 0),
        ("Compare <image 1> with <image 3>.", 2),
        ("Compare <image 0> with <image 1>.", 1),
        ("<image 2> How many?", 2),
        ("Compare <image> with <image 2>.", 2),
        ("<|image_pad|><image> How many?", 1),
    ],
)
def test_marks_that_do_not_fit_the_images_are_refused_by_name(place: Path, text: str, images: int) -> None:
    error = refused(place, text=text, images=["a.png", "deep/b.png"][:images])
    assert error.reason == "image_marks"
    assert "<image" in error.detail
    assert f"for {images} image{'' if images == 1 else 's'};" in error.detail


def test_a_text_of_marks_alone_is_no_question(place: Path) -> None:
    assert refused(place, text="<image>\n").reason == "row_field"


def test_marks_in_options_are_left_to_the_screen(place: Path) -> None:
    made = imported(place, text="<image>\nWhich is it?", choices=["<image>", "<image>"], images=["a.png"])
    assert (made.text, made.choices) == ("Which is it?", ("<image>", "<image>"))


def test_a_linked_folder_needs_the_image_root_of_the_manifest(place: Path) -> None:
    error = refused(place, images=["linked/c.png"])
    assert (error.reason, "`image_root`" in error.detail) == ("image_path", True)
    for root in ("elsewhere", ".", "data/linked"):
        assert imported(place, place / root, images=["linked/c.png"]).images


def test_paths_may_begin_at_the_image_root(place: Path) -> None:
    root = place / "elsewhere"
    assert imported(place, root, images=["c.png"]) == imported(place, root, images=["linked/c.png"])
    assert imported(place, root, images=["../elsewhere/c.png"]).images
    assert imported(place, root, images=[str(root / "c.png")]).images
    # The source's own folder comes first.
    (root / "a.png").write_bytes(encode_png(Image.new("RGB", (99, 99))))
    assert imported(place, root, images=["a.png"]).images == imported(place, images=["a.png"]).images


@pytest.mark.parametrize("root", [None, "elsewhere"])
@pytest.mark.parametrize("name", ["../secret/d.png", "linked/../secret/d.png", "/etc/hostname", "out", "..", "circle"])
def test_nothing_outside_of_source_and_image_root_is_opened(place: Path, root: str | None, name: str) -> None:
    (place / "data" / "out").symlink_to(place / "secret" / "d.png")
    image_root = place / root if root else None
    assert refused(place, image_root, images=[name]).reason in {"image_path", "image_missing"}
    (row,) = read_source(Source("own", "1", place / "data", "CC0-1.0"))
    source = SourceRead(key="own", revision="1", directory=place / "data", others=(image_root,) if image_root else ())
    assert [image.sha256 for image in images_of([row], {"own": source}, Store(place / "store"))] == [None]


def test_back_slashes_are_those_of_windows_where_no_such_file_is(place: Path) -> None:
    assert imported(place, images=["deep\\b.png"]).images == imported(place, images=["deep/b.png"]).images
    assert refused(place, images=["..\\secret\\d.png"]).reason == "image_path"
    (place / "data" / "deep\\b.png").write_bytes(encode_png(Image.new("RGB", (50, 50))))
    assert imported(place, images=["deep\\b.png"]).images[0].width == 50


def test_a_name_is_found_in_either_form_of_unicode(place: Path) -> None:
    composed, apart = normalize("NFC", "é.png"), normalize("NFD", "ö.png")
    for name in (composed, apart):
        (place / "data" / name).write_bytes((place / "data" / "a.png").read_bytes())
    assert imported(place, images=[normalize("NFD", composed), normalize("NFC", apart)]).images


@pytest.mark.parametrize(
    ("choices", "read"),
    [
        ({"A": "red", "B": 7}, ("red", "7")),
        ({"a": "red"}, ("red",)),
        ({}, ()),
        ({"B": "red", "C": "blue"}, None),
        ({"1": "red"}, None),
        ([{"A": "red"}], None),
    ],
)
def test_an_object_of_letters_is_a_list_of_options(place: Path, choices: Any, read: tuple[str, ...] | None) -> None:
    if read is None:
        assert "choices" in refused(place, choices=choices).detail
    else:
        assert imported(place, choices=choices).choices == read


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("https://example.org/a.png", "is a URL, and nothing is fetched; write `fetch: {}`"),
        ("file:///etc/hostname", "is a URL that nobody fetches; write the path of the file"),
        ("s3://bucket/a.png", "is a URL that nobody fetches"),
        ("data:image/png;base64,AAAA", "map it so (`images: {from: COLUMN, as: base64}`)"),
        ("/9j/" + "A" * 5000, "map it so (`images: {from: COLUMN, as: base64}`)"),
    ],
)
def test_what_is_no_path_is_refused_with_what_helps(place: Path, name: str, said: str) -> None:
    error = refused(place, images=[name])
    assert (error.reason, said in error.detail) == ("image_path", True), error.detail


@pytest.mark.parametrize("name", ["a" * 5000, "a\0b", "none.png", "deep", "."])
def test_what_is_no_file_is_refused_in_a_short_message(place: Path, name: str) -> None:
    error = refused(place, images=[name])
    assert error.reason in {"image_path", "image_missing"}
    assert len(error.detail) < 400
