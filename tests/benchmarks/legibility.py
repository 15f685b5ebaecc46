"""How large print has to be for the OCR network of `rapidocr` to read it in a model's view.

    python tests/benchmarks/legibility.py

Prints, by print size, the share of labels that are read exactly from the view of a whole sheet, from that of
half a sheet, and from a crop at native size: city names, ICAO codes, numbers and element symbols. The bands of
`pipeline/demo/corpus/canvas.py` are chosen from this table.

Then prints how many readings of the whole sheet's view are right, by the probability of their least certain
character and by the height of the line: of all kinds but symbols. A careful reader answers without a closer look
where that was always (`SURE` and `LARGE` in `pipeline/demo/reader/careful_looking.py`). Takes about five minutes.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from PIL import Image

from pipeline.demo.corpus.canvas import SHEET, new_sheet, seeded, text_width, write
from pipeline.demo.corpus.facts import elements
from pipeline.demo.corpus.packages import read_csv
from pipeline.demo.reader.careful_looking import LARGE
from pipeline.students.family import Size, ViewRule

SIZES = (13, 15, 17, 19, 22, 24, 26, 28, 30, 33, 36, 40, 44)
SHEETS = 3
"""Per size; each has 12 labels of each kind."""
RULE = ViewRule("qwen2_5_vl", 262_144)
CELL = (300, 190)
"""Pixels; two by two of them, one label of each kind, are in a crop."""
KINDS = ("name", "code", "number", "symbol")
CROPS = {"view": SHEET, "half": (SHEET[0] // 2, SHEET[1]), "crop": (616, 420)}
"""What is looked at → its size in pixels of the sheet."""
CERTAINTIES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995, 1.01)
"""Borders of the second table's rows."""
MORE_SHEETS = 5
"""Per size, for the second table: what is rare there is what counts."""


class Label(NamedTuple):
    kind: str
    text: str
    x: float
    y: float
    width: float


class Reading(NamedTuple):
    certainty: float
    """Probability of the least certain character."""
    height: float
    """Pixels of the view."""
    right: bool


def main() -> None:
    """Print the table."""
    engine = _engine()
    words = _words()
    print("px native | px view |" + "".join(f" {what}: " + " ".join(KINDS) + " |" for what in CROPS))  # noqa: T201 - the result
    for size in SIZES:
        read: dict[tuple[str, str], list[bool]] = defaultdict(list)
        for number in range(SHEETS):
            image, labels = _sheet(words, size, seeded("legibility", size, number))
            for what, crop in CROPS.items():
                for kind, exact in _look(engine, image, labels, crop):
                    read[what, kind].append(exact)
        shares = (
            "  ".join(f"{sum(read[what, kind]) / len(read[what, kind]):4.2f}" for kind in KINDS) for what in CROPS
        )
        print(f"{size:9} | {size * _scale(SHEET):7.2f} | " + " | ".join(shares), flush=True)  # noqa: T201 - the result
    _print_certainties(words)


def _print_certainties(words: dict[str, list[str]]) -> None:
    """Print the number of readings and the share that is right, of small and of large print."""
    read = [
        reading
        for size in SIZES
        for number in range(MORE_SHEETS)
        for reading in _certainties(*_sheet(words, size, seeded("certainty", size, number)))
    ]
    print(f"certainty | below {LARGE} px: lines right | others: lines right")  # noqa: T201 - the result
    for low, high in pairwise(CERTAINTIES):
        band = [reading for reading in read if low <= reading.certainty < high]
        small, large = ([one.right for one in band if (one.height >= LARGE) is is_large] for is_large in (False, True))
        print(f"{low:9.3f} | {_share(small)} | {_share(large)}", flush=True)  # noqa: T201 - the result


def _certainties(image: Image.Image, labels: Sequence[Label]) -> Iterator[Reading]:
    """Yield the likeliest reading of each label that is found in the view."""
    import numpy as np

    from pipeline.demo.reader.ocr import read_text

    view = np.asarray(image.resize(RULE.size(Size(*SHEET)), Image.Resampling.BICUBIC))
    for line in read_text(view).boxes:
        x, y = (side / _scale(SHEET) for side in line.box.centre)
        label = next((label for label in labels if _is_on(label, x, y)), None)
        if label is not None and label.kind != "symbol":
            certainty = min(step[0][1] for step in line.steps)
            yield Reading(certainty, line.box.height, line.text.strip() == label.text)


def _share(right: Sequence[bool]) -> str:
    return f"{len(right):6} {sum(right) / len(right) if right else 0:5.3f}"


def _engine() -> Any:
    from rapidocr import RapidOCR

    return RapidOCR(params={"EngineConfig.onnxruntime.intra_op_num_threads": 1, "Global.log_level": "error"})


def _words() -> dict[str, list[str]]:
    cities = [row["name"] for row in read_csv("bokeh-sampledata", "_data/world_cities.csv.gz")]
    airports = read_csv("airportsdata", "airports.csv")
    return {
        "name": [name for name in cities if name.isascii() and name.isalpha() and 4 <= len(name) <= 9],
        "code": [row["icao"] for row in airports if row["icao"].isalpha()],
        "number": [f"{float(row['elevation']):.0f}" for row in airports if float(row["elevation"] or 0) > 9],
        "symbol": [element.symbol for element in elements()],
    }


def _sheet(words: dict[str, list[str]], size: int, rng: random.Random) -> tuple[Image.Image, list[Label]]:
    image, pen = new_sheet()
    labels = []
    for index in range(48):
        kind = KINDS[index % len(KINDS)]
        text = rng.choice(words[kind])
        x, y = 20 + index % 6 * CELL[0], CELL[1] / 2 + index // 6 * CELL[1]
        write(pen, (x, y), text, size)
        labels.append(Label(kind, text, x, y, text_width(text, size)))
    return image, labels


def _scale(size: tuple[int, int]) -> float:
    return RULE.size(Size(*size)).width / size[0]


def _look(
    engine: Any, image: Image.Image, labels: Sequence[Label], crop: tuple[int, int]
) -> Iterator[tuple[str, bool]]:
    """Yield kind of and success on each label of one crop, from the upper left."""
    seen = image.crop((0, 0, *crop))
    view = seen.resize(RULE.size(Size(*crop)), Image.Resampling.BICUBIC)
    found = _read(engine, view, crop[0] / view.width)
    for label in labels:
        if label.x + label.width < crop[0] and label.y + CELL[1] / 2 <= crop[1]:
            yield label.kind, any(_is(label, *box) for box in found)


def _read(engine: Any, view: Image.Image, factor: float) -> list[tuple[str, float, float]]:
    """Return text and centre, in pixels of the sheet, of every box."""
    import numpy as np

    output = engine(np.asarray(view)[:, :, ::-1], use_cls=False)
    if output.txts is None:
        return []
    centres = (np.asarray(box).mean(axis=0) * factor for box in output.boxes)
    return [(text, float(x), float(y)) for text, (x, y) in zip(output.txts, centres, strict=True)]


def _is(label: Label, text: str, x: float, y: float) -> bool:
    return _is_on(label, x, y) and text.strip() == label.text


def _is_on(label: Label, x: float, y: float) -> bool:
    return abs(y - label.y) < CELL[1] / 2 and label.x - 20 < x < label.x + label.width + 20


if __name__ == "__main__":
    main()
