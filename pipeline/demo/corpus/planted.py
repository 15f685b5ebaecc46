"""Rows that the pipeline must stop, or ask in another form; each says in its derivation what is expected of it."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image

from pipeline.demo import vocabulary
from pipeline.demo.corpus.packages import data_file
from pipeline.demo.corpus.sheets import DemoRow, derivation
from pipeline.identity import Json

JPEG_QUALITY = 70
"""Visible on close look only; no byte of the file is like the original's."""
OPINION = (
    "The photograph feels calm and a little nostalgic: the warm light and the steam suggest a slow morning, "
    "someone who is in no hurry, and the kind of quiet in which one reads a letter twice; others may find it "
    "lonely, since nobody is there, or simply tasteful, as in an advertisement for good coffee."
)
BENCHMARK_QUESTION = "How many coins can be seen in the photograph?"
"""Protected, with its photograph, by `manifests/benchmarks/demo.yaml`."""
LETTERS = "ABCD"
"""Names of the choices."""
_SKIMAGE = "scikit-image"


class Planted(NamedTuple):
    """The rows, and the files they need: path in the corpus → content."""

    rows: tuple[DemoRow, ...]
    files: dict[str, bytes]


def plant(rows: Sequence[DemoRow], images: dict[str, bytes], rng: random.Random) -> Planted:
    """Make the rows that must be stopped from regular `rows` and their encoded `images`.

    There have to be a map and two rows of a table.
    """
    by_family: dict[Json, list[DemoRow]] = {}
    for row in rows:
        by_family.setdefault(row.derivation["family"], []).append(row)
    label, cells = by_family["map_label"][0], by_family["table_cell"]
    truncated, duplicate = "images/planted-truncated.png", "images/planted-duplicate.jpg"
    opinion, benchmark = "images/planted-opinion.png", "images/planted-benchmark.png"
    content = images[label.images[0]]
    planted = (
        _replace(label, "planted/broken-image", "image_undecodable", images=(truncated,)),
        _replace(label, "planted/duplicate", "duplicate", images=(duplicate,)),
        _photo(
            "planted/opinion", "What feeling does this photograph give you?", opinion, OPINION, "unverifiable_answer"
        ),
        _photo("planted/benchmark", BENCHMARK_QUESTION, benchmark, "24", "benchmark_image"),
        _choice_open(cells[0], cells, rng),
        _choice_closed(cells[1], cells, rng),
    )
    files = {
        truncated: content[: len(content) // 2],
        duplicate: _jpeg(content),
        opinion: data_file(_SKIMAGE, "data/coffee.png").read_bytes(),
        benchmark: data_file(_SKIMAGE, "data/coins.png").read_bytes(),
    }
    return Planted(planted, files)


def _replace(row: DemoRow, key: str, expect: str, *, images: tuple[str, ...]) -> DemoRow:
    """Return a regular row over other images, flagged."""
    return row._replace(row=key, images=images, derivation={**row.derivation, "planted": True, "expect": expect})


def _photo(key: str, text: str, image: str, answer: str, expect: str) -> DemoRow:
    """Return a question about a photograph that scikit-image ships."""
    file = "data/coins.png" if answer.isdigit() else "data/coffee.png"
    return DemoRow(
        row=key,
        category="perception",
        text=text,
        images=(image,),
        answers=(answer,),
        answer_type="number" if answer.isdigit() else "text",
        licence="no known restrictions (scikit-image)",
        derivation={**derivation("planted", _SKIMAGE, file, ""), "planted": True, "expect": expect},
    )


def _jpeg(content: bytes) -> bytes:
    buffer = io.BytesIO()
    Image.open(io.BytesIO(content)).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _choice_open(cell: DemoRow, cells: Sequence[DemoRow], rng: random.Random) -> DemoRow:
    """Ask for the cell of a marked row that no regular question asks for; the stem stands without its choices."""
    colour = cell.row.rpartition("/")[2]
    column, template = (2, vocabulary.TABLE_ICAO) if cell.answer_type == "number" else (3, vocabulary.TABLE_ELEVATION)
    values = [_printed(other)[column] for other in cells]
    text = template.format(colour=colour)
    return _choice(cell, text, values, rng, key="planted/choice-open", expect="kept open-ended")


def _choice_closed(cell: DemoRow, cells: Sequence[DemoRow], rng: random.Random) -> DemoRow:
    """Ask for one of the choices in words that make no sense without them."""
    colour = cell.row.rpartition("/")[2]
    text = f"Which of the following cities is named in the row marked with the {colour} square?"
    cities = [_printed(cell)[0], *(_printed(other)[0] for other in cells)]
    return _choice(cell, text, cities, rng, key="planted/choice-closed", expect="kept with choices")


def _choice(cell: DemoRow, text: str, values: Sequence[str], rng: random.Random, *, key: str, expect: str) -> DemoRow:
    """Return a multiple-choice row; the first of `values` is right, the others are offered beside it."""
    choices = list(dict.fromkeys(values))[: len(LETTERS)]
    rng.shuffle(choices)
    return cell._replace(
        row=key,
        text=text,
        choices=tuple(choices),
        answers=(LETTERS[choices.index(values[0])],),
        answer_type="choice",
        derivation={**cell.derivation, "planted": True, "expect": expect},
    )


def _printed(cell: DemoRow) -> list[str]:
    """Return what is printed in the row of the table that a regular question asks about."""
    printed = cell.derivation["printed"]
    assert isinstance(printed, list)  # noqa: S101 - made by `tables`
    return [str(value) for value in printed]
