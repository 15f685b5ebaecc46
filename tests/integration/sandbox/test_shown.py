"""Every way of showing a picture, and what is shown as text."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from PIL import Image

from pipeline.sandbox import CellResult, Policy, Pool, guest

RED, GREEN, BLUE = (220, 20, 30), (10, 200, 40), (5, 25, 240)
COLOURS = bytes((*RED, *GREEN, *BLUE))


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    guest.setup()
    with Pool(Policy(), workers=1) as pool:
        yield pool


def picture() -> bytes:
    """Return a PNG of 300 x 100: one third red, green and blue each."""
    image, buffer = Image.new("RGB", (300, 100)), io.BytesIO()
    for at, colour in enumerate((RED, GREEN, BLUE)):
        image.paste(colour, (100 * at, 0, 100 * at + 100, 100))
    image.save(buffer, "PNG")
    return buffer.getvalue()


def run(pool: Pool, *codes: str) -> list[CellResult]:
    with pool.session([picture()]) as session:
        return [session.run(code) for code in codes]


CV2 = "import cv2\na = cv2.imread('image_1.png')\n"
SHOWN = {
    "last value": "image_1",
    "display": "display(image_1)",
    "Image.show": "image_1.show()",
    "Image.show with a title": "image_1.show(title='a')",
    "ImageShow": "from PIL import ImageShow\nImageShow.show(image_1)\nNone",
    "opened file": "from PIL import Image\nImage.open('image_1.jpg')",
    "cv2.imshow": f"{CV2}cv2.imshow('a', a)",
    "cv2.imshow in a loop": f"{CV2}cv2.namedWindow('a', cv2.WINDOW_NORMAL)\ncv2.resizeWindow('a', 9, 9)\n"
    "cv2.imshow('a', a)\nif cv2.waitKey(1) & 0xFF == ord('q'): raise ValueError\ncv2.destroyWindow('a')",
    "cv2.imshow of BGRA": f"{CV2}cv2.imshow('a', cv2.cvtColor(a, cv2.COLOR_BGR2BGRA))",
    "cv2.imshow of fractions": f"{CV2}cv2.imshow('a', a / 255)",
    "cv2.imshow of 16 bits": f"{CV2}cv2.imshow('a', a.astype('uint16') * 256)",
    "cv2.imshow of a UMat": f"{CV2}cv2.imshow('a', cv2.UMat(a))",
    "array as RGB": f"{CV2}from PIL import Image\ndisplay(Image.fromarray(a[..., ::-1]))",
    "IPython's display": "from IPython.display import display as show\nshow(image_1)",
    "IPython's display by its older name": "from IPython.core.display import Image, display\ndisplay(Image('image_1'))",
    "Colab's imshow": f"{CV2}from google.colab.patches import cv2_imshow\ncv2_imshow(a)",
    "Colab's imshow by its module": f"{CV2}import google.colab.patches as p\np.cv2_imshow(a)",
    "IPython's Image of a name": "from IPython.display import Image, display\ndisplay(Image('image_1.png'))",
    "IPython's Image of a keyword": "import IPython.display as d\nd.display(d.Image(filename='image_1', width=50))",
    "IPython's Image of content": "from IPython import display as d\nd.Image(open('image_1', 'rb').read())",
    "IPython's Image as last value": "from IPython.display import Image\nImage(data='image_1.jpg')",
    "an object that is a picture to notebooks": "class A:\n"
    "    def _repr_png_(self): return open('image_1', 'rb').read()\nA()",
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_picture_is_shown_once_in_its_own_colours(pool: Pool, name: str) -> None:
    (result,) = run(pool, SHOWN[name])
    assert (result.status, result.stdout, result.stderr, result.notes) == ("ok", "", "", ()), result
    (image,) = result.images
    assert (image.width, image.height, image.mode) == (300, 100, "RGB")
    middle = 300 * 3 * 50
    colours = b"".join(image.pixels[middle + 3 * x : middle + 3 * x + 3] for x in (50, 150, 250))
    assert max(abs(a - b) for a, b in zip(colours, COLOURS, strict=True)) <= 1


PLOT = "import matplotlib.pyplot as plt\n"
FIGURES = {
    "plt.show": (f"{PLOT}plt.plot([3, 1])\nplt.show()", 1),
    "plt.show(block=True)": (f"{PLOT}plt.plot([3, 1])\nplt.show(block=True)", 1),
    "twice": (f"{PLOT}plt.plot([3, 1])\nplt.show()\nplt.plot([1, 3])\nplt.show()", 2),
    "show twice": (f"{PLOT}plt.plot([3, 1])\nplt.show()\nplt.show()", 1),
    "savefig before": (f"{PLOT}plt.plot([3, 1])\nplt.savefig('a.png')\nplt.show()", 1),
    "savefig after": (f"{PLOT}plt.plot([3, 1])\nplt.show()\nplt.savefig('a.png')", 1),
    "figure's savefig after": (f"{PLOT}f, a = plt.subplots()\na.plot([3])\nplt.show()\nf.savefig('a.png')", 1),
    "close after": (f"{PLOT}plt.plot([3, 1])\nplt.show()\nplt.close()\nplt.close('all')", 1),
    "closed before": (f"{PLOT}plt.plot([3, 1])\nplt.close()", 0),
    "left open": (f"{PLOT}plt.imshow(image_1)\nNone", 1),
    "figure.show": (f"{PLOT}f, a = plt.subplots()\na.plot([3])\nf.show()", 1),
    "last value": (f"{PLOT}f, a = plt.subplots()\na.plot([3])\nf", 1),
    "display": (f"{PLOT}f, a = plt.subplots()\na.plot([3])\ndisplay(f)", 1),
    "pause": (f"{PLOT}plt.plot([3, 1])\nplt.pause(0.01)", 1),
    "nothing drawn": (f"{PLOT}plt.figure()\nplt.show()\nplt.gcf()\nNone", 0),
    "without pyplot": ("from matplotlib.figure import Figure\nf = Figure()\nf.subplots().plot([1])\nf", 1),
    "title alone": (f"{PLOT}plt.figure().suptitle('a')\nNone", 1),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_shown_once_and_a_blank_one_never(pool: Pool, name: str) -> None:
    code, count = FIGURES[name]
    result, after = run(pool, code, "1")
    assert (result.status, result.stderr, len(result.images)) == ("ok", "", count), result
    assert all(len(set(image.pixels)) > 1 for image in result.images)
    assert (after.value, after.images) == ("1", ())


ARRAYS = {
    "of OpenCV": f"{CV2}a",
    "of OpenCV, displayed": f"{CV2}display(a)",
    "a mask": "import numpy as np\nnp.asarray(image_1)[..., 0] > 99",
    "grey": "import numpy as np\nnp.asarray(image_1.convert('L'))",
}


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_is_numbers_and_a_note_says_how_to_show_it(pool: Pool, name: str) -> None:
    (result,) = run(pool, ARRAYS[name])
    assert result.images == ()
    assert "array(" in f"{result.value}{result.stdout}"
    assert len(result.notes) == 1
    assert "display(Image.fromarray(a))" in result.notes[0]
    assert "cv2.imshow('', a)" in result.notes[0]


def test_a_table_of_numbers_is_no_matter_for_a_note(pool: Pool) -> None:
    results = run(pool, "import numpy as np\nnp.arange(9).reshape(3, 3)", "display(np.zeros((4, 4, 3), 'uint8'))")
    assert [(result.images, result.notes) for result in results] == [((), ()), ((), ())]


UNSHOWABLE = {
    "missing file": ("import cv2\ncv2.imshow('a', cv2.imread('none.png'))", "imread gives None"),
    "a picture of PIL": ("import cv2\ncv2.imshow('a', image_1)", "display()"),
    "two channels": ("import cv2, numpy\ncv2.imshow('a', numpy.zeros((9, 9, 2), 'uint8'))", "1, 3 or 4 channels"),
    "whole numbers": ("import cv2, numpy\ncv2.imshow('a', numpy.zeros((9, 9), int))", "convert to uint8"),
    "address": ("from IPython.display import Image\nImage(url='http://a/b.png')", "no network"),
    "widgets": ("from IPython.display import Audio", "display(picture)"),
    "files of Colab": ("from google.colab import files", "this is not Colab"),
    "a drive of Colab": ("from google.colab import drive\ndrive.mount('/content')", "display(picture)"),
}


@pytest.mark.parametrize("name", UNSHOWABLE)
def test_what_cannot_be_shown_says_what_to_write(pool: Pool, name: str) -> None:
    code, says = UNSHOWABLE[name]
    (result,) = run(pool, code)
    assert result.status == "exception"
    assert result.error is not None
    assert says in result.error.message
    assert "coldforge" not in result.error.traceback


def test_texts_of_ipython_are_shown_as_text(pool: Pool) -> None:
    code = (
        "from IPython.display import HTML, Markdown, clear_output, display\nclear_output()\ndisplay(Markdown('**a**'))"
    )
    result, value, none = run(pool, code, "HTML('<b>')", "import IPython\nIPython.get_ipython() is None")
    assert (result.stdout, value.value, none.value) == ("**a**\n", "<b>", "True")


@pytest.mark.parametrize("side", [(1, 1_200_000), (1_200_000, 1)], ids=["tall", "wide"])
def test_a_picture_that_no_reply_may_hold_is_a_note(pool: Pool, side: tuple[int, int]) -> None:
    result, after = run(pool, f"from PIL import Image\ndisplay(Image.new('L', {side}))", "1")
    assert (result.status, result.images) == ("ok", ())
    assert "is not shown" in result.notes[0]
    assert after.value == "1"


LABELS = """
import matplotlib.pyplot as plt
{}
plt.bar(['一', '二'], [1, 2])
plt.title('点的数量 図表 한국어 abc')
plt.show()
"""
FONTS = {
    "none": "",
    "list of a font that is missing": "plt.rcParams['font.sans-serif'] = ['SimHei']",
    "family that is missing": "plt.rcParams['font.family'] = 'Microsoft YaHei'",
    "ours": "plt.rcParams['font.family'] = 'Noto Sans CJK TC'",
}


@pytest.mark.parametrize("name", FONTS)
def test_labels_in_chinese_japanese_and_korean_can_be_read(pool: Pool, name: str) -> None:
    (result,) = run(pool, LABELS.format(FONTS[name]))
    assert (result.status, len(result.images)) == ("ok", 1)
    assert "missing from" not in result.stderr
    assert result.stderr.count("\n") <= 1  # that the font asked for is not there


def test_a_sign_that_no_font_has_is_said_each_time_with_the_cells_line(pool: Pool) -> None:
    drawn = "import matplotlib.pyplot as plt\nplt.title('ሰ')\n"
    results = run(pool, f"{drawn}plt.show()", f"{drawn}plt.show()", f"x = 1\n{drawn}\n")
    for number, (result, line) in enumerate(zip(results, (3, 3, 3), strict=True), 1):
        assert result.stderr.startswith(f"<cell {number}>:{line}: UserWarning: Glyph 4656")
        assert "/" not in result.stderr


WARNINGS = {
    "own": "import warnings\nwarnings.warn('w')",
    "of the caller": "import warnings\nwarnings.warn('w', stacklevel=2)",
    "of a function": "import warnings\ndef f(): warnings.warn('w', stacklevel=2)\nf()",
    "of a library": "import numpy as np\n_ = np.ones(1) / 0",
    "of the compiler": "x = 1\nx is 'a'\nNone",
}


@pytest.mark.parametrize("name", WARNINGS)
def test_a_warning_names_the_cell_and_no_path_of_ours(pool: Pool, name: str) -> None:
    for number, result in enumerate(run(pool, *[WARNINGS[name]] * 2), 1):
        assert result.stderr.startswith(f"<cell {number}>:"), result
        assert "/coldforge" not in result.stderr
        assert "/guest" not in result.stderr


def test_pillow_finds_the_font_by_name(pool: Pool) -> None:
    code = "from PIL import ImageFont\nImageFont.truetype('NotoSansCJKtc-Regular.otf', 20).getname()"
    assert run(pool, code)[0].value == "('Noto Sans CJK TC', 'Regular')"
