from __future__ import annotations

import pytest

from filters.python import MAX_CODE, UnparsableCodeError, parse
from filters.validate.syntax import no_ops, skeleton


@pytest.mark.parametrize(
    "code",
    [
        "x =",
        "%matplotlib inline",
        "!ls",
        "x = '\0'\0",
        "(" * 5_000,
        "-" * 50_000 + "1",
        "+".join("1" * 40_000),
        "x" + ".y" * 40_000,
        "x\n" * MAX_CODE,
    ],
)
def test_what_cannot_be_read_is_one_error(code: str) -> None:
    with pytest.raises(UnparsableCodeError):
        skeleton(code)


def test_code_is_never_run() -> None:
    parse("raise SystemExit")
    assert skeleton("1 / 0")


CROP = "box = (10, 20, 300, 400)\ncrop = image_1.crop(box)\ndisplay(crop)"


@pytest.mark.parametrize(
    "other",
    [
        "# look closer\n" + CROP,
        CROP.replace("\n", "\n\n"),
        CROP.replace("(10, 20, 300, 400)", "( 10,20,300,400 )"),
        '"""Crop."""\n' + CROP,
    ],
)
def test_comments_layout_and_docstrings_are_not_code(other: str) -> None:
    assert skeleton(other) == skeleton(CROP)


@pytest.mark.parametrize(
    "other",
    [
        CROP.replace("10", "999"),
        CROP.replace("box", "region").replace("crop)", "part)").replace("crop =", "part ="),
        "# other\n" + CROP,
    ],
)
def test_literals_and_own_names_are_no_shape(other: str) -> None:
    assert skeleton(other) == skeleton(CROP)


@pytest.mark.parametrize(
    "other",
    [
        CROP.replace("image_1", "image_2"),
        CROP.replace(".crop", ".rotate"),
        CROP.replace("display", "print"),
        "display(1)",
    ],
)
def test_what_is_done_and_to_what_is_shape(other: str) -> None:
    assert skeleton(other) != skeleton(CROP)


def test_shapes_of_functions_do_not_depend_on_their_names() -> None:
    first = "def area(a, b=2):\n    '''Doc.'''\n    return a * b\nprint(area(3))"
    other = "def size(x, y=7):\n    return x * y\nprint(size(4))"
    assert skeleton(first) == skeleton(other)
    assert skeleton("import numpy as np\nnp.mean(x)") == skeleton("import numpy as n\nn.mean(x)")


@pytest.mark.parametrize(
    "code",
    [
        "",
        "# nothing",
        "pass",
        "'a docstring'",
        "x = 3",
        "import numpy as np",
        "print('I look at the map')",
        "print(f'fixed')",
        "print()",
        "for _ in range(3):\n    pass",
        "def f():\n    display(image_1)",
        "n = len([1, 2])",
    ],
)
def test_cells_that_do_nothing(code: str) -> None:
    assert no_ops([(code, True)]) == [True]


@pytest.mark.parametrize(
    "code",
    [
        "print(3 + 4)",
        "print(image_1.size)",
        "display(image_1)",
        "plt.show()",
        "image_1.crop((0, 0, 9, 9)).save('x.png')",
        "with open('x', 'w') as f:\n    f.write('1')",
        "def f():\n    display(image_1)\nf()",
        "functions[0]()",
        "image_1.size",
        "x = 3\nx + 1",
        "len(names)",
    ],
)
def test_cells_that_show_or_change_something(code: str) -> None:
    assert no_ops([(code, True)]) == [False]


@pytest.mark.parametrize("code", ["image_1.size", "len(names)", "time.sleep(1)", "lambda: display(image_1)"])
def test_a_value_that_was_not_shown_does_nothing(code: str) -> None:
    assert no_ops([(code, False)]) == [True]


def test_a_name_counts_if_a_later_cell_reads_it() -> None:
    use = ("print(x)", True)
    assert no_ops([("x = 3", False), use]) == [False, False]
    assert no_ops([use, ("x = 3", False)]) == [False, True]
    assert no_ops([("import numpy as np", False), ("print(np.pi)", True)]) == [False, False]
    assert no_ops([("import os.path", False), ("print(os.sep)", True)]) == [False, False]
    assert no_ops([("def f(): return 1", False), ("print(f())", True)]) == [False, False]
    assert no_ops([("mask[0] = 1", False), ("print(mask)", True)]) == [False, False]
    assert no_ops([("image_1.mark = 1", False), ("print(image_1.mark)", True)]) == [False, False]
    # Read by a cell that comes later still.
    assert no_ops([("x = 3", False), ("y = x", False), ("print(y)", True)]) == [False, False, False]


def test_what_a_star_import_binds_is_not_known() -> None:
    assert no_ops([("from math import *", False), ("print(sqrt(2))", True)]) == [False, False]
