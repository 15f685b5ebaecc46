"""What the generators hand to `build`: images with the questions about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from PIL import Image

from pipeline.demo.corpus.packages import package_version
from pipeline.identity import Json
from pipeline.records import AnswerType, Category

T = TypeVar("T")


class DemoRow(NamedTuple):
    """One line of `rows.jsonl`."""

    row: str
    """Key, unique in the corpus."""
    category: Category
    text: str
    images: tuple[str, ...]
    answers: tuple[str, ...]
    answer_type: AnswerType
    derivation: dict[str, Json]
    """Where the answer comes from; `family`, `package`, `version`, `file`, `row_key`, `second_source`, `planted`."""
    licence: str
    tolerance: float | None = None
    choices: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return the fields as JSON."""
        plain: dict[str, Json] = {}
        for name, value in self._asdict().items():
            plain[name] = list(value) if isinstance(value, tuple) else value
        return plain


class Sheet(NamedTuple):
    """An image and what is asked about it."""

    name: str
    """File name without extension."""
    image: Image.Image
    rows: tuple[DemoRow, ...]

    @property
    def path(self) -> str:
        """Where the image is, relative to the corpus."""
        return image_path(self.name)


def image_path(name: str) -> str:
    """Return where the image of sheet `name` is, relative to the corpus."""
    return f"images/{name}.png"


def derivation(
    family: str, package: str, file: str, row_key: str, second_source: Json = None, **facts: Json
) -> dict[str, Json]:
    """Return the derivation of an answer read from `file` of an installed package.

    `row_key` finds the datum in the file; `second_source` names the package that agrees, and its value,
    for facts of the world (what is printed on a sheet needs none); `facts` are how the answer follows.
    """
    return {
        "family": family,
        "package": package,
        "version": package_version(package),
        "file": file,
        "row_key": row_key,
        "second_source": second_source,
        "planted": False,
        **facts,
    }


def chunks(items: Iterable[T], size: int) -> Iterator[tuple[T, ...]]:
    """Yield groups of `size` items; what is left over and too few is not used."""
    iterator = iter(items)
    yield from zip(*[iterator] * size, strict=False)


def per_sheet(questions: int, most: int) -> list[int]:
    """Return how many questions each sheet gets: as few sheets as possible, shares as equal as possible."""
    count = -(-questions // most)
    return [questions // count + (index < questions % count) for index in range(count)]
