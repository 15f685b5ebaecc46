"""Which calls help: those whose observation could have carried the answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from filters.carrying import cells_show
from filters.informed import informed
from pipeline.dialects.observations import (
    WebResult,
    cell_observation,
    image_search_observation,
    text_search_observation,
)
from pipeline.records import Turn
from tests.support.builders import image, turn

HELPS = {
    "a computed print": "a = np.array(image_1)\nprint(a[10:20].mean())",
    "arithmetic of numbers read off": "print(17 * 23 + 4)",
    "arithmetic through names": "rows = 7\ncolumns = 12\nprint(rows * columns)",
    "a function of a library": "import math\nprint(math.sqrt(2))",
    "a number counted up": "n = 0\nfor x in [3, 5, 8]:\n    n += x\nprint(n)",
    "a list counted": "seen = ['cat', 'dog', 'bird']\nprint(len(seen))",
    "the value of a last expression": "a = np.asarray(image_1)\n(a[..., 0] > 200).sum()",
    "one of two words, as the picture has it": "x = image_1.getpixel((3, 4))\n"
    "if x[0] > 9:\n    print('yes')\nelse:\n    print('no')",
    "a conditional expression": "print('red' if np.array(image_1)[3, 4, 0] > 128 else 'blue')",
    "text read from the picture": "import pytesseract\nprint(pytesseract.image_to_string(image_1))",
    "an f-string with something measured": "m = np.array(image_1).mean()\nprint(f'mean {m:.1f}')",
    "how many fulfil a condition": "mask = np.array(image_1) > 100\nprint(np.argwhere(mask).shape[0])",
    "a list that was filled": "f = []\nfor x in range(9):\n    f.append(image_1.getpixel((x, 0)))\nprint(f)",
    "a function of its own": "def mean(picture):\n    return np.array(picture).mean()\nprint(mean(image_1))",
    "a function that prints": "def tell(x):\n    print(x)\ntell(np.array(image_1).max())",
    "a method that prints": "import pandas as pd\ndf = pd.read_csv('rows.csv')\ndf.info()",
    "an unknown function": "f()",
    "an unknown name": "result",
    "several statements on a line": "s = sum([3, 4]); print(s)",
    "names in another script": "平均 = np.array(image_1).mean()\nprint(f'平均は {平均}')",
    "dates": "from datetime import date\nprint((date(2024, 3, 1) - date(2024, 2, 1)).days)",
    "a comprehension": "print([image_1.getpixel((x, 5)) for x in range(3)])",
    "awaited": "import asyncio\nasync def f():\n    return image_1.getpixel((1, 1))\nprint(await f())",
    "caught errors beside a finding": "try:\n    print(np.array(image_1).std())\n"
    "except ValueError as error:\n    print(error)",
}
USELESS = {
    "nothing": "pass",
    "a comment": "# the answer is 5",
    "a name": "x = 1",
    "a literal": "print('yes')",
    "a number": "print(42)",
    "its own name": "answer = 'B'\nprint(answer)",
    "text put together": "print('the answer is ' + 'B')",
    "a line drawn": "print('=' * 40)",
    "an f-string of its own constants": "n = 5\nprint(f'there are {n} cars')",
    "a format of its own constants": "print('{} of {}'.format(3, 'four'))",
    "a template of its own constants": "print('%d cars' % 5)",
    "a changed case": "print('paris'.upper())",
    "its own list": "for name in ['cat', 'dog']:\n    print(name)",
    "its own table": "print({'a': 1}['a'])",
    "a constant function": "def answer():\n    return 'yes'\nprint(answer())",
    "a constant condition": "if True:\n    print('yes')",
    "its own words compared": "answer = 'B'\nif answer == 'B':\n    print('correct')",
    "a size": "print(image_1.size)",
    "width and height": "w, h = image_1.size\nprint(f'{w} x {h}')",
    "half of a width": "print(image_1.width // 2)",
    "a shape": "a = np.array(image_1)\nprint(a.shape, a.dtype)",
    "the shape of a file": "import cv2\nimg = cv2.imread('image_1.png')\nprint(img.shape)",
    "the size of a crop": "c = image_1.crop((0, 0, 50, 50))\nprint(c.size)",
    "a picture's line": "print(image_1)",
    "a mode": "image_1.mode",
    "a condition on a size": "if image_1.width > image_1.height:\n    print('landscape')",
    "a version": "import numpy\nprint(numpy.__version__)",
    "the interpreter's version": "import sys\nprint(sys.version)",
    "help": "help(print)",
    "a type": "print(type(image_1))",
    "names": "print(dir())",
    "files": "import os\nprint(os.listdir('.'))",
    "the time": "import time\nprint(time.time())",
    "chance": "import random\nprint(random.choice(['yes', 'no']))",
    "a caught error": "try:\n    import torch\nexcept ImportError as error:\n    print(error)",
    "a Japanese literal": "答え = '東京'\nprint(答え)",
    "a Hindi f-string": "उत्तर = 'दिल्ली'\nprint(f'उत्तर: {उत्तर}')",
    "an Arabic literal": "print('القاهرة')",
    "the value of a literal": "'Paris'",
    "a picture that was not printed": "m = np.array(image_1).mean()\nprint('done')",
}
DRAWS = {
    "a crop": "image_1.crop((0, 0, 50, 50)).show()",
    "a crop as last value": "c = image_1.crop((0, 0, 9, 9)).resize((90, 90))\nc",
    "a crop in a figure": "import matplotlib.pyplot as plt\nplt.imshow(image_1.crop((0, 0, 9, 9)))\nplt.show()",
    "a slice": "import matplotlib.pyplot as plt\na = np.array(image_1)\nplt.imshow(a[10:50, 10:50])\nplt.show()",
    "more contrast": "from PIL import ImageEnhance\ndisplay(ImageEnhance.Contrast(image_1).enhance(3))",
    "a mark": "from PIL import ImageDraw\nd = ImageDraw.Draw(image_1)\nd.line((0, 0, 9, 9))\ndisplay(image_1)",
    "a mark by OpenCV": "import cv2\nb = cv2.imread('image_1.png')\n"
    "cv2.rectangle(b, (0, 0), (9, 9), 0)\ncv2.imshow('', b)",
    "a curve that was computed": "import matplotlib.pyplot as plt\nx = np.linspace(0, 1)\n"
    "plt.plot(x, np.sin(x))\nplt.show()",
    "a file that a cell wrote": "from IPython.display import Image\ndisplay(Image('crop.png'))",
}
SHOWN_BEFORE = {
    "the picture itself": "image_1.show()",
    "the picture as last value": "image_1",
    "a copy": "display(image_1.copy())",
    "the file": "from PIL import Image\nimg = Image.open('image_1.png').convert('RGB')\nimg.show()",
    "a figure of it": "import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\n"
    "ax.imshow(image_1)\nax.axis('off')\nplt.show()",
    "by OpenCV": "import cv2\ncv2.imshow('', cv2.imread('image_1.jpg'))",
    "by Colab": "from google.colab.patches import cv2_imshow\nimport cv2\ncv2_imshow(cv2.imread('image_1'))",
    "a blank canvas": "from PIL import Image\nImage.new('RGB', (10, 10), 'white').show()",
    "its own words on a canvas": "from PIL import Image, ImageDraw\nc = Image.new('RGB', (90, 90))\n"
    "d = ImageDraw.Draw(c)\nd.text((1, 1), '42')\nc.show()",
    "its own numbers in a chart": "import matplotlib.pyplot as plt\nplt.bar(['a', 'b'], [3, 5])\nplt.show()",
}


def cell(code: str, stdout: str = "out\n", *, images: int = 0, status: str = "ok") -> Turn:
    text = cell_observation(status="ok", stdout=stdout, stderr="", value=None, error=None, images=images, ended=False)
    return turn("python", f"import numpy as np\n{code}", observation=text, images=(image(),) * images, status=status)


@pytest.mark.parametrize("code", HELPS.values(), ids=HELPS.keys())
def test_what_was_computed_or_read_helps(code: str) -> None:
    assert informed([cell(code)]) == (True,)
    assert informed([cell(code, "")]) == (False,)
    assert informed([cell(code, status="exception")]) == (False,)


@pytest.mark.parametrize("code", USELESS.values(), ids=USELESS.keys())
def test_own_words_sizes_and_versions_do_not_help(code: str) -> None:
    assert informed([cell(code)]) == (False,)


@pytest.mark.parametrize("code", DRAWS.values(), ids=DRAWS.keys())
def test_a_picture_that_was_made_helps(code: str) -> None:
    assert informed([cell(code, "", images=1)]) == (True,)


@pytest.mark.parametrize("code", SHOWN_BEFORE.values(), ids=SHOWN_BEFORE.keys())
def test_a_picture_as_it_was_given_does_not_help(code: str) -> None:
    assert informed([cell(code, "", images=1)]) == (False,)


@pytest.mark.parametrize(
    "stdout",
    ["", "\n", "None\n", "<PIL.Image.Image image mode=RGB size=8x8 at 0x7f>", "<Figure size 640x480 with 1 Axes>"],
)
def test_output_that_holds_nothing_does_not_help(stdout: str) -> None:
    assert informed([cell("print(image_1.crop((0, 0, 8, 8)))", stdout)]) == (False,)


@pytest.mark.parametrize(("first", "helps"), [("x = 'yes'", False), ("x = image_1.size", False), ("x = f()", True)])
def test_a_cell_prints_what_an_earlier_one_bound(first: str, helps: bool) -> None:
    assert informed([cell(first, ""), cell("print(x)")]) == (False, helps)


def test_searches_help_where_they_found_something() -> None:
    hit = WebResult("東京", "https://example.org", None, "首都")
    found = turn("search", "x", observation=text_search_observation("x", [hit]))
    nothing = turn("search", "x", observation=text_search_observation("x", []))
    pictures = turn("image_search", observation=image_search_observation(["a"]), images=(image(),))
    assert informed([found, nothing, pictures, turn("answer", "5")]) == (True, False, True, False)


@pytest.mark.parametrize("code", ["if", "\0", "x = " + "(" * 5_000, "x = " + "-" * 3_000 + "1\nprint(x)"])
def test_code_that_cannot_be_read_is_believed(code: str) -> None:
    assert informed([cell(code)]) == (True,)


@pytest.mark.parametrize("file", sorted(Path("filters").rglob("*.py")), ids=str)
def test_any_code_is_read(file: Path) -> None:
    assert len(cells_show([file.read_text(encoding="utf-8"), "x"])) == 2
