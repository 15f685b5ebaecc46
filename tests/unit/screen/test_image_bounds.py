"""Which images the screen lets through."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from filters.screen.images import ImageSettings, image_intact
from pipeline.images import contrast, decode
from pipeline.records import ImageFacts
from tests.support.pictures import encoded

BOUNDS = ImageSettings().bounds(28, 200)
NOISE = np.random.default_rng(0)


def facts(**changes: Any) -> ImageFacts:
    usual: dict[str, Any] = {
        "question_id": "q",
        "sha256": "a" * 64,
        "width": 100,
        "height": 100,
        "phash": 1,
        "dhash": 1,
        "hash_recipe": "r",
        "contrast": 255,
        "frames": 1,
        "scaling": "none",
        "error": None,
    }
    return ImageFacts(**{**usual, **changes})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"contrast": 8}, ""),
        ({"contrast": 7}, "image_blank"),
        ({"contrast": 0}, "image_blank"),
        ({"width": 27}, "image_too_small"),
        ({"width": 201, "height": 1}, "image_too_small"),
        ({"width": 28 * 201, "height": 28}, "image_aspect"),
        ({"error": "image_aspect"}, "image_aspect"),
        ({"error": "image_format", "phash": None, "dhash": None, "contrast": None}, "image_format"),
        ({"error": "a code that nobody knows"}, "image_unusable"),
        ({"phash": None}, "image_undecodable"),
    ],
)
def test_an_image_is_kept_or_rejected_for_its_reason(changes: dict[str, Any], reason: str) -> None:
    decision = image_intact(facts(**changes), BOUNDS)
    assert (decision.outcome, decision.reason) == ("reject" if reason else "keep", reason)


def test_no_contrast_is_asked_for_at_0() -> None:
    bounds = ImageSettings(min_contrast=0).bounds(28, 200)
    assert image_intact(facts(contrast=0), bounds).outcome == "keep"


def page(shade: int = 255) -> Image.Image:
    return Image.new("RGB", (1600, 1200), (shade,) * 3)


def noisy(deviation: float, shade: int) -> Image.Image:
    values = shade + NOISE.normal(0, deviation, (1200, 1600, 3))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


def print_in(shade: int) -> Image.Image:
    image = page()
    ImageDraw.Draw(image).text((100, 100), "small print", fill=(shade,) * 3)
    return image


def with_pixel() -> Image.Image:
    image = page()
    image.putpixel((801, 601), (0, 0, 0))
    return image


def with_hairline() -> Image.Image:
    image = page()
    ImageDraw.Draw(image).line((0, 0, 1600, 900), fill=(200,) * 3)
    return image


def two_colours_of_one_grey() -> Image.Image:
    image = Image.new("RGB", (1600, 1200), (120, 60, 60))
    image.paste((60, 90, 60), (200, 200, 400, 400))
    return image


BLANK = {
    "white": page(),
    "black": page(0),
    "two levels": Image.fromarray(np.pad(np.full((400, 400), 183, np.uint8), 400, constant_values=181)),
    **{f"noise of {n} on {shade}": noisy(n, shade) for n in (1, 2, 3) for shade in (8, 128, 250)},
}
SHOWN = {
    "print": print_in(0),
    "faint print": print_in(230),
    "one pixel": with_pixel(),
    "a hairline": with_hairline(),
    "colours of one grey": two_colours_of_one_grey(),
}


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_what_shows_nothing_is_told_from_what_shows_little(form: str) -> None:
    def measured(images: dict[str, Image.Image]) -> dict[str, int]:
        return {name: contrast(decode(encoded(image.convert("RGB"), form))) for name, image in images.items()}

    blank, shown = measured(BLANK), measured(SHOWN)
    assert {name: levels for name, levels in blank.items() if levels >= BOUNDS.min_contrast} == {}
    assert {name: levels for name, levels in shown.items() if levels < BOUNDS.min_contrast} == {}
