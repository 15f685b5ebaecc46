"""Image marks in the text of a row: they stand for the row's images in order, and leave the text.

Data sets mark where an image stands (`<image>`, `<image 1>`, tokens of a model). A question is asked with its images
before its text, each under the name `image_1`, `image_2`; so marks at the beginning and at the end say nothing more,
and one within a sentence becomes that name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from pipeline.amounts import counted
from pipeline.errors import RowError

# LLaVA and most others, MiniCPM's with a path between; with a number MMMU and Phi. Then tokens of Qwen2-VL, InternVL,
# Gemma and others.
_MARK = re.compile(
    r"<\|?\s*(?:image|img)[\s_-]*+(?P<number>[0-9]{1,4})?+\s*+\|?>(?:\s*+(?:\./\s*+)?</(?:image|img)>)?"
    r"|<\|vision_start\|>(?:<\|image_pad\|>)*<\|vision_end\|>|<\|image_pad\|>"
    r"|<(?:image_placeholder|image_token|image_soft_token|start_of_image|img_context|imagehere)>",
    re.IGNORECASE,
)


def has_mark(text: str) -> bool:
    """Return whether an image mark stands in a text."""
    return _MARK.search(text) is not None


def unmarked(text: str) -> str:
    """Return a text without its image marks, whatever they stand for."""
    return _MARK.sub("", text).strip()


def without_marks(text: str, images: int, choices: Sequence[str] = ()) -> str:
    """Return the text of a row with `images` images without its marks.

    Marks without a number are one for each image, in order; those with numbers name each image at least once. A text
    without marks is returned as it is. Where options hold marks the text need not name all images: the screen tells
    what is wrong there.

    Raises:
        RowError: `image_marks`, where marks and images do not agree; `row_field`, if the text is nothing but marks.
    """
    found = [*_MARK.finditer(text)]
    if not found:
        return text
    named = [int(mark["number"]) if mark["number"] else place for place, mark in enumerate(found, 1)]
    numbered = [mark["number"] is not None for mark in found]
    missing = not any(map(has_mark, choices)) and len(set(named)) < images
    if any(numbered) != all(numbered) or missing or not set(named) <= set(range(1, images + 1)):
        marks = ", ".join(dict.fromkeys(mark[0] for mark in found[:_LISTED]))
        raise RowError(
            "image_marks",
            f"text: {counted(len(found), 'image mark')} ({marks}) for {counted(images, 'image')}; write one <image> "
            "for each image, in order, or none",
        )
    rest = _edges(text, found)
    kept = text[rest.start : rest.stop]
    if not kept.strip():
        raise RowError("row_field", "text: nothing but image marks; write the question")
    names = iter(f"image_{number}" for mark, number in zip(found, named, strict=True) if mark.start() in rest)
    return _MARK.sub(lambda _: next(names), kept)


_LISTED = 5


def _edges(text: str, found: Sequence[re.Match[str]]) -> range:
    """Return where the text lies between the marks at its beginning and those at its end."""
    start, stop = 0, len(text)
    for mark in found:
        if text[start : mark.start()].strip():
            break
        start = mark.end()
    for mark in reversed(found):
        if mark.start() < start or text[mark.end() : stop].strip():
            break
        stop = mark.start()
    between = text[start:stop]
    return range(start + len(between) - len(between.lstrip()), stop - len(between) + len(between.rstrip()))
