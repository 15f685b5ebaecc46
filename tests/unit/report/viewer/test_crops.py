from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.report.viewer.crops import Crop, crops_of

BOX = (100.0, 50.0, 300.0, 250.0)


def boxes(*cells: str | None) -> list[Crop]:
    return [crop for cell in crops_of(cells) for crop in cell]


@pytest.mark.parametrize(
    "code",
    [
        "display(image_1.crop((100, 50, 300, 250)))",
        "image_1.crop([100, 50, 300, 250])",
        "image_1.crop(box=(100, 50, 300, 250))",
        "a = image_1\nb = a.convert('RGB').copy()\nb.crop((100, 50, 300, 250)).resize((9, 9))",
        "from PIL import Image\nim = Image.open('image_1.png')\nim.crop((100, 50, 300, 250))",
        "with Image.open('image_1.jpg') as im:\n    im.crop((100, 50, 300, 250)).show()",
        "x, y = 100, 50\nimage_1.crop((x, y, x + 200, y + 200))",
        "left = 120 - 20\nif True:\n    image_1.crop((left, 50.0, 300, 250))",
        "def look():\n    try:\n        return image_1.crop((100, 50, 300, 250))\n    finally:\n        pass",
        "left = image_1.crop((90, 40, 999, 999))\nleft.crop((10, 10, 210, 210))",
        "image_1.crop((90, 40, 999, 999)).crop((10, 10, 210, 210))",
        "box = (100, 50, 300, 250)\nimage_1.crop(box)",
        "x = 100\nbox = [x, 50, x + 200, 250]\nagain = box\nimage_1.crop(box=tuple(again))",
        "a, b = (100, 50, 300, 250), 3\nimage_1.crop(a)",
        "zero = 0\nimage_1.crop((90, zero, 999, 999)).crop((10, 50, 210, 250))",
    ],
)
def test_a_box_that_stands_in_the_code_is_read(code: str) -> None:
    assert Crop(0, BOX) in boxes(code)


@pytest.mark.parametrize(
    "code",
    [
        "image_1.crop((w // 2, 0, w, h))",  # known to the run alone
        "photo.crop((100, 50, 300, 250))",  # of unknown origin
        "image_1 = make()\nimage_1.crop((100, 50, 300, 250))",
        "for image_1 in pages:\n    image_1.crop((100, 50, 300, 250))",
        "image_1.rotate(90).crop((100, 50, 300, 250))",
        "image_1.resize((10, 10)).crop((1, 1, 3, 3))",
        "x = 1\nx += 2\nimage_1.crop((x, 0, 9, 9))",
        "image_1.crop((300, 250, 100, 50))",
        "image_1.crop((1, 2, 3))",
        "box = (1, 2, 3)\nimage_1.crop(box)",
        "box = (1, 2, 3, 4)\nbox = find()\nimage_1.crop(box)",
        "box = (1, 2, 3, 4)\ndef look(box):\n    return image_1.crop(box)",  # of the function's own
        "box = (1, 2, 3, 4)\n[image_1.crop(box) for box in found]",
        "box = (1, 2, 3, 4)\nlook = lambda box: image_1.crop(box)",
        "box = (1, 2, 3, 4)\nbox.crop((1, 2, 3, 4))",
        "image_1.crop(image_1)",
        "image_0.crop((0, 0, 1, 1))",
        "image_1.crop((0, 0, 1e400, 1))",
        "image_1.crop((0, 0, 10 ** 9999, 1))",
        "open('image_1.png').crop((100, 50, 300, 250))",
        "this is no Python",
        "",
    ],
)
def test_what_cannot_be_read_is_left_out(code: str) -> None:
    assert boxes(code) == []


def test_names_live_through_the_cells_of_a_session() -> None:
    first, second, third = crops_of(["part = image_2.crop((10, 20, 99, 99))", None, "part.crop((1, 2, 3, 4))"])
    assert first == [Crop(1, (10.0, 20.0, 99.0, 99.0))]
    assert second == []
    assert third == [Crop(1, (11.0, 22.0, 13.0, 24.0))]


@given(st.lists(st.one_of(st.none(), st.text(), st.text("image_1.crop(),=+-\n :0'[]"))))
def test_any_text_is_read_without_a_failure(cells: list[str | None]) -> None:
    assert len(crops_of(cells)) == len(cells)


@pytest.mark.parametrize(
    "code", ["(" * 5000, "-" * 50_000 + "1", "x = " + "1 + " * 20_000 + "1", "\0", "a." * 30_000 + "b"]
)
def test_code_that_is_deeper_than_a_parser_goes_has_no_boxes(code: str) -> None:
    assert boxes(code) == []
