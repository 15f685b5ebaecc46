"""The code that the reader writes: deterministic, and equal for equal looks, so that rollouts share cells.

Wordings of one and the same cell vary with its place and never with the sample: a cell that differs only in
wording would be executed again for every rollout.
"""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.demo.reader.places import Part
from pipeline.identity import digest

RGB = tuple[int, int, int]


def _variant(count: int, *what: object) -> int:
    return int(digest([str(part) for part in what])[:8], 16) % count


def crop(part: Part) -> str:
    """Display a part of the original image."""
    x0, y0, x1, y1 = part
    shown = "detail = image_1.crop(box)\nprint(detail.size)\ndisplay(detail)"
    variants = (
        f"region = image_1.crop(({x0}, {y0}, {x1}, {y1}))\ndisplay(region)",
        f"# Cut from the original, where the print has more pixels.\ndisplay(image_1.crop(({x0}, {y0}, {x1}, {y1})))",
        f"box = ({x0}, {y0}, {x1}, {y1})  # left, top, right, bottom in original pixels\n{shown}",
        f'part = image_1.crop(({x0}, {y0}, {x1}, {y1}))\nprint("of", image_1.size, "pixels")\ndisplay(part)',
    )
    return variants[_variant(len(variants), "crop", part)]


def half(part: Part) -> str:
    """Display one half of the image."""
    x0, y0, x1, y1 = part
    side = ("top" if y0 == 0 else "bottom") if x0 == 0 and part.x1 - x0 > y1 - y0 else None
    name = f"{side or ('left' if x0 == 0 else 'right')}_half"
    variants = (
        f"{name} = image_1.crop(({x0}, {y0}, {x1}, {y1}))\ndisplay({name})",
        f"width, height = image_1.size\nprint(width, height)\ndisplay(image_1.crop(({x0}, {y0}, {x1}, {y1})))",
    )
    return variants[_variant(len(variants), "half", part)]


def enlarged(part: Part) -> str:
    """Display a part of the image at twice its size."""
    x0, y0, x1, y1 = part
    return (
        "from PIL import Image\n\n"
        f"small = image_1.crop(({x0}, {y0}, {x1}, {y1}))\n"
        "# Twice the size, so that the strokes of each letter come apart.\n"
        "display(small.resize((small.width * 2, small.height * 2), Image.Resampling.LANCZOS))"
    )


def keep(values: Mapping[str, str]) -> str:
    """Write values read from the image into variables of the notebook."""
    return "\n".join(f"{colour}_bar = {value}" for colour, value in values.items())


def combine(first: str, second: str, operation: str, places: int, values: Mapping[str, str]) -> str:
    """Compute a sum or difference of two values; `values` are those not in the notebook yet."""
    known = f"{keep(values)}\n" if values else ""
    return f'{known}result = {first}_bar {operation} {second}_bar\nprint(f"{{result:.{places}f}}")'


def areas(first: str, second: str, colours: Mapping[str, RGB], parts: Mapping[str, Part]) -> str:
    """Count the pixels of two regions and print the ratio of the second to the first."""
    body = (
        "import numpy as np",
        "",
        "",
        "def area(box, rgb):",
        '    """Count the pixels of one colour inside a box of the original image."""',
        '    pixels = np.asarray(image_1.crop(box).convert("RGB")).astype(np.int16)',
        "    off = np.abs(pixels - np.array(rgb, dtype=np.int16)).max(axis=2)",
        "    return int((off <= 40).sum())",
        "",
        "",
        *(f"{word} = area({tuple(parts[word])}, {colours[word]})" for word in (first, second)),
    )
    reports = (
        (f'print("{first}:", {first}, "{second}:", {second})', f'print("ratio:", round({second} / {first}, 4))'),
        (f'print(f"{second} / {first} = {{{second}}} / {{{first}}} = {{{second} / {first}:.4f}}")',),
    )
    return "\n".join(body + reports[_variant(2, first, second)])


def bounding_boxes(first: str, second: str, colours: Mapping[str, RGB]) -> str:
    """Compare the rectangles around two regions: quick, and wrong for all but similar shapes."""
    lines = (
        "import numpy as np",
        "",
        'pixels = np.asarray(image_1.convert("RGB").reduce(4)).astype(np.int16)  # a quarter of the size is enough',
        "sizes = {}",
        f"for name, rgb in {{{', '.join(f'{word!r}: {colours[word]}' for word in (first, second))}}}.items():",
        "    rows, columns = np.nonzero(np.abs(pixels - np.array(rgb, dtype=np.int16)).max(axis=2) < 40)",
        "    sizes[name] = int(np.ptp(rows) + 1) * int(np.ptp(columns) + 1)",
        f"print(sizes, round(sizes[{second!r}] / sizes[{first!r}], 3))",
    )
    return "\n".join(lines).replace("'", '"')


def count_dots(colour: str, rgb: RGB) -> str:
    """Count connected patches of a colour."""
    masking = (
        'pixels = np.asarray(image_1.convert("RGB")).astype(np.int16)',
        f"mask = np.abs(pixels - np.array({rgb}, dtype=np.int16)).max(axis=2) < 40  # {colour}",
    )
    with_scipy = (
        "import numpy as np",
        "from scipy import ndimage",
        "",
        *masking,
        "labels, patches = ndimage.label(mask)",
        "sizes = np.bincount(labels.ravel())[1:]",
        "# Specks much smaller than a usual dot are edges of something else.",
        "dots = int((sizes > 0.3 * np.median(sizes)).sum())",
        'print("patches:", patches, "sizes:", sizes.min(), "to", sizes.max())',
        'print("dots:", dots)',
    )
    with_opencv = (
        "import cv2",
        "import numpy as np",
        "",
        *masking,
        "_, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))",
        "areas = stats[1:, cv2.CC_STAT_AREA]  # the first component is the background",
        'print("areas:", sorted(areas.tolist()))',
        'print("dots:", int((areas > 0.3 * np.median(areas)).sum()))',
    )
    return "\n".join((with_scipy, with_opencv)[_variant(2, "dots", colour)])


def divide_area(colour: str, rgb: RGB, radius: int) -> str:
    """Estimate a number of dots by the area of all and a guess of the area of one."""
    lines = (
        "import numpy as np",
        "",
        'pixels = np.asarray(image_1.convert("RGB")).astype(np.int16)',
        f"{colour} = int((np.abs(pixels - np.array({rgb}, dtype=np.int16)).max(axis=2) < 40).sum())",
        f"one_dot = 3.1416 * {radius} ** 2  # a dot looks about {radius} pixels in radius",
        f'print({colour}, "pixels, about", round({colour} / one_dot), "dots")',
    )
    return "\n".join(lines)
